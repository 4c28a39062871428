"""Many trees, or whatever there is to do, in several processes, of which none takes others down.

Each process has a pipe and works on one thing at a time: when it dies, just that is lost, and when
it takes too long, it is ended. Results come in the order of what they are of.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

TIMEOUT = 60.0  # seconds for one thing; a boot takes some hundredths
_END = 2.0  # seconds that a process has to end by itself


def run_each(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    lost: Callable[[Item, str], Result],
    *,
    processes: int | None = None,
    timeout: float = TIMEOUT,
    progress: Callable[[int], None] = lambda _done: None,
) -> Iterator[Result]:
    """`work` of each of `items`, in their order, each as soon as all before it are there.

    `lost` makes the result of one whose process did not come back, and is told why. `processes`
    as many as there are CPUs by default; `progress` is told how many are done.
    """
    count = min(processes or len(os.sched_getaffinity(0)), len(items))
    if count < 2:
        for number, item in enumerate(items):
            yield _guarded(work, lost, item)
            progress(number + 1)
        return
    fleet = _Fleet(items, work, lost, timeout)
    try:
        yield from fleet.run(count, progress)
    finally:
        fleet.end()


class _Worker(Generic[Item, Result]):
    """A process, the pipe to it, and what it works on, by number; None if it is idle."""

    def __init__(self, work: Callable[[Item], Result], lost: Callable[[Item, str], Result]) -> None:
        context = multiprocessing.get_context("fork")  # `work` need not be pickled
        ours, theirs = context.Pipe()
        self.pipe: Connection = ours
        # A daemon: it ends with this process, however that ends.
        self.process: BaseProcess = context.Process(
            target=_work, args=(theirs, ours, work, lost), daemon=True
        )
        self.process.start()
        theirs.close()
        self.number: int | None = None
        self.deadline = 0.0

    def take(self, number: int, item: Item, timeout: float) -> None:
        self.number, self.deadline = number, time.monotonic() + timeout
        with suppress(OSError):  # it is dead: its pipe will tell
            self.pipe.send(item)

    def kill(self) -> int | None:
        """End it at once; its exit code."""
        self.process.kill()
        self.process.join(_END)
        self.pipe.close()
        return self.process.exitcode


class _Fleet(Generic[Item, Result]):
    def __init__(
        self,
        items: Sequence[Item],
        work: Callable[[Item], Result],
        lost: Callable[[Item, str], Result],
        timeout: float,
    ) -> None:
        self._items = items
        self._work = work
        self._lost = lost
        self._timeout = timeout
        self._next = 0
        self._workers: list[_Worker[Item, Result]] = []

    def run(self, count: int, progress: Callable[[int], None]) -> Iterator[Result]:
        results: dict[int, Result] = {}
        shown = done = 0
        for _ in range(count):
            self._start()
        while shown < len(self._items):
            for number, result in self._collect():
                results[number] = result
                done += 1
            progress(done)
            while shown in results:
                yield results.pop(shown)
                shown += 1

    def end(self) -> None:
        """No process is left behind."""
        for worker in self._workers:
            worker.kill()

    def _start(self) -> None:
        worker = _Worker(self._work, self._lost)
        self._workers.append(worker)
        self._give(worker)

    def _give(self, worker: _Worker[Item, Result]) -> None:
        worker.number = None
        if self._next < len(self._items):
            worker.take(self._next, self._items[self._next], self._timeout)
            self._next += 1

    def _collect(self) -> Iterator[tuple[int, Result]]:
        """What has been done since the last time; waits until something is."""
        busy = {worker.pipe: worker for worker in self._workers if worker.number is not None}
        soonest = min(worker.deadline for worker in busy.values())
        ready = wait(list(busy), max(soonest - time.monotonic(), 0))
        for pipe in ready:
            worker = busy[pipe]  # type: ignore[index]  # sockets and handles are none of ours
            assert worker.number is not None
            number = worker.number
            try:
                result = worker.pipe.recv()
            except (EOFError, OSError):
                yield number, self._give_up(worker, "its process died")
            else:
                self._give(worker)
                yield number, result
        now = time.monotonic()
        for worker in busy.values():
            if worker in self._workers and worker.number is not None and now > worker.deadline:
                number = worker.number
                yield number, self._give_up(worker, f"given up after {self._timeout:g} s")

    def _give_up(self, worker: _Worker[Item, Result], why: str) -> Result:
        """Give up what `worker` has, and have another process go on with the rest."""
        assert worker.number is not None
        item = self._items[worker.number]
        self._workers.remove(worker)
        code = worker.kill()
        if "died" in why and code is not None:
            how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            why = f"{why} ({how})"
        if self._next < len(self._items):
            self._start()
        return self._lost(item, why)


def _work(
    pipe: Connection,
    other: Connection,
    work: Callable[[Item], Result],
    lost: Callable[[Item, str], Result],
) -> None:
    """A process's main function."""
    other.close()  # or this process would never see the end of its pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that reports
    while True:
        try:
            item = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(_guarded(work, lost, item))


def _guarded(
    work: Callable[[Item], Result], lost: Callable[[Item, str], Result], item: Item
) -> Result:
    """`work`, whose own faults with one item are no reason to stop either."""
    try:
        return work(item)
    except MemoryError:
        return lost(item, "out of memory")
    except Exception as error:
        return lost(item, f"{type(error).__name__}: {error}")
