"""Many things at once: in order, as they come, and none takes the others down.

Whoever works on them, processes of this machine or those of a Dask cluster.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bootsim import __version__
from bootsim.check.payload import Payload
from bootsim.check.tree import check_job
from bootsim.errors import BootsimError, in_one_line
from bootsim.fleet import Job, Lost, Pool, Processes, run_each
from bootsim.fleet.cluster import Cluster
from bootsim.fleet.deadline import within
from bootsim.inputs import tree_error
from bootsim.kernel.profile_file import load_profile
from bootsim.whatif import ask_job, combinations, parse_variation
from tests.command import Run
from tests.problems import DIRECTORY, PROFILE
from tests.requirements import need_module

TREES = sorted(map(str, DIRECTORY.glob("0*.dts")))


def act(name: str) -> str:
    """What `name` says, done by whoever works on it."""
    if name == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "exit":
        os._exit(3)
    if name == "spin":
        while True:
            pass
    if name == "fault":
        raise ZeroDivisionError("a fault\nof ours")
    if name == "memory":
        raise MemoryError
    if name == "bad":
        raise BootsimError("bad: no tree at all")
    if name.startswith("slow"):
        time.sleep(0.3)
    while name.startswith("/") and not Path(name).exists():
        time.sleep(0.01)
    if name.startswith("meet "):  # all four, or none ends
        _, place, number = name.split()
        (Path(place) / number).touch()
        while len(list(Path(place).iterdir())) < 4:
            time.sleep(0.01)
    return f"{name} done"


def read(name: str) -> str:
    """The step that is done where the files are."""
    if name == "gone":
        raise BootsimError("gone: No such file or directory")
    return name


def failed(name: str, error: Exception) -> str:
    return f"failed: {tree_error(name, error)}"


ACT = Job(read, act, failed)


def cluster(workers: int) -> Any:
    """A Dask cluster of processes with one thread each, on this machine."""
    return need_module("distributed").LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    )


class Pools:
    """A pool of two by its name; a cluster is started when one is first wanted."""

    def __init__(self) -> None:
        self._cluster: Any = None

    def __call__(self, kind: str, timeout: float = 60.0) -> Pool:
        if kind == "processes":
            return Processes(2, timeout)
        return Cluster(self.address, timeout)

    @property
    def address(self) -> str:
        if self._cluster is None:
            self._cluster = cluster(2)
        return str(self._cluster.scheduler_address)

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.close()


@pytest.fixture(scope="module")
def pools() -> Iterator[Pools]:
    made = Pools()
    yield made
    made.close()


@pytest.fixture(params=["processes", "cluster"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(names: list[str], pool: Pool) -> list[str]:
    return list(run_each(names, ACT, pool))


def test_results_come_in_order_and_are_the_same_by_whomever(kind: str, pools: Pools) -> None:
    job = check_job(Payload(), load_profile(PROFILE))
    told: list[int] = []
    reports = list(run_each(TREES, job, pools(kind), progress=told.append))
    assert [report.tree for report in reports] == TREES
    assert reports == [job.run(tree) for tree in TREES]
    assert any(finding.line for report in reports for finding in report.findings)
    assert told == list(range(1, len(TREES) + 1))


def test_what_if_is_asked_of_a_cluster_too(pools: Pools) -> None:
    asked = combinations(load_profile(PROFILE), [parse_variation("vmsplit=3G,2G")])
    job = ask_job(asked, cmdline="quiet")
    answers = list(run_each(TREES[:6], job, pools("cluster")))
    assert answers == [job.run(tree) for tree in TREES[:6]]
    assert sum(len(answer.rows) for answer in answers) >= 8


def test_a_result_comes_before_those_behind_it_are_done(
    kind: str, pools: Pools, tmp_path: Path
) -> None:
    held = tmp_path / "go on"
    results = run_each(["quick", str(held)], ACT, pools(kind))
    assert next(results) == "quick done"
    held.touch()
    assert list(results) == [f"{held} done"]


ONE_BAD = (
    ("fault", "ZeroDivisionError: a fault of ours"),
    ("memory", "out of memory"),
    ("spin", "given up after 1 s"),
    ("bad", "no tree at all"),
    ("gone", "No such file or directory"),
)


@pytest.mark.parametrize(("bad", "words"), ONE_BAD)
def test_one_bad_thing_is_one_bad_result(bad: str, words: str, kind: str, pools: Pools) -> None:
    check_one_bad(bad, words, pools(kind, timeout=1.0))


@pytest.mark.parametrize(
    ("bad", "words"),
    [("kill", "its process died (SIGKILL)"), ("exit", "its process died (exit status 3)")],
)
def test_one_that_kills_its_process(bad: str, words: str) -> None:
    check_one_bad(bad, words, Processes(2))


@pytest.mark.slow  # Dask takes its time to start workers anew
def test_one_that_kills_its_workers() -> None:
    with cluster(2) as two:
        check_one_bad("kill", "the workers that had it died", Cluster(two.scheduler_address))


def check_one_bad(bad: str, words: str, pool: Pool) -> None:
    names = [*(f"a{n}" for n in range(20)), bad, *(f"b{n}" for n in range(20)), bad]
    expected = [f"failed: {bad}: {words}" if name == bad else f"{name} done" for name in names]
    assert run(names, pool) == expected


def test_all_are_bad() -> None:
    assert run(["exit"] * 9, Processes(4)) == ["failed: exit: its process died (exit status 3)"] * 9


def test_nothing_to_do(kind: str, pools: Pools) -> None:
    assert run([], pools(kind)) == []
    assert run(["gone"], pools(kind)) == ["failed: gone: No such file or directory"]


def test_one_process_has_a_time_limit_and_dies_for_itself() -> None:
    names = ["a", "spin", "kill", "b"]
    assert run(names, Processes(1, timeout=0.5)) == [
        "a done",
        "failed: spin: given up after 0.5 s",
        "failed: kill: its process died (SIGKILL)",
        "b done",
    ]


def test_they_run_side_by_side(tmp_path: Path) -> None:
    names = [f"meet {tmp_path} {number}" for number in range(4)]
    assert run(names, Processes(4, timeout=30)) == [f"{name} done" for name in names]


def test_no_process_is_left_behind() -> None:
    before = len(multiprocessing.active_children())
    run(["a", "spin", "exit", "b"], Processes(2, timeout=0.5))
    assert len(multiprocessing.active_children()) == before


def test_what_has_come_is_kept_when_the_run_is_broken_off(
    kind: str, pools: Pools, tmp_path: Path
) -> None:
    """As by Ctrl-C, while the first is still being worked on."""

    def interrupt(count: int) -> None:
        if count == 5:
            raise KeyboardInterrupt

    held = tmp_path / "go on"
    names = [str(held), *(f"a{n}" for n in range(9))]
    results = run_each(names, ACT, pools(kind), progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        next(results)
    kept = results.untaken()
    held.touch()
    assert len(kept) == 5
    assert kept == [f"{name} done" for name in names if f"{name} done" in kept]
    assert list(results) == []


def test_a_cluster_needs_none_of_the_files(tmp_path: Path, pools: Pools) -> None:
    """What reads is done here: the workers see what was read, and nothing of where."""
    here = os.getpid()
    file = tmp_path / "file"
    file.write_text("content")
    job = Job(partial(open_here, here), len, failed)
    assert list(run_each([str(file)] * 3, job, pools("cluster"))) == [7, 7, 7]


def open_here(pid: int, path: str) -> str:
    assert os.getpid() == pid
    return Path(path).read_text()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense", "expected an address as tcp://host:8786"),
        ("", "expected an address as tcp://host:8786"),
        ("foo://localhost:8786", "unknown address scheme"),
        ("tcp://127.0.0.1:1", "Connection refused"),
        ("tcp://no-such-host.invalid:8786", "not known|resolution"),
    ],
)
def test_no_scheduler(address: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    need_module("distributed")
    monkeypatch.setattr("bootsim.fleet.cluster._CONNECT", 1000.0)  # and it is told at once
    with pytest.raises(BootsimError, match=words) as caught:
        run(["a", "b"], Cluster(address))
    assert str(caught.value).startswith(f"--scheduler {address}: ")
    assert "\n" not in str(caught.value)


def test_who_answers_is_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    need_module("distributed")
    monkeypatch.setattr("bootsim.fleet.cluster._CONNECT", 1.0)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(BootsimError, match=f"^--scheduler {address}: "):
            run(["a", "b"], Cluster(address))


def test_workers_of_another_version(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    address = pools("cluster")
    monkeypatch.setattr("bootsim.fleet.cluster.__version__", "99.9")
    with pytest.raises(BootsimError, match=rf"has bootsim {__version__}, this is 99.9"):
        run(["a", "b"], address)


def test_a_cluster_that_goes_away_ends_the_run() -> None:
    dying = cluster(1)
    names = ["quick", *(f"slow{n}" for n in range(50))]
    results = run_each(names, ACT, Cluster(dying.scheduler_address))
    assert next(results) == "quick done"
    dying.close()
    with pytest.raises(BootsimError, match="gone away"):
        list(results)


def test_a_cluster_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bootsim.fleet.cluster._NO_WORKER", 0.5)
    with cluster(0) as empty, pytest.raises(BootsimError, match="it has no workers"):
        run(["a", "b"], Cluster(empty.scheduler_address))


def test_the_command_prints_the_same_by_whomever(bootsim: Run, pools: Pools) -> None:
    there = ("--scheduler", pools.address)
    trees = [*TREES[:8], "nowhere.dtb"]
    for command in (("check",), ("check", "--json"), ("whatif", "--vary", "mem=default,64M")):
        here = bootsim(*command, *trees)
        assert here[0] == 2
        assert bootsim(*command, *trees, *there) == here


def test_a_command_without_its_cluster(bootsim: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = ("--scheduler", "tcp://127.0.0.1:1")
    need_module("distributed")
    for command in (("check",), ("whatif", "--vary", "mem=64M", "--json")):
        status, out, err = bootsim(*command, *TREES, *scheduler)
        assert (status, out) == (2, "")
        assert err == "bootsim: error: --scheduler tcp://127.0.0.1:1: Connection refused\n"
    status, out, err = bootsim("check", *TREES, *scheduler, "--jobs", 2)
    assert (status, out) == (2, "")
    assert "--jobs has no meaning here" in err
    monkeypatch.setitem(sys.modules, "distributed", None)
    status, out, err = bootsim("check", *TREES, *scheduler)
    assert (status, out) == (2, "")
    assert err == "bootsim: error: --scheduler takes Dask: pip install 'bootsim[cluster]'\n"


def test_a_deadline_breaks_off_what_never_ends() -> None:
    with pytest.raises(TimeoutError):
        within(0.1, lambda: act("spin"))
    assert within(5.0, lambda: act("a")) == "a done"
    with pytest.raises(ZeroDivisionError):
        within(5.0, lambda: act("fault"))


def test_a_deadline_strikes_in_time_or_never() -> None:
    """Whenever the call returns, before or after, nothing is raised into what follows it."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    outcomes = set()
    try:
        for _ in range(300):
            end = time.perf_counter() + random.uniform(0.0, 0.004)
            try:
                outcomes.add(within(0.002, lambda end=end: busy_until(end)))
            except TimeoutError:
                outcomes.add("late")
            busy_until(time.perf_counter() + 0.0005)
    finally:
        sys.setswitchinterval(interval)
    assert outcomes == {"in time", "late"}


def busy_until(end: float) -> str:
    while time.perf_counter() < end:
        pass
    return "in time"


def test_reasons_are_one_line() -> None:
    assert in_one_line(Lost("gone")) == "gone"
    assert in_one_line(ValueError("a\nb")) == "ValueError: a b"
