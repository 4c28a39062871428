"""Checks of allocating by virtual address."""

from __future__ import annotations

from bootsim.kernel.memblock import MEMBLOCK_ALLOC_ACCESSIBLE, NUMA_NO_NODE
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.selftest.bench import ORIGIN, Bench
from bootsim.selftest.check import IN_6_1, TO_5_0, Check

_JUNK = 0xAA


def _on_junk(bench: Bench, memory: str) -> None:
    """Start with `memory` whose bytes are not zero, a page a cell."""
    bench.cell = PAGE_SIZE
    bench.start(memory=memory)
    for base, size in bench.spans(memory):
        bench.memblock.ram.fill(base, size, _JUNK)


def _is_virtual(bench: Bench, virt: int, cell: int, what: str) -> None:
    bench.equal(virt, bench.memblock.linear.phys_to_virt(bench.at(cell)), what)


def _holds(bench: Bench, drawing: str, byte: int, what: str) -> None:
    for base, size in bench.spans(drawing):
        bench.equal(bench.memblock.ram.read(base, size), bytes([byte]) * size, what)


def _alloc(bench: Bench) -> None:
    _on_junk(bench, "################")
    virt = bench.memblock.alloc(2 * bench.cell, bench.cell)
    _is_virtual(bench, virt, 14, "memblock_alloc()")
    bench.expect(reserved="..............##")
    _holds(bench, "..............##", 0, "the block's content")
    _holds(bench, "##############..", _JUNK, "the content around it")


def _alloc_raw(bench: Bench) -> None:
    _on_junk(bench, "################")
    virt = bench.memblock.alloc_raw(2 * bench.cell, bench.cell)
    _is_virtual(bench, virt, 14, "memblock_alloc_raw()")
    bench.expect(reserved="..............##")
    _holds(bench, "################", _JUNK, "the block's content")


def _alloc_from(bench: Bench) -> None:
    _on_junk(bench, "################")
    memblock, cell = bench.memblock, bench.cell
    memblock.set_bottom_up(True)
    _is_virtual(bench, memblock.alloc_from(4 * cell, cell, bench.at(10)), 10, "at or above cell 10")
    # There is no room for that there: anywhere.
    _is_virtual(bench, memblock.alloc_from(4 * cell, cell, bench.at(10)), 0, "below after all")
    bench.expect(reserved="####......####..")
    _holds(bench, "####......####..", 0, "the blocks' content")


def _alloc_low(bench: Bench) -> None:
    bench = bench.machine(arch_low_address_limit=ORIGIN + 8 * PAGE_SIZE)
    _on_junk(bench, "################")
    virt = bench.memblock.alloc_low(2 * bench.cell, bench.cell)
    _is_virtual(bench, virt, 6, "memblock_alloc_low()")
    bench.expect(reserved="......##........")
    _holds(bench, "......##........", 0, "the block's content")


def _alloc_below_the_limit(bench: Bench) -> None:
    _on_junk(bench, "################")
    memblock, cell = bench.memblock, bench.cell
    memblock.set_current_limit(bench.at(8))
    virt = memblock.alloc_try_nid(cell, cell, bench.at(4), bench.at(12), NUMA_NO_NODE)
    _is_virtual(bench, virt, 7, "memblock_alloc_try_nid(): never above current_limit")
    virt = memblock.alloc_try_nid(cell, cell, bench.at(4), bench.at(6), NUMA_NO_NODE)
    _is_virtual(bench, virt, 5, "memblock_alloc_try_nid(): below max_addr")
    virt = memblock.alloc_try_nid(6 * cell, cell, bench.at(4), bench.at(6), NUMA_NO_NODE)
    bench.equal(virt, 0, "6 cells below cell 6")


def _alloc_try_nid(bench: Bench) -> None:
    bench = bench.machine(numa=True, max_numnodes=4)
    _on_junk(bench, "0000000011111111")
    memblock, cell = bench.memblock, bench.cell
    everywhere = 0, MEMBLOCK_ALLOC_ACCESSIBLE
    virt = memblock.alloc_try_nid(6 * cell, cell, *everywhere, 0)
    _is_virtual(bench, virt, 2, "memblock_alloc_try_nid(): of node 0")
    virt = memblock.alloc_try_nid(4 * cell, cell, *everywhere, 0)
    _is_virtual(bench, virt, 12, "memblock_alloc_try_nid(): node 0 has no room")
    _holds(bench, "..######....####", 0, "the blocks' content")
    virt = memblock.alloc_node(2 * cell, cell, 0)
    _is_virtual(bench, virt, 0, "memblock_alloc_node()")
    virt = memblock.alloc_try_nid_raw(2 * cell, cell, *everywhere, 0)
    _is_virtual(bench, virt, 10, "memblock_alloc_try_nid_raw(): node 0 has no room")
    _holds(bench, "........####....", _JUNK, "the raw block's content")


def _alloc_exact_nid_raw(bench: Bench) -> None:
    bench = bench.machine(numa=True, max_numnodes=4)
    _on_junk(bench, "0000000011111111")
    memblock, cell = bench.memblock, bench.cell
    everywhere = 0, MEMBLOCK_ALLOC_ACCESSIBLE
    virt = memblock.alloc_exact_nid_raw(6 * cell, cell, *everywhere, 0)
    _is_virtual(bench, virt, 2, "memblock_alloc_exact_nid_raw()")
    _holds(bench, "################", _JUNK, "the block's content")
    virt = memblock.alloc_exact_nid_raw(4 * cell, cell, *everywhere, 0)
    bench.equal(virt, 0, "memblock_alloc_exact_nid_raw(): node 0 has no room")


def _alloc_without_room(bench: Bench) -> None:
    bench.start(memory="####............")
    memblock, size = bench.memblock, 5 * bench.cell
    bench.finds_nothing(lambda: memblock.alloc(size, 0), "memblock_alloc()")
    bench.finds_nothing(lambda: memblock.alloc_from(size, 0, bench.at(0)), "memblock_alloc_from()")
    bench.finds_nothing(lambda: memblock.alloc_low(size, 0), "memblock_alloc_low()")
    bench.finds_nothing(lambda: memblock.alloc_node(size, 0, 0), "memblock_alloc_node()")
    bench.equal(memblock.alloc_raw(size, 0), 0, "memblock_alloc_raw()")
    bench.expect(reserved="................")


def _nopanic(bench: Bench) -> None:
    _on_junk(bench, "################")
    memblock, cell = bench.memblock, bench.cell
    _is_virtual(bench, memblock.alloc_nopanic(cell, cell), 15, "memblock_alloc_nopanic()")
    _is_virtual(bench, memblock.alloc_low_nopanic(cell, cell), 14, "memblock_alloc_low_nopanic()")
    virt = memblock.alloc_from_nopanic(cell, cell, bench.at(4))
    _is_virtual(bench, virt, 13, "memblock_alloc_from_nopanic()")
    virt = memblock.alloc_node_nopanic(cell, 0)
    _is_virtual(bench, virt, 12, "memblock_alloc_node_nopanic()")
    virt = memblock.alloc_try_nid_nopanic(cell, cell, 0, bench.at(8), NUMA_NO_NODE)
    _is_virtual(bench, virt, 7, "memblock_alloc_try_nid_nopanic()")
    bench.expect(reserved=".......#....####")
    _holds(bench, ".......#....####", 0, "the blocks' content")
    size = 9 * cell
    for virt in (
        memblock.alloc_nopanic(size, cell),
        memblock.alloc_low_nopanic(size, cell),
        memblock.alloc_from_nopanic(size, cell, bench.at(4)),
        memblock.alloc_node_nopanic(size, 0),
        memblock.alloc_try_nid_nopanic(size, cell, 0, bench.at(8), NUMA_NO_NODE),
    ):
        bench.equal(virt, 0, "an allocation without room")


def _after_the_handover(bench: Bench) -> None:
    bench.start(memory="################")
    asked: list[tuple[int, int]] = []

    def kzalloc_node(size: int, nid: int) -> int:
        asked.append((size, nid))
        return 0xC0DE000

    bench.memblock.late_alloc = kzalloc_node
    bench.equal(bench.memblock.alloc(bench.cell, 0), 0xC0DE000, "memblock_alloc()")
    bench.equal(asked, [(bench.cell, NUMA_NO_NODE)], "what the page allocator was asked for")
    bench.equal(len(bench.memblock.warnings), 1, "number of warnings")
    bench.expect(reserved="................")


CHECKS = (
    Check(("memblock_alloc",), "zeroed, by virtual address", _alloc),
    Check(("memblock_alloc_raw",), "not zeroed", _alloc_raw),
    Check(("memblock_alloc_from",), "at or above an address, if possible", _alloc_from),
    Check(("memblock_alloc_low",), "below ARCH_LOW_ADDRESS_LIMIT", _alloc_low),
    Check(("memblock_alloc_try_nid",), "never above current_limit", _alloc_below_the_limit, IN_6_1),
    Check(
        ("memblock_alloc_try_nid", "memblock_alloc_node", "memblock_alloc_try_nid_raw"),
        "of a node, then of any",
        _alloc_try_nid,
    ),
    Check(("memblock_alloc_exact_nid_raw",), "of a node only", _alloc_exact_nid_raw, IN_6_1),
    Check(
        (
            "memblock_alloc",
            "memblock_alloc_from",
            "memblock_alloc_low",
            "memblock_alloc_node",
            "memblock_alloc_raw",
        ),
        "without room",
        _alloc_without_room,
    ),
    Check(
        (
            "memblock_alloc_nopanic",
            "memblock_alloc_low_nopanic",
            "memblock_alloc_from_nopanic",
            "memblock_alloc_node_nopanic",
            "memblock_alloc_try_nid_nopanic",
        ),
        "the same without panic",
        _nopanic,
        TO_5_0,
    ),
    Check(
        ("memblock_alloc",),
        "after the hand-over: from the page allocator, with a warning",
        _after_the_handover,
    ),
)
