"""Checks of the iterators."""

from __future__ import annotations

from bootsim.kernel.memblock import NUMA_NO_NODE, MemblockFlags
from bootsim.kernel.memblock_iter import ITERATION_END
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE
from bootsim.selftest.bench import Bench, Span
from bootsim.selftest.check import IN_6_1, TO_5_0, Check

MEMORY = "..########..nn##"
RESERVED = "...#..#.....##.."
FREE = "..#.##.###....##"


def _without_node(ranges: list[tuple[int, int, int]]) -> list[Span]:
    return [(start, end) for start, end, _nid in ranges]


def _free(bench: Bench) -> None:
    bench.start(memory=MEMORY, reserved=RESERVED)
    found = list(bench.memblock.for_each_free_mem_range())
    bench.equal(_without_node(found), bench.ends(FREE), "for_each_free_mem_range()")
    bench.equal({nid for _, _, nid in found}, {0}, "the nid without NUMA")


def _free_reverse(bench: Bench) -> None:
    bench.start(memory=MEMORY, reserved=RESERVED)
    found = _without_node(list(bench.memblock.for_each_free_mem_range_reverse()))
    bench.equal(found, bench.ends(FREE)[::-1], "for_each_free_mem_range_reverse()")


def _free_of_a_node(bench: Bench) -> None:
    bench = bench.machine(numa=True, max_numnodes=4)
    bench.start(memory="000011110000####", reserved=".#..#.....#.....")
    for nid, drawing in ((0, "0.00....00.0...."), (1, ".....111........")):
        found = list(bench.memblock.for_each_free_mem_range(nid))
        expected = [(start, end, nid) for start, end in bench.ends(drawing)]
        bench.equal(found, expected, f"for_each_free_mem_range(nid {nid})")
        reverse = list(bench.memblock.for_each_free_mem_range_reverse(nid))
        bench.equal(reverse, expected[::-1], f"for_each_free_mem_range_reverse(nid {nid})")


def _free_by_flags(bench: Bench) -> None:
    bench = bench.machine(mirrored_kernelcore=True, movable_node=True)
    bench.start(memory="##hh##mm##nn####")
    for flags, drawing in (
        (0, "##..######..####"),
        (MemblockFlags.MIRROR, "......##........"),
        (MemblockFlags.NOMAP, "##..############"),
    ):
        spans = _without_node(list(bench.memblock.for_each_free_mem_range(NUMA_NO_NODE, flags)))
        cells = {cell for cell in range(16) for s, e in spans if s <= bench.at(cell) < e}
        drawn = {cell for cell, letter in enumerate(drawing) if letter != "."}
        bench.equal(sorted(cells), sorted(drawn), f"cells for flags {flags:#x}")


def _changed_meanwhile(bench: Bench) -> None:
    bench.start(memory="####....####....")
    seen = []
    for start, end, _nid in bench.memblock.for_each_free_mem_range():
        seen.append((start, end))
        if len(seen) == 1:
            bench.memblock.reserve(*bench.span("........##......"))
    bench.equal(seen, bench.ends("####......##...."), "what the loop saw")


def _any_two(bench: Bench) -> None:
    bench.start(memory=MEMORY, reserved=RESERVED)
    memblock = bench.memblock
    either = list(memblock.each_mem_range(memblock.memory, memblock.reserved))
    bench.equal(_without_node(either), bench.ends(FREE), "memory and not reserved")
    either = list(memblock.each_mem_range_rev(memblock.memory, memblock.reserved))
    bench.equal(_without_node(either), bench.ends(FREE)[::-1], "the same in reverse")
    alone = list(memblock.each_mem_range(memblock.reserved, None))
    bench.equal(_without_node(alone), bench.ends(RESERVED), "reserved alone")
    outside = list(memblock.each_mem_range_rev(memblock.reserved, memblock.memory))
    bench.equal(outside, [], "reserved and not memory")


def _stepped(bench: Bench) -> None:
    bench.start(memory=MEMORY, reserved=RESERVED)
    memblock = bench.memblock
    for step, first, expected in (
        (memblock.next_mem_range, 0, bench.ends(FREE)),
        (memblock.next_mem_range_rev, ITERATION_END, bench.ends(FREE)[::-1]),
    ):
        found: list[Span] = []
        idx, start, end, _nid = step(first, NUMA_NO_NODE, 0, "memory", "reserved")
        while idx != ITERATION_END and len(found) <= len(expected):
            found.append((start, end))
            idx, start, end, _nid = step(idx, NUMA_NO_NODE, 0, "memory", "reserved")
        bench.equal(found, expected, f"what {step.__name__}() steps through")


def _memory_ranges(bench: Bench) -> None:
    bench.start(memory="..##..hh..nn..##")
    found = list(bench.memblock.for_each_mem_range())
    bench.equal(found, bench.ends("..##..hh......##"), "for_each_mem_range()")
    found = list(bench.memblock.for_each_mem_range_rev())
    bench.equal(found, bench.ends("..##..hh......##")[::-1], "for_each_mem_range_rev()")


def _reserved_ranges(bench: Bench) -> None:
    bench.equal(
        list(bench.memblock.for_each_reserved_mem_range()), [(0, 0)], "the empty entry's range"
    )
    bench.start(reserved=RESERVED)
    found = list(bench.memblock.for_each_reserved_mem_range())
    bench.equal(found, bench.ends(RESERVED), "for_each_reserved_mem_range()")


def _regions(bench: Bench) -> None:
    memblock = bench.memblock
    empty = [(region.base, region.size) for region in memblock.for_each_reserved_mem_region()]
    bench.equal(empty, [(0, 0)], "the empty entry")
    bench.start(memory="..##hh..##......", reserved=RESERVED)
    found = [(r.base, r.size, int(r.flags)) for r in memblock.for_each_mem_region()]
    flags = (0, int(MemblockFlags.HOTPLUG), 0)
    expected = [(*span, f) for span, f in zip(bench.spans("..##hh..##......"), flags, strict=True)]
    bench.equal(found, expected, "for_each_mem_region()")
    spans = [(region.base, region.size) for region in memblock.for_each_reserved_mem_region()]
    bench.equal(spans, bench.spans(RESERVED), "for_each_reserved_mem_region()")


def _for_each_memblock(bench: Bench) -> None:
    memblock = bench.memblock
    empty = [(region.base, region.size) for region in memblock.for_each_memblock("reserved")]
    bench.equal(empty, [(0, 0)], "the empty entry")
    bench.start(memory="..##....##......", reserved=RESERVED)
    for type_, drawing in (("memory", "..##....##......"), ("reserved", RESERVED)):
        spans = [(region.base, region.size) for region in memblock.for_each_memblock(type_)]
        bench.equal(spans, bench.spans(drawing), f"for_each_memblock({type_})")


def _next_reserved(bench: Bench) -> None:
    bench.start(reserved="..####....##....")
    step = bench.memblock.next_reserved_mem_region
    index, seen = 0, []
    while (found := step(index)) is not None:
        index, first, last = found
        seen.append((first, last))
        if len(seen) > len(bench.memblock.reserved):
            break
    # The last byte, not the end.
    expected = [(start, end - 1) for start, end in bench.ends("..####....##....")]
    bench.equal(seen, expected, "__next_reserved_mem_region()")


def _pfn_ranges(bench: Bench) -> None:
    bench = bench.machine(numa=True, max_numnodes=4)
    bench.start(memory="..0000..1111....")
    # Not a whole page: none.
    bench.memblock.add(bench.at(14) + 1, PAGE_SIZE)
    expected = [
        (start >> PAGE_SHIFT, end >> PAGE_SHIFT, nid)
        for nid, (start, end) in enumerate(bench.ends("..0000..1111...."))
    ]
    bench.equal(list(bench.memblock.for_each_mem_pfn_range()), expected, "all nodes' pages")
    bench.equal(list(bench.memblock.for_each_mem_pfn_range(1)), expected[1:], "node 1's pages")
    found = bench.memblock.next_mem_pfn_range(0, bench.memblock.max_numnodes)
    bench.equal(found, (1, *expected[1]), "the region behind the first")


CHECKS = (
    Check(("for_each_free_mem_range",), "memory that is not reserved, upward", _free),
    Check(("for_each_free_mem_range_reverse",), "the same downward", _free_reverse),
    Check(
        ("for_each_free_mem_range", "for_each_free_mem_range_reverse"),
        "of one node",
        _free_of_a_node,
    ),
    Check(("for_each_free_mem_range",), "by flags", _free_by_flags),
    Check(("__next_mem_range", "__next_mem_range_rev"), "step by step", _stepped),
    Check(("for_each_free_mem_range",), "a loop sees what it reserves itself", _changed_meanwhile),
    Check(
        ("for_each_mem_range", "for_each_mem_range_rev"),
        "eight arguments: one table less another",
        _any_two,
        TO_5_0,
    ),
    Check(
        ("__for_each_mem_range", "__for_each_mem_range_rev"),
        "one table less another",
        _any_two,
        IN_6_1,
    ),
    Check(
        ("for_each_mem_range", "for_each_mem_range_rev"),
        "three arguments: all memory that is mapped, unpluggable too",
        _memory_ranges,
        IN_6_1,
    ),
    Check(("for_each_reserved_mem_range",), "what is reserved", _reserved_ranges, IN_6_1),
    Check(
        ("for_each_mem_region", "for_each_reserved_mem_region"),
        "the regions of a table",
        _regions,
        IN_6_1,
    ),
    Check(("for_each_memblock",), "the regions of a table", _for_each_memblock, TO_5_0),
    Check(
        ("__next_reserved_mem_region",),
        "first and last byte, region by region",
        _next_reserved,
        TO_5_0,
    ),
    Check(("for_each_mem_pfn_range", "__next_mem_pfn_range"), "whole pages, by node", _pfn_ranges),
)
