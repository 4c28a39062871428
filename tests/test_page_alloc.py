"""The buddy allocator against naive models of it, and what it says of misuse and damage."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bootsim.kernel.memory import PAGE_SIZE
from bootsim.kernel.mm_debug import PageState
from bootsim.kernel.mm_types import PageAllocError
from bootsim.kernel.mmzone import PageLayout, ZoneSpan
from bootsim.kernel.page_alloc import Gfp, PageAllocator, get_order
from bootsim.trace import BootStopped, PageAlloc, PageFree
from tests.buddy import RAM, Machine, hand_over, machine, small

FIRST = RAM // PAGE_SIZE
PAGES = 4096


@pytest.fixture
def box() -> Machine:
    """4096 pages, all handed over: four blocks of order 10."""
    box = small(PAGES)
    box.allocator.reset_all_zones_managed_pages()
    hand_over(box.allocator, FIRST, FIRST + PAGES)
    return box


def lists_in_ram(box: Machine, zone_index: int = 0) -> list[list[int]]:
    """The pfns on each order's list, walked by bare addresses in both directions and compared.

    Knows only where contig_page_data and the memory map lie, and the layout of the structs.
    """
    allocator, memory = box.allocator, box.memory
    layout, linear = allocator.layout, allocator.linear
    mem_map = box.taken[0]
    zone = layout.pgdat_addr + zone_index * layout.zone_size
    lists = []
    for order in range(layout.max_order):
        head = zone + 36 + 12 * order
        walks = []
        for offset in (0, 4):
            pages, address = [], memory.read_u32(head + offset)
            while (phys := linear.virt_to_phys(address)) != head:
                entry, lru = divmod(phys - mem_map.base, layout.struct_page_size)
                assert lru == 4
                assert memory.read_u32(phys - 4 + 24) == 0xFFFFFF7F
                assert memory.read_u32(phys - 4 + 20) == order
                assert memory.read_u32(phys - 4 + 28) == 0
                pages.append(allocator.mem_map.start_pfn + entry)
                address = memory.read_u32(phys + offset)
            walks.append(pages)
        assert walks[0] == walks[1][::-1]
        assert memory.read_u32(head + 8) == len(walks[0])
        lists.append(walks[0])
    return lists


class NaiveBuddy:
    """mm/page_alloc.c's rules on Python lists: index 0 is a list's head."""

    def __init__(self, max_order: int) -> None:
        self.max_order = max_order
        self.lists: list[list[int]] = [[] for _ in range(max_order)]

    def free(self, pfn: int, order: int, *, to_tail: bool = False) -> None:
        while order < self.max_order - 1 and pfn ^ 1 << order in self.lists[order]:
            self.lists[order].remove(pfn ^ 1 << order)
            pfn &= ~(1 << order)
            order += 1
        if order < self.max_order - 2:
            pair = pfn & ~(1 << order)
            to_tail |= pair ^ 1 << order + 1 in self.lists[order + 1]
        self.lists[order].insert(len(self.lists[order]) if to_tail else 0, pfn)

    def alloc(self, order: int) -> int | None:
        for current in range(order, self.max_order):
            if self.lists[current]:
                pfn = self.lists[current].pop(0)
                for half in range(current - 1, order - 1, -1):
                    self.lists[half].insert(0, pfn + (1 << half))
                return pfn
        return None

    def pages(self) -> set[int]:
        return {
            pfn + i
            for order, pfns in enumerate(self.lists)
            for pfn in pfns
            for i in range(1 << order)
        }


class BuddyMachine(RuleBasedStateMachine):
    """Random handovers, requests and frees: the lists in RAM are those of the naive model."""

    @initialize(
        version=st.sampled_from(["5.0", "6.1"]),
        reserved=st.lists(
            st.tuples(st.integers(0, PAGES - 1), st.integers(1, 300)), min_size=1, max_size=5
        ),
    )
    def handover(self, version: str, reserved: list[tuple[int, int]]) -> None:
        self.box = small(PAGES, version=version)
        self.allocator = self.box.allocator
        self.naive = NaiveBuddy(self.allocator.max_order)
        self.allocator.reset_all_zones_managed_pages()
        self.reserved = {
            FIRST + start + i for start, n in reserved for i in range(n) if start + i < PAGES
        }
        for pfn in self.reserved:
            self.allocator.reserve_bootmem_region(pfn * PAGE_SIZE, (pfn + 1) * PAGE_SIZE)
        for start, end in self._free_ranges():
            hand_over(self.allocator, start, end)
        for event in self.box.trace:
            assert isinstance(event, PageFree)
            self.naive.free(event.pfn, event.order, to_tail=version == "6.1")
        self.taken: dict[int, int] = {}

    def _free_ranges(self) -> Iterator[tuple[int, int]]:
        edges = [FIRST - 1, *sorted(self.reserved), FIRST + PAGES]
        for low, high in pairwise(edges):
            if low + 1 < high:
                yield low + 1, high

    @rule(order=st.integers(0, 10))
    def alloc(self, order: int) -> None:
        pfn = self.allocator.alloc_pages(order)
        assert pfn == self.naive.alloc(order)
        if pfn is not None:
            self.taken[pfn] = order

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        pfn = data.draw(st.sampled_from(sorted(self.taken)))
        order = self.taken.pop(pfn)
        self.allocator.free_pages(pfn, order)
        self.naive.free(pfn, order)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def free_in_parts(self, data: st.DataObject) -> None:
        pfn = data.draw(st.sampled_from(sorted(self.taken)))
        order = self.taken.pop(pfn)
        self.allocator.split_page(pfn, order)
        if order > 4:
            self.taken |= {pfn + i: 0 for i in range(1 << order)}
            return
        parts = list(range(pfn, pfn + (1 << order)))
        random.Random(pfn).shuffle(parts)
        for part in parts:
            self.allocator.free_pages(part, 0)
            self.naive.free(part, 0)

    @invariant()
    def lists_agree(self) -> None:
        assert lists_in_ram(self.box) == self.naive.lists
        assert [list(pfns) for pfns in self.naive.lists] == self._walked()

    def _walked(self) -> list[list[int]]:
        lists: list[list[int]] = [[] for _ in range(self.allocator.max_order)]
        for block in self.allocator.free_blocks():
            lists[block.order].append(block.pfn)
        return lists

    @invariant()
    def every_page_is_somewhere_once(self) -> None:
        states = self.allocator.page_states()
        free = self.naive.pages()
        taken = {pfn + i for pfn, order in self.taken.items() for i in range(1 << order)}
        owners = {PageState.FREE: free, PageState.RESERVED: self.reserved}
        assert len(free) + len(taken) + len(self.reserved) == PAGES
        assert self.allocator.nr_free_pages() == len(free)
        for state, pages in (owners | {PageState.ALLOCATED: taken}).items():
            assert {FIRST + i for i, found in enumerate(states) if found == state} == pages

    @invariant()
    def buddies_are_joined(self) -> None:
        for order, pfns in enumerate(self.naive.lists[:-1]):
            assert not {pfn ^ 1 << order for pfn in pfns} & set(pfns)


TestBuddyMachine = BuddyMachine.TestCase
TestBuddyMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_splitting_leaves_the_upper_halves(box: Machine) -> None:
    """One page out of order 10: the first; a block of each lower order stays, the lowest first.

    0   1   2      4              512                     1024
    |XXX|___|______|____ ... _____|_______________________|
     taken 0   1     2                     9
    """
    top = lists_in_ram(box)[10][0]
    assert box.allocator.alloc_pages(0) == top
    lists = lists_in_ram(box)
    assert [pfns[:1] for pfns in lists[:10]] == [[top + (1 << order)] for order in range(10)]
    box.allocator.free_pages(top, 0)
    assert [len(pfns) for pfns in lists_in_ram(box)] == [0] * 10 + [4]


def test_blocks_at_boot_go_to_head_or_tail() -> None:
    """5.0 puts what memblock hands over at the lists' heads, 6.1 at their tails."""
    for version, order in (("5.0", [0x60C00, 0x60800, 0x60400, 0x60000]), ("6.1", [])):
        box = small(8192, version=version)
        hand_over(box.allocator, FIRST, FIRST + PAGES)
        expected = order or [0x60000, 0x60800]
        assert lists_in_ram(box)[box.allocator.max_order - 1] == expected


def test_a_page_about_to_be_joined_waits_at_the_tail(box: Machine) -> None:
    """Pages 0-7 taken one by one. 6-7 come free, then 4: its buddy 5 missing, with 6-7 next to
    them, so that 4 goes to the tail; 0, with nothing free beside it, to the head."""
    pages = [box.allocator.alloc_pages(0) for _ in range(8)]
    base = pages[0]
    assert base is not None
    assert pages == list(range(base, base + 8))
    for page in (6, 7, 2, 4, 0):
        box.allocator.free_pages(base + page, 0)
    lists = lists_in_ram(box)
    assert lists[1] == [base + 6]
    assert lists[0] == [base, base + 2, base + 4]


def test_what_a_taken_block_looks_like(box: Machine) -> None:
    """The first page is referenced once, the others not; list_del() left its poison."""
    pfn = box.allocator.alloc_pages(2)
    assert pfn is not None
    first, second = box.allocator.page(pfn), box.allocator.page(pfn + 1)
    assert (first.struct.refcount, second.struct.refcount) == (1, 0)
    assert (first.struct.page_type, first.struct.private) == (0xFFFFFFFF, 0)
    assert (first.struct.lru.next, first.struct.lru.prev) == (0x100, 0x200)
    assert first.state == second.state == PageState.ALLOCATED
    assert first.order is None
    assert first.address == box.allocator.pfn_to_page(pfn)


def test_what_a_free_block_looks_like(box: Machine) -> None:
    head, inside = box.allocator.page(FIRST), box.allocator.page(FIRST + 5)
    assert (head.order, inside.order) == (10, None)
    assert head.block == inside.block == ("Normal", 10, FIRST)
    assert (head.state, head.zone, head.node) == (PageState.FREE, "Normal", 0)


@settings(max_examples=12, deadline=None)
@given(
    ranges=st.lists(st.tuples(st.integers(0, 900), st.integers(1, 1200)), min_size=1, max_size=4),
    version=st.sampled_from(["5.0", "6.1"]),
)
def test_highmem_block_by_block_is_page_by_page(
    ranges: list[tuple[int, int]], version: str
) -> None:
    """free_highpages() leaves every byte that freeing the pages one at a time does."""
    fast, slow = small(PAGES, version=version), small(PAGES, version=version)
    pfn = FIRST
    for gap, length in ranges:
        start, end = min(pfn + gap, FIRST + PAGES), min(pfn + gap + length, FIRST + PAGES)
        fast.allocator.free_highpages(start, end)
        for page in range(start, end):
            slow.allocator.free_highpages(page, page + 1)
        pfn = end
    for bank in (0, 1):
        assert fast.memory.banks[bank].view == slow.memory.banks[bank].view
    assert lists_in_ram(fast) == lists_in_ram(slow)


def test_one_page_at_a_time_in_5_0_is_boot_free_of_order_0() -> None:
    """The single page that the test above builds on is __free_page() of a page like any other."""
    high, boot = small(), small()
    for page in (FIRST + 1, FIRST, FIRST + 2, FIRST + 7):
        high.allocator.free_highpages(page, page + 1)
        boot.allocator.free_pages_core(page, 0)
    assert high.memory.banks[1].view == boot.memory.banks[1].view


def zoned(*names: str) -> Machine:
    """A machine with the zones `names` of 1024 pages each, all handed over."""
    area = RAM + 0x10000000
    spans = [
        ZoneSpan(name, FIRST + 1024 * i, FIRST + 1024 * (i + 1)) for i, name in enumerate(names)
    ]
    box = machine(
        [(RAM, 1024 * len(names) * PAGE_SIZE), (area, 0x400000)],
        PageLayout.linux_5_0(area),
        spans,
        places=[area + 0x10000] + [area + 0x8000 + 0x100 * i for i in range(len(names))],
    )
    box.allocator.reset_all_zones_managed_pages()
    for span in spans:
        hand_over(box.allocator, span.start_pfn, span.end_pfn)
    return box


@pytest.mark.parametrize(
    ("zones", "gfp", "order"),
    [
        (("DMA", "Normal", "HighMem", "Movable"), Gfp.KERNEL, ["Normal", "DMA"]),
        (("DMA", "Normal", "HighMem"), Gfp.HIGHUSER, ["HighMem", "Normal", "DMA"]),
        (
            ("DMA", "Normal", "HighMem", "Movable"),
            Gfp.HIGHUSER_MOVABLE,
            ["Movable", "HighMem", "Normal", "DMA"],
        ),
        (("DMA", "Normal"), Gfp.DMA, ["DMA"]),
        (("Normal", "HighMem"), Gfp.DMA, ["Normal"]),
        (("Normal",), Gfp.HIGHUSER, ["Normal"]),
        (("DMA", "HighMem"), Gfp.KERNEL, ["DMA"]),
    ],
)
def test_zones_a_request_falls_back_to(zones: tuple[str, ...], gfp: Gfp, order: list[str]) -> None:
    """Best zone first, then those below (include/linux/gfp.h, GFP_ZONE_TABLE)."""
    box = zoned(*zones)
    box.trace.events.clear()
    while box.allocator.alloc_pages(10, gfp) is not None:
        pass
    assert [event.zone for event in box.trace if isinstance(event, PageAlloc)] == order


def test_blocks_do_not_join_across_zones() -> None:
    area = RAM + 0x10000000
    spans = [ZoneSpan("Normal", FIRST, FIRST + 512), ZoneSpan("HighMem", FIRST + 512, FIRST + 1024)]
    box = machine(
        [(RAM, 0x400000), (area, 0x400000)],
        PageLayout.linux_5_0(area),
        spans,
        places=[area + 0x10000, area + 0x8000, area + 0x8100],
    )
    hand_over(box.allocator, FIRST, FIRST + 512)
    hand_over(box.allocator, FIRST + 512, FIRST + 1024)
    assert list(box.allocator.free_blocks()) == [
        ("Normal", 9, FIRST),
        ("HighMem", 9, FIRST + 512),
    ]
    with pytest.raises(PageAllocError, match="not all RAM of zone Normal"):
        box.allocator.free_pages(FIRST, 10)


def test_page_0_is_a_page() -> None:
    """RAM from address 0: pfn 0 can be taken, and is told from there being none."""
    box = machine([(0, 0x800000)], PageLayout.linux_5_0(0x700000), [ZoneSpan("Normal", 0, 1024)])
    hand_over(box.allocator, 0, 1)
    assert box.allocator.alloc_pages(0) == 0
    assert box.allocator.alloc_pages(0) is None
    box.allocator.free_pages(0, 0)
    box.allocator.free_highpages(1, 4)
    assert [tuple(block) for block in box.allocator.free_blocks()] == [("Normal", 2, 0)]


@pytest.mark.parametrize(
    ("size", "order"),
    [(0, 0), (1, 0), (4096, 0), (4097, 1), (8192, 1), (8193, 2), (1 << 22, 10), (2**22 + 1, 11)],
)
def test_get_order(size: int, order: int) -> None:
    assert get_order(size) == order


def test_late_alloc_is_zeroed() -> None:
    box = small(PAGES)
    box.memory.fill(RAM, PAGES * PAGE_SIZE, 0xA5)
    hand_over(box.allocator, FIRST, FIRST + PAGES)
    virt = box.allocator.late_alloc(5000, -1)
    phys = box.allocator.linear.virt_to_phys(virt)
    assert box.memory.read(phys, 8192) == bytes(8192)
    assert box.memory.read(phys + 8192, 4096) == b"\xa5" * 4096
    assert box.allocator.late_alloc(0, -1) == 16
    assert box.allocator.late_alloc((4 << 20) + 1, -1) == 0
    event = box.trace[len(box.trace) - 1]
    assert event == PageAlloc(phys // PAGE_SIZE, 1, "Normal", "memblock_alloc_internal")
    while box.allocator.late_alloc(4 << 20, -1):
        pass
    assert box.allocator.nr_free_pages() == 1024 - 2


@pytest.mark.parametrize("version", ["5.0", "6.1"])
def test_alloc_pages_exact(version: str) -> None:
    """Five pages out of eight: the last three are free again, and all can come back."""
    box = small(PAGES, version=version)
    hand_over(box.allocator, FIRST, FIRST + PAGES)
    before = lists_in_ram(box)
    virt = box.allocator.alloc_pages_exact(5 * PAGE_SIZE - 1)
    pfn = box.allocator.linear.virt_to_phys(virt) // PAGE_SIZE
    assert box.allocator.nr_free_pages() == PAGES - 5
    lists = lists_in_ram(box)
    assert (lists[0], lists[1]) == ([pfn + 5], [pfn + 6])
    box.allocator.free_pages_exact(virt, 5 * PAGE_SIZE - 1)
    assert [len(pfns) for pfns in lists_in_ram(box)] == [len(pfns) for pfns in before]


def test_events(box: Machine) -> None:
    box.trace.events.clear()
    pfn = box.allocator.alloc_pages(3, caller="start_kernel")
    assert pfn is not None
    box.allocator.free_pages(pfn, 3, caller="driver")
    assert list(box.trace) == [
        PageAlloc(pfn, 3, "Normal", "start_kernel"),
        PageFree(pfn, 3, "Normal", "driver"),
    ]


def test_a_boot_that_stops_has_not_done_the_next_thing() -> None:
    """Stopped at an event, RAM is as that event left it: the one after has not begun."""
    box = small(PAGES, until=2)
    for pfn in (FIRST, FIRST + 1024, FIRST + 2048):
        box.allocator.free_pages_core(pfn, 10)
    before = box.memory.read(RAM + 0x10000000, 0x400000)
    with pytest.raises(BootStopped):
        box.allocator.free_pages_core(FIRST + 3072, 10)
    with pytest.raises(BootStopped):
        box.allocator.alloc_pages(0)
    assert box.memory.read(RAM + 0x10000000, 0x400000) == before


# Misuse: one line that says what was asked and what is.


@pytest.mark.parametrize(
    ("pfn", "order", "message"),
    [
        (FIRST, -1, r"order -1: expected 0 to 10"),
        (FIRST, 11, r"order 11: expected 0 to 10"),
        (FIRST + 1, 1, r"pfn 0x60001 freed as order 1: not aligned to 2"),
        (FIRST - 1, 0, r"pfn 0x5ffff is not RAM: the zones are Normal 0x60000-0x60fff"),
        (FIRST + PAGES, 0, r"pfn 0x61000 is not RAM"),
        (-1, 0, r"is not RAM"),
        (1 << 40, 0, r"is not RAM"),
    ],
)
def test_bad_order_and_bad_pfn(box: Machine, pfn: int, order: int, message: str) -> None:
    with pytest.raises(PageAllocError, match=message):
        box.allocator.free_pages(pfn, order)
    if 0 <= order <= 10:
        with pytest.raises(PageAllocError):
            box.allocator.free_pages_core(pfn, order)
    else:
        with pytest.raises(PageAllocError, match="expected 0 to 10"):
            box.allocator.alloc_pages(order)


def taken_pages(box: Machine) -> int:
    pfn = box.allocator.alloc_pages(3)
    assert pfn is not None
    return pfn


def test_double_free(box: Machine) -> None:
    pfn = taken_pages(box)
    box.allocator.free_pages(pfn, 3)
    with pytest.raises(PageAllocError, match=rf"double free of pfn {pfn:#x}.*block of order 10"):
        box.allocator.free_pages(pfn, 3)
    with pytest.raises(PageAllocError, match=rf"pfn {pfn + 1:#x} is free already"):
        box.allocator.free_pages(pfn + 1, 0)


def test_handed_over_twice(box: Machine) -> None:
    with pytest.raises(PageAllocError, match="double free"):
        box.allocator.free_pages_core(FIRST + 8, 3)


def test_freeing_the_middle_of_a_block(box: Machine) -> None:
    pfn = taken_pages(box)
    with pytest.raises(PageAllocError, match="has _refcount 0"):
        box.allocator.free_pages(pfn + 4, 2)


def test_freeing_more_than_was_taken(box: Machine) -> None:
    """Order 4 where order 3 was taken: the other half is free, or somebody else's."""
    pfn = taken_pages(box)
    with pytest.raises(PageAllocError, match="is free already, in the block of order 3"):
        box.allocator.free_pages(pfn, 4)
    assert box.allocator.alloc_pages(3) == pfn + 8
    with pytest.raises(PageAllocError, match="nonzero _refcount"):
        box.allocator.free_pages(pfn, 4)


def test_freeing_less_than_was_taken_leaks(box: Machine) -> None:
    """Linux cannot tell either: the rest stays taken."""
    pfn = taken_pages(box)
    box.allocator.free_pages(pfn, 2)
    assert box.allocator.nr_free_pages() == PAGES - 4


def test_freeing_reserved_pages() -> None:
    box = small(PAGES)
    box.allocator.reserve_bootmem_region(RAM, RAM + PAGE_SIZE)
    with pytest.raises(PageAllocError, match=r"Bad page state  pfn:60000: .* set: reserved"):
        box.allocator.free_pages(FIRST, 0)


@pytest.mark.parametrize(
    ("word", "value", "message"),
    [
        (0, 1 << 9, "PAGE_FLAGS_CHECK_AT_FREE flag.* slab"),
        (0, 1 << 31, "name another zone|not all RAM of zone Movable"),
        (3, 0x80001000, "non-NULL mapping"),
        (6, 0, "nonzero mapcount"),
    ],
)
@pytest.mark.parametrize("page", [0, 3])
def test_bad_page_state(box: Machine, word: int, value: int, message: str, page: int) -> None:
    """What guest code left in a struct page shows when the page is freed."""
    pfn = taken_pages(box)
    address = box.allocator.linear.virt_to_phys(box.allocator.pfn_to_page(pfn + page))
    box.memory.write_u32(address + 4 * word, value)
    with pytest.raises(PageAllocError, match=message):
        box.allocator.free_pages(pfn, 3)


def test_harmless_flags_are_cleared(box: Machine) -> None:
    """A page that was written to and looked at (dirty, referenced) may be freed."""
    pfn = taken_pages(box)
    box.allocator.page(pfn + 1).struct.flags |= 0b1010
    box.allocator.free_pages(pfn, 3)
    assert not box.allocator.page(pfn + 1).flags


def test_a_free_page_that_was_written_to_is_not_handed_out(box: Machine) -> None:
    pfn = lists_in_ram(box)[10][0]
    box.allocator.page(pfn + 2).struct.refcount = 7
    with pytest.raises(PageAllocError, match="nonzero _refcount"):
        box.allocator.alloc_pages(2)


@settings(max_examples=150, deadline=None)
@given(
    damage=st.lists(
        st.tuples(
            st.sampled_from(["zone", "page"]),
            st.integers(0, 60),
            st.integers(0, 7),
            st.one_of(
                st.integers(0, 0xFFFFFFFF),
                st.sampled_from(
                    [0, 0xFFFFFFFF, 0x100, 0x80000000, 0x90010004, 0x90010024, 0x90000024]
                ),
            ),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_damage_is_an_error_never_a_hang(damage: list[tuple[str, int, int, int]]) -> None:
    """A guest writes anywhere in zones and struct pages: each call ends, at worst in one line."""
    box = small(64)
    allocator = box.allocator
    hand_over(allocator, FIRST, FIRST + 64)
    pfns = [pfn for _ in range(9) if (pfn := allocator.alloc_pages(0)) is not None]
    for what, index, word, value in damage:
        base = allocator.layout.pgdat_addr if what == "zone" else box.taken[0].base + 32 * index
        offset = index % 51 if what == "zone" else word
        box.memory.write_u32(base + 4 * offset, value)
    calls: list[Callable[[], object]] = [
        allocator.page_states,
        lambda: list(allocator.free_blocks()),
        *(partial(allocator.free_pages, pfn, 0) for pfn in pfns),
        *(partial(allocator.alloc_pages, order) for order in (0, 1, 3, 0)),
        *(partial(allocator.page, pfn) for pfn in range(FIRST, FIRST + 64)),
    ]
    for call in calls:
        with contextlib.suppress(PageAllocError):
            call()


def test_a_list_that_never_ends(box: Machine) -> None:
    """Two blocks that point at each other."""
    top = lists_in_ram(box)[10]
    first, second = (box.allocator.page(pfn).struct for pfn in top[:2])
    second.lru.next = box.allocator.pfn_to_page(top[0]) + 4
    first.lru.prev = box.allocator.pfn_to_page(top[1]) + 4
    with pytest.raises(PageAllocError, match="order 10"):
        list(box.allocator.free_blocks())


def test_the_allocator_sees_what_is_in_ram(box: Machine) -> None:
    """RAM is the truth: a counter that guest code changes is what the allocator reports."""
    zone = box.allocator.layout.pgdat_addr
    box.memory.write_u32(zone + 8 * 4, 77)
    assert box.allocator.nr_free_pages() == 77


def test_two_machines_never_meet() -> None:
    one, two = small(), small()
    hand_over(one.allocator, FIRST, FIRST + PAGES)
    assert two.allocator.nr_free_pages() == 0
    assert isinstance(two.allocator, PageAllocator)
    assert two.allocator.alloc_pages(0) is None
