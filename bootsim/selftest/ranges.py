"""Checks of what changes the tables: add, remove, reserve, free, marks, trim and limits."""

from __future__ import annotations

from bootsim.kernel.memblock import MemblockFlags, Region
from bootsim.kernel.memblock_features import ENOMEM
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.selftest.bench import Bench
from bootsim.selftest.check import IN_6_1, TO_5_0, Check

ROOM = 128  # INIT_MEMBLOCK_REGIONS
_TOP = 0xFFFFFFFF


def _add_first(bench: Bench) -> None:
    bench.expect(memory="................")
    bench.ok(bench.memblock.add(*bench.span("....####........")), "memblock_add")
    bench.expect(memory="....####........")


def _add_apart(bench: Bench) -> None:
    bench.start(memory="......##........")
    bench.memblock.add(*bench.span("..........##...."))
    bench.memblock.add(*bench.span("..##............"))
    bench.expect(memory="..##..##..##....")


def _add_touching(bench: Bench) -> None:
    bench.start(memory="..##......##....")
    bench.memblock.add(*bench.span("....##.........."))
    bench.expect(memory="..####....##....")
    bench.memblock.add(*bench.span("........##......"))
    bench.expect(memory="..####..####....")
    bench.memblock.add(*bench.span("......##........"))
    bench.expect(memory="..##########....")


def _add_overlapping(bench: Bench) -> None:
    bench.start(memory="..##..hh..##....")
    bench.memblock.add(*bench.span(".############..."))
    bench.expect(memory=".#####hh#####...")


def _add_at_the_end(bench: Bench) -> None:
    add, memory = bench.memblock.add, bench.memblock.memory
    bench.ok(add(_TOP, 1), "memblock_add")
    bench.equal(memory.total_size, 0, "memblock.memory.total_size")
    bench.ok(add(_TOP & -PAGE_SIZE, PAGE_SIZE), "memblock_add")
    bench.equal(list(memory), [Region(_TOP & -PAGE_SIZE, PAGE_SIZE - 1)], "memblock.memory")


def _add_nothing(bench: Bench) -> None:
    bench.start(memory="....####........")
    bench.ok(bench.memblock.add(bench.at(10), 0), "memblock_add")
    bench.expect(memory="....####........")


def _remove_inside(bench: Bench) -> None:
    bench.start(memory="..##########....")
    bench.ok(bench.memblock.remove(*bench.span("......##........")), "memblock_remove")
    bench.expect(memory="..####..####....")


def _remove_across(bench: Bench) -> None:
    bench.start(memory="..##..####..##..")
    bench.ok(bench.memblock.remove(*bench.span("...#####........")), "memblock_remove")
    bench.expect(memory="..#.....##..##..")
    bench.memblock.remove(*bench.span("################"))
    bench.expect(memory="................")


def _remove_in_a_full_table(bench: Bench) -> None:
    for index in range(ROOM - 1):
        bench.memblock.add(bench.at(2 * index), bench.cell)
    outside = bench.at(2 * ROOM)
    bench.equal(bench.memblock.remove(outside, bench.cell), -ENOMEM, "memblock_remove()")
    bench.equal(bench.memblock.memory.cnt, ROOM - 1, "memblock.memory.cnt")


def _reserve_first(bench: Bench) -> None:
    bench.start(memory="################")
    bench.expect(reserved="................")
    bench.ok(bench.memblock.reserve(*bench.span("....####........")), "memblock_reserve")
    bench.expect(memory="################", reserved="....####........")


def _reserve_by_the_book(bench: Bench) -> None:
    bench.cell = 0x100000
    for reserved, result in (
        ("##................................", "##................................"),
        ("................##................", "##..............##................"),
        ("..................##..............", "##..............####.............."),
        ("...................##.............", "##..............#####............."),
        ("................######............", "##..............######............"),
        ("........################..........", "##......################.........."),
        ("................########..........", "##......################.........."),
        ("........########..................", "##......################.........."),
        ("........################..........", "##......################.........."),
        (".......##.........................", "##.....#################.........."),
        ("......#...........................", "##....##################.........."),
        ("....#.............................", "##..#.##################.........."),
    ):
        bench.ok(bench.memblock.reserve(*bench.span(reserved)), "memblock_reserve")
        bench.expect(reserved=result)


def _reserve_without_memory(bench: Bench) -> None:
    bench.start(memory="####............")
    bench.ok(bench.memblock.reserve(*bench.span("..######........")), "memblock_reserve")
    bench.expect(memory="####............", reserved="..######........")


def _reserve_in_a_full_table(bench: Bench) -> None:
    reserve = bench.memblock.reserve
    for index in range(ROOM):
        bench.ok(reserve(bench.at(2 * index), bench.cell), "memblock_reserve")
    # The gap between two regions: all three would become one, but Linux wants the room first.
    bench.equal(reserve(bench.at(1), bench.cell), -ENOMEM, "memblock_reserve()")
    bench.ok(reserve(bench.at(2), bench.cell), "memblock_reserve")
    bench.equal(bench.memblock.reserved.cnt, ROOM, "memblock.reserved.cnt")
    bench.equal(
        bench.memblock.reserved.total_size, ROOM * bench.cell, "memblock.reserved.total_size"
    )


def _phys_free(bench: Bench) -> None:
    bench.start(memory="################", reserved="..####..####....")
    bench.ok(bench.memblock.phys_free(*bench.span("...#######......")), "memblock_phys_free")
    bench.expect(memory="################", reserved="..#.......##....")


def _free_physical(bench: Bench) -> None:
    bench.start(memory="################", reserved="........####....")
    bench.ok(bench.memblock.free(*bench.span("........##......")), "memblock_free")
    bench.expect(memory="################", reserved="..........##....")


def _free_virtual(bench: Bench) -> None:
    bench.start(memory="################")
    memblock = bench.memblock
    virt = memblock.alloc(3 * bench.cell, bench.cell)
    bench.expect(reserved=".............###")
    bench.equal(memblock.free(0, bench.cell), None, "memblock_free()")
    bench.expect(reserved=".............###")
    bench.equal(memblock.free(virt, bench.cell), None, "memblock_free()")
    bench.expect(reserved="..............##")


def _mark_hotplug(bench: Bench) -> None:
    bench.start(memory="..##########....")
    where = bench.span("......##........")
    bench.ok(bench.memblock.mark_hotplug(*where), "memblock_mark_hotplug")
    bench.expect(memory="..####hh####....")
    bench.ok(bench.memblock.clear_hotplug(*where), "memblock_clear_hotplug")
    bench.expect(memory="..##########....")


def _mark_nomap(bench: Bench) -> None:
    bench.start(memory="..##########....")
    bench.ok(bench.memblock.mark_nomap(*bench.span("########........")), "memblock_mark_nomap")
    bench.expect(memory="..nnnnnn####....")
    bench.ok(bench.memblock.clear_nomap(*bench.span("......##........")), "memblock_clear_nomap")
    bench.expect(memory="..nnnn######....")


def _mark_mirror(bench: Bench) -> None:
    bench = bench.machine(mirrored_kernelcore=True)
    bench.start(memory="################")
    bench.ok(bench.memblock.mark_mirror(*bench.span("....####........")), "memblock_mark_mirror")
    bench.expect(memory="####mmmm########")
    bench.equal(
        bench.memblock.choose_memblock_flags(), MemblockFlags.MIRROR, "choose_memblock_flags()"
    )


def _mark_mirror_without_kernelcore(bench: Bench) -> None:
    bench.start(memory="################")
    bench.ok(bench.memblock.mark_mirror(*bench.span("....####........")), "memblock_mark_mirror")
    bench.expect(memory="################")
    bench.equal(bench.memblock.choose_memblock_flags(), 0, "choose_memblock_flags()")


def _mark_mirror_always(bench: Bench) -> None:
    bench.equal(bench.memblock.choose_memblock_flags(), 0, "choose_memblock_flags()")
    bench.start(memory="################")
    bench.ok(bench.memblock.mark_mirror(*bench.span("....####........")), "memblock_mark_mirror")
    bench.expect(memory="####mmmm########")
    bench.equal(
        bench.memblock.choose_memblock_flags(), MemblockFlags.MIRROR, "choose_memblock_flags()"
    )


def _trim_memory(bench: Bench) -> None:
    memblock = bench.memblock
    bench.start(memory="..####..........")
    memblock.add(bench.at(8) + PAGE_SIZE, 3 * bench.cell)
    memblock.add(bench.at(14) - PAGE_SIZE, 2 * PAGE_SIZE)  # no whole cell in it: it vanishes
    memblock.trim_memory(bench.cell)
    # Linux corrects total_size only for what vanishes.
    bench.expect(memory="..####...##.....", total=7 * bench.cell)


def _enforce_memory_limit(bench: Bench) -> None:
    bench.start(memory="..####....####..", reserved="...#........##..")
    bench.memblock.enforce_memory_limit(0)
    bench.memblock.enforce_memory_limit(9 * bench.cell)
    bench.expect(memory="..####....####..", reserved="...#........##..")
    bench.memblock.enforce_memory_limit(6 * bench.cell)
    bench.expect(memory="..####....##....", reserved="...#............")


def _cap_memory_range(bench: Bench) -> None:
    bench.start(memory="nn##########nn..", reserved=".#.#......#..#..")
    bench.memblock.cap_memory_range(bench.at(4), 0)
    bench.expect(memory="nn##########nn..", reserved=".#.#......#..#..")
    bench.memblock.cap_memory_range(*bench.span("....#######....."))
    bench.expect(memory="nn..#######.nn..", reserved="..........#.....")


def _mem_limit_remove_map(bench: Bench) -> None:
    bench.start(memory="..########nn##..")
    bench.memblock.mem_limit_remove_map(0)
    bench.expect(memory="..########nn##..")
    bench.memblock.mem_limit_remove_map(4 * bench.cell)
    bench.expect(memory="..####....nn....")


def _doubling(bench: Bench) -> None:
    memblock = bench.memblock
    base, size = 0x60000000, 0x40000000
    memblock.add(base, size)
    for index in range(ROOM):
        memblock.reserve(base + PAGE_SIZE * 2 * index, PAGE_SIZE)
    before = list(memblock.reserved)
    alloc = memblock.alloc_range if bench.linux == "5.0" else memblock.phys_alloc_range
    bench.equal(alloc(PAGE_SIZE, PAGE_SIZE, 0, 0), 0, "a page, with the table full")
    memblock.allow_resize()
    bench.equal(alloc(PAGE_SIZE, PAGE_SIZE, 0, 0), 0x9FFFF000, "a page, when it may grow")
    array = memblock.linear.virt_to_phys(memblock.reserved.regions)
    bench.equal(array, 0x9FFFE000, "the new array's place")
    bench.equal(memblock.reserved.max, 2 * ROOM, "memblock.reserved.max")
    # The page and the array touch.
    bench.equal(
        list(memblock.reserved), [*before, Region(0x9FFFE000, 2 * PAGE_SIZE)], "memblock.reserved"
    )


def _add_node(bench: Bench) -> None:
    bench = bench.machine(numa=True, max_numnodes=4)
    memblock = bench.memblock
    bench.ok(memblock.add_node(*bench.span("..####.........."), 0, 0), "memblock_add_node")
    bench.ok(memblock.add_node(*bench.span("....######......"), 1, 0), "memblock_add_node")
    bench.expect(memory="..00001111......")


def _set_node(bench: Bench) -> None:
    bench = bench.machine(numa=True, max_numnodes=4)
    bench.start(memory="..########......")
    where = bench.span("....####........")
    bench.ok(bench.memblock.set_node(*where, "memory", 2), "memblock_set_node")
    bench.expect(memory="..##2222##......")


def _set_node_without_numa(bench: Bench) -> None:
    bench.start(memory="..########......")
    where = bench.span("....####........")
    bench.ok(bench.memblock.set_node(*where, "memory", 2), "memblock_set_node")
    bench.expect(memory="..########......")


def _region_node(bench: Bench) -> None:
    bench = bench.machine(numa=True, max_numnodes=4)
    bench.start(memory="..####..1111....")
    memblock = bench.memblock
    bench.equal(memblock.get_region_node(memblock.memory[1]), 1, "memblock_get_region_node()")
    memblock.set_region_node("memory", 0, 3)
    bench.equal(memblock.get_region_node(memblock.memory[0]), 3, "memblock_get_region_node()")
    bench.expect(memory="..3333..1111....")


def _physmem_add(bench: Bench) -> None:
    bench = bench.machine(physmem=True)
    memblock = bench.memblock
    bench.ok(memblock.physmem_add(*bench.span("..########......")), "memblock_physmem_add")
    bench.start(memory="..####..........")
    bench.equal(
        [(region.base, region.size) for region in memblock.physmem],
        bench.spans("..########......"),
        "physmem",
    )


def _physmem_ranges(bench: Bench) -> None:
    bench = bench.machine(physmem=True)
    bench.memblock.physmem_add(*bench.span("..########......"))
    bench.start(memory="..####..........")
    found = list(bench.memblock.for_each_physmem_range("memory"))
    bench.equal(found, bench.ends("......####......"), "for_each_physmem_range(memory)")


def _add_range(bench: Bench) -> None:
    bench.start(memory="##......")
    add_range = bench.memblock.add_range
    bench.ok(add_range("memory", *bench.span("..##...."), 0), "memblock_add_range")
    bench.ok(add_range("reserved", *bench.span("......##"), 0), "memblock_add_range")
    bench.expect(memory="####....", reserved="......##")


CHECKS = (
    Check(("memblock_add_range",), "to either table", _add_range),
    Check(("memblock_add",), "the first range takes the place of the empty entry", _add_first),
    Check(("memblock_add",), "ranges that do not touch stay apart, sorted", _add_apart),
    Check(("memblock_add",), "ranges that touch become one", _add_touching),
    Check(
        ("memblock_add",),
        "only what is missing is added; flags that are there win",
        _add_overlapping,
    ),
    Check(("memblock_add",), "the last byte of the address space never exists", _add_at_the_end),
    Check(("memblock_add",), "size 0 does nothing", _add_nothing),
    Check(("memblock_remove",), "a hole splits a region", _remove_inside),
    Check(("memblock_remove",), "whole regions go, others are cut", _remove_across),
    Check(
        ("memblock_remove",),
        "wants room for two regions even if it finds none",
        _remove_in_a_full_table,
    ),
    Check(("memblock_reserve",), "a range of memory is taken", _reserve_first),
    Check(("memblock_reserve",), "the twelve steps of the BiscuitOS driver", _reserve_by_the_book),
    Check(("memblock_reserve",), "does not ask whether there is memory", _reserve_without_memory),
    Check(
        ("memblock_reserve",), "a full table that may not grow: -ENOMEM", _reserve_in_a_full_table
    ),
    Check(("memblock_phys_free",), "cuts what is reserved", _phys_free, IN_6_1),
    Check(("memblock_free",), "takes a physical address", _free_physical, TO_5_0),
    Check(
        ("memblock_free",), "takes what memblock_alloc() returned, or NULL", _free_virtual, IN_6_1
    ),
    Check(
        ("memblock_mark_hotplug", "memblock_clear_hotplug"),
        "splits, and merges again",
        _mark_hotplug,
    ),
    Check(("memblock_mark_nomap", "memblock_clear_nomap"), "marks what is memory", _mark_nomap),
    Check(
        ("memblock_mark_mirror", "choose_memblock_flags"),
        "from then on mirrored memory is asked for",
        _mark_mirror,
    ),
    Check(
        ("memblock_mark_mirror",),
        "does nothing without kernelcore=mirror",
        _mark_mirror_without_kernelcore,
        IN_6_1,
    ),
    Check(("memblock_mark_mirror",), "needs no kernelcore=mirror", _mark_mirror_always, TO_5_0),
    Check(("memblock_trim_memory",), "regions shrink to whole blocks, or vanish", _trim_memory),
    Check(
        ("memblock_enforce_memory_limit",),
        "keeps the first bytes of both tables",
        _enforce_memory_limit,
    ),
    Check(("memblock_cap_memory_range",), "keeps a range, and NOMAP memory", _cap_memory_range),
    Check(
        ("memblock_mem_limit_remove_map",),
        "keeps the first bytes, and NOMAP memory",
        _mem_limit_remove_map,
    ),
    Check(
        ("memblock_allow_resize", "memblock_double_array"),
        "a full table moves to free memory, twice as large",
        _doubling,
    ),
    Check(("memblock_add_node",), "keeps the node of what is there", _add_node),
    Check(("memblock_set_node",), "gives a range to a node", _set_node),
    Check(("memblock_set_node",), "without NUMA nothing changes", _set_node_without_numa),
    Check(
        ("memblock_get_region_node", "memblock_set_region_node"), "a region's node", _region_node
    ),
    Check(("memblock_physmem_add",), "RAM, whether it is memory or not", _physmem_add, IN_6_1),
    Check(("for_each_physmem_range",), "RAM that is no memory", _physmem_ranges, IN_6_1),
)
