"""What is done to each of many things, and who does it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from bootsim.errors import BootsimError

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Result = TypeVar("Result")


class Lost(BootsimError):
    """A thing that nothing came back of; says why."""


@dataclass(frozen=True, slots=True)
class Job(Generic[Item, Loaded, Result]):
    """What is done to each item, in two steps.

    `load` needs this machine, such as its files; `work` is done wherever there is a free CPU.
    `failed` makes the result of an item of which either raised an exception: BootsimError for bad
    input, Lost if whoever worked on it is gone.
    """

    load: Callable[[Item], Loaded]
    work: Callable[[Loaded], Result]
    failed: Callable[[Item, Exception], Result]

    def run(self, item: Item) -> Result:
        """Both steps."""
        try:
            loaded = self.load(item)
        except Exception as error:
            return self.failed(item, error)
        return self.finish(item, loaded)

    def finish(self, item: Item, loaded: Loaded) -> Result:
        """The second step."""
        try:
            return self.work(loaded)
        except Exception as error:
            return self.failed(item, error)


class Pool(Protocol):
    """Who works on items, several at a time."""

    def run(
        self, job: Job[Item, Loaded, Result], items: Sequence[Item]
    ) -> Generator[tuple[int, Result], None, None]:
        """The number and the result of each item, as they come.

        To close the generator is to break the run off: nothing of it goes on.
        """
        ...
