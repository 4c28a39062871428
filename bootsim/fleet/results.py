"""Results in the order of what they are of, as they come."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Generic

from bootsim.fleet.job import Item, Job, Loaded, Pool, Result


def run_each(
    items: Sequence[Item],
    job: Job[Item, Loaded, Result],
    pool: Pool,
    *,
    progress: Callable[[int], None] = lambda _done: None,
) -> Results[Result]:
    """Have `pool` do `job` to each of `items`; `progress` is told how many are done."""
    return Results(pool.run(job, items), progress)


class Results(Iterator[Result], Generic[Result]):
    """The results in their items' order, each as soon as all before it are there.

    An exception, such as KeyboardInterrupt, breaks the run off; untaken() then has what had come.
    `done` counts all that have.
    """

    def __init__(
        self,
        source: Generator[tuple[int, Result], None, None],
        progress: Callable[[int], None] = lambda _done: None,
    ) -> None:
        self._source = source
        self._progress = progress
        self._waiting: dict[int, Result] = {}
        self._next = self.done = 0

    def __next__(self) -> Result:
        while self._next not in self._waiting:
            number, result = next(self._source)
            self._waiting[number] = result
            self.done += 1
            self._progress(self.done)
        result = self._waiting.pop(self._next)
        self._next += 1
        return result

    def untaken(self) -> list[Result]:
        """Break the run off; what had come by then behind one that was still waited for."""
        self.close()
        results = [result for _, result in sorted(self._waiting.items(), key=lambda pair: pair[0])]
        self._waiting.clear()
        return results

    def close(self) -> None:
        """Break the run off; nothing of it goes on."""
        self._source.close()
