"""Many trees in several processes, of which none can take the others down.

Each process has a pipe and works on one tree at a time: when it dies, just that tree is lost, and
when it takes too long, it is ended. Reports come in the order of the trees.
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

from bootsim.check.payload import Payload
from bootsim.check.tree import Report, check_tree
from bootsim.kernel.profile import Profile

TIMEOUT = 60.0  # seconds for one tree; the slowest of Debian's takes 0.2
_END = 2.0  # seconds that a process has to end by itself

Check = Callable[[str, Payload, Profile], Report]


def check_trees(
    paths: Sequence[str],
    payload: Payload,
    profile: Profile,
    *,
    processes: int | None = None,
    timeout: float = TIMEOUT,
    progress: Callable[[int], None] = lambda _done: None,
    check: Check = check_tree,
) -> Iterator[Report]:
    """A report for each of `paths`, in their order, each as soon as all before it are there.

    `processes` as many as there are CPUs by default; `progress` is told how many are done. What
    goes wrong with a tree is in its report.
    """
    count = min(processes or len(os.sched_getaffinity(0)), len(paths))
    if count < 2:
        for number, path in enumerate(paths):
            yield _guarded(check, path, payload, profile)
            progress(number + 1)
        return
    fleet = _Fleet(paths, (payload, profile, check), timeout)
    try:
        yield from fleet.run(count, progress)
    finally:
        fleet.end()


class _Worker:
    """A process, the pipe to it, and the tree that it has, by number; None if it is idle."""

    def __init__(self, job: tuple[Payload, Profile, Check]) -> None:
        ours, theirs = multiprocessing.Pipe()
        self.pipe: Connection = ours
        # A daemon: it ends with this process, however that ends.
        self.process: BaseProcess = multiprocessing.Process(
            target=_work, args=(theirs, ours, *job), daemon=True
        )
        self.process.start()
        theirs.close()
        self.number: int | None = None
        self.deadline = 0.0

    def take(self, number: int, path: str, timeout: float) -> None:
        self.number, self.deadline = number, time.monotonic() + timeout
        with suppress(OSError):  # it is dead: its pipe will tell
            self.pipe.send(path)

    def kill(self) -> int | None:
        """End it at once; its exit code."""
        self.process.kill()
        self.process.join(_END)
        self.pipe.close()
        return self.process.exitcode


class _Fleet:
    def __init__(
        self, paths: Sequence[str], job: tuple[Payload, Profile, Check], timeout: float
    ) -> None:
        self._paths = paths
        self._job = job
        self._timeout = timeout
        self._next = 0
        self._workers: list[_Worker] = []

    def run(self, count: int, progress: Callable[[int], None]) -> Iterator[Report]:
        reports: dict[int, Report] = {}
        shown = done = 0
        for _ in range(count):
            self._start()
        while shown < len(self._paths):
            for number, report in self._collect():
                reports[number] = report
                done += 1
            progress(done)
            while shown in reports:
                yield reports.pop(shown)
                shown += 1

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
        if self._next < len(self._paths):
            worker.take(self._next, self._paths[self._next], self._timeout)
            self._next += 1

    def _collect(self) -> Iterator[tuple[int, Report]]:
        """What has been done since the last time; waits until something is."""
        busy = {worker.pipe: worker for worker in self._workers if worker.number is not None}
        soonest = min(worker.deadline for worker in busy.values())
        ready = wait(list(busy), max(soonest - time.monotonic(), 0))
        for pipe in ready:
            worker = busy[pipe]  # type: ignore[index]  # sockets and handles are none of ours
            assert worker.number is not None
            number = worker.number
            try:
                report = worker.pipe.recv()
            except (EOFError, OSError):
                yield number, self._lost(worker, "its process died")
            else:
                self._give(worker)
                yield number, report
        now = time.monotonic()
        for worker in busy.values():
            if worker in self._workers and worker.number is not None and now > worker.deadline:
                number = worker.number
                yield number, self._lost(worker, f"given up after {self._timeout:g} s")

    def _lost(self, worker: _Worker, why: str) -> Report:
        """Give a tree up, and have another process go on with the rest."""
        assert worker.number is not None
        path = self._paths[worker.number]
        self._workers.remove(worker)
        code = worker.kill()
        if "died" in why and code is not None:
            how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            why = f"{why} ({how})"
        if self._next < len(self._paths):
            self._start()
        return Report(path, error=f"{path}: not checked: {why}")


def _work(
    pipe: Connection, other: Connection, payload: Payload, profile: Profile, check: Check
) -> None:
    """A process's main function."""
    other.close()  # or this process would never see the end of its pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that reports
    while True:
        try:
            path = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(_guarded(check, path, payload, profile))


def _guarded(check: Check, path: str, payload: Payload, profile: Profile) -> Report:
    """`check`, whose own faults are no reason to stop either."""
    try:
        return check(path, payload, profile)
    except MemoryError:
        return Report(path, error=f"{path}: not checked: out of memory")
    except Exception as error:
        return Report(path, error=f"{path}: not checked: {type(error).__name__}: {error}")
