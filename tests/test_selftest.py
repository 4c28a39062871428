"""`bootsim selftest memblock`: it passes, and it can fail."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bootsim.kernel import memblock as memblock_module
from bootsim.kernel.memblock import Memblock, Region
from bootsim.selftest import memblock, tap
from bootsim.selftest.check import BOTH, Check, Outcome
from bootsim.simulate import Boot
from tests.command import Run

PAGE = Path(memblock_module.__file__).with_name("MEMBLOCK.md")
SEED_FUNCTIONS = Path(__file__).parent / "data" / "memblock" / "seed-functions.txt"

# C name and Python method of each row of the page.
METHODS = [
    (function, method)
    for function, method in re.findall(
        r"^\| `(\w+)` \|[^|]*\| `([a-zA-Z]\w*)` \|", PAGE.read_text(), re.MULTILINE
    )
    if hasattr(Memblock, method)
]
CHECKED = {function for check in memblock.CHECKS for function in check.functions}


def checks_of(function: str) -> list[Check]:
    return [check for check in memblock.CHECKS if function in check.functions]


def failures(outcomes: list[Outcome]) -> list[str]:
    return [outcome.name for outcome in outcomes if not outcome.ok]


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return memblock.run()


def test_memblock_passes(outcomes: list[Outcome]) -> None:
    assert [(o.name, o.message, o.expected, o.found) for o in outcomes if not o.ok] == []


def test_both_versions_are_checked(outcomes: list[Outcome]) -> None:
    counts = {linux: sum(outcome.linux == linux for outcome in outcomes) for linux in BOTH}
    assert counts == {
        linux: sum(linux in check.linux for check in memblock.CHECKS) for linux in BOTH
    }
    assert all(count > 60 for count in counts.values())


def test_names_tell_checks_apart(outcomes: list[Outcome]) -> None:
    names = [outcome.name for outcome in outcomes]
    assert len(set(names)) == len(names)


def test_every_function_of_the_seeds_is_checked() -> None:
    functions = set(SEED_FUNCTIONS.read_text().split())
    assert functions - CHECKED == set()


# A memblock that does nothing: each method has a check that sees it.


@pytest.mark.parametrize(("function", "method"), METHODS, ids=str)
def test_a_method_that_does_nothing_is_found(
    function: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_args: Any, **_options: Any) -> None:
        return None

    checks = checks_of(function)
    assert checks, f"no check of {function}"
    monkeypatch.setattr(Memblock, method, nothing)
    assert failures(memblock.run(checks))


# Smaller faults, each in one method, as a slip would leave them.

Method = Callable[..., Any]


def off_by_one(method: Method) -> Method:
    def shorter(self: Memblock, base: int, size: int, **options: Any) -> Any:
        return method(self, base, max(size - 1, 0), **options)

    return shorter


def inverted(method: Method) -> Method:
    return lambda self, *args, **options: not method(self, *args, **options)


def without_last(method: Method) -> Method:
    def iterate(self: Memblock, *args: Any, **options: Any) -> Iterator[Any]:
        yield from list(method(self, *args, **options))[:-1]

    return iterate


def backwards(method: Method) -> Method:
    return lambda self, *args, **options: iter(list(method(self, *args, **options))[::-1])


def a_page_higher(method: Method) -> Method:
    return lambda self, *args, **options: method(self, *args, **options) + 4096


def not_at_all(_method: Method) -> Method:
    return lambda self, *args, **options: None


FAULTS = [
    ("reserve", off_by_one, "memblock_reserve"),
    ("add", off_by_one, "memblock_add"),
    ("remove", off_by_one, "memblock_remove"),
    ("phys_free", off_by_one, "memblock_phys_free"),
    ("mark_nomap", off_by_one, "memblock_mark_nomap"),
    ("is_map_memory", inverted, "memblock_is_map_memory"),
    ("overlaps_region", inverted, "memblock_is_region_reserved"),
    ("for_each_free_mem_range", without_last, "for_each_free_mem_range"),
    ("for_each_free_mem_range_reverse", backwards, "for_each_free_mem_range_reverse"),
    ("for_each_mem_range_rev", backwards, "for_each_mem_range_rev"),
    ("_find", a_page_higher, "memblock_find_in_range"),
    ("_zero", not_at_all, "memblock_alloc"),
    ("_double_array", not_at_all, "memblock_double_array"),
    ("end_of_DRAM", a_page_higher, "memblock_end_of_DRAM"),
]


@pytest.mark.parametrize(
    ("method", "fault", "function"), FAULTS, ids=[f"{m}-{f.__name__}" for m, f, _ in FAULTS]
)
def test_a_slip_is_found(
    method: str, fault: Callable[[Method], Method], function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Memblock, method, fault(getattr(Memblock, method)))
    assert failures(memblock.run(checks_of(function)))


def test_a_failing_check_leaves_the_next_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Memblock, "trim_memory", lambda _self, _align: 1 / 0)
    assert {name.split(":")[0] for name in failures(memblock.run())} == {"memblock_trim_memory"}


def test_a_boot_after_it_is_as_ever() -> None:
    before = Boot().run().log
    memblock.run()
    assert Boot().run().log == before


# What a user sees.


def test_tap(bootsim: Run, outcomes: list[Outcome]) -> None:
    status, out, err = bootsim("selftest", "memblock")
    assert (status, err) == (0, "")
    version, plan, *lines = out.splitlines()
    assert version == "TAP version 13"
    assert plan == f"1..{len(outcomes)}"
    results = [line for line in lines if not line.startswith("#")]
    assert results == [f"ok {n} - {outcome.name}" for n, outcome in enumerate(outcomes, 1)]


def test_tap_of_a_failure(bootsim: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Memblock, "end_of_DRAM", lambda _self: 0x1234)
    status, out, _ = bootsim("selftest", "memblock")
    assert status == 1
    assert out.splitlines()[0] == "TAP version 13"
    found = re.search(
        r"^not ok \d+ - memblock_start_of_DRAM, memblock_end_of_DRAM: .* \(Linux 6\.1\)\n"
        r"  ---\n"
        r"  message: 'memblock_end_of_DRAM\(\) differs'\n"
        r"  expected: '0x70c00000'\n"
        r"  found: '0x1234'\n"
        r"  \.\.\.$",
        out,
        re.MULTILINE,
    )
    assert found is not None
    assert len(re.findall(r"^not ok ", out, re.MULTILINE)) == len(BOTH)


def test_tap_says_nothing_that_breaks_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(_self: Memblock) -> int:
        raise ValueError("two\nlines, and it's quoted")

    monkeypatch.setattr(Memblock, "start_of_DRAM", raises)
    lines = tap.tap_lines(memblock.run(checks_of("memblock_start_of_DRAM")))
    assert "  message: 'ValueError: two lines, and it''s quoted'" in lines


def test_json(bootsim: Run, monkeypatch: pytest.MonkeyPatch, outcomes: list[Outcome]) -> None:
    status, out, _ = bootsim("selftest", "memblock", "--json")
    data = json.loads(out)
    assert (status, data["failed"], len(data["checks"])) == (0, 0, len(outcomes))
    monkeypatch.setattr(Memblock, "is_mirror", lambda _self, _region: True)
    status, out, _ = bootsim("selftest", "memblock", "--json")
    data = json.loads(out)
    failed = [check for check in data["checks"] if not check["ok"]]
    assert (status, data["failed"]) == (1, len(failed))
    assert all("memblock_is_mirror" in check["functions"] for check in failed)
    assert all(check["expected"] == "False" and check["found"] == "True" for check in failed)


def test_a_region_is_shown_by_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Memblock, "for_each_mem_region", lambda _self: iter([Region(0x1000, 0x1000)])
    )
    (outcome,) = memblock.run(checks_of("for_each_mem_region"))
    assert "0x70200000" in outcome.expected
    assert "0x1000" in outcome.found
