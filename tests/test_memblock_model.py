"""memblock against simpler descriptions of it: sets of pages, and Linux's walk of whole tables."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bootsim.errors import BootsimError
from bootsim.kernel.memblock import NUMA_NO_NODE, Memblock, MemblockFeatures, MemblockFlags

PAGE = 4096
FIRST, PAGES = 0x60000, 48  # the pages that are played with: pfns
END = FIRST + PAGES + 12
RAM = (FIRST * PAGE, (END - FIRST) * PAGE)

pfns = st.integers(FIRST, FIRST + PAGES - 1)
counts = st.integers(0, 12)


class PagesMachine(RuleBasedStateMachine):
    """Memory is a dictionary from pfn to flags, what is reserved is a set of pfns."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: dict[int, int] = {}
        self.reserved: set[int] = set()
        self.limit = 1 << 20
        self.upward = False

    @initialize(start=pfns, count=st.integers(1, PAGES))
    def boot(self, start: int, count: int) -> None:
        self.memblock = Memblock.standalone(backing=[RAM])
        self.add(start, min(count, FIRST + PAGES - start))

    def pages(self, start: int, count: int) -> range:
        return range(start, start + count)

    @rule(start=pfns, count=counts)
    def add(self, start: int, count: int) -> None:
        assert self.memblock.add(start * PAGE, count * PAGE) == 0
        for pfn in self.pages(start, count):
            self.memory.setdefault(pfn, 0)

    @rule(start=pfns, count=counts, flags=st.sampled_from([0, 1, 4]))
    def add_node(self, start: int, count: int, flags: int) -> None:
        assert self.memblock.add_node(start * PAGE, count * PAGE, 0, flags) == 0
        for pfn in self.pages(start, count):
            self.memory.setdefault(pfn, flags)

    @rule(start=pfns, count=counts)
    def remove(self, start: int, count: int) -> None:
        assert self.memblock.remove(start * PAGE, count * PAGE) == 0
        for pfn in self.pages(start, count):
            self.memory.pop(pfn, None)

    @rule(start=pfns, count=counts)
    def reserve(self, start: int, count: int) -> None:
        assert self.memblock.reserve(start * PAGE, count * PAGE) == 0
        self.reserved |= set(self.pages(start, count))

    @rule(start=pfns, count=counts)
    def free(self, start: int, count: int) -> None:
        assert self.memblock.phys_free(start * PAGE, count * PAGE) == 0
        self.reserved -= set(self.pages(start, count))

    @rule(start=pfns, count=counts, flag=st.sampled_from(["hotplug", "nomap"]))
    def mark(self, start: int, count: int, flag: str) -> None:
        assert getattr(self.memblock, f"mark_{flag}")(start * PAGE, count * PAGE) == 0
        for pfn in self.pages(start, count):
            if pfn in self.memory:
                self.memory[pfn] |= MemblockFlags[flag.upper()]

    @rule(start=pfns, count=counts, flag=st.sampled_from(["hotplug", "nomap"]))
    def clear(self, start: int, count: int, flag: str) -> None:
        assert getattr(self.memblock, f"clear_{flag}")(start * PAGE, count * PAGE) == 0
        for pfn in self.pages(start, count):
            if pfn in self.memory:
                self.memory[pfn] &= ~MemblockFlags[flag.upper()]

    @rule(upward=st.booleans())
    def set_bottom_up(self, upward: bool) -> None:
        self.memblock.set_bottom_up(upward)
        self.upward = upward

    @rule(limit=st.integers(FIRST, FIRST + PAGES))
    def set_current_limit(self, limit: int) -> None:
        self.memblock.set_current_limit(limit * PAGE)
        self.limit = limit

    @rule(count=st.integers(1, 6), order=st.integers(0, 3))
    def alloc(self, count: int, order: int) -> None:
        fits = [
            start
            for start in range(FIRST, END)
            if start % (1 << order) == 0
            and start + count <= self.limit
            and self.is_free(start, count)
        ]
        expected = (min(fits) if self.upward else max(fits)) if fits else 0
        assert self.memblock.phys_alloc(count * PAGE, PAGE << order) == expected * PAGE
        if fits:
            self.reserved |= set(self.pages(expected, count))

    def is_free(self, start: int, count: int) -> bool:
        """Whether all the pages are usable, free, and of one region: of the same flags."""
        flags = {self.memory.get(pfn, MemblockFlags.NOMAP) for pfn in self.pages(start, count)}
        return (
            len(flags) == 1
            and not flags.pop() & MemblockFlags.NOMAP
            and self.reserved.isdisjoint(self.pages(start, count))
        )

    @precondition(lambda self: self.reserved)
    @rule(data=st.data())
    def is_reserved(self, data: Any) -> None:
        pfn = data.draw(pfns)
        assert self.memblock.is_reserved(pfn * PAGE + 17) == (pfn in self.reserved)
        assert self.memblock.is_memory(pfn * PAGE) == (pfn in self.memory)
        assert self.memblock.is_region_reserved(pfn * PAGE, 3 * PAGE) == bool(
            self.reserved & set(self.pages(pfn, 3))
        )

    @invariant()
    def tables_are_sorted_disjoint_merged_and_counted(self) -> None:
        for table in (self.memblock.memory, self.memblock.reserved):
            assert table.total_size == sum(region.size for region in table)
            assert table.cnt == 1 or all(region.size for region in table)
            for low, high in pairwise(table):
                assert low.end <= high.base
                assert low.end < high.base or low.flags != high.flags

    @invariant()
    def tables_hold_the_same_pages(self) -> None:
        held = {
            pfn: region.flags
            for region in self.memblock.memory
            for pfn in range(region.base // PAGE, region.end // PAGE)
        }
        assert held == self.memory
        assert pages_of(self.memblock.for_each_reserved_mem_range()) == self.reserved

    @invariant()
    def iterators_agree_both_ways(self) -> None:
        free = list(self.memblock.for_each_free_mem_range())
        assert free == list(self.memblock.for_each_free_mem_range_reverse())[::-1]
        usable = {pfn for pfn, flags in self.memory.items() if not flags & MemblockFlags.NOMAP}
        assert pages_of((start, end) for start, end, _nid in free) == usable - self.reserved
        memory = list(self.memblock.for_each_mem_range())
        assert memory == list(self.memblock.for_each_mem_range_rev())[::-1]
        assert pages_of(memory) == usable


def pages_of(spans: Any) -> set[int]:
    return {pfn for start, end in spans for pfn in range(start // PAGE, end // PAGE)}


TestPages = PagesMachine.TestCase
TestPages.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)


# Any table against Linux's walk: the same operations on two memblocks, one of which never trusts
# its tables to be in order.

LOW = 0x60000000
addresses = st.integers(LOW, LOW + 0x4000) | st.sampled_from([0, 1, 0xFFFFF000, 0xFFFFFFFF])
sizes = st.integers(0, 0x1800) | st.sampled_from([0xFFFFFFFF, 0x80000000])
aligns = st.sampled_from([0, 1, 4, 64, 0x100, 0x1000, 3, 0x80000000])
nodes = st.sampled_from([NUMA_NO_NODE, 0, 1, 16])
flag_sets = st.sampled_from([0, 1, 2, 4, 8])

operations = st.one_of(
    st.tuples(
        st.sampled_from(["add", "remove", "reserve", "phys_free", "mark_hotplug", "clear_hotplug"]),
        addresses,
        sizes,
    ),
    st.tuples(st.sampled_from(["mark_mirror", "mark_nomap", "clear_nomap"]), addresses, sizes),
    st.tuples(st.just("add_node"), addresses, sizes, nodes, flag_sets),
    st.tuples(
        st.just("set_node"), addresses, sizes, st.sampled_from(["memory", "reserved"]), nodes
    ),
    st.tuples(st.just("cap_memory_range"), addresses, sizes),
    st.tuples(st.just("enforce_memory_limit"), sizes),
    st.tuples(st.just("trim_memory"), aligns),
    st.tuples(st.just("set_bottom_up"), st.booleans()),
    st.tuples(st.just("phys_alloc"), sizes, aligns),
    st.tuples(st.just("phys_alloc_range"), sizes, aligns, addresses, addresses),
    st.tuples(st.just("find_in_range_node"), sizes, aligns, addresses, addresses, nodes, flag_sets),
    st.tuples(st.just("is_region_reserved"), addresses, sizes),
    st.tuples(st.just("is_memory"), addresses),
    st.tuples(
        st.just("poke"),
        st.sampled_from(["memory", "reserved"]),
        st.integers(0, 7),
        st.sampled_from(["base", "size", "flags"]),
        st.integers(LOW, LOW + 0x4000) | st.integers(0, 8),
    ),
)


def poke(memblock: Memblock, table: str, index: int, field: str, value: int) -> None:
    """Write into a region as a driver does: with no word to memblock."""
    offset = getattr(memblock.layout.region, field).offset
    phys = memblock.linear.virt_to_phys(memblock.table(table).regions)
    memblock.ram.write_u32(phys + index * memblock.layout.region_size + offset, value)


def outcome(memblock: Memblock, operation: tuple[Any, ...]) -> Any:
    name, *args = operation
    try:
        return poke(memblock, *args) if name == "poke" else getattr(memblock, name)(*args)
    except BootsimError as error:
        return str(error)


@pytest.mark.parametrize("numa", [False, True])
@settings(max_examples=300, deadline=None)
@given(steps=st.lists(operations, min_size=8, max_size=40), resize=st.booleans())
def test_the_short_ways_give_what_walking_the_tables_gives(
    numa: bool, steps: list[tuple[Any, ...]], resize: bool
) -> None:
    features = MemblockFeatures(
        numa=numa, max_numnodes=16 if numa else 1, mirrored_kernelcore=True, init_regions=8
    )
    backing = [(LOW, 0x8000)]
    quick, walking = (
        Memblock.standalone([(0x70000000, 0x10000)], backing=backing, features=features)
        for _ in range(2)
    )
    for memblock in (quick, walking):
        if resize:
            memblock.allow_resize()
    for table in (walking.memory, walking.reserved):
        table._is_canonical = lambda: False  # type: ignore[method-assign]
        table.forget()
    for step in steps:
        result = outcome(quick, step)
        assert result == outcome(walking, step), step
        if isinstance(result, str):
            break
        for one, other in zip(quick._tables.values(), walking._tables.values(), strict=True):
            assert list(one) == list(other), step
            assert (one.total_size, one.max) == (other.total_size, other.max), step
        assert list(quick.for_each_free_mem_range()) == list(walking.for_each_free_mem_range())


gap_operations = st.one_of(
    st.tuples(st.just("phys_alloc"), st.integers(1, 5), st.sampled_from([1, 2, 4])),
    st.tuples(st.just("phys_free"), st.integers(0, 199), st.integers(1, 9)),
    st.tuples(st.just("reserve"), st.integers(0, 199), st.integers(1, 3)),
    st.tuples(st.just("set_bottom_up"), st.booleans()),
    st.tuples(st.just("set_current_limit"), st.integers(50, 200)),
)


@settings(max_examples=60, deadline=None)
@given(
    reserved=st.lists(st.booleans(), min_size=200, max_size=200),
    steps=st.lists(gap_operations, min_size=5, max_size=30),
)
def test_a_search_remembered_finds_what_a_new_one_finds(
    reserved: list[bool], steps: list[tuple[Any, ...]]
) -> None:
    """Pages of which about half are taken, so that a search passes many gaps."""
    remembering = Memblock.standalone([(LOW, 200 * PAGE)])
    forgetful = Memblock.standalone([(LOW, 200 * PAGE)])
    for memblock in (remembering, forgetful):
        for page in (page for page, taken in enumerate(reserved) if taken):
            memblock.reserve(LOW + page * PAGE, PAGE)
    for name, *numbers in steps:
        args = numbers
        if name != "set_bottom_up":
            args = [number * PAGE for number in numbers]
        if name in ("phys_free", "reserve", "set_current_limit"):
            args[0] += LOW
        forgetful.reserved.forget()
        assert getattr(remembering, name)(*args) == getattr(forgetful, name)(*args), (name, args)
