"""Zeroing is real: with RAM full of 0xa5 at power-on, what memblock_alloc() gives reads zero.

Python looks at the RAM itself; the guest's own loads, ARM code through the MMU and the page tables
that the model wrote, must see the same.
"""

from __future__ import annotations

import pytest

from bootsim.driver import Driver
from bootsim.kernel.kernel import Kernel
from bootsim.simulate import Boot
from bootsim.trace import Use
from tests.trees import board

FILL = 0xA5
PAGE = 4096
MIB = 1 << 20
BASE = 0x60000000
BOARD = board((BASE, 64 * MIB))


@pytest.mark.parametrize("size", [1, 40, PAGE, 3 * PAGE + 123, 40 * PAGE])
@pytest.mark.parametrize("stage", ["bootmem_init", "setup_arch"])
def test_a_block_between_two_raw_ones(size: int, stage: str) -> None:
    seen: list[int] = []

    def driver(kernel: Kernel) -> None:
        memblock = kernel.memblock
        memblock.set_current_limit(BASE + 32 * MIB)  # where no gap is left to fill
        above = memblock.alloc_raw(2 * PAGE, PAGE)
        block = memblock.alloc(size, 1)
        below = memblock.alloc_raw(PAGE, 1)
        assert above - size == block, "the block is not right below the raw one"
        assert block - PAGE == below

        def ram(virt: int, length: int) -> set[int]:
            return set(kernel.memory.read(kernel.virt_to_phys(virt), length))

        assert ram(block, size) == {0}
        assert ram(above, 2 * PAGE) == {FILL}
        assert ram(below, PAGE) == {FILL}

        find_nonzero, find_not = (
            boot.firmware.symbol(name) for name in ("guest_find_nonzero", "guest_find_not")
        )
        assert kernel.call(find_nonzero, block, size) == 0
        assert kernel.call(find_not, above, 2 * PAGE, FILL) == 0
        assert kernel.call(find_not, below, PAGE, FILL) == 0
        # The probes do find what differs: the first byte past the block, and one that is planted.
        assert kernel.call(find_nonzero, block, size + 1) == above
        kernel.memory.write(kernel.virt_to_phys(below) + 77, b"\0")
        assert kernel.call(find_not, below, PAGE, FILL) == below + 77
        seen.append(size)

    boot = Boot(dtb=BOARD, ram_fill=FILL, drivers=[Driver(driver, stage)])
    boot.run()
    assert seen == [size]


def test_page_tables_and_zero_page_are_zeroed_too() -> None:
    boot = Boot(dtb=BOARD, ram_fill=FILL).run()
    named = {event.what: event for event in boot.trace if isinstance(event, Use)}
    zero_page = named["zero page"]
    assert boot.memory.read(zero_page.base, zero_page.size) == bytes(PAGE)
    # The fixmap's table maps nothing yet.
    table = named["page table for 0xffc00000"]
    assert boot.memory.read(table.base, table.size) == bytes(PAGE)


def test_what_nobody_took_is_as_it_was_at_power_on() -> None:
    boot = Boot(dtb=BOARD, ram_fill=FILL).run()
    blocks = [block for block in boot.buddy.free_blocks() if block.order == 10]
    for block in blocks:
        assert set(boot.memory.read(block.pfn * PAGE, PAGE << 10)) == {FILL}


def test_after_the_handover_pages_come_zeroed_with_the_kernels_warning() -> None:
    taken: list[int] = []

    def driver(kernel: Kernel) -> None:
        free = kernel.buddy.nr_free_pages()
        taken.append(kernel.memblock.alloc(5000, 64))
        assert kernel.buddy.nr_free_pages() == free - 2

    boot = Boot(dtb=BOARD, ram_fill=FILL, drivers=[Driver(driver, "mem_init")]).run()
    warnings = [line for line in boot.log if "WARNING" in line]
    assert len(warnings) == 1
    assert "memblock_alloc_internal" in warnings[0]
    assert "mm/memblock.c" in warnings[0]
    physical = boot.started_kernel.virt_to_phys(taken[0])
    assert boot.memory.read(physical, 2 * PAGE) == bytes(2 * PAGE)
