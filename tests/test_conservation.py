"""After the handover every page of RAM is free in the buddy allocator or reserved, exactly once."""

from __future__ import annotations

import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memory import PAGE_SIZE, pfn_down, pfn_up
from bootsim.kernel.mm_debug import PageState
from tests.kernels import boot_without_cpu
from tests.trees import CELLS, board

MIB = 1 << 20


def check_conservation(kernel: Kernel, total_pages: int) -> None:
    """Compare the allocator's struct pages and free lists with memblock's two tables."""
    start = kernel.buddy.node.start_pfn
    expected = bytearray(kernel.buddy.node.end_pfn - start)  # PageState.HOLE
    for low, high, _ in kernel.memblock.for_each_mem_pfn_range():
        expected[low - start : high - start] = bytes([PageState.FREE]) * (high - low)
    memory = bytes(expected)
    for region in kernel.memblock.reserved:
        low = max(pfn_down(region.base) - start, 0)
        high = max(min(pfn_up(region.base + region.size) - start, len(expected)), low)
        expected[low:high] = bytes([PageState.RESERVED]) * (high - low)
    for hole in re.finditer(b"\0+", memory):
        expected[hole.start() : hole.end()] = bytes(hole.end() - hole.start())
    states = kernel.buddy.page_states()
    assert states == expected
    free, reserved = states.count(PageState.FREE), states.count(PageState.RESERVED)
    assert free + reserved == total_pages
    assert free == kernel.buddy.nr_free_pages()


def test_the_default_board() -> None:
    kernel = boot_without_cpu(board((0x60000000, 1024 * MIB)))
    check_conservation(kernel, 262144)


@st.composite
def trees(draw: st.DrawFn) -> tuple[bytes, str | None, int]:
    """A board, a command line, and the pages of RAM that the tree has."""
    base = draw(st.sampled_from([0x0, 0x10000000, 0x40000000, 0x60000000, 0x80000000]))
    first = draw(st.integers(16, 48)) * 2 * MIB
    banks = [(base, first)]
    end = base + first
    for _ in range(draw(st.integers(0, 3))):
        start = end + draw(st.integers(0, 20)) * 2 * MIB
        size = draw(st.integers(1, 24)) * 2 * MIB
        banks.append((start, size))
        end = start + size
    regions = []
    for number in range(draw(st.integers(0, 4))):
        bank_base, bank_size = draw(st.sampled_from(banks))
        offset = (
            draw(st.integers(6 * 1024, bank_size // 1024 - 1)) * 1024 if bank_size > 6 * MIB else 0
        )
        if bank_base == base:
            offset = max(offset, 24 * MIB)
        size = draw(st.integers(1, 600)) * 1024
        regions.append(
            f"r{number}@{bank_base + offset:x} {{ reg = <{bank_base + offset:#x} {size:#x}>; }};"
        )
    if draw(st.booleans()):
        size = draw(st.sampled_from([64 * 1024, MIB, 4 * MIB]))
        flags = draw(st.sampled_from(["", "reusable;", "no-map;"]))
        regions.append(
            f'pool {{ compatible = "shared-dma-pool"; size = <{size:#x}>; {flags} }};'
            if flags != "no-map;"
            else f"pool {{ size = <{size:#x}>; }};"
        )
    extra = f"reserved-memory {{ {CELLS} ranges; {' '.join(regions)} }};"
    cmdline = draw(st.sampled_from([None, "", "cma=0", "cma=8M", "vmalloc=512M", "memtest=1"]))
    return board(*banks, extra=extra), cmdline, sum(size for _, size in banks) // PAGE_SIZE


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees())
def test_any_board(case: tuple[bytes, str | None, int]) -> None:
    dtb, cmdline, pages = case
    check_conservation(boot_without_cpu(dtb, cmdline=cmdline), pages)


def test_banks_with_a_hole_between_give_back_its_memory_map() -> None:
    kernel = boot_without_cpu(board((0x60000000, 64 * MIB), (0x70000000, 64 * MIB)))
    check_conservation(kernel, 128 * MIB // PAGE_SIZE)
    freed = [line for line in kernel.trace if getattr(line, "caller", "") == "mem_init"]
    assert freed, "the hole's struct pages were kept"


def test_mem_limits_what_is_conserved() -> None:
    kernel = boot_without_cpu(board((0x60000000, 256 * MIB)), cmdline="mem=128M")
    check_conservation(kernel, 128 * MIB // PAGE_SIZE)
