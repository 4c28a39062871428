"""Options of the test run, and what a test has to say in its summary."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import Run, runner

MEMBLOCK_VECTORS = Path(__file__).parent / "data" / "memblock"
REAL_BOOTS = Path(__file__).parent / "data" / "real_boots"
SUMMARY = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--vectors",
        type=Path,
        default=MEMBLOCK_VECTORS,
        metavar="DIR",
        help="run tests/test_memblock_vectors.py on the vector files in DIR",
    )
    parser.addoption(
        "--cases",
        type=Path,
        default=REAL_BOOTS,
        metavar="DIR",
        help="run tests/test_real_boots.py on the recorded boots in DIR",
    )


@pytest.fixture
def bootsim(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line: exit status, stdout, stderr."""
    return runner(monkeypatch, capsys)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SUMMARY] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in config.stash[SUMMARY]:
        terminalreporter.write_line(line)
