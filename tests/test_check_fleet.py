"""Many trees at once: in order, as they come, and none takes the others down."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from bootsim.check.findings import Finding
from bootsim.check.fleet import check_trees
from bootsim.check.payload import Payload
from bootsim.check.tree import Report
from bootsim.kernel.profile import Profile, load_profile
from tests.problems import DIRECTORY, PROFILE

TREES = sorted(map(str, DIRECTORY.glob("0*.dts")))


def act(path: str, _payload: Payload, _profile: Profile) -> Report:
    """A check that does what the name of the tree says."""
    if path == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if path == "exit":
        os._exit(3)
    if path == "hang":
        time.sleep(1000)
    if path == "fault":
        raise ZeroDivisionError("a fault of ours")
    if path == "memory":
        raise MemoryError
    if path.startswith("slow"):
        time.sleep(0.3)
    return Report(path, (Finding("I-CMA-HIGHMEM", path),))


def run(paths: list[str], **options: object) -> list[Report]:
    profile = load_profile(PROFILE)
    return list(check_trees(paths, Payload(), profile, check=act, **options))  # type: ignore[arg-type]


def test_reports_come_in_order_whatever_the_number_of_processes() -> None:
    profile = load_profile(PROFILE)
    one = list(check_trees(TREES, Payload(), profile, processes=1))
    told: list[int] = []
    many = list(check_trees(TREES, Payload(), profile, processes=3, progress=told.append))
    assert [report.tree for report in many] == TREES
    assert many == one
    assert told == sorted(told)
    assert told[-1] == len(TREES)


def test_a_report_comes_before_the_trees_behind_it_are_done() -> None:
    start = time.monotonic()
    reports = check_trees(
        ["quick", "hang"], Payload(), load_profile(PROFILE), processes=2, check=act
    )
    assert next(reports).tree == "quick"
    reports.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("kill", "its process died (SIGKILL)"),
        ("exit", "its process died (exit status 3)"),
        ("fault", "ZeroDivisionError: a fault of ours"),
        ("memory", "out of memory"),
        ("hang", "given up after 1 s"),
    ],
)
def test_one_bad_tree_is_one_bad_report(bad: str, words: str) -> None:
    paths = [*(f"a{n}" for n in range(20)), bad, *(f"b{n}" for n in range(20)), bad]
    reports = run(paths, processes=2, timeout=1.0)
    assert [report.tree for report in reports] == paths
    lost = [report for report in reports if report.error is not None]
    assert [report.tree for report in lost] == [bad, bad]
    assert all(words in (report.error or "") for report in lost)
    assert all(report.findings for report in reports if report.tree != bad)


def test_all_trees_are_bad() -> None:
    reports = run(["exit"] * 9, processes=4)
    assert all(report.error for report in reports)


def test_slow_trees_run_side_by_side() -> None:
    timed: Callable[[], float] = time.monotonic
    start = timed()
    run([f"slow{n}" for n in range(8)], processes=8)
    assert timed() - start < 2.0


def test_no_process_is_left_behind() -> None:
    before = children()
    run(["a", "hang", "exit", "b"], processes=2, timeout=0.5)
    assert children() == before


def children() -> int:
    import multiprocessing  # noqa: PLC0415

    return len(multiprocessing.active_children())
