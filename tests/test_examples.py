"""Each example prints what its recorded output says, and what the author published."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from bootsim.cli import main
from bootsim.driver import Driver, load_driver
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.profile import Profile, load_profile
from bootsim.simulate import Boot
from bootsim.trace import Printk

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
CASES: list[dict[str, Any]] = json.loads(
    (ROOT / "tests" / "data" / "biscuitos" / "cases.json").read_text()
)


def command_line(example: Path) -> list[str]:
    """The command that the example's docstring shows, as arguments."""
    found = re.search(r"^    bootsim (.*)$", example.read_text(), re.M)
    assert found, f"{example.name}: its docstring shows no command line"
    return shlex.split(found[1])


def profile_of(example: Path) -> Profile:
    """The kernel that the example's command line asks for."""
    symbols = re.findall(r"--symbol (\w+)=(\w+)", " ".join(command_line(example)))
    return load_profile("linux-5.0").with_symbols({name: int(at, 0) for name, at in symbols})


def said_by(example: Path) -> tuple[list[str], Boot]:
    """The lines that the example's driver logs itself, and the boot it ran in."""
    driver = load_driver(example)
    lines: list[str] = []

    def entry(kernel: Kernel) -> None:
        before = len(kernel.trace)
        driver.entry(kernel)
        events = kernel.trace.events[before:]
        lines.extend(event.text for event in events if isinstance(event, Printk))

    boot = Boot(
        drivers=[Driver(entry, driver.hook, driver.name)], profile=profile_of(example)
    ).run()
    return lines, boot


def holds(log: list[str], lines: list[str]) -> bool:
    """Whether `lines` stand in `log` one after the other, with nothing between them."""
    return any(log[start : start + len(lines)] == lines for start in range(len(log)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_published_driver_prints_the_published_lines(case: dict[str, Any]) -> None:
    example = ROOT / "examples" / "biscuitos" / f"{case['name']}.py"
    profile = profile_of(example)
    if "kernel_end_phys" in case["setup"]:
        linear = profile.linear(case["setup"]["ram_base"])
        assert linear.virt_to_phys(profile.symbols["_end"]) == case["setup"]["kernel_end_phys"]
    boot = Boot(drivers=[load_driver(example)], profile=profile).run()
    assert holds(boot.log, case["expected_lines"])
    assert boot.handed_over


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_published_driver_says_nothing_else(case: dict[str, Any]) -> None:
    lines, _ = said_by(ROOT / "examples" / "biscuitos" / f"{case['name']}.py")
    assert lines == case["expected_lines"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_what_was_recorded(example: Path) -> None:
    lines, boot = said_by(example)
    assert lines == example.with_suffix(".out").read_text().splitlines()
    assert holds(boot.log, lines)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_examples_command_line_works(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command_line(example)
    assert arguments[:2] == ["replay", example.relative_to(ROOT).as_posix()]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["bootsim", *arguments])
    main()
    out, err = capsys.readouterr()
    assert "error" not in err
    assert holds(out.splitlines(), example.with_suffix(".out").read_text().splitlines())


def test_the_author_ran_the_reverse_driver_in_the_published_boot() -> None:
    log = ROOT / "tests" / "data" / "biscuitos" / "boot-5.0-memblock-debug.log"
    recorded = ROOT / "examples" / "biscuitos" / "for_each_free_mem_range_reverse.out"
    assert holds(log.read_text().splitlines(), recorded.read_text().splitlines())


def test_no_recorded_output_is_left_over() -> None:
    recorded = {path.with_suffix(".py") for path in (ROOT / "examples").rglob("*.out")}
    assert recorded == set(EXAMPLES)
