"""Checks of finding free memory, with nothing reserved."""

from __future__ import annotations

from bootsim.kernel.memblock import NUMA_NO_NODE
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.selftest.bench import Bench
from bootsim.selftest.check import IN_6_1, TO_5_0, Check

_RAM_BASE, _RAM_SIZE = 0x60000000, 0x40000000  # the built-in board


def _find_in_range(bench: Bench) -> None:
    bench.start(memory="################", reserved="....##....##....")
    find, cell = bench.memblock.find_in_range, bench.cell
    for bottom_up, window, size, found in (
        (False, "################", 4, 12),
        (False, "############....", 4, 6),
        (False, "######..........", 2, 2),
        (False, "...########.....", 5, None),
        (True, "################", 4, 0),
        (True, "..##############", 4, 6),
        (True, "....############", 4, 6),
        (True, "...########.....", 5, None),
    ):
        bench.memblock.set_bottom_up(bottom_up)
        base, length = bench.span(window)
        expected = 0 if found is None else bench.at(found)
        what = f"memblock_find_in_range({window}, {size} cells, bottom_up {bottom_up})"
        bench.equal(find(base, base + length, size * cell, cell), expected, what)
    bench.expect(reserved="....##....##....")


def _find_aligned(bench: Bench) -> None:
    bench.start(memory=".#############..")
    find, cell = bench.memblock.find_in_range_node, bench.cell
    for bottom_up, found in ((False, 8), (True, 4)):
        bench.memblock.set_bottom_up(bottom_up)
        address = find(3 * cell, 4 * cell, 0, 0, NUMA_NO_NODE, 0)
        bench.equal(address, bench.at(found), f"3 cells aligned to 4, bottom_up {bottom_up}")


def _find_of_a_node(bench: Bench) -> None:
    bench = bench.machine(numa=True, max_numnodes=4)
    bench.start(memory="..000011110000..")
    find, cell = bench.memblock.find_in_range_node, bench.cell
    for nid, bottom_up, found in ((0, False, 12), (0, True, 2), (1, False, 8), (1, True, 6)):
        bench.memblock.set_bottom_up(bottom_up)
        address = find(2 * cell, cell, 0, 0, nid, 0)
        bench.equal(address, bench.at(found), f"2 cells of node {nid}, bottom_up {bottom_up}")
    bench.equal(find(cell, cell, 0, 0, 2, 0), 0, "a cell of a node without memory")


def _not_page_0(bench: Bench) -> None:
    memblock = bench.memblock
    memblock.add(0, 2 * PAGE_SIZE)
    memblock.set_bottom_up(True)
    found = memblock.find_in_range(0, 2 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE)
    bench.equal(found, PAGE_SIZE, "the lowest page found")
    memblock.set_bottom_up(False)
    found = memblock.find_in_range(0, 2 * PAGE_SIZE, 2 * PAGE_SIZE, PAGE_SIZE)
    bench.equal(found, 0, "two pages of which one is page 0")


def _above_the_kernel(bench: Bench) -> None:
    kernel_end = bench.booted.pa_symbol("_end")
    memblock = bench.memblock
    memblock.add(_RAM_BASE, _RAM_SIZE)
    memblock.set_bottom_up(True)
    found = memblock.find_in_range(0, 0xFFFFFFFF, 0x100000, 0x1000)
    above = (kernel_end + PAGE_SIZE - 1) & -PAGE_SIZE
    bench.equal(found, above, "bottom-up, where the kernel's image ends")


def _no_room_above_the_kernel(bench: Bench) -> None:
    bench = bench.machine(kernel_end=bench.at(8) + 1, memory_hotremove=True)
    memblock = bench.memblock
    bench.start(memory="################", reserved="..........####..")
    memblock.set_bottom_up(True)
    bench.equal(memblock.find_in_range(0, 0, bench.cell, bench.cell), bench.at(9), "one cell")
    bench.equal(memblock.warnings, [], "warnings")
    # Three cells are free only below: from the top down there is no limit.
    bench.equal(
        memblock.find_in_range(0, 0, 3 * bench.cell, bench.cell), bench.at(7), "three cells"
    )
    bench.equal(len(memblock.warnings), 1, "number of warnings")


def _ignores_the_kernel(bench: Bench) -> None:
    bench = bench.machine(kernel_end=bench.at(8))
    bench.start(memory="################")
    bench.memblock.set_bottom_up(True)
    bench.equal(bench.memblock.find_in_range(0, 0, bench.cell, bench.cell), bench.at(0), "a cell")


CHECKS = (
    Check(
        ("memblock_find_in_range",), "a place, from either end, nothing reserved", _find_in_range
    ),
    Check(
        (
            "memblock_find_in_range_node",
            "__memblock_find_range_top_down",
            "__memblock_find_range_bottom_up",
        ),
        "rounds down from the top, up from the bottom",
        _find_aligned,
    ),
    Check(("memblock_find_in_range_node",), "of one node", _find_of_a_node),
    Check(("memblock_find_in_range",), "never page 0", _not_page_0),
    Check(
        ("memblock_find_in_range",), "bottom-up begins above the kernel", _above_the_kernel, TO_5_0
    ),
    Check(
        ("memblock_find_in_range",),
        "no room above the kernel: a warning, then top-down",
        _no_room_above_the_kernel,
        TO_5_0,
    ),
    Check(
        ("memblock_find_in_range",),
        "bottom-up does not ask where the kernel ends",
        _ignores_the_kernel,
        IN_6_1,
    ),
)
