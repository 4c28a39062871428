"""Checks of allocating by physical address."""

from __future__ import annotations

from bootsim.errors import KernelPanic
from bootsim.kernel.memblock import MEMBLOCK_ALLOC_ACCESSIBLE, NUMA_NO_NODE
from bootsim.selftest.bench import Bench
from bootsim.selftest.check import IN_6_1, TO_5_0, Check

_RAM_BASE, _RAM_SIZE = 0x60000000, 0x40000000  # the built-in board
_SMP_CACHE_BYTES = 64


def _phys_alloc(bench: Bench) -> None:
    bench.start(memory="################", reserved=".............###")
    address = bench.memblock.phys_alloc(2 * bench.cell, 4 * bench.cell)
    bench.equal(address, bench.at(8), "memblock_phys_alloc()")
    # The size is not rounded up to the alignment.
    bench.expect(reserved="........##...###")


def _phys_alloc_default_align(bench: Bench) -> None:
    bench.start(memory="################")
    address = bench.memblock.phys_alloc(1, 0)
    bench.equal(address, bench.at(16) - _SMP_CACHE_BYTES, "memblock_phys_alloc(1, 0)")
    bench.equal(bench.memblock.reserved.total_size, 1, "bytes reserved")


def _phys_alloc_nothing(bench: Bench) -> None:
    bench.start(memory="############....")
    address = bench.memblock.phys_alloc(0, bench.cell)
    bench.equal(address, bench.at(12), "memblock_phys_alloc(0)")
    bench.expect(reserved="................")


def _phys_alloc_without_room(bench: Bench) -> None:
    bench.start(memory="####........####", reserved=".##.............")
    memblock = bench.memblock
    bench.finds_nothing(
        lambda: memblock.phys_alloc(5 * bench.cell, bench.cell), "memblock_phys_alloc()"
    )
    bench.expect(reserved=".##.............")


def _phys_alloc_range(bench: Bench) -> None:
    bench.start(memory="################")
    memblock, cell = bench.memblock, bench.cell
    memblock.set_current_limit(bench.at(4))
    # A window of its own ignores the limit; an end of 0 is the limit.
    address = memblock.phys_alloc_range(cell, cell, bench.at(6), bench.at(10))
    bench.equal(address, bench.at(9), "memblock_phys_alloc_range(window)")
    address = memblock.phys_alloc_range(cell, cell, 0, MEMBLOCK_ALLOC_ACCESSIBLE)
    bench.equal(address, bench.at(3), "memblock_phys_alloc_range(accessible)")
    bench.expect(reserved="...#.....#......")
    address = memblock.phys_alloc_range(cell, cell, bench.at(9), bench.at(10))
    bench.equal(address, 0, "memblock_phys_alloc_range(taken)")


def _phys_alloc_try_nid_of_the_seed(bench: Bench) -> None:
    memblock = bench.memblock
    memblock.add(_RAM_BASE, _RAM_SIZE)
    address = memblock.phys_alloc_try_nid(0x100000, 0x1000, NUMA_NO_NODE)
    bench.equal(address, 0x9FF00000, "memblock_phys_alloc_try_nid()")
    found = [(region.base, region.end) for region in memblock.reserved]
    bench.equal(found, [(0x9FF00000, 0xA0000000)], "memblock.reserved")


def _phys_alloc_try_nid(bench: Bench) -> None:
    bench = bench.machine(numa=True, max_numnodes=4)
    bench.start(memory="0000000011111111")
    alloc, cell = bench.memblock.phys_alloc_try_nid, bench.cell
    bench.equal(alloc(6 * cell, cell, 0), bench.at(2), "6 cells of node 0")
    bench.equal(alloc(6 * cell, cell, 0), bench.at(10), "6 cells more: of node 1")


def _phys_alloc_nid(bench: Bench) -> None:
    bench = bench.machine(numa=True, max_numnodes=4)
    bench.start(memory="0000000011111111")
    alloc, cell = bench.memblock.phys_alloc_nid, bench.cell
    bench.equal(alloc(6 * cell, cell, 0), bench.at(2), "6 cells of node 0")
    bench.equal(alloc(6 * cell, cell, 0), 0, "6 cells more of node 0")


def _alloc_range_nid(bench: Bench) -> None:
    bench = bench.machine(numa=True, max_numnodes=4)
    bench.start(memory="0000000011111111")
    alloc, cell = bench.memblock.alloc_range_nid, bench.cell
    window = bench.at(2), bench.at(14)
    bench.equal(alloc(6 * cell, cell, *window, 0, True), bench.at(2), "6 cells of node 0")
    bench.equal(alloc(6 * cell, cell, *window, 0, True), 0, "6 more of exactly node 0")
    bench.equal(alloc(6 * cell, cell, *window, 0, False), bench.at(8), "6 more of node 0 or any")


def _alloc_range(bench: Bench) -> None:
    bench.start(memory="################")
    alloc, cell = bench.memblock.alloc_range, bench.cell
    address = alloc(2 * cell, cell, bench.at(4), bench.at(8), 0)
    bench.equal(address, bench.at(6), "memblock_alloc_range()")
    bench.expect(reserved="......##........")


def _alloc_base(bench: Bench) -> None:
    bench.start(memory="################")
    memblock, cell = bench.memblock, bench.cell
    bench.equal(memblock.alloc_base(cell, cell, bench.at(8)), bench.at(7), "memblock_alloc_base()")
    bench.expect(reserved=".......#........")
    bench.raises(
        KernelPanic, lambda: memblock.alloc_base(9 * cell, cell, bench.at(8)), "memblock_alloc_base"
    )
    found = memblock.alloc_base_nopanic(cell, cell, bench.at(8))
    bench.equal(found, bench.at(6), "__memblock_alloc_base()")
    found = memblock.alloc_base_nopanic(9 * cell, cell, bench.at(8))
    bench.equal(found, 0, "__memblock_alloc_base() without room")


def _alloc_base_nid(bench: Bench) -> None:
    bench = bench.machine(numa=True, max_numnodes=4)
    bench.start(memory="0000000011111111")
    alloc, cell = bench.memblock.alloc_base_nid, bench.cell
    bench.equal(alloc(cell, cell, bench.at(6), 0, 0), bench.at(5), "below cell 6, of node 0")
    bench.equal(alloc(cell, cell, bench.at(6), 1, 0), 0, "below cell 6, of node 1")


def _prefers_mirror(bench: Bench) -> None:
    bench = bench.machine(mirrored_kernelcore=True)
    bench.start(memory="####mmmm########")
    memblock, cell = bench.memblock, bench.cell
    bench.equal(memblock.phys_alloc_try_nid(3 * cell, cell, NUMA_NO_NODE), bench.at(5), "3 cells")
    bench.equal(memblock.phys_alloc_try_nid(3 * cell, cell, NUMA_NO_NODE), bench.at(13), "3 more")
    bench.expect(reserved=".....###.....###")


CHECKS = (
    Check(("memblock_phys_alloc",), "from the top, aligned", _phys_alloc),
    Check(("memblock_phys_alloc",), "alignment 0 is a cache line", _phys_alloc_default_align),
    Check(("memblock_phys_alloc",), "size 0: an address, nothing reserved", _phys_alloc_nothing),
    Check(("memblock_phys_alloc",), "without room", _phys_alloc_without_room),
    Check(("memblock_phys_alloc_range",), "within a window", _phys_alloc_range, IN_6_1),
    Check(
        ("memblock_phys_alloc_try_nid",), "the BiscuitOS driver", _phys_alloc_try_nid_of_the_seed
    ),
    Check(("memblock_phys_alloc_try_nid",), "of a node, then of any", _phys_alloc_try_nid),
    Check(("memblock_phys_alloc_nid",), "of a node only", _phys_alloc_nid, TO_5_0),
    Check(("memblock_alloc_range_nid",), "of a node, exactly or not", _alloc_range_nid, IN_6_1),
    Check(("memblock_alloc_range",), "within a window", _alloc_range, TO_5_0),
    Check(
        ("memblock_alloc_base", "__memblock_alloc_base"), "below an address", _alloc_base, TO_5_0
    ),
    Check(("memblock_alloc_base_nid",), "below an address, of a node", _alloc_base_nid, TO_5_0),
    Check(("memblock_phys_alloc_try_nid",), "mirrored memory first", _prefers_mirror),
)
