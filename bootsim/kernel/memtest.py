"""memtest=: write patterns over all free memory, read them back, reserve what does not hold.

Linux: mm/memtest.c.
"""

from __future__ import annotations

import re

from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memory import round_up

EINVAL, ERANGE = 22, 34

# mm/memtest.c: the first entry is 0, so that the last pass leaves zeroed memory.
PATTERNS = (
    0,
    0xFFFFFFFFFFFFFFFF,
    0x5555555555555555,
    0xAAAAAAAAAAAAAAAA,
    0x1111111111111111,
    0x2222222222222222,
    0x4444444444444444,
    0x8888888888888888,
    0x3333333333333333,
    0x6666666666666666,
    0x9999999999999999,
    0xCCCCCCCCCCCCCCCC,
    0x7777777777777777,
    0xBBBBBBBBBBBBBBBB,
    0xDDDDDDDDDDDDDDDD,
    0xEEEEEEEEEEEEEEEE,
    0x7A6C7258554E494C,
)
_CELL = 8  # bytes: the test works in u64
_CHUNK = 1 << 20


def parse_memtest(kernel: Kernel, value: str | None) -> int:
    """memtest[=N]: the number of passes, all patterns once without N; 0 or a negative errno."""
    if value is None:
        kernel.memtest_pattern = len(PATTERNS)
        return 0
    if not re.fullmatch(r"\+?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)\n?", value):
        return -EINVAL
    digits = value.strip().lstrip("+").lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    passes = int(digits, base)
    if passes >> 32:
        return -ERANGE
    kernel.memtest_pattern = passes
    return 0


def early_memtest(kernel: Kernel, start: int, end: int) -> None:
    """Test all free memory in [start, end) (bytes), pass by pass, the zero pattern last."""
    if not kernel.memtest_pattern:
        return
    kernel.pr_info(f"early_memtest: # of tests: {kernel.memtest_pattern}")
    for number in reversed(range(kernel.memtest_pattern)):
        _do_one_pass(kernel, PATTERNS[number % len(PATTERNS)], start, end)


def _do_one_pass(kernel: Kernel, pattern: int, start: int, end: int) -> None:
    shown = _as_written(pattern)
    for range_start, range_end, _nid in kernel.memblock.for_each_free_mem_range():
        this_start = min(max(range_start, start), end)
        this_end = min(max(range_end, start), end)
        if this_start < this_end:
            kernel.pr_info(f"  {this_start:#010x} - {this_end:#010x} pattern {shown}")
            _memtest(kernel, pattern, this_start, this_end - this_start)


def _memtest(kernel: Kernel, pattern: int, start: int, size: int) -> None:
    memory = kernel.memory
    aligned = round_up(start, _CELL)
    end = aligned + (size - (aligned - start)) // _CELL * _CELL
    expected = pattern.to_bytes(_CELL, "little") * (_CHUNK // _CELL)
    for chunk in range(aligned, end, _CHUNK):
        length = min(_CHUNK, end - chunk)
        if pattern:
            memory.write(chunk, memoryview(expected)[:length])
        else:
            memory.zero(chunk, length)
        kernel.progress(f"memtest: writing {_as_written(pattern)}, {chunk:#010x}")
    memory.settle(aligned, end - aligned)
    bad: list[tuple[int, int]] = []
    for chunk in range(aligned, end, _CHUNK):
        part = memory.read(chunk, min(_CHUNK, end - chunk))
        kernel.progress(f"memtest: reading {_as_written(pattern)}, {chunk:#010x}")
        if not expected.startswith(part):
            cells = memoryview(part).cast("Q")
            for index in (index for index, cell in enumerate(cells) if cell != pattern):
                _note_bad(bad, chunk + index * _CELL)
    for bad_start, bad_end in bad:
        kernel.pr_info(
            f"  {_as_written(pattern)} bad mem addr {bad_start:#010x} - {bad_end:#010x} reserved"
        )
        kernel.memblock.reserve(bad_start, bad_end - bad_start, caller="reserve_bad_mem")


def _note_bad(bad: list[tuple[int, int]], address: int) -> None:
    """Add the cell at `address`: to the last range where it follows it, else as a new one."""
    if bad and bad[-1][1] == address:
        bad[-1] = (bad[-1][0], address + _CELL)
    else:
        bad.append((address, address + _CELL))


def _as_written(pattern: int) -> str:
    """The pattern's bytes in the order they lie in memory: Linux prints cpu_to_be64() of it."""
    return pattern.to_bytes(_CELL, "little").hex()
