"""Many trees checked in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bootsim.check.payload import Payload
from bootsim.check.tree import Report, check_tree
from bootsim.fleet import TIMEOUT, run_each
from bootsim.kernel.profile import Profile

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

    The other parameters are those of run_each(). What goes wrong with a tree is in its report.
    """

    def work(path: str) -> Report:
        return check(path, payload, profile)

    return run_each(paths, work, _lost, processes=processes, timeout=timeout, progress=progress)


def _lost(path: str, why: str) -> Report:
    return Report(path, error=f"{path}: not checked: {why}")
