"""Checks of what asks and sets without changing a table."""

from __future__ import annotations

from bootsim.kernel.memblock import Region
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE
from bootsim.selftest.bench import Bench
from bootsim.selftest.check import IN_6_1, TO_5_0, Check


def _sizes(bench: Bench) -> None:
    memblock = bench.memblock
    bench.equal(memblock.phys_mem_size(), 0, "memblock_phys_mem_size()")
    bench.start(memory="..####..########", reserved="...##.........#.")
    bench.equal(memblock.phys_mem_size(), 12 * bench.cell, "memblock_phys_mem_size()")
    bench.equal(memblock.reserved_size(), 3 * bench.cell, "memblock_reserved_size()")


def _dram(bench: Bench) -> None:
    bench.start(memory="..####..####....", reserved="#...............")
    bench.equal(bench.memblock.start_of_DRAM(), bench.at(2), "memblock_start_of_DRAM()")
    bench.equal(bench.memblock.end_of_DRAM(), bench.at(12), "memblock_end_of_DRAM()")


def _is_memory(bench: Bench) -> None:
    bench.start(memory="..####..nnnn....", reserved="...#............")
    memblock = bench.memblock
    for address, is_memory, mapped, is_reserved in (
        (bench.at(2) - 1, False, False, False),
        (bench.at(2), True, True, False),
        (bench.at(3), True, True, True),
        (bench.at(4), True, True, False),
        (bench.at(6) - 1, True, True, False),
        (bench.at(6), False, False, False),
        (bench.at(8), True, False, False),
        (bench.at(12), False, False, False),
        (0xFFFFFFFF, False, False, False),
    ):
        at = f"({address:#x})"
        bench.equal(memblock.is_memory(address), is_memory, f"memblock_is_memory{at}")
        bench.equal(memblock.is_map_memory(address), mapped, f"memblock_is_map_memory{at}")
        bench.equal(memblock.is_reserved(address), is_reserved, f"memblock_is_reserved{at}")


def _is_region_memory(bench: Bench) -> None:
    bench.start(memory="..####hh........")
    for drawing, whole in (
        ("..####..........", True),
        ("...##...........", True),
        (".####...........", False),
        ("...#####........", False),  # memory, but of two regions
        (".........###....", False),
    ):
        found = bench.memblock.is_region_memory(*bench.span(drawing))
        bench.equal(found, whole, f"memblock_is_region_memory({drawing})")
    bench.equal(
        bench.memblock.is_region_memory(bench.at(2), 0), True, "memblock_is_region_memory(size 0)"
    )


def _is_region_reserved(bench: Bench) -> None:
    bench.start(reserved="....####........")
    for drawing, touches in (
        ("....####........", True),
        ("..###...........", True),
        (".......###......", True),
        ("..##............", False),
        ("........##......", False),
    ):
        found = bench.memblock.is_region_reserved(*bench.span(drawing))
        bench.equal(found, touches, f"memblock_is_region_reserved({drawing})")


def _overlaps_region(bench: Bench) -> None:
    bench.start(memory="....####........", reserved="..........##....")
    overlaps = bench.memblock.overlaps_region
    for type_, drawing, answer in (
        ("memory", "######..........", True),
        ("memory", "####............", False),
        ("memory", "........####....", False),
        ("memory", ".......#########", True),
        ("reserved", ".......####.....", True),
        ("reserved", "....####........", False),
    ):
        found = overlaps(type_, *bench.span(drawing))
        bench.equal(found, answer, f"memblock_overlaps_region({type_}, {drawing})")
    # Of size 0: inside a region yes, at its start no.
    bench.equal(overlaps("memory", bench.at(5), 0), True, "memblock_overlaps_region(inside, 0)")
    bench.equal(overlaps("memory", bench.at(4), 0), False, "memblock_overlaps_region(start, 0)")


def _addrs_overlap(bench: Bench) -> None:
    overlap = bench.memblock.addrs_overlap
    for one, other, answer in (
        ("####....", "..####..", True),
        ("####....", "....####", False),
        ("########", "..##....", True),
    ):
        for first, second in ((one, other), (other, one)):
            found = overlap(*bench.span(first), *bench.span(second))
            bench.equal(found, answer, f"memblock_addrs_overlap({first}, {second})")


def _search(bench: Bench) -> None:
    bench.start(memory="..##..##..##....", reserved="..#.............")
    for address, index in (
        (bench.at(2) - 1, -1),
        (bench.at(2), 0),
        (bench.at(4), -1),
        (bench.at(7), 1),
        (bench.at(12) - 1, 2),
        (bench.at(12), -1),
    ):
        found = bench.memblock.search("memory", address)
        bench.equal(found, index, f"memblock_search(memory, {address:#x})")
    bench.equal(bench.memblock.search("reserved", bench.at(2)), 0, "memblock_search(reserved)")


def _search_pfn_nid(bench: Bench) -> None:
    bench = bench.machine(numa=True, max_numnodes=4)
    bench.start(memory="..0000..2222....")
    pages = bench.cell >> PAGE_SHIFT
    first = bench.at(8) >> PAGE_SHIFT
    bench.equal(
        tuple(bench.memblock.search_pfn_nid(first + 1)),
        (2, first, first + 4 * pages),
        "memblock_search_pfn_nid()",
    )
    found, *_ = bench.memblock.search_pfn_nid(bench.at(6) >> PAGE_SHIFT)
    bench.equal(found, -1, "memblock_search_pfn_nid() outside memory")


def _region_pfns(bench: Bench) -> None:
    # Memory rounds inwards, reserved memory outwards.
    region, pfn = Region(bench.at(0) + 1, 3 * PAGE_SIZE), bench.at(0) >> PAGE_SHIFT
    memblock = bench.memblock
    for found, expected, name in (
        (memblock.region_memory_base_pfn(region), pfn + 1, "memory_base"),
        (memblock.region_memory_end_pfn(region), pfn + 3, "memory_end"),
        (memblock.region_reserved_base_pfn(region), pfn, "reserved_base"),
        (memblock.region_reserved_end_pfn(region), pfn + 4, "reserved_end"),
    ):
        bench.equal(found, expected, f"memblock_region_{name}_pfn()")


def _region_flags(bench: Bench) -> None:
    bench = bench.machine(mirrored_kernelcore=True)
    bench.start(memory="..##hhmmnn......")
    memblock = bench.memblock
    plain, hotplug, mirror, nomap = memblock.memory
    for ask, name, its_own in (
        (memblock.is_hotpluggable, "memblock_is_hotpluggable", hotplug),
        (memblock.is_mirror, "memblock_is_mirror", mirror),
        (memblock.is_nomap, "memblock_is_nomap", nomap),
    ):
        for region in (plain, hotplug, mirror, nomap):
            bench.equal(ask(region), region == its_own, f"{name}({region})")


def _driver_managed(bench: Bench) -> None:
    driver_managed = 8  # MEMBLOCK_DRIVER_MANAGED
    memblock = bench.memblock
    memblock.add_node(*bench.span("..####.........."), 0, driver_managed)
    memblock.add(*bench.span("........####...."))
    managed, plain = memblock.memory
    bench.equal(memblock.is_driver_managed(managed), True, "memblock_is_driver_managed()")
    bench.equal(memblock.is_driver_managed(plain), False, "memblock_is_driver_managed()")


def _current_limit(bench: Bench) -> None:
    bench.start(memory="################")
    memblock = bench.memblock
    bench.equal(memblock.get_current_limit(), 0xFFFFFFFF, "memblock_get_current_limit()")
    memblock.set_current_limit(bench.at(8))
    bench.equal(memblock.get_current_limit(), bench.at(8), "memblock_get_current_limit()")
    memblock.phys_alloc(bench.cell, bench.cell)
    bench.expect(reserved=".......#........")


def _direction(bench: Bench) -> None:
    bench.start(memory="..############..")
    memblock = bench.memblock
    bench.equal(memblock.bottom_up(), False, "memblock_bottom_up()")
    memblock.phys_alloc(bench.cell, bench.cell)
    bench.expect(reserved=".............#..")
    memblock.set_bottom_up(True)
    bench.equal(memblock.bottom_up(), True, "memblock_bottom_up()")
    memblock.phys_alloc(bench.cell, bench.cell)
    bench.expect(reserved="..#..........#..")


def _in_ram(bench: Bench) -> None:
    bench.start(memory="################", reserved="..##....##......")
    memblock, ram = bench.memblock, bench.memblock.ram
    layout, at = memblock.layout.memblock, memblock.at.memblock
    reserved = at + layout.reserved.offset
    type_ = memblock.layout.type_
    regions = memblock.linear.virt_to_phys(ram.read_u32(reserved + type_.regions.offset))
    for address, expected, name in (
        (at + layout.current_limit.offset, 0xFFFFFFFF, "memblock.current_limit"),
        (reserved + type_.cnt.offset, 2, "memblock.reserved.cnt"),
        (reserved + type_.max.offset, 128, "memblock.reserved.max"),
        (reserved + type_.total_size.offset, 4 * bench.cell, "memblock.reserved.total_size"),
        (regions, bench.at(2), "memblock.reserved.regions[0].base"),
        (regions + 4, 2 * bench.cell, "memblock.reserved.regions[0].size"),
        (regions + 12, bench.at(8), "memblock.reserved.regions[1].base"),
    ):
        bench.equal(ram.read_u32(address), expected, f"{name} in RAM")
    # What others write there holds at once.
    ram.write_u32(reserved + type_.cnt.offset, 1)
    ram.write_u32(reserved + type_.total_size.offset, 2 * bench.cell)
    bench.expect(reserved="..##............")


def _mem_size(bench: Bench) -> None:
    bench.start(memory="####....####")
    for cells, below in ((0, 0), (2, 2), (4, 6), (6, 10), (8, 16)):
        size = bench.memblock.mem_size(bench.at(below) // PAGE_SIZE)
        bench.equal(size, cells * bench.cell, f"bytes below cell {below}")


CHECKS = (
    Check(("memblock_mem_size",), "bytes of memory below a pfn", _mem_size, TO_5_0),
    Check(("memblock_phys_mem_size", "memblock_reserved_size"), "bytes in each table", _sizes),
    Check(("memblock_start_of_DRAM", "memblock_end_of_DRAM"), "the ends of memory", _dram),
    Check(
        ("memblock_is_memory", "memblock_is_map_memory", "memblock_is_reserved"),
        "whether an address is memory, mapped, reserved",
        _is_memory,
    ),
    Check(("memblock_is_region_memory",), "one region holds it all", _is_region_memory),
    Check(("memblock_is_region_reserved",), "a single byte is enough", _is_region_reserved),
    Check(("memblock_overlaps_region",), "a byte in common", _overlaps_region),
    Check(("memblock_addrs_overlap",), "two ranges, either way round", _addrs_overlap),
    Check(("memblock_search",), "the index of the region that holds an address", _search),
    Check(("memblock_search_pfn_nid",), "node and pages of the region", _search_pfn_nid),
    Check(
        (
            "memblock_region_memory_base_pfn",
            "memblock_region_memory_end_pfn",
            "memblock_region_reserved_base_pfn",
            "memblock_region_reserved_end_pfn",
        ),
        "memory in whole pages, reserved in touched ones",
        _region_pfns,
    ),
    Check(
        ("memblock_is_hotpluggable", "memblock_is_mirror", "memblock_is_nomap"),
        "a region's flags",
        _region_flags,
    ),
    Check(("memblock_is_driver_managed",), "a region's flag", _driver_managed, IN_6_1),
    Check(
        ("memblock_set_current_limit", "memblock_get_current_limit"),
        "allocations end there",
        _current_limit,
    ),
    Check(("memblock_set_bottom_up", "memblock_bottom_up"), "where allocations begin", _direction),
    Check(("struct memblock",), "lies in RAM, for everyone to read and write", _in_ram),
)
