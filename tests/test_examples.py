"""Each example prints what its recorded output says, and what the author published."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bootsim.cli import main
from tests.examples import EXAMPLES, ROOT, CommandLine, holds, run_example

CASES: list[dict[str, Any]] = json.loads(
    (ROOT / "tests" / "data" / "biscuitos" / "cases.json").read_text()
)
LANGUAGES = (".py", ".c")


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("suffix", LANGUAGES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_published_driver_prints_the_published_lines(case: dict[str, Any], suffix: str) -> None:
    example = ROOT / "examples" / "biscuitos" / f"{case['name']}{suffix}"
    profile = CommandLine.of(example).profile
    if "kernel_end_phys" in case["setup"]:
        linear = profile.linear(case["setup"]["ram_base"])
        assert linear.virt_to_phys(profile.symbols["_end"]) == case["setup"]["kernel_end_phys"]
    run = run_example(example)
    assert run.lines == case["expected_lines"]
    assert holds(run.boot.log, case["expected_lines"])
    assert run.boot.handed_over


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_an_example_says_what_was_recorded(example: Path) -> None:
    run = run_example(example)
    assert run.lines == example.with_suffix(".out").read_text().splitlines()
    assert holds(run.boot.log, run.lines)


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_an_examples_command_line_works(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = CommandLine.of(example)
    assert command.arguments[:2] == ["replay", example.relative_to(ROOT).as_posix()]
    run_example(example)  # skips where there is no compiler for it
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["bootsim", *command.arguments])
    main()
    out, err = capsys.readouterr()
    assert "error" not in err
    assert "warning" not in err
    assert holds(out.splitlines(), example.with_suffix(".out").read_text().splitlines())


def test_the_author_ran_the_reverse_driver_in_the_published_boot() -> None:
    log = ROOT / "tests" / "data" / "biscuitos" / "boot-5.0-memblock-debug.log"
    recorded = ROOT / "examples" / "biscuitos" / "for_each_free_mem_range_reverse.out"
    assert holds(log.read_text().splitlines(), recorded.read_text().splitlines())


def test_no_recorded_output_is_left_over() -> None:
    recorded = {path.with_suffix("") for path in (ROOT / "examples").rglob("*.out")}
    assert recorded == {path.with_suffix("") for path in EXAMPLES}
