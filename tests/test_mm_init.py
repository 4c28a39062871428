"""The node's set-up against what real kernels logged, and the memory map against its definition."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bootsim.errors import BootsimError, KernelPanic
from bootsim.kernel.memory import PAGE_SIZE, LinearMap, pfn_down, pfn_up
from bootsim.kernel.mm_init import Node, free_area_init_node
from bootsim.kernel.mm_types import MemMap
from bootsim.kernel.mmzone import (
    PageLayout,
    PfnRange,
    ZoneSpan,
    calc_memmap_size,
    usemap_size,
    zone_batchsize,
)
from bootsim.machine.memory import PhysMemory, Range
from bootsim.trace import PageFree
from tests.buddy import PAGE_OFFSET, RAM, Machine, hand_over, machine, small

DATA = Path(__file__).parent / "data"
REAL = json.loads((DATA / "page_alloc/real-6.1.json").read_text())
FREE_ALL = json.loads((DATA / "page_alloc/free-all.json").read_text())
ZONE_LINES = json.loads((DATA / "page_alloc/zone-lines.json").read_text())
NOMAP = 4


def free_ranges(memory: list[list[int]], reserved: list[list[int]]) -> list[tuple[int, int]]:
    """What is in `memory`, mapped, and not in `reserved`: half-open byte ranges."""
    free = []
    for base, size, flags in memory:
        position = base
        if flags & NOMAP:
            continue
        for low, length in reserved:
            if low + length <= position or low >= base + size:
                continue
            if position < low:
                free.append((position, low))
            position = low + length
        if position < base + size:
            free.append((position, base + size))
    return free


def spans_of(case: dict[str, Any]) -> list[ZoneSpan]:
    """The zones of a recorded boot, with the parts of memory that lie in each."""
    memory = [(pfn_up(base), pfn_down(base + size)) for base, size, _ in case["memory"]]
    spans = []
    for name in ("DMA", "Normal", "HighMem", "Movable"):
        start, end = case["zones"].get(name, (0, 0))
        clipped = [(max(start, low), min(end, high)) for low, high in memory]
        present = tuple(PfnRange(*pfns) for pfns in clipped if pfns[0] < pfns[1])
        spans.append(ZoneSpan(name, start, end, present))
    return spans


def real_machine(case: dict[str, Any]) -> Machine:
    """A machine like that of a recorded boot, up to where its zones are set up."""
    banks: list[tuple[int, int]] = []
    for base, size, _ in sorted(case["memory"]):
        whole = pfn_up(size) * PAGE_SIZE  # a bank up to 4 GiB is a byte short in memblock
        if banks and sum(banks[-1]) == base:
            banks[-1] = (banks[-1][0], banks[-1][1] + whole)
        else:
            banks.append((base, whole))
    places = [case["memmap"][1], *(place for _, place in case["usemaps"])]
    # Nothing tells where the kernel had contig_page_data; its image is long enough for us.
    layout = PageLayout.linux_6_1(banks[0][0] + 0x00300000)
    return machine(banks, layout, spans_of(case), places=places)


@pytest.mark.parametrize("case", REAL, ids=lambda case: str(case["name"]))
def test_like_a_real_kernel(case: dict[str, Any]) -> None:
    box = real_machine(case)
    allocator = box.allocator
    assert box.requests == [
        ("free_area_init", case["memmap"][0]),
        *(("setup_usemap", size) for size, _ in case["usemaps"]),
    ]
    assert [line for line in box.log if "bytes" not in line] == case["log"]

    given_back: list[list[int]] = []
    memory = [(pfn_up(base), pfn_down(base + size)) for base, size, _ in case["memory"]]
    allocator.free_unused_memmap(memory, lambda base, size: given_back.append([base, size]))
    assert given_back == case["unused_memmap"]

    allocator.reset_all_zones_managed_pages()
    for base, size in case["reserved"]:
        allocator.reserve_bootmem_region(base, base + size)
    for base, size, flags in case["memory"]:
        if flags & NOMAP:
            allocator.reserve_bootmem_region(base, base + size)
    max_low_pfn = case["zones"]["DMA"][1]
    free = free_ranges(case["memory"], case["reserved"])
    for low, high in free:
        hand_over(allocator, pfn_up(low), min(pfn_down(high), max_low_pfn))
    for low, high in free:
        allocator.free_highpages(max(pfn_up(low), max_low_pfn), pfn_down(high))

    assert allocator.nr_free_pages() * 4 == case["available_kib"]
    managed = {zone.name: zone.struct.managed_pages for zone in allocator.zones}
    assert (managed["HighMem"] + managed["Movable"]) * 4 == case["highmem_kib"]
    states = allocator.page_states()
    present = sum(zone.struct.present_pages for zone in allocator.zones)
    assert present * 4 == case["total_kib"]
    assert states.count(1) == allocator.nr_free_pages()
    assert states.count(1) + states.count(2) == present


@pytest.mark.parametrize("case", FREE_ALL, ids=lambda case: str(case["name"]))
@pytest.mark.parametrize("version", ["5.0", "6.1"])
def test_handover_as_memblock_does_it(case: dict[str, Any], version: str) -> None:
    """What memblock hands over and reserves is each page of lowmem exactly once."""
    memory = [(pfn_up(base), pfn_down(base + size)) for base, size, _ in case["memory"]]
    memory = [pfns for pfns in memory if pfns[0] < pfns[1]]
    start, end = memory[0][0], memory[-1][1]
    span = ZoneSpan("Normal", start, end, tuple(PfnRange(*pfns) for pfns in memory))
    elsewhere = 0x10000000
    make = {"5.0": PageLayout.linux_5_0, "6.1": PageLayout.linux_6_1}[version]
    banks = [(elsewhere, 0x2000000), (start * PAGE_SIZE, (end - start) * PAGE_SIZE)]
    layout = make(elsewhere, max_order=11)
    box = machine(banks, layout, [span], places=[elsewhere + 0x10000, elsewhere + 0x8000])
    allocator = box.allocator
    allocator.reset_all_zones_managed_pages()
    for low, high in case["reserved_pages"]:
        allocator.reserve_bootmem_region(low, high)
    for pfn, order in case["freed"]:
        allocator.free_pages_core(pfn, order)
    total = case["totalram_pages"]
    assert allocator.nr_free_pages() == allocator.zones[0].struct.managed_pages == total
    states = allocator.page_states()
    assert states.count(1) == total
    free = {pfn + i for pfn, order in case["freed"] for i in range(1 << order)}
    assert len(free) == total
    for low, high in memory:
        for pfn in range(low, min(high, case["max_low_pfn"])):
            assert (states[pfn - start] == 1) is (pfn in free)
            assert states[pfn - start] in (1, 2)
    events = [PageFree(pfn, order, "Normal", "memblock_free_all") for pfn, order in case["freed"]]
    assert list(box.trace) == events


def test_lines_of_linux_5_0() -> None:
    """The end of the BiscuitOS log, requests and KERN_DEBUG lines in their order."""
    log = (DATA / "biscuitos/boot-5.0-memblock-debug.log").read_text().splitlines()
    first = next(i for i, line in enumerate(log) if line.startswith("On node 0 totalpages"))
    expected = [
        re.sub(r".*: (\d+ bytes).* (\w+)\.constprop.*", r"\2: \1", line)
        for line in log[first:]
        if not line.startswith("memblock_reserve")
    ]
    assert len(expected) == 6
    layout = PageLayout.linux_5_0(RAM + 0xB03000)
    box = machine([(RAM, 0x40000000)], layout, [ZoneSpan("Normal", 0x60000, 0xA0000)])
    assert box.log == expected


@pytest.mark.parametrize("line", ZONE_LINES, ids=lambda line: f"{line['machine']}, {line['zone']}")
def test_published_zone_lines(line: dict[str, Any]) -> None:
    memmap = calc_memmap_size(line.get("spanned", line["pages"]), line["page"])
    assert line["memmap"] in (memmap, None)
    managed = line["pages"] - (line["memmap"] or 0)
    assert zone_batchsize(managed) == line["batch"]


@pytest.mark.parametrize(
    ("start", "pages", "order", "size"),
    [(0x60000, 262144, 10, 128), (0x60000, 1, 10, 4), (0x603FF, 2, 10, 4), (0, 8193, 10, 8)],
)
def test_usemap_size(start: int, pages: int, order: int, size: int) -> None:
    """4 bits a pageblock, counted from the pageblock that the zone begins in, in 32-bit words."""
    assert usemap_size(start, pages, order) == size


def test_pageblocks_are_movable() -> None:
    """The bits of zone->pageblock_flags: 001 a block, from the low end in 6.1, in 5.0 from the
    high one; a pageblock that does not begin in RAM keeps MIGRATE_UNMOVABLE, 0."""
    for make, words in (
        (PageLayout.linux_5_0, [0x22222222, 0x02000000]),
        (PageLayout.linux_6_1, [0x11111111, 0x00000010]),
    ):
        area = RAM + 0x10000000
        span = ZoneSpan(
            "Normal", 0x60000, 0x62800, (PfnRange(0x60000, 0x62000), PfnRange(0x62200, 0x62800))
        )
        box = machine(
            [(RAM, 0x2800000), (area, 0x400000)],
            make(area, max_order=11),
            [span],
            places=[area + 0x10000, area + 0x8000],
        )
        flags = box.allocator.zones[0].struct.pageblock_flags
        assert flags == box.allocator.linear.phys_to_virt(area + 0x8000)
        assert list(box.memory.words(area + 0x8000, 2)) == words


@settings(max_examples=30, deadline=None)
@example(count=9000, before=1, page_size=36, flags=1 << 31)
@given(
    count=st.integers(1, 9000),
    before=st.integers(0, 3),
    page_size=st.sampled_from([32, 36, 40]),
    flags=st.sampled_from([0, 1 << 30, 1 << 31 | 1 << 12]),
)
def test_init_pages(count: int, before: int, page_size: int, flags: int) -> None:
    """Each entry is what __init_single_page() makes, whatever was there; those around stay."""
    memory = PhysMemory([(RAM, 0x100000)], fill=0xA5)
    entries = before + count + 3
    virt = PAGE_OFFSET + 0x40
    mem_map = MemMap(
        memory, phys=RAM + 0x40, virt=virt, start_pfn=0, count=entries, page_size=page_size
    )
    mem_map.init_pages(before, count, flags)
    old = bytes([0xA5]) * page_size
    expected = b"".join(
        struct.pack("<8I", flags, lru, lru, 0, 0, 0, 0xFFFFFFFF, 1).ljust(page_size, b"\0")
        for lru in range(
            virt + before * page_size + 4, virt + (before + count) * page_size, page_size
        )
    )
    found = memory.read(RAM + 0x40, entries * page_size)
    assert found == old * before + expected + old * 3


def test_zone_data_in_ram() -> None:
    """A guest that follows pointers from contig_page_data finds names, counters and empty lists."""
    spans = [ZoneSpan("DMA", 0x60000, 0x60800), ZoneSpan("HighMem", 0x60800, 0x61000)]
    area = RAM + 0x800000
    box = machine([(RAM, 0x1000000)], PageLayout.linux_5_0(area), spans)
    layout, memory, linear = box.allocator.layout, box.memory, box.allocator.linear
    size = 36 + 11 * 12
    assert layout.zone_size == size
    assert [zone.virt for zone in box.allocator.zones] == [
        linear.phys_to_virt(area) + index * size for index in range(3)
    ]
    for index, name in enumerate([b"DMA\0", b"HighMem\0", b"Movable\0"]):
        words = list(memory.words(area + index * size, 9))
        assert words[0] == linear.phys_to_virt(area)
        assert words[2:4] + words[4:6] == (
            [0x60000 + 0x800 * index, words[3], 0x800, 0x800] if index < 2 else [0, 0, 0, 0]
        )
        assert memory.read(linear.virt_to_phys(words[6]), len(name)) == name
        assert words[7] == (index < 2)
    for order in range(11):
        head = area + 36 + 12 * order
        assert list(memory.words(head, 3)) == [linear.phys_to_virt(head)] * 2 + [0]
    nr_zones, mem_map, start, present, spanned, nid = memory.words(area + 3 * size, 6)
    assert (nr_zones, start, present, spanned, nid) == (2, 0x60000, 0x1000, 0x1000, 0)
    assert mem_map == linear.phys_to_virt(box.taken[0].base)
    # page->flags names the zone in its top two bits: there are three zones.
    assert memory.read_u32(box.taken[0].base + 0x800 * 32) == 1 << 30


def test_memory_map_reaches_out_to_whole_blocks() -> None:
    """RAM from 2 MiB above a block's start to 1 MiB into another: entries for all of both."""
    span = ZoneSpan("Normal", 0x60200, 0x60900)
    area = RAM + 0x10000000
    box = machine(
        [(RAM + 0x200000, 0x700000), (area, 0x400000)],
        PageLayout.linux_5_0(area),
        [span],
        places=[area + 0x10000, area + 0x8000],
    )
    assert box.requests[0] == ("alloc_node_mem_map", 3 * 1024 * 32)
    mem_map = box.allocator.mem_map
    assert (mem_map.start_pfn, mem_map.end_pfn) == (0x60000, 0x60C00)
    assert box.allocator.node.struct.node_mem_map == mem_map.page_virt(0x200)
    assert bytes(mem_map.words[: 0x200 * 8].tobytes()) == bytes(0x200 * 32)


def test_holes_of_5_0_are_no_pages() -> None:
    """RAM, a hole within a pageblock, RAM: 5.0 leaves the hole's entries as zeroes."""
    span = ZoneSpan(
        "Normal", 0x60000, 0x60400, (PfnRange(0x60000, 0x60100), PfnRange(0x60300, 0x60400))
    )
    for version, valid in (("5.0", False), ("6.1", True)):
        area = RAM + 0x10000000
        make = {"5.0": PageLayout.linux_5_0, "6.1": PageLayout.linux_6_1}[version]
        box = machine(
            [(RAM, 0x400000), (area, 0x400000)],
            make(area),
            [span],
            places=[area + 0x10000, area + 0x8000],
        )
        allocator = box.allocator
        assert allocator.node.pfn_valid(0x60200) is valid
        assert allocator.node.pfn_valid(0x5FFFF) is False
        if valid:
            info = allocator.page(0x60200)
            assert (info.state.name, info.flags.names) == ("HOLE", ["reserved"])
            # MAX_ORDER is 12 there: the rest of the pageblock, too.
            assert "On node 0, zone Normal: 512 pages in unavailable ranges" in box.log
        else:
            assert allocator.mem_map.struct(0x200).page_type == 0
        assert allocator.page_states().count(0) == 0x200
        allocator.reserve_bootmem_region(RAM, RAM + 0x400000)
        assert allocator.page_states().count(2) == 0x200


def test_reserving_rounds_outwards() -> None:
    box = small()
    box.allocator.reserve_bootmem_region(RAM + 0xFFF, RAM + 0x2001)
    reserved = [box.allocator.page(0x60000 + i).state.name == "RESERVED" for i in range(4)]
    assert reserved == [True, True, True, False]
    assert box.allocator.mem_map.flags[2] == 1 << 12


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([("Normal", 8, 4, ())], "zone Normal"),
        ([("High", 4, 8, None)], "no zone 'High'"),
        ([("HighMem", 4, 8, None), ("Normal", 8, 12, None)], "expected the order"),
        ([("Normal", 4, 8, None), ("HighMem", 6, 12, None)], "below the end"),
        ([("Normal", 4, 8, ((2, 6),))], "outside of the zone"),
        ([("Normal", 4, 8, ((6, 8), (4, 6)))], "out of order"),
        ([("Normal", 0, 0, None)], "no zone has any RAM"),
    ],
)
def test_zones_that_cannot_be(spans: list[Any], message: str) -> None:
    with pytest.raises(BootsimError, match=message):
        machine([(RAM, 0x10000)], PageLayout.linux_5_0(RAM), [ZoneSpan(*span) for span in spans])


@pytest.mark.parametrize(
    ("page", "order", "message"),
    [(28, 11, "struct page"), (34, 11, "struct page"), (32, 0, "MAX_")],
)
def test_layouts_that_cannot_be(page: int, order: int, message: str) -> None:
    with pytest.raises(BootsimError, match=message):
        PageLayout.linux_5_0(RAM, struct_page_size=page, max_order=order)


@pytest.mark.parametrize("failing", [0, 1])
def test_no_room_for_the_node(failing: int) -> None:
    memory = PhysMemory([(RAM, 0x100000)])
    layout = PageLayout.linux_5_0(RAM)
    span = ZoneSpan("Normal", 0x60000, 0x60100)
    node = Node(memory, LinearMap(RAM, PAGE_OFFSET), layout, 0, [span])
    answers = iter([RAM + 0x10000, 0] if failing else [0])
    with pytest.raises(KernelPanic, match="Failed to allocate"):
        free_area_init_node(node, lambda size, nid, caller: next(answers), lambda level, text: None)


def test_memory_map_does_not_overlap_what_it_describes() -> None:
    """The small machine of the other tests is what it says."""
    box = small()
    zone = Range(RAM, 4096 * PAGE_SIZE)
    assert all(taken.base >= zone.end for taken in box.taken)
