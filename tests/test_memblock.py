"""memblock: drawn cases, both kernels' rules, what lies in RAM, and what goes out as events."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.errors import BootsimError, KernelPanic, MemoryAccessError
from bootsim.kernel import memblock_log
from bootsim.kernel.layout import memblock_layout
from bootsim.kernel.memblock import (
    NUMA_NO_NODE,
    Memblock,
    MemblockAddresses,
    MemblockFeatures,
    MemblockFlags,
    Region,
)
from bootsim.kernel.memblock_iter import ITERATION_END
from bootsim.kernel.memory import LinearMap
from bootsim.machine.memory import PhysMemory
from bootsim.trace import MemblockAlloc, MemblockFailure, MemblockRange, MemblockResize, Trace

BISCUITOS = Path(__file__).parent / "data" / "biscuitos"
PAGE = 4096
BASE, SIZE = 0x60000000, 0x40000000  # the seed's board: 1 GiB
END = BASE + SIZE
ENOMEM = -12

FIVE = MemblockFeatures.linux_5_0(kernel_end=BASE + 0xB95258)
SIX = MemblockFeatures.linux_6_1()


def board(features: MemblockFeatures = SIX, **kwargs: Any) -> Memblock:
    """The seed's board."""
    return Memblock.standalone([(BASE, SIZE)], features=features, **kwargs)


# Ranges, drawn: a character is a page, '#' reserved or memory.


def ranges(picture: str) -> list[tuple[int, int]]:
    """The runs of '#' as base and size."""
    runs = re.finditer("#+", picture)
    return [(BASE + run.start() * PAGE, len(run.group()) * PAGE) for run in runs]


def picture(regions: Any, width: int) -> str:
    pages = ["."] * width
    for region in regions:
        first = (region.base - BASE) // PAGE
        pages[first : first + region.size // PAGE] = "#" * (region.size // PAGE)
    return "".join(pages)


DRAWN = [
    # before, what is added, after, number of regions after
    ("................", "....####........", "....####........", 1),
    ("....####........", "..........####..", "....####..####..", 2),
    ("......####......", "####............", "####..####......", 2),
    ("....####........", "........####....", "....########....", 1),
    ("........####....", "....####........", "....########....", 1),
    ("....####........", "......####......", "....######......", 1),
    ("......####......", "....####........", "....######......", 1),
    ("....########....", "......####......", "....########....", 1),
    ("......####......", "....########....", "....########....", 1),
    ("..##..##..##....", "....##..........", "..######..##....", 2),
    ("..##..##..##....", ".############...", ".############...", 1),
    ("..##..##..##....", "...#####........", "..######..##....", 2),
]


@pytest.mark.parametrize(("before", "added", "after", "count"), DRAWN)
@pytest.mark.parametrize("table", ["memory", "reserved"])
def test_adding(table: str, before: str, added: str, after: str, count: int) -> None:
    memblock = Memblock.standalone()
    add = memblock.add if table == "memory" else memblock.reserve
    for base, size in ranges(before) + ranges(added):
        assert add(base, size) == 0
    regions = memblock.table(table)
    assert picture(regions, len(after)) == after
    assert len(regions) == count
    assert regions.total_size == after.count("#") * PAGE


@pytest.mark.parametrize(
    ("before", "removed", "after", "count"),
    [
        ("....########....", "....########....", "................", 1),
        ("....########....", "....####........", "........####....", 1),
        ("....########....", "........####....", "....####........", 1),
        ("....########....", "......####......", "....##....##....", 2),
        ("....########....", "..####..........", "......######....", 1),
        ("..##..##..##....", "...#######......", "..#.......##....", 2),
        ("..##..##..##....", "................", "..##..##..##....", 3),
        ("..##..##..##....", "################", "................", 1),
        ("....####........", "........####....", "....####........", 1),
    ],
)
def test_removing(before: str, removed: str, after: str, count: int) -> None:
    memblock = Memblock.standalone()
    for base, size in ranges(before):
        memblock.add(base, size)
        memblock.reserve(base, size)
    for base, size in ranges(removed):
        assert memblock.remove(base, size) == 0
        assert memblock.phys_free(base, size) == 0
    for table in (memblock.memory, memblock.reserved):
        assert picture(table, len(after)) == after
        assert len(table) == count
        assert table.total_size == after.count("#") * PAGE


@pytest.mark.parametrize(
    ("reserved", "upward", "size", "align", "found"),
    [
        ("................", False, 3, 1, ".............###"),
        ("................", True, 3, 1, "###............."),
        ("..............##", False, 3, 1, "...........###.."),
        ("####............", True, 3, 1, "....###........."),
        ("...##.##...#####", False, 3, 1, "........###....."),
        ("##...##.##...###", True, 3, 1, "..###..........."),
        ("...............#", False, 3, 4, "............###."),
        ("#...............", True, 3, 4, "....###........."),
        ("..##.#####.#####", False, 2, 2, "##.............."),
        ("..##.#####.#####", False, 3, 1, "................"),
    ],
)
def test_allocating(reserved: str, upward: bool, size: int, align: int, found: str) -> None:
    memblock = Memblock.standalone([(BASE, 16 * PAGE)])
    for base, length in ranges(reserved):
        memblock.reserve(base, length)
    memblock.set_bottom_up(upward)
    expected = ranges(found)[0][0] if "#" in found else 0
    assert memblock.find_in_range(0, 0, size * PAGE, align * PAGE) == expected
    assert memblock.phys_alloc(size * PAGE, align * PAGE) == expected
    if expected:
        assert memblock.is_region_reserved(expected, size * PAGE)


def test_many_gaps_are_looked_through_once() -> None:
    """
    what a long search in vain leaves behind must not hide what is freed later
    # # # # # # # # # ... # #      one page reserved, one free
    """
    memblock = Memblock.standalone(
        [(BASE, 400 * PAGE)], features=MemblockFeatures(init_regions=256)
    )
    for page in range(8, 400, 2):
        memblock.reserve(BASE + page * PAGE, PAGE)
    two = 2 * PAGE
    assert [memblock.phys_alloc(two, PAGE) for _ in range(2)] == [BASE + 6 * PAGE, BASE + 4 * PAGE]
    assert memblock.phys_alloc(PAGE, PAGE) == BASE + 399 * PAGE
    memblock.phys_free(BASE + 200 * PAGE, PAGE)
    assert memblock.phys_alloc(two, PAGE) == BASE + 200 * PAGE
    assert memblock.phys_alloc(two, PAGE) == BASE + 2 * PAGE
    memblock.phys_free(BASE + 300 * PAGE, 3 * PAGE)
    assert memblock.phys_alloc(5 * PAGE, PAGE) == BASE + 299 * PAGE
    poked = memblock.reserved[50]
    offset = 50 * memblock.layout.region_size + memblock.layout.region.size.offset
    memblock.ram.write_u32(memblock.reserved.regions + offset, poked.size // 2)
    assert memblock.phys_alloc(PAGE + PAGE // 2, 64) == poked.base + poked.size // 2


# What Linux 5.0 does otherwise. Published results: biscuitos.github.io, tests/data/biscuitos.


def test_bottom_up_starts_at_the_end_of_the_kernel() -> None:
    memblock = board(FIVE)
    memblock.reserve(0x64000000, 0x100000)
    memblock.reserve(0x64300000, 0x100000)
    assert memblock.find_in_range(0, 0xFFFFFFFF, 0x100000, 0x1000) == 0x9FF00000
    memblock.set_bottom_up(True)
    assert memblock.find_in_range(0, 0xFFFFFFFF, 0x100000, 0x1000) == 0x60B96000
    assert memblock.find_in_range(0x64100000, 0x64300000, 0x100000, 0x1000) == 0x64100000
    assert memblock.warnings == []


def test_bottom_up_falls_back_to_top_down_below_the_kernels_end() -> None:
    memblock = board(FIVE)
    memblock.set_bottom_up(True)
    memblock.reserve(0x60B00000, END - 0x60B00000)
    assert memblock.phys_alloc(0x1000, 0x1000) == 0x60AFF000
    assert memblock.phys_alloc(0x1000, 0x1000) == 0x60AFE000
    assert memblock.warnings == [
        "memblock: bottom-up allocation failed, memory hotremove may be affected"
    ]
    assert memblock.find_in_range(0, 0x60100000, 0x1000, 0x1000) == 0x600FF000
    six = board()
    six.set_bottom_up(True)
    assert six.phys_alloc(0x1000, 0x1000) == BASE


def test_5_0_panics_where_6_1_returns_0() -> None:
    five, six = board(FIVE), board()
    five.reserve(BASE, SIZE)
    six.reserve(BASE, SIZE)
    assert six.phys_alloc(0x1000, 0x1000) == six.alloc(64, 64) == 0
    assert six.phys_alloc_try_nid(0x1000, 0x1000, NUMA_NO_NODE) == 0
    below = "ERROR: Failed to allocate 0x00001000 bytes below 0x00000000."
    panicking: list[Callable[[], int]] = [
        lambda: five.phys_alloc(0x1000, 0x1000),
        lambda: five.phys_alloc_try_nid(0x1000, 0x1000, NUMA_NO_NODE),
        lambda: five.alloc_base(0x1000, 0x1000, 0),
    ]
    for allocate in panicking:
        with pytest.raises(KernelPanic, match=re.escape(below)):
            allocate()
    with pytest.raises(KernelPanic, match="memblock_alloc_try_nid: Failed to allocate 64 bytes"):
        five.alloc(64, 64)
    assert five.alloc_nopanic(64, 64) == 0
    assert five.alloc_base_nopanic(64, 64, 0) == five.phys_alloc_nid(64, 64, NUMA_NO_NODE) == 0
    assert five.alloc_range(64, 64, BASE, END) == five.alloc_base_nid(64, 64, 0, 0) == 0
    assert five.alloc_raw(64, 64) == 0


def test_free_takes_what_its_version_takes() -> None:
    linear = LinearMap(BASE, 0x80000000)
    for features, addr in ((FIVE, 0x78000000), (SIX, linear.phys_to_virt(0x78000000))):
        memory = PhysMemory([(BASE, 0x100000)])
        at, _ = MemblockAddresses.packed(BASE, features)
        memblock = Memblock(memory, at=at, linear=linear, features=features)
        memblock.initialize()
        memblock.reserve(0x78000000, 0x2000000)
        memblock.free(addr, 0x1000000)
        assert memblock.reserved == [Region(0x79000000, 0x1000000)]
        memblock.phys_free(0x79000000, 0x1000000)
        assert memblock.reserved_size() == 0


def test_next_reserved_mem_region_gives_the_last_byte() -> None:
    memblock = board(FIVE)
    memblock.reserve(0x68000000, 0x1000000)
    memblock.reserve(0x78000000, 0x2000000)
    assert memblock.next_reserved_mem_region(0) == (1, 0x68000000, 0x68FFFFFF)
    assert memblock.next_reserved_mem_region(1) == (2, 0x78000000, 0x79FFFFFF)
    assert memblock.next_reserved_mem_region(2) is None


def test_mirrored_memory_is_given_up_after_min_addr_to_5_0_and_before_it_later() -> None:
    """
    mirrored, no room      other
    |#######............|.............|
                        ^ min_addr
    """
    for rules, expected in ((FIVE, BASE + 0x1FFFFFC0), (SIX, END - 64)):
        features = MemblockFeatures(
            **{name: getattr(rules, name) for name in ("alloc_panics", "mirror_needs_kernelcore")},
            mirrored_kernelcore=True,
        )
        memblock = board(features)
        memblock.mark_mirror(BASE, SIZE // 2)
        assert memblock.alloc_from(64, 64, BASE + SIZE // 2) == expected
    inert = board()
    assert inert.mark_mirror(BASE, SIZE // 2) == 0
    assert inert.memory == [Region(BASE, SIZE)]


def test_iterators_up_to_5_9_filter_any_table_and_always_hide_hotplug_memory() -> None:
    for features, hidden in ((FIVE, True), (SIX, False)):
        memblock = board(features)
        memblock = board(MemblockFeatures(movable_node=True, filters_every_type=hidden))
        memblock.mark_hotplug(BASE, SIZE // 2)
        half, whole = [(BASE + SIZE // 2, END)], [(BASE, BASE + SIZE // 2), (BASE + SIZE // 2, END)]
        assert list(memblock.for_each_mem_range()) == (half if hidden else whole)
        assert [span[:2] for span in memblock.for_each_free_mem_range()] == half


def test_capping_memory_that_is_not_there() -> None:
    five, six = (Memblock.standalone(features=features) for features in (FIVE, SIX))
    for memblock in (five, six):
        memblock.reserve(BASE, PAGE)
        memblock.cap_memory_range(END, PAGE)
    assert five.reserved_size() == 0
    assert six.reserved == [Region(BASE, PAGE)]
    assert six.warnings == ["memblock_cap_memory_range: No memory registered yet"]


def test_a_regions_attributes() -> None:
    for numa in (False, True):
        memblock = board(MemblockFeatures(numa=numa, max_numnodes=16 if numa else 1))
        memblock.mark_nomap(BASE, PAGE)
        memblock.add_node(END, PAGE, 0, MemblockFlags.DRIVER_MANAGED | MemblockFlags.HOTPLUG)
        first, _, last = memblock.memory
        assert memblock.is_nomap(first)
        assert not memblock.is_hotpluggable(first)
        assert not memblock.is_mirror(first)
        assert memblock.is_hotpluggable(last)
        assert memblock.is_driver_managed(last)
        memblock.set_region_node("memory", 0, 3)
        assert memblock.get_region_node(memblock.memory[0]) == (3 if numa else 0)


# struct memblock in RAM.


def test_the_layout_is_that_of_arm() -> None:
    layout = memblock_layout()
    offsets = {name: getattr(layout.memblock, name).offset for name in ("memory", "reserved")}
    assert offsets == {"memory": 8, "reserved": 28}
    assert layout.memblock.current_limit.offset == 4
    assert (layout.region_size, layout.type_size) == (12, 20)
    assert memblock_layout(numa=True).region_size == 16
    lpae = memblock_layout(phys_addr_bits=64, physmem_member=True)
    assert (lpae.region_size, lpae.type_size) == (24, 24)
    assert (lpae.memblock.current_limit.offset, lpae.memblock.physmem.offset) == (8, 64)
    assert memblock_layout(phys_addr_bits=64, numa=True).region_size == 24


def test_the_boot_state_is_the_kernels_initialiser() -> None:
    memblock = Memblock.standalone()
    words = [memblock.ram.read_u32(memblock.at.memblock + 4 * i) for i in range(12)]
    names = memblock.at.names
    assert words == [
        *(0, 0xFFFFFFFF),
        *(1, 128, 0, memblock.at.memory_regions, names),
        *(1, 128, 0, memblock.at.reserved_regions, names + 8),
    ]
    assert memblock.ram.read(names, 17) == b"memory\0\0reserved\0"
    assert memblock.reserved.name == "reserved"
    assert list(memblock.memory) == [Region(0, 0, 0, 0)]


def test_what_a_driver_writes_takes_effect_at_once() -> None:
    memblock = board()
    for number in range(5):
        memblock.reserve(BASE + number * 0x100000, PAGE)
    memblock.reserved.cnt = 1
    memblock.reserved.total_size = PAGE
    assert memblock.reserved == [Region(BASE, PAGE)]
    assert memblock.phys_alloc(PAGE, PAGE) == END - PAGE
    memblock.ram.write_u32(memblock.at.memblock + 4, BASE + 0x10000)  # current_limit
    assert memblock.get_current_limit() == BASE + 0x10000
    assert memblock.phys_alloc(PAGE, PAGE) == BASE + 0xF000
    memblock.current_limit = 0xFFFFFFFF
    memblock.ram.write_u32(memblock.at.memory_regions + 4, 0x2000000)  # regions[0].size
    assert memblock.phys_alloc(PAGE, PAGE) == BASE + 0x1FFF000
    memblock.ram.view(memblock.at.memblock, 1)[0] = 1
    assert memblock.bottom_up()
    assert memblock.phys_alloc(PAGE, PAGE) == BASE + PAGE


def test_driver_writes_that_put_regions_out_of_order() -> None:
    memblock = board()
    memblock.reserve(BASE + 0x100000, PAGE)
    memblock.reserve(BASE + 0x200000, PAGE)
    memblock.ram.write_u32(memblock.at.reserved_regions, BASE + 0x300000)
    # Linux halves the table, and looks in the wrong half.
    assert not memblock.is_reserved(BASE + 0x300000)
    assert memblock.is_reserved(BASE + 0x200000)
    with pytest.raises(KernelPanic, match=r"kernel BUG at mm/memblock\.c"):
        memblock.reserve(BASE, PAGE)


@pytest.mark.parametrize(
    "corrupt",
    [
        {"cnt": 129},
        {"cnt": 0xFFFFFFFF},
        {"max": 0},
        {"max": 1 << 30},
        {"regions": 0x1000},
        {"regions": 0xFFFFFFF0},
        {"regions": 3},
    ],
    ids=str,
)
def test_a_corrupt_table_is_a_clear_error(corrupt: dict[str, int]) -> None:
    memblock = board()
    for number in range(3):
        memblock.reserve(BASE + number * 2 * PAGE, PAGE)
    for field, value in corrupt.items():
        setattr(memblock.reserved, field, value)
    uses: list[Callable[[], Any]] = [
        lambda: memblock.reserve(END, PAGE),
        lambda: memblock.phys_free(BASE, PAGE),
        lambda: memblock.phys_alloc(PAGE, PAGE),
        lambda: memblock.is_reserved(BASE),
        lambda: list(memblock.for_each_free_mem_range()),
        lambda: list(memblock.reserved),
        memblock.dump_lines,
    ]
    for use in uses:
        with pytest.raises(BootsimError, match=r"memblock\.reserved is corrupt") as error:
            use()
        assert "\n" not in str(error.value)


def test_an_empty_count_is_survived_where_linux_survives_it() -> None:
    memblock = board()
    memblock.reserve(BASE, PAGE)
    memblock.reserved.cnt = 0
    assert list(memblock.reserved) == []
    assert memblock.reserve(BASE + 2 * PAGE, PAGE) == 0
    assert memblock.reserved == [Region(BASE + 2 * PAGE, PAGE)]


def test_growing_moves_the_array_and_frees_the_one_before() -> None:
    memblock = board()
    memblock.allow_resize()
    static = memblock.reserved.regions
    places = [static]
    for number in range(300):
        assert memblock.reserve(BASE + number * 2 * PAGE, PAGE) == 0
        if memblock.reserved.regions != places[-1]:
            places.append(memblock.reserved.regions)
    # Arrays of 256 and 512 regions: one page, two pages.
    assert places[1:] == [END - PAGE, END - 3 * PAGE]
    assert memblock.reserved[-1] == Region(END - 3 * PAGE, 2 * PAGE)
    assert memblock.reserved.max == 512
    first = memblock.ram.read(memblock.reserved.regions, 24)
    assert first == b"".join(n.to_bytes(4, "little") for n in (BASE, PAGE, 0, BASE + 8192, PAGE, 0))
    assert memblock.reserved_size() == 302 * PAGE


def test_the_new_half_of_an_array_is_zeroed() -> None:
    features = MemblockFeatures(init_regions=4)
    memory = PhysMemory([(BASE, 0x100000)], fill=0xA5)
    at, behind = MemblockAddresses.packed(BASE, features)
    memblock = Memblock(memory, at=at, linear=LinearMap(0, 0), features=features)
    memblock.initialize()
    memblock.add(BASE, 0x100000)
    memblock.reserve(BASE, behind - BASE)
    memblock.allow_resize()
    for number in range(1, 5):
        memblock.reserve(BASE + number * 2 * PAGE, PAGE)
    array = memblock.reserved.regions
    assert memory.read(array + 6 * 12, 2 * 12 + 1) == bytes(2 * 12) + b"\xa5"


def test_a_table_that_may_not_grow_refuses_and_stays() -> None:
    memblock = board()
    for number in range(128):
        assert memblock.reserve(BASE + number * 2 * PAGE, PAGE) == 0
    before = memblock.ram.read(memblock.at.reserved_regions, 128 * 12)
    assert memblock.reserve(END - PAGE, PAGE) == ENOMEM
    assert memblock.reserve(BASE + PAGE, PAGE) == ENOMEM  # though it would only merge
    assert memblock.phys_free(BASE, SIZE) == ENOMEM
    assert memblock.phys_alloc(PAGE, PAGE) == 0
    assert memblock.reserve(BASE, PAGE) == 0  # nothing new
    assert memblock.ram.read(memblock.at.reserved_regions, 128 * 12) == before


def test_physmem_is_a_table_of_its_own() -> None:
    for member in (True, False):
        features = MemblockFeatures(physmem=True, physmem_member=member)
        memblock = board(features)
        assert memblock.physmem_add(BASE, SIZE) == 0
        memblock.remove(BASE, SIZE // 2)
        assert memblock.physmem == [Region(BASE, SIZE)]
        assert list(memblock.for_each_physmem_range("memory")) == [(BASE, BASE + SIZE // 2)]
        assert " physmem.cnt  = 0x1" in memblock.dump_lines()
        at = memblock.at.memblock + 48 if member else memblock.at.physmem
        assert memblock.ram.read_u32(at + 4) == features.init_physmem_regions
    with pytest.raises(BootsimError, match="no memblock type 'physmem'"):
        _ = board().physmem


def test_addresses_of_64_bits() -> None:
    memblock = Memblock.standalone(
        [(0x80000000, 0x1000000)], features=MemblockFeatures(phys_addr_bits=64)
    )
    memblock.add(0x8_00000000, 0x1_00000000)
    assert memblock.end_of_DRAM() == 0x9_00000000
    assert memblock.phys_alloc(0x1_0000, 0x1000) == 0x8_FFFF0000
    assert memblock.dump_lines()[3] == (
        " memory[0x0]\t[0x0000000080000000-0x0000000080ffffff], 0x0000000001000000 bytes flags: 0x0"
    )
    memblock.set_current_limit(0x81000000)
    virt = memblock.alloc(64, 64)
    assert virt == 0x80FFFFC0
    assert memblock.reserved[0] == Region(virt, 64)
    layout = memblock.layout
    raw = memblock.ram.read(memblock.at.reserved_regions, layout.region_size)
    assert layout.region.from_buffer_copy(raw).base == virt


# Blocks.


def test_blocks_are_zeroed_in_ram_and_raw_ones_are_not() -> None:
    memory = PhysMemory([(BASE, 0x100000)], fill=0xA5)
    at, behind = MemblockAddresses.packed(BASE, SIX)
    memblock = Memblock(memory, at=at, linear=LinearMap(BASE, 0x80000000), features=SIX)
    memblock.initialize()
    memblock.add(BASE, 0x100000)
    memblock.reserve(BASE, behind - BASE)
    phys = memblock.linear.virt_to_phys(memblock.alloc(100, 64))
    assert memory.read(phys, 100) == bytes(100)
    assert memory.read(phys + 100, 28) == b"\xa5" * 28
    assert memory.read(phys - 64, 64) == b"\xa5" * 64
    raw = memblock.linear.virt_to_phys(memblock.alloc_raw(100, 64))
    assert memory.read(raw, 128) == b"\xa5" * 128


def test_a_block_where_no_ram_is_leaves_nothing_reserved() -> None:
    memblock = board()
    memblock.add(0xB0000000, 0x10000000)
    with pytest.raises(MemoryAccessError):
        memblock.alloc(64, 64)
    assert memblock.reserved_size() == 0
    assert memblock.phys_alloc(64, 64) == 0xBFFFFFC0


def test_after_the_handover_blocks_come_from_the_page_allocator() -> None:
    memblock = board()
    asked = []

    def late_alloc(size: int, nid: int) -> int:
        asked.append((size, nid))
        return 0x1234000

    memblock.late_alloc = late_alloc
    assert memblock.alloc(64, 64) == memblock.alloc_node(128, 64, 0) == 0x1234000
    assert asked == [(64, NUMA_NO_NODE), (128, 0)]
    assert memblock.reserved_size() == 0
    assert len(memblock.warnings) == 1
    assert "slab_is_available()" in memblock.warnings[0]


class Pages:
    """Takes pages as the page allocator does."""

    def __init__(self) -> None:
        self.free: list[int] = []
        self.reserved: list[tuple[int, int]] = []

    def free_pages_core(self, pfn: int, order: int) -> None:
        assert pfn % (1 << order) == 0
        self.free += range(pfn, pfn + (1 << order))

    def reserve_bootmem_region(self, start: int, end: int) -> None:
        self.reserved.append((start, end))


def test_every_free_page_is_handed_over_once() -> None:
    memblock = board()
    memblock.reserve(BASE + 100, 5 * PAGE)
    memblock.reserve(BASE + 0x123000, 0x456000)
    memblock.mark_nomap(BASE + 0x2000000, 0x100000)
    pages = Pages()
    count = memblock.free_all(END // PAGE, pages)
    held = [(BASE, 6), (BASE + 0x123000, 0x456), (BASE + 0x2000000, 0x100)]
    gone = {pfn for base, size in held for pfn in range(base // PAGE, base // PAGE + size)}
    assert pages.free == [pfn for pfn in range(BASE // PAGE, END // PAGE) if pfn not in gone]
    assert count == len(pages.free)
    assert pages.reserved == [
        (BASE + 100, BASE + 100 + 5 * PAGE),
        (BASE + 0x123000, BASE + 0x579000),
        (BASE + 0x2000000, BASE + 0x2100000),
    ]
    five = board(FIVE)
    five.reserve(BASE, PAGE + 1)
    five.mark_nomap(END - PAGE, PAGE)
    pages = Pages()
    five.free_all(END // PAGE, pages)
    assert pages.reserved == [(BASE, BASE + PAGE)]


# Events and the log.


def test_events_come_before_the_change_and_name_the_caller() -> None:
    trace = Trace()
    memblock = Memblock.standalone(backing=[(BASE, 0x100000)], trace=trace)
    memblock.add(BASE, 0x100000)
    memblock.reserve(BASE, PAGE, caller="arm_memblock_init+0x30/0x160")
    memblock.memblock_debug = True
    memblock.alloc(64, 0x40)
    memblock.mark_nomap(BASE, PAGE)
    me = "test_events_come_before_the_change_and_name_the_caller"
    assert trace.events == [
        MemblockRange("memblock_add", BASE, 0x100000, 0, 1, me, False),
        MemblockRange("memblock_reserve", BASE, PAGE, 0, 1, "arm_memblock_init+0x30/0x160", False),
        MemblockAlloc("memblock_alloc_try_nid", 64, 64, 0, 0, NUMA_NO_NODE, me, True),
        MemblockRange(
            "memblock_reserve", BASE + 0xFFFC0, 64, 0, 1, "memblock_alloc_range_nid", True
        ),
        MemblockRange(
            "memblock_mark_nomap", BASE, PAGE, MemblockFlags.NOMAP, NUMA_NO_NODE, me, True
        ),
    ]
    lines = [memblock_log.format_event(event, SIX) for event in trace]
    assert lines == [
        None,
        None,
        f"memblock_alloc_try_nid: 64 bytes align=0x40 nid=-1 from=0x00000000 "
        f"max_addr=0x00000000 {me}",
        "memblock_reserve: [0x600fffc0-0x600fffff] memblock_alloc_range_nid",
        None,
    ]


def test_growing_and_failing_are_events() -> None:
    trace = Trace()
    memblock = board(MemblockFeatures(init_regions=4), trace=trace)
    memblock.allow_resize()
    memblock.memblock_debug = True
    for number in range(5):
        memblock.reserve(BASE + number * 2 * PAGE, PAGE)
    (resize,) = (event for event in trace if isinstance(event, MemblockResize))
    assert resize == MemblockResize("reserved", 8, END - PAGE, 96, True)
    assert memblock_log.format_event(resize, SIX) == (
        "memblock: reserved is doubled to 8 at [0x9ffff000-0x9ffff05f]"
    )
    stuck = board(MemblockFeatures(init_regions=4), trace=(trace := Trace()))
    for number in range(5):
        stuck.reserve(BASE + number * 2 * PAGE, PAGE)
    failure = trace.events[-1]
    me = "test_growing_and_failing_are_events"
    assert failure == MemblockFailure("memblock_reserve", BASE + 8 * PAGE, PAGE, ENOMEM, me)
    for number in range(1, 4):
        stuck.add(END + number * 2 * PAGE, PAGE)
    assert stuck.mark_nomap(BASE, PAGE) == ENOMEM
    assert trace.events[-2:] == [
        MemblockRange(
            "memblock_mark_nomap", BASE, PAGE, MemblockFlags.NOMAP, NUMA_NO_NODE, me, False
        ),
        MemblockFailure("memblock_mark_nomap", BASE, PAGE, ENOMEM, me),
    ]


def test_the_logs_words_of_both_kernels() -> None:
    me = "test_the_logs_words_of_both_kernels"
    words = {}
    for features in (FIVE, SIX):
        trace = Trace()
        memblock = board(features, trace=trace)
        memblock.memblock_debug = True
        memblock.add_node(END, PAGE, 0, MemblockFlags.HOTPLUG)
        memblock.remove(END, PAGE)
        memblock.reserve(BASE, 0)
        memblock.phys_free(BASE, PAGE)
        memblock.phys_alloc_range(PAGE, PAGE, BASE, END)
        memblock.free_late(BASE, PAGE, Pages())
        lines = (memblock_log.format_event(event, features) for event in trace)
        words[features] = [line for line in lines if line is not None]
    assert words[SIX] == [
        f"memblock_add_node: [0xa0000000-0xa0000fff] nid=0 flags=1 {me}",
        f"memblock_remove: [0xa0000000-0xa0000fff] {me}",
        f"memblock_reserve: [0x60000000-0x5fffffff] {me}",
        f"memblock_phys_free: [0x60000000-0x60000fff] {me}",
        f"memblock_phys_alloc_range: 4096 bytes align=0x1000 from=0x60000000 max_addr=0xa0000000 "
        f"{me}",
        "memblock_reserve: [0x9ffff000-0x9fffffff] memblock_alloc_range_nid",
        f"memblock_free_late: [0x60000000-0x60000fff] {me}",
    ]
    assert words[FIVE] == [
        f"memblock_remove: [0xa0000000-0xa0000fff] {me}",
        f"memblock_reserve: [0x60000000-0x5fffffff] {me}",
        f"   memblock_free: [0x60000000-0x60000fff] {me}",
        "memblock_reserve: [0x9ffff000-0x9fffffff] memblock_alloc_range",
        f"__memblock_free_late: [0x60000000-0x60000fff] {me}",
    ]


def test_the_published_log_of_5_0() -> None:
    """The seed author's boot from the first memblock line on, without the callers' offsets."""
    log = (BISCUITOS / "boot-5.0-memblock-debug.log").read_text().splitlines()
    published = [
        re.sub(r"(\.constprop\.\d+)?\+0x\w+/0x\w+$", "", line)
        for line in log
        if re.match(r"memblock_| \w+\[| \w+\.cnt| memory size|MEMBLOCK", line)
    ]
    trace = Trace()
    memblock = board(FIVE, trace=trace)
    # What the author's driver left: it reset cnt and total_size by hand.
    memblock.reserve(0x64000000, 0x100000)
    memblock.reserved.total_size = 0
    memblock.memblock_debug = True
    trace.events.clear()
    for base, last in (
        (0x60100000, 0x60B90997),
        (0x68000000, 0x69CF6FFF),
        (0x60004000, 0x60007FFF),
        (0x69CF7000, 0x69D02C2D),
    ):
        memblock.reserve(base, last - base + 1, caller="arm_memblock_init")
    memblock.remove(0x4C000000, 0x800000, caller="__fdt_scan_reserved_mem")
    assert memblock.alloc_range(0x1000000, 0x400000, 0, END) == 0x9F000000
    dumped_at = len(trace)
    dump = memblock.dump_all()
    memblock.phys_alloc(40, 4)
    for size in (4096,) * 8 + (8192, 4096, 4096, 4096):
        memblock.phys_alloc(size, size)
    memblock.alloc_node_nopanic(8388608, 0, caller="alloc_node_mem_map")
    memblock.memblock_debug = False
    lines = [memblock_log.format_event(event, FIVE) or "" for event in trace]
    lines = lines[:dumped_at] + dump + lines[dumped_at:]
    lines.append(
        "memblock_alloc_try_nid_nopanic: 128 bytes align=0x40 nid=0 from=0x00000000 "
        "max_addr=0x00000000 setup_usemap"
    )
    assert lines == published


def test_debugfs() -> None:
    published = (BISCUITOS / "debugfs-5.0.txt").read_text()
    memblock = board()
    assert memblock_log.debugfs_lines(memblock.memory, SIX) == ["   0: 0x60000000..0x9fffffff"]
    assert memblock_log.debugfs_lines(memblock.memory, SIX)[0] in published


# Misuse.

integers = st.integers(-(1 << 33), 1 << 33)
anything = st.one_of(integers, st.none(), st.text(max_size=2), st.floats())

FUNCTIONS: dict[str, int] = {
    **dict.fromkeys(["add", "remove", "reserve", "phys_free", "free", "mark_nomap"], 2),
    **dict.fromkeys(["mark_hotplug", "clear_hotplug", "is_region_memory", "cap_memory_range"], 2),
    **dict.fromkeys(["alloc", "alloc_raw", "phys_alloc", "alloc_low", "is_region_reserved"], 2),
    **dict.fromkeys(["set_current_limit", "is_memory", "search_pfn_nid"], 1),
    **dict.fromkeys(["add_node", "phys_alloc_range", "find_in_range"], 4),
    **dict.fromkeys(["alloc_try_nid", "alloc_exact_nid_raw", "alloc_base_nid"], 5),
    **dict.fromkeys(["find_in_range_node", "alloc_range_nid"], 6),
}


@settings(max_examples=300, deadline=None)
@given(function=st.sampled_from(sorted(FUNCTIONS)), data=st.data())
def test_an_error_leaves_the_state_as_it_was(function: str, data: Any) -> None:
    memblock = Memblock.standalone([(BASE, 0x100000)])
    memblock.reserve(BASE + 0x8000, 0x123)
    args = [data.draw(anything) for _ in range(FUNCTIONS[function])]
    before = memblock.ram.read(memblock.at.memblock, 0x1000 - 64)
    try:
        getattr(memblock, function)(*args)
    except BootsimError as error:
        assert "\n" not in str(error)
        assert memblock.ram.read(memblock.at.memblock, 0x1000 - 64) == before


@pytest.mark.parametrize(
    ("misuse", "words"),
    [
        (lambda m: m.reserve(-1, PAGE), "memblock_reserve: base -0x1: expected 0 to 0xffffffff"),
        (lambda m: m.add(BASE, 1 << 32), "memblock_add: size 0x100000000"),
        (lambda m: m.reserve("0x60000000", PAGE), "memblock_reserve: base '0x60000000'"),
        (lambda m: m.phys_alloc(1.5, 64), "memblock_phys_alloc_range: size 1.5"),
        (lambda m: m.alloc(64, -64), "memblock_alloc_try_nid: align -0x40"),
        (lambda m: m.add_node(BASE, PAGE, "0"), "memblock_add_node: nid '0'"),
        (lambda m: m.add_node(BASE, PAGE, 0, -1), "memblock_add_node: flags -0x1"),
        (lambda m: m.set_node(BASE, PAGE, "cache", 0), "no memblock type 'cache'"),
        (lambda m: list(m.each_mem_range("memory", "other")), "no memblock type 'other'"),
        (lambda m: m.set_current_limit(1 << 32), "memblock.current_limit: limit 0x100000000"),
        (lambda m: m.reserved.__class__.cnt.fset(m.reserved, -1), "memblock.reserved.cnt = -1"),
    ],
)
def test_misuse_says_what_was_found_and_what_was_expected(
    misuse: Callable[[Memblock], Any], words: str
) -> None:
    with pytest.raises(BootsimError, match=re.escape(words)):
        misuse(board())


def test_two_memblocks_never_meet() -> None:
    one, other = board(), board()
    one.reserve(BASE, PAGE)
    one.allow_resize()
    one.memblock_debug = True
    assert other.reserved_size() == 0
    assert not other.can_resize
    assert not other.memblock_debug


# Stepping by index, as drivers of Linux 5.0 do it


@pytest.mark.parametrize("exclude", [None, "reserved"])
def test_steps_by_index_give_what_the_iterators_give(exclude: str | None) -> None:
    """
    memory   |####    ########|
    reserved |  ##      ##    |
    """
    memblock = Memblock.standalone([(0x60000000, 0x4000), (0x60008000, 0x8000)])
    memblock.reserve(0x60002000, 0x2000)
    memblock.reserve(0x6000A000, 0x2000)
    for step, first, spans in (
        (memblock.next_mem_range, 0, memblock.each_mem_range),
        (memblock.next_mem_range_rev, ITERATION_END, memblock.each_mem_range_rev),
    ):
        found = []
        idx, start, end, nid = step(first, NUMA_NO_NODE, 0, "memory", exclude)
        while idx != ITERATION_END:
            found.append((start, end, nid))
            idx, start, end, nid = step(idx, NUMA_NO_NODE, 0, "memory", exclude)
        assert found == list(spans("memory", exclude))
        assert len(found) == (2 if exclude is None else 3)


def test_mem_size_counts_whole_pages_below_a_pfn() -> None:
    memblock = Memblock.standalone([(0x60000000, 0x2000), (0x60010000, 0x4000)])
    assert memblock.mem_size(0xFFFFF) == 0x6000
    assert memblock.mem_size(0x60011) == 0x3000
    assert memblock.mem_size(0x60000) == 0


def test_add_range_adds_to_either_table() -> None:
    memblock = Memblock.standalone()
    assert memblock.add_range("memory", 0x60000000, 0x1000, 1) == 0
    assert memblock.add_range("reserved", 0x60000000, 0x800, 1) == 0
    assert memblock.memory == [Region(0x60000000, 0x1000)]
    assert memblock.reserved == [Region(0x60000000, 0x800)]


def test_an_empty_table_shows_its_dummy() -> None:
    assert repr(Memblock.standalone().reserved) == "<memblock.reserved: [0x00000000, empty]>"
