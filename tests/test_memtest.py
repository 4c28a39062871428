"""memtest=: patterns over all free memory, bad cells found and reserved (mm/memtest.c)."""

from __future__ import annotations

import pytest

from bootsim.errors import BootsimError
from bootsim.simulate import Boot
from tests.trees import board

MIB = 1 << 20
BOARD = board((0x60000000, 32 * MIB))
BAD = 0x61800003


def boot(passes: str, *bad: tuple[int, int]) -> Boot:
    return Boot(dtb=BOARD, cmdline=f"{passes} cma=0", bad_ram=bad).run()


def memtest_lines(booted: Boot) -> list[str]:
    start = next(i for i, line in enumerate(booted.log) if line.startswith("early_memtest"))
    return [line for line in booted.log[start + 1 :] if " pattern " in line or "bad mem" in line]


def test_all_patterns_over_every_free_range_the_zero_pattern_last() -> None:
    booted = boot("memtest")
    assert "early_memtest: # of tests: 17" in booted.log
    patterns = list(dict.fromkeys(line.rsplit(" ", 1)[1] for line in memtest_lines(booted)))
    # The bytes in memory order, as cpu_to_be64() prints them; mm/memtest.c lists them upside down.
    assert bytes.fromhex(patterns[0]) == (0x7A6C7258554E494C).to_bytes(8, "little")
    assert patterns[1] == "ee" * 8
    assert patterns[-2:] == ["ff" * 8, "00" * 8]
    assert len(patterns) == 17


def test_the_tested_ranges_are_the_free_ones() -> None:
    booted = boot("memtest=1")
    ranges = [line.split(" pattern")[0].strip() for line in memtest_lines(booted)]
    assert ranges[0] == "0x60000000 - 0x60004000"  # up to swapper_pg_dir
    assert ranges[1] == "0x60008000 - 0x60100000"  # up to _stext
    assert ranges[2].startswith("0x60b90998 - ")  # from _end


@pytest.mark.parametrize("value", ["memtest=0", "memtest=x", "memtest=-1", "memtest=4k"])
def test_what_tests_nothing(value: str) -> None:
    booted = boot(value)
    assert not any(line.startswith("early_memtest") for line in booted.log)
    assert ("Malformed early option 'memtest'" in booted.log) == (value != "memtest=0")


def test_a_bad_cell_is_found_and_reserved() -> None:
    booted = boot("memtest=1", (BAD, 0x01))
    cell = BAD & ~7
    assert f"  {'00' * 8} bad mem addr {cell:#010x} - {cell + 8:#010x} reserved" in booted.log
    assert booted.memblock.is_reserved(BAD)
    assert booted.buddy.page(BAD >> 12).state.name == "RESERVED"


def test_neighbouring_bad_cells_are_one_range() -> None:
    booted = boot("memtest=1", (BAD, 0x80), (BAD + 8, 1), (BAD + 64, 1))
    found = [line.split("addr ")[1] for line in memtest_lines(booted) if "bad mem" in line]
    cell = BAD & ~7
    assert found == [
        f"{cell:#010x} - {cell + 16:#010x} reserved",
        f"{cell + 64:#010x} - {cell + 72:#010x} reserved",
    ]


def test_memory_is_zero_after_the_last_pass() -> None:
    booted = Boot(dtb=BOARD, cmdline="memtest=3 cma=0", ram_fill=0xA5).run()
    assert set(booted.memory.read(0x61700000, 0x10000)) == {0}


def test_bad_cells_must_be_ram() -> None:
    with pytest.raises(BootsimError, match="no RAM"):
        boot("memtest=1", (0x10000000, 1))
    with pytest.raises(BootsimError, match="mask"):
        boot("memtest=1", (BAD, 0x100))


def test_what_takes_long_is_told() -> None:
    told: list[str] = []
    Boot(dtb=BOARD, cmdline="memtest=1 cma=0", progress=told.append).run()
    assert any("writing" in text for text in told)
    assert any("reading" in text for text in told)
