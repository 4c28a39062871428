"""The README shows what bootsim prints, and names what exists."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from bootsim.cli import main
from tests.requirements import need_directory, need_kernel

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
# A block that begins with a command; a line of dots stands for lines left out, dots within a line
# for text left out.
SAMPLES = re.findall(r"^```\n\$ bootsim (.*)\n((?:.*\n)*?)```$", README, re.MULTILINE)


@pytest.mark.parametrize(("command", "shown"), SAMPLES, ids=[command for command, _ in SAMPLES])
def test_samples_are_what_the_commands_print(
    command: str,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["bootsim", *map(here, shlex.split(command))])
    main()
    lines = [
        r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n"
        for line in shown.splitlines()
    ]
    assert re.search("^" + "".join(lines), capsys.readouterr().out, re.MULTILINE)


def here(word: str) -> str:
    """`word` of a command; a real kernel and boards are Debian's."""
    if word == "vmlinuz":
        return str(need_kernel())
    if word.endswith(".dtb"):
        return str(need_directory("BOOTSIM_DTBS", "Debian's device trees") / word)
    return word


def test_there_are_samples() -> None:
    assert len(SAMPLES) >= 3


def test_links_lead_to_files() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_python_sample_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (sample,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    exec(compile(sample, "README.md", "exec"), {})
    assert "[0x60004000-0x60007fff]" in capsys.readouterr().out
