"""memblock, the allocator of early boot: mm/memblock.c of Linux 5.0 and 6.1, on emulated RAM.

`Memblock` works on a struct memblock that lies in RAM where the kernel image has it. Its methods
are the kernel's functions without the prefix `memblock_`, with the same arguments in the same
order; addresses and sizes are bytes. What differs between kernels is in `MemblockFeatures`.

    >>> mb = Memblock.standalone([(0x60000000, 0x40000000)])
    >>> hex(mb.phys_alloc(0x100000, 0x1000))
    '0x9ff00000'
    >>> mb.reserved
    <memblock.reserved: [0x9ff00000-0x9fffffff]>

The class is built in layers: memblock_state, memblock_query, memblock_iter, memblock_ranges,
memblock_alloc, and here what cuts memory down and what hands it over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from bootsim.errors import BootsimError
from bootsim.kernel import memblock_log
from bootsim.kernel import memblock_stepwise as stepwise
from bootsim.kernel.memblock_alloc import MemblockAllocation
from bootsim.kernel.memblock_features import (
    MEMBLOCK_ALLOC_ACCESSIBLE,
    MEMBLOCK_ALLOC_NOLEAKTRACE,
    MEMBLOCK_LOW_LIMIT,
    NUMA_NO_NODE,
    MemblockFeatures,
    MemblockFlags,
)
from bootsim.kernel.memblock_state import KERN_WARNING, MemblockAddresses
from bootsim.kernel.memblock_type import MemblockType, Region
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE, LinearMap
from bootsim.machine.memory import PhysMemory
from bootsim.trace import Trace

__all__ = [
    "MEMBLOCK_ALLOC_ACCESSIBLE",
    "MEMBLOCK_ALLOC_NOLEAKTRACE",
    "MEMBLOCK_LOW_LIMIT",
    "NUMA_NO_NODE",
    "Memblock",
    "MemblockAddresses",
    "MemblockFeatures",
    "MemblockFlags",
    "MemblockType",
    "PageSink",
    "Region",
]


class PageSink(Protocol):
    """Who takes memblock's pages when the page allocator takes over (mm/page_alloc.c)."""

    def free_pages_core(self, pfn: int, order: int) -> None:
        """2**order free pages at `pfn` (memblock_free_pages, __free_pages_core)."""

    def reserve_bootmem_region(self, start: int, end: int) -> None:
        """Pages that bytes [start, end) touch are reserved."""


class Memblock(MemblockAllocation):
    """struct memblock and all that Linux does with it."""

    @classmethod
    def standalone(
        cls,
        ram: Iterable[tuple[int, int]] = (),
        *,
        backing: Iterable[tuple[int, int]] = (),
        features: MemblockFeatures | None = None,
        trace: Trace | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> Memblock:
        """A memblock with a machine of its own: no kernel, virtual addresses equal physical ones.

        `ram` are banks (base, size) that exist and are memory; `backing` banks exist only, for
        functions that write into memory added later. The structures lie where no bank is.
        """
        features = features or MemblockFeatures.linux_6_1()
        banks = list(ram)
        _, end = MemblockAddresses.packed(0, features)
        size = -(-end // PAGE_SIZE) * PAGE_SIZE
        taken = [*banks, *backing]
        base = _place_for(size, taken)
        at, _ = MemblockAddresses.packed(base, features)
        memory = PhysMemory([*taken, (base, size)])
        memblock = cls(
            memory, at=at, linear=LinearMap(0, 0), features=features, trace=trace, warn=warn
        )
        memblock.initialize()
        for bank_base, bank_size in banks:
            memblock.add(bank_base, bank_size)
        return memblock

    # Cutting memory down.

    def trim_memory(self, align: int) -> None:
        """memblock_trim_memory(): shrink each region of memory to multiples of `align`.

        As in Linux, total_size counts only regions that vanish.
        """
        self._check("memblock_trim_memory", align=align)
        memory, mask = self.memory, self.phys_addr_max
        memory.sync()
        index = 0
        while index < memory.cnt:
            region = memory.region(index)
            region_end = region.end & mask
            start = (((region.base - 1) | (align - 1)) + 1) & mask
            end = region_end & -align
            if start == region.base and end == region_end:
                index += 1
            elif start < end:
                memory.put(index, region._replace(base=start, size=end - start))
                index += 1
            else:
                self._remove_region(memory, index)

    def enforce_memory_limit(self, limit: int) -> None:
        """memblock_enforce_memory_limit(): keep the first `limit` bytes of memory.

        Nothing happens for 0, or for more than there is. An array that cannot grow is ignored.
        """
        self._check("memblock_enforce_memory_limit", limit=limit)
        end = self._max_addr(limit)
        if end is not None:
            self._remove_range(self.memory, end, self.phys_addr_max)
            self._remove_range(self.reserved, end, self.phys_addr_max)

    def cap_memory_range(self, base: int, size: int, *, caller: str | None = None) -> None:
        """memblock_cap_memory_range(): keep only [base, base + size) of memory and reserved.

        NOMAP regions of memory stay.
        """
        function = "memblock_cap_memory_range"
        self._enter(function, base, size, 0, NUMA_NO_NODE, caller)
        memory, mask = self.memory, self.phys_addr_max
        if not size:
            return
        if self.features.cap_needs_memory and not memory.total_size:
            self._print(KERN_WARNING, f"{function}: No memory registered yet")
            return
        end = base + min(size, mask - base)
        error, start, stop = stepwise.isolate_range(memory, base, end, self._double_array)
        if error:
            return
        for index in (*range(memory.cnt - 1, stop - 1, -1), *range(start - 1, -1, -1)):
            if not memory.flags[index] & MemblockFlags.NOMAP:
                self._remove_region(memory, index)
        self._remove_range(self.reserved, 0, base)
        # Linux does not cap base + size here: it may wrap, and nothing stays reserved.
        self._remove_range(self.reserved, (base + size) & mask, mask)

    def mem_limit_remove_map(self, limit: int) -> None:
        """memblock_mem_limit_remove_map(): keep the first `limit` bytes, and NOMAP regions."""
        self._check("memblock_mem_limit_remove_map", limit=limit)
        end = self._max_addr(limit)
        if end is not None:
            self.cap_memory_range(0, end)

    def _max_addr(self, limit: int) -> int | None:
        """__find_max_addr(): where the first `limit` bytes of memory end; None: nothing to cut."""
        if limit:
            for region in self.memory:
                if limit <= region.size:
                    end = (region.base + limit) & self.phys_addr_max
                    return None if end == self.phys_addr_max else end
                limit -= region.size
        return None

    # The log.

    def dump_lines(self) -> list[str]:
        """The lines that memblock_dump_all() prints with memblock=debug."""
        return memblock_log.dump_lines(list(self._tables.values()), self.features)

    def dump_all(self) -> list[str]:
        """memblock_dump_all(): its lines with memblock=debug on, else none."""
        return self.dump_lines() if self.memblock_debug else []

    # The hand-over.

    def free_all(self, max_low_pfn: int, sink: PageSink) -> int:
        """memblock_free_all(): hand every free page below `max_low_pfn` to `sink`.

        First all that is reserved, and (6.1) memory that is NOMAP, is marked reserved; then
        the free pages go out as aligned blocks, from low addresses up. The number of pages is
        what totalram_pages grows by. (On ARM Linux first gives back the unused parts of the
        memory map; that belongs to the memory map's owner.)
        """
        self._check("memblock_free_all", max_low_pfn=max_low_pfn)
        self.clear_hotplug(0, self.phys_addr_max, caller="free_low_memory_core_early")
        last = 1 if self.features.reserved_end_inclusive else 0
        for start, end in self.for_each_reserved_mem_range():
            sink.reserve_bootmem_region(start, (end - last) & self.phys_addr_max)
        if self.features.nomap_is_reserved:
            for region in self.memory:
                if region.flags & MemblockFlags.NOMAP:
                    sink.reserve_bootmem_region(region.base, region.end & self.phys_addr_max)
        pages = 0
        for start, end, _nid in self.for_each_free_mem_range():
            first, stop = self.pfn_up(start), min(end >> PAGE_SHIFT, max_low_pfn)
            if first < stop:
                _free_pages_memory(first, stop, self.features.max_order - 1, sink)
                pages += stop - first
        return pages

    def free_late(self, base: int, size: int, sink: PageSink, *, caller: str | None = None) -> int:
        """memblock_free_late(): hand the whole pages of [base, base + size) to `sink`, one by
        one, whatever the tables say. The number of pages."""
        to_5_0 = self.features.free_is_physical
        function = "__memblock_free_late" if to_5_0 else "memblock_free_late"
        self._enter(function, base, size, 0, NUMA_NO_NODE, caller)
        first = self.pfn_up(base)
        end = ((base + size) & self.phys_addr_max) >> PAGE_SHIFT
        for pfn in range(first, end):
            sink.free_pages_core(pfn, 0)
        return max(end - first, 0)


def _free_pages_memory(start: int, end: int, largest: int, sink: PageSink) -> None:
    """__free_pages_memory(): [start, end) as the largest blocks that are aligned and fit."""
    while start < end:
        # Page 0 is aligned to any order.
        order = min(largest, (start & -start).bit_length() - 1) if start else largest
        while start + (1 << order) > end:
            order -= 1
        sink.free_pages_core(start, order)
        start += 1 << order


def _place_for(size: int, banks: Iterable[tuple[int, int]]) -> int:
    """The highest page-aligned address below 4 GiB where `size` bytes touch none of `banks`."""
    top = 1 << 32
    for base, length in sorted(banks, reverse=True):
        if base + length + size <= top:
            break
        top = min(top, base)
    if top < size:
        raise BootsimError("the RAM banks leave no room for memblock's own structures")
    return top - size
