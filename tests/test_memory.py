"""Physical memory: banks, access, zeroing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootsim.errors import BootsimError, MemoryAccessError
from bootsim.machine.memory import PhysMemory

BASE, SIZE = 0x60000000, 0x100000


@pytest.mark.parametrize(
    ("banks", "message"),
    [
        ([(0, 0)], "size 0x0"),
        ([(0x100, 0x1000)], "not aligned"),
        ([(0xFFFFF000, 0x2000)], "passes 4 GiB"),
        ([(0, 0x2000), (0x1000, 0x1000)], "overlap"),
    ],
)
def test_impossible_banks(banks: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(BootsimError, match=message):
        PhysMemory(banks)


def test_a_bank_may_end_at_4_gib() -> None:
    memory = PhysMemory([(0xFFFFF000, 0x1000)])
    memory.write(0xFFFFFFFC, b"last")
    assert memory.read(0xFFFFFFFC, 4) == b"last"


def test_access_stays_inside_one_bank() -> None:
    memory = PhysMemory([(0x1000, 0x1000), (0x4000, 0x1000)])
    assert memory.size == 0x2000
    for address, size in ((0xFFF, 2), (0x2000, 1), (0x1FFF, 2), (0x5000, 0), (1 << 40, 1)):
        assert not memory.contains(address, size)
        with pytest.raises(MemoryAccessError, match="no RAM at"):
            memory.read(address, size)
    with pytest.raises(MemoryAccessError, match="aligned"):
        memory.words(2, 1)


def test_banks_that_touch_are_one() -> None:
    memory = PhysMemory([(0x1000, 0x1000), (0, 0x1000)])
    memory.write(0xFFE, b"over")
    assert memory.read(0xFFC, 8) == b"\0\0over\0\0"


def test_views_are_the_ram_itself() -> None:
    memory = PhysMemory([(BASE, SIZE)])
    memory.words(BASE + 4, 1)[0] = 0x11223344
    assert memory.read(BASE + 4, 4) == b"\x44\x33\x22\x11"
    assert memory.read_u32(BASE + 4) == 0x11223344
    memory.write_u32(BASE, 0xFFFFFFFF)
    assert memory.view(BASE, 4) == b"\xff" * 4


def test_ram_is_backed_lazily() -> None:
    # 3 GiB of RAM in a process that may not touch 3 GiB: only what is written is there.
    memory = PhysMemory([(0x10000000, 0xC0000000)])
    memory.write(0xC0000000, b"x")
    assert memory.read(0xC0000000, 2) == b"x\0"


@given(st.integers(0, SIZE - 1), st.integers(0, SIZE), st.sampled_from([0, 0xA5]))
def test_zero_and_fill_touch_their_range_only(offset: int, size: int, byte: int) -> None:
    size = min(size, SIZE - offset)
    memory = PhysMemory([(BASE, SIZE)], fill=0x5A)
    memory.fill(BASE + offset, size, byte)
    expected = b"\x5a" * offset + bytes([byte]) * size + b"\x5a" * (SIZE - offset - size)
    assert memory.read(BASE, SIZE) == expected


def test_bad_cells_flip_their_bits() -> None:
    memory = PhysMemory([(BASE, SIZE)])
    memory.bad_cells.append((BASE + 5, 0x81))
    memory.settle(BASE, 5)
    assert memory.read(BASE + 5, 1) == b"\0"
    memory.settle(BASE, 6)
    assert memory.read(BASE + 5, 1) == b"\x81"
