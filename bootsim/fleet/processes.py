"""Processes of this machine.

Each has a pipe and works on one thing at a time: when it dies, just that is lost, and when it takes
too long, it is ended.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic

from bootsim.fleet.job import Item, Job, Loaded, Lost, Result

TIMEOUT = 60.0  # seconds for one thing; a boot takes some hundredths
_END = 2.0  # seconds that a process has to end by itself


@dataclass(frozen=True, slots=True)
class Processes:
    """`count` processes, as many as there are CPUs by default; `timeout` in seconds an item.

    A single item is done in this process, which has no such limit.
    """

    count: int | None = None
    timeout: float = TIMEOUT

    def run(
        self, job: Job[Item, Loaded, Result], items: Sequence[Item]
    ) -> Generator[tuple[int, Result], None, None]:
        """As Pool.run()."""
        if len(items) < 2:
            for number, item in enumerate(items):
                yield number, job.run(item)
            return
        crew = _Crew(job, items, self.timeout)
        try:
            yield from crew.run(min(self.count or _cpus(), len(items)))
        finally:
            crew.end()


class _Worker:
    """A process, the pipe to it, and what it works on, by number; None if it is idle."""

    def __init__(self, job: Job[Any, Any, Any]) -> None:
        context = multiprocessing.get_context("fork")  # the job need not be pickled
        ours, theirs = context.Pipe()
        self.pipe: Connection = ours
        # A daemon: it ends with this process, however that ends.
        self.process: BaseProcess = context.Process(
            target=_work, args=(theirs, ours, job), daemon=True
        )
        self.process.start()
        theirs.close()
        self.number: int | None = None
        self.deadline = 0.0

    def take(self, number: int, item: object, timeout: float) -> None:
        self.number, self.deadline = number, time.monotonic() + timeout
        with suppress(OSError):  # it is dead: its pipe will tell
            self.pipe.send(item)

    def kill(self) -> int | None:
        """End it at once; its exit code."""
        self.process.kill()
        self.process.join(_END)
        self.pipe.close()
        return self.process.exitcode


class _Crew(Generic[Item, Loaded, Result]):
    """The processes of one run, and what of it they have not taken yet."""

    def __init__(
        self, job: Job[Item, Loaded, Result], items: Sequence[Item], timeout: float
    ) -> None:
        self._job = job
        self._items = items
        self._timeout = timeout
        self._next = 0
        self._workers: list[_Worker] = []

    def run(self, count: int) -> Iterator[tuple[int, Result]]:
        for _ in range(count):
            self._start()
        while any(worker.number is not None for worker in self._workers):
            yield from self._collect()

    def end(self) -> None:
        """No process is left behind."""
        for worker in self._workers:
            worker.kill()

    def _start(self) -> None:
        worker = _Worker(self._job)
        self._workers.append(worker)
        self._give(worker)

    def _give(self, worker: _Worker) -> None:
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
                yield number, self._give_up(worker, None)
            else:
                self._give(worker)
                yield number, result
        now = time.monotonic()
        for worker in busy.values():
            if worker in self._workers and worker.number is not None and now > worker.deadline:
                number = worker.number
                yield number, self._give_up(worker, f"given up after {self._timeout:g} s")

    def _give_up(self, worker: _Worker, why: str | None) -> Result:
        """Give up what `worker` has, and have another process go on with the rest.

        `why` is None for one that has died.
        """
        assert worker.number is not None
        item = self._items[worker.number]
        self._workers.remove(worker)
        code = worker.kill()
        if why is None:
            how = "" if code is None else _ending(code)
            why = f"its process died{how}"
        if self._next < len(self._items):
            self._start()
        return self._job.failed(item, Lost(why))


def _cpus() -> int:
    """How many CPUs this process may use; where the system does not tell, how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _ending(code: int) -> str:
    return f" ({signal.Signals(-code).name})" if code < 0 else f" (exit status {code})"


def _work(pipe: Connection, other: Connection, job: Job[Any, Any, Any]) -> None:
    """A process's main function."""
    other.close()  # or this process would never see the end of its pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that reports
    gc.freeze()  # what came with the fork is never garbage: no need to look through it
    while True:
        try:
            item = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(job.run(item))
