"""The model kernel against boots of a real one (tests/data/real_boots, or --cases DIR).

What is compared is added up over a directory's cases; the summary of the run shows each share.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bootsim.batch import Outcome, run_task, run_tasks
from bootsim.kernel.fdt_check_mem_start import fdt_check_mem_start, mem_start_of
from bootsim.kernel.libfdt import Fdt
from tests.conftest import REAL_BOOTS, SUMMARY
from tests.real_boots import (
    DUMP,
    MEMORY_LINE,
    RealBoot,
    Score,
    directories,
    real_boots,
    score_events,
    score_fate,
    score_lines,
    score_memory_line,
    score_regions,
)

LINES_WANTED, EVENTS_WANTED = 98.0, 95.0  # per cent


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "directory" in metafunc.fixturenames:
        root = metafunc.config.getoption("--cases")
        found = directories(root)
        if not found:
            raise pytest.UsageError(f"--cases {root}: there are no recorded boots")
        metafunc.parametrize("directory", found, ids=lambda path: path.name, scope="module")


@pytest.fixture(scope="module")
def boots(directory: Path) -> list[RealBoot]:
    return real_boots(directory)


@pytest.fixture(scope="module")
def at_the_dump(boots: list[RealBoot]) -> list[Outcome]:
    return list(run_tasks([boot.task(until="arm_memblock_init") for boot in boots]))


@pytest.fixture(scope="module")
def to_the_end(boots: list[RealBoot]) -> list[tuple[RealBoot, Outcome]]:
    known = [boot for boot in boots if boot.fate != DUMP]
    return list(zip(known, run_tasks([boot.task() for boot in known]), strict=True))


@pytest.fixture
def summary(directory: Path, pytestconfig: pytest.Config) -> list[str]:
    lines = pytestconfig.stash[SUMMARY]
    lines.append(f"real boots, {directory.name},")
    return lines


def test_regions_at_the_dump(
    boots: list[RealBoot], at_the_dump: list[Outcome], summary: list[str]
) -> None:
    score = Score("memory and reserved at the dump")
    for boot, outcome in zip(boots, at_the_dump, strict=True):
        score_regions(score, boot, outcome)
    summary[-1] += f" {score}"
    assert score.right == score.total, score.explained()


def test_lines_up_to_the_dump(
    boots: list[RealBoot], at_the_dump: list[Outcome], summary: list[str]
) -> None:
    score = Score("log lines up to the dump")
    for boot, outcome in zip(boots, at_the_dump, strict=True):
        score_lines(score, boot, outcome)
    summary[-1] += f" {score}"
    assert score.percent >= LINES_WANTED, score.explained()


def test_how_boots_end(to_the_end: list[tuple[RealBoot, Outcome]], summary: list[str]) -> None:
    dying, living = Score("panics and faults"), Score("boots that come through")
    for boot, outcome in to_the_end:
        score_fate(living if boot.fate == MEMORY_LINE else dying, boot, outcome)
    summary[-1] += f" {dying}, {living}"
    for score in (dying, living):
        assert score.right == score.total, score.explained()


def test_memblock_to_the_handover(
    to_the_end: list[tuple[RealBoot, Outcome]], summary: list[str]
) -> None:
    events, line = Score("memblock's events"), Score("numbers of the Memory: line")
    for boot, outcome in to_the_end:
        if boot.fate == MEMORY_LINE:
            score_events(events, boot, outcome)
            score_memory_line(line, boot, outcome)
    summary[-1] += f" {events}, {line}"
    for score in (events, line):
        assert score.percent >= EVENTS_WANTED, score.explained()


@pytest.mark.parametrize("name", ["vexpress-grid", "boards"])
def test_the_kernel_finds_the_start_of_ram(name: str) -> None:
    # These came through the decompressor, from the first 128 MiB of RAM.
    for boot in real_boots(REAL_BOOTS / name):
        base = boot.record["phys_offset"]
        assert fdt_check_mem_start(mem_start_of(base + 0x10000), Fdt(boot.dtb)) == base, boot.name


# The comparison itself.


@pytest.fixture(scope="module")
def one() -> tuple[RealBoot, Outcome]:
    boots = real_boots(REAL_BOOTS / "vexpress-grid")
    boot = next(boot for boot in boots if boot.name == "rm_140")
    return boot, run_task(boot.task())


@pytest.fixture(scope="module")
def living() -> tuple[RealBoot, Outcome]:
    boot = real_boots(REAL_BOOTS / "boards")[0]
    return boot, run_task(boot.task())


def test_what_is_right_to_the_handover_is_noticed(living: tuple[RealBoot, Outcome]) -> None:
    for compare in (score_events, score_memory_line):
        score = Score("")
        compare(score, *living)
        assert (score.right, score.total, score.misses) == (1, 1, [])


def test_what_is_wrong_to_the_handover_is_noticed(living: tuple[RealBoot, Outcome]) -> None:
    boot, outcome = living
    number = next(n for n, line in enumerate(outcome.log) if line.startswith("memblock_phys_free"))
    before, line, after = outcome.log[:number], outcome.log[number], outcome.log[number + 1 :]
    for compare, log in (
        (score_events, before + after),
        (score_events, (*before, line, line, *after)),
        (score_events, (*before, line.replace("-0x", "-0x1"), *after)),
        (score_memory_line, before),
        (score_memory_line, (*before, boot.record["memory_line"].replace("K/", "1K/"))),
    ):
        score = Score("")
        compare(score, boot, replace(outcome, log=log))
        assert (score.right, score.total, len(score.misses)) == (0, 1, 1)
        assert boot.name in score.misses[0]


def test_what_is_right_is_noticed(one: tuple[RealBoot, Outcome]) -> None:
    boot, outcome = one
    for compare in (score_lines, score_fate):
        score = Score("")
        compare(score, boot, outcome)
        assert score.right == score.total > 0
        assert score.misses == []


def test_what_is_wrong_is_noticed(one: tuple[RealBoot, Outcome]) -> None:
    boot, outcome = one
    lines = tuple(line for line in outcome.log if "cma: Reserved" not in line)
    for compare, wrong in (
        (score_regions, replace(outcome, reserved=outcome.reserved[:-1])),
        (score_regions, replace(outcome, memory=())),
        (score_lines, replace(outcome, log=lines[:8] + lines[9:])),
        (score_lines, replace(outcome, log=(*lines[:8], "another", *lines[8:]))),
        (score_fate, replace(outcome, error=None)),
        (score_fate, replace(outcome, error="Kernel panic - not syncing: another")),
        (score_fate, replace(outcome, error="Linux dies silently")),
    ):
        score = Score("")
        compare(score, boot, wrong)
        assert score.right < score.total
        assert len(score.misses) == 1
        assert boot.name in score.misses[0]
