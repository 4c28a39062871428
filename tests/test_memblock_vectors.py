"""memblock against operations recorded from the kernel's own code (tests/data/memblock)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SUMMARY
from tests.memblock_vectors import Tally, sequences

SHOWN = 5


def vector_files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.jsonl*"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "vector_file" in metafunc.fixturenames:
        directory = metafunc.config.getoption("--vectors")
        files = vector_files(directory)
        if not files:
            raise pytest.UsageError(f"--vectors {directory}: no *.jsonl or *.jsonl.gz there")
        metafunc.parametrize("vector_file", files, ids=lambda path: path.name)


def test_each_operation_ends_as_recorded(vector_file: Path, pytestconfig: pytest.Config) -> None:
    tally = Tally()
    for sequence in sequences(vector_file):
        tally.run(sequence)
    pytestconfig.stash[SUMMARY].append(f"{vector_file.name}: {tally}")
    assert tally.operations > 0
    assert not tally.differences, f"{tally}\n" + "\n".join(tally.differences[:SHOWN])


def sequence(**changes: Any) -> dict[str, Any]:
    """One alloc() as it ought to be recorded, but for `changes`."""
    empty = {"cnt": 1, "max": 128, "total_size": 0, "regions": [[0, 0, 0]]}
    taken = {"cnt": 1, "max": 128, "total_size": 64, "regions": [[0x103FC0, 64, 0]]}
    memory = {"cnt": 1, "max": 128, "total_size": 0x4000, "regions": [[0x100000, 0x4000, 0]]}
    before = {"bottom_up": False, "current_limit": 0xFFFFFFFF, "memory": memory}
    add = {
        "op": "add",
        "args": {"base": 0x100000, "size": 0x4000},
        "ret": 0,
        "state": before | {"reserved": empty},
    }
    alloc = {
        "op": "alloc",
        "args": {"size": 64, "align": 0x40},
        "ret": 0x103FC0,
        "mem": "zeroed",
        "state": before | {"reserved": taken},
    }
    return {
        "name": "alloc",
        "numa": False,
        "init": {"movable_node": False, "mirrored_kernelcore": False},
        "ops": [add, alloc | changes],
    }


def test_a_right_recording_is_equal() -> None:
    tally = Tally()
    tally.run(sequence())
    assert (tally.operations, tally.equal, tally.differences) == (2, 2, [])


@pytest.mark.parametrize(
    "change",
    [
        {"ret": 0},
        {"ret": "BUG"},
        {"mem": "untouched"},
        {"log": ["words"]},
        {"state": None},
        {"state": None, "digest": "0" * 16},
    ],
    ids=str,
)
def test_a_wrong_recording_is_noticed(change: dict[str, Any]) -> None:
    tally = Tally()
    tally.run(sequence(**change))
    assert tally.equal < 2
    assert len(tally.differences) == 1
