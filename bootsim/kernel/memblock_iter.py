"""Walking through memblock's ranges, and finding a free one.

Linux: __next_mem_range() and its macros, memblock_find_in_range_node() in mm/memblock.c. An
iterator reads the tables anew at each step, as Linux's do, so that a loop may reserve what it is
given.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from bootsim.kernel.memblock_features import (
    MEMBLOCK_ALLOC_NOLEAKTRACE,
    NUMA_NO_NODE,
    MemblockFlags,
)
from bootsim.kernel.memblock_gaps import highest_gap, lowest_gap
from bootsim.kernel.memblock_query import MemblockQueries
from bootsim.kernel.memblock_state import KERN_WARNING
from bootsim.kernel.memblock_type import MemblockType, Region
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE

_HOTPLUG, _MIRROR = int(MemblockFlags.HOTPLUG), int(MemblockFlags.MIRROR)
_NOMAP, _DRIVER_MANAGED = int(MemblockFlags.NOMAP), int(MemblockFlags.DRIVER_MANAGED)

Span = tuple[int, int, int]  # start, end, nid
Step = tuple[int, int, Span]  # where to go on: index into type_a, index into type_b

ITERATION_END = 0xFFFFFFFFFFFFFFFF  # ULLONG_MAX, which ends Linux's loops
_INDEX_BITS = 32
_INDEX_MASK = 0xFFFFFFFF


class MemblockIterators(MemblockQueries):
    """The tables' iterators, as generators of half-open ranges (bytes, or pfns where so named)."""

    # What is in one table and not in another.

    def each_mem_range(
        self,
        type_a: MemblockType | str,
        type_b: MemblockType | str | None = None,
        nid: int = NUMA_NO_NODE,
        flags: int = 0,
    ) -> Iterator[Span]:
        """__for_each_mem_range(): (start, end, nid) of what is in `type_a` and not in `type_b`.

        Memory is taken of node `nid` only, and only where its flags fit `flags`. Up to Linux 5.9
        this is the for_each_mem_range() of eight arguments.
        """
        a, b, nid = self._selection("for_each_mem_range", type_a, type_b, nid, flags)
        step = self._next(a, b, nid, flags, 0, 0)
        while step is not None:
            at_a, at_b, span = step
            yield span
            step = self._next(a, b, nid, flags, at_a, at_b)

    def each_mem_range_rev(
        self,
        type_a: MemblockType | str,
        type_b: MemblockType | str | None = None,
        nid: int = NUMA_NO_NODE,
        flags: int = 0,
    ) -> Iterator[Span]:
        """__for_each_mem_range_rev(): what `each_mem_range()` gives, from the top down."""
        a, b, nid = self._selection("for_each_mem_range_rev", type_a, type_b, nid, flags)
        step = self._next_rev(a, b, nid, flags, len(a) - 1, 0 if b is None else len(b))
        while step is not None:
            at_a, at_b, span = step
            yield span
            step = self._next_rev(a, b, nid, flags, at_a, at_b)

    def next_mem_range(
        self,
        idx: int,
        nid: int,
        flags: int,
        type_a: MemblockType | str,
        type_b: MemblockType | str | None = None,
    ) -> tuple[int, int, int, int]:
        """__next_mem_range(): one step of each_mem_range(): next idx, start, end, nid.

        Begin with idx 0; when there is no more, idx is ITERATION_END and the rest 0. As in Linux,
        idx holds an index into `type_a` in its low word and one into `type_b` in its high word.
        """
        a, b, nid = self._selection("__next_mem_range", type_a, type_b, nid, flags)
        step = self._next(a, b, nid, flags, idx & _INDEX_MASK, idx >> _INDEX_BITS)
        return _packed(step)

    def next_mem_range_rev(
        self,
        idx: int,
        nid: int,
        flags: int,
        type_a: MemblockType | str,
        type_b: MemblockType | str | None = None,
    ) -> tuple[int, int, int, int]:
        """__next_mem_range_rev(): the same from the top down; begin with idx ITERATION_END."""
        a, b, nid = self._selection("__next_mem_range_rev", type_a, type_b, nid, flags)
        at_a, at_b = _signed(idx & _INDEX_MASK), _signed(idx >> _INDEX_BITS)
        if idx == ITERATION_END:
            at_a, at_b = len(a) - 1, 0 if b is None else len(b)
        return _packed(self._next_rev(a, b, nid, flags, at_a, at_b))

    def _next(
        self, a: MemblockType, b: MemblockType | None, nid: int, flags: int, at_a: int, at_b: int
    ) -> Step | None:
        while at_a < len(a):
            region = a.region(at_a)
            start, end = region.base, region.end & self.phys_addr_max
            if self._skips(a, region, nid, flags):
                at_a += 1
                continue
            if b is None:
                return at_a + 1, at_b, (start, end, region.nid)
            while at_b <= len(b):
                gap_start, gap_end = self._gap_before(b, at_b)
                if gap_start >= end:
                    break
                if start < gap_end:
                    span = max(start, gap_start), min(end, gap_end), region.nid
                    # What ends first is done with.
                    return (at_a + 1, at_b, span) if end <= gap_end else (at_a, at_b + 1, span)
                at_b += 1
            at_a += 1
        return None

    def _next_rev(
        self, a: MemblockType, b: MemblockType | None, nid: int, flags: int, at_a: int, at_b: int
    ) -> Step | None:
        # Linux would look at leftovers where a loop has removed regions from the end.
        at_a = min(at_a, len(a) - 1)
        while at_a >= 0:
            region = a.region(at_a)
            start, end = region.base, region.end & self.phys_addr_max
            if self._skips(a, region, nid, flags):
                at_a -= 1
                continue
            if b is None:
                return at_a - 1, at_b, (start, end, region.nid)
            at_b = min(at_b, len(b))
            while at_b >= 0:
                gap_start, gap_end = self._gap_before(b, at_b)
                if gap_end <= start:
                    break
                if end > gap_start:
                    span = max(start, gap_start), min(end, gap_end), region.nid
                    return (at_a - 1, at_b, span) if start >= gap_start else (at_a, at_b - 1, span)
                at_b -= 1
            at_a -= 1
        return None

    def for_each_free_mem_range(self, nid: int = NUMA_NO_NODE, flags: int = 0) -> Iterator[Span]:
        """for_each_free_mem_range(): memory that is not reserved."""
        return self.each_mem_range(self.memory, self.reserved, nid, flags)

    def for_each_free_mem_range_reverse(
        self, nid: int = NUMA_NO_NODE, flags: int = 0
    ) -> Iterator[Span]:
        """for_each_free_mem_range_reverse(): the same from the top down."""
        return self.each_mem_range_rev(self.memory, self.reserved, nid, flags)

    def for_each_physmem_range(
        self, type_: MemblockType | str | None = None
    ) -> Iterator[tuple[int, int]]:
        """for_each_physmem_range(): what is in physmem and not in `type_`."""
        return ((start, end) for start, end, _nid in self.each_mem_range(self.physmem, type_))

    # What is in one table.

    def for_each_mem_range(self) -> Iterator[tuple[int, int]]:
        """for_each_mem_range(): all of memory that is not NOMAP (three arguments, from 5.10)."""
        flags = _HOTPLUG | _DRIVER_MANAGED
        return ((start, end) for start, end, _nid in self.each_mem_range(self.memory, flags=flags))

    def for_each_mem_range_rev(self) -> Iterator[tuple[int, int]]:
        """for_each_mem_range_rev(): the same from the top down."""
        spans = self.each_mem_range_rev(self.memory, flags=_HOTPLUG | _DRIVER_MANAGED)
        return ((start, end) for start, end, _nid in spans)

    def for_each_reserved_mem_range(self) -> Iterator[tuple[int, int]]:
        """for_each_reserved_mem_range(): what is reserved."""
        return ((start, end) for start, end, _nid in self.each_mem_range(self.reserved))

    def for_each_mem_region(self) -> Iterator[Region]:
        """for_each_mem_region(): the regions of memory (from 5.10)."""
        return iter(self.memory)

    def for_each_reserved_mem_region(self) -> Iterator[Region]:
        """for_each_reserved_mem_region(): the reserved regions (from 5.10)."""
        return iter(self.reserved)

    def for_each_memblock(self, type_: MemblockType | str) -> Iterator[Region]:
        """for_each_memblock(): the regions of `type_` (to 5.9)."""
        return iter(self.table(type_))

    def next_reserved_mem_region(self, index: int) -> tuple[int, int, int] | None:
        """__next_reserved_mem_region(): next index, first and *last* byte (to 5.9); None: no more.

        Begin with index 0.
        """
        if not 0 <= index < len(self.reserved):
            return None
        region = self.reserved.region(index)
        return index + 1, region.base, (region.end - 1) & self.phys_addr_max

    def for_each_mem_pfn_range(self, nid: int | None = None) -> Iterator[Span]:
        """for_each_mem_pfn_range(): (start pfn, end pfn, nid) of memory's whole pages.

        Of all nodes when `nid` is MAX_NUMNODES or left out.
        """
        wanted, index = self.max_numnodes if nid is None else nid, -1
        while found := self.next_mem_pfn_range(index, wanted):
            index, start, end, node = found
            yield start, end, node

    def next_mem_pfn_range(self, idx: int, nid: int) -> tuple[int, int, int, int] | None:
        """__next_mem_pfn_range(): the region behind region `idx` that holds whole pages of node
        `nid`, or of any node with MAX_NUMNODES: its index, start pfn, end pfn, nid.

        Begin with -1; None when there is no more.
        """
        memory = self.memory
        for index in range(max(idx + 1, 0), len(memory)):
            region = memory.region(index)
            start, end = self.pfn_up(region.base), (region.end & self.phys_addr_max) >> PAGE_SHIFT
            if start < end and nid in (self.max_numnodes, region.nid):
                return index, start, end, region.nid
        return None

    # Finding.

    def choose_memblock_flags(self) -> int:
        """choose_memblock_flags(): what kind of memory to try first."""
        return _MIRROR if self.has_some_mirror else 0

    def find_in_range(self, start: int, end: int, size: int, align: int) -> int:
        """memblock_find_in_range(): address of `size` free bytes in [start, end), or 0.

        An `end` of 0 or 1 means the current limit. Nothing is reserved.
        """
        self._check("memblock_find_in_range", start=start, end=end, size=size, align=align)
        flags = self.choose_memblock_flags()
        found = self._find(size, align, start, end, NUMA_NO_NODE, flags)
        if not found and flags & _MIRROR:
            self._mirror_failed(size)
            found = self._find(size, align, start, end, NUMA_NO_NODE, flags & ~_MIRROR)
        return found

    def find_in_range_node(
        self, size: int, align: int, start: int, end: int, nid: int = NUMA_NO_NODE, flags: int = 0
    ) -> int:
        """memblock_find_in_range_node(): address of `size` free bytes of node `nid`, or 0.

        An `end` of 0 or 1 means the current limit. Page 0 is never found. Nothing is reserved. A
        `size` of 0 finds the end of a free range: Linux's answer, of use to nobody.
        """
        function = "memblock_find_in_range_node"
        self._check(function, size=size, align=align, start=start, end=end)
        self._check_nid(function, nid)
        self._check_flags(function, flags)
        return self._find(size, align, start, end, nid, flags)

    def _find(self, size: int, align: int, start: int, end: int, nid: int, flags: int) -> int:
        if end <= MEMBLOCK_ALLOC_NOLEAKTRACE:
            end = self._limit[0]
        start = start if start > PAGE_SIZE else PAGE_SIZE
        end = end if end > start else start
        if nid != NUMA_NO_NODE:
            nid = self._some_node(nid)
        if not self._bottom_up[0]:
            return self._top_down(start, end, size, align, nid, flags)
        features = self.features
        if not features.bottom_up_above_kernel_end:
            return self._bottom_up_from(start, end, size, align, nid, flags)
        if end > features.kernel_end:
            above = max(start, features.kernel_end)
            found = self._bottom_up_from(above, end, size, align, nid, flags)
            if found:
                return found
            if features.memory_hotremove:
                self._warn_once(
                    "memblock: bottom-up allocation failed, memory hotremove may be affected"
                )
        return self._top_down(start, end, size, align, nid, flags)

    def _top_down(self, start: int, end: int, size: int, align: int, nid: int, flags: int) -> int:
        """__memblock_find_range_top_down()."""
        memory, reserved = self.memory, self.reserved
        if not (memory.sync() and reserved.sync() and size):
            return self._top_down_any(start, end, size, align, nid, flags)
        bases, sizes = memory.bases, memory.sizes
        index = bisect_left(bases, end, 0, memory.n) - 1
        while index >= 0:
            base = bases[index]
            top = base + sizes[index]
            low = base if base > start else start
            top = top if top < end else end
            if low >= top:
                break
            attributes = memory.flags[index]
            if not (attributes or flags or nid != NUMA_NO_NODE) or not self._skips(
                memory, memory.region(index), nid, flags
            ):
                found = highest_gap(reserved, low, top, size, -align)
                if found:
                    return found
            index -= 1
        return 0

    def _bottom_up_from(
        self, start: int, end: int, size: int, align: int, nid: int, flags: int
    ) -> int:
        """__memblock_find_range_bottom_up()."""
        memory, reserved = self.memory, self.reserved
        if not (memory.sync() and reserved.sync() and size):
            return self._bottom_up_any(start, end, size, align, nid, flags)
        bases, sizes = memory.bases, memory.sizes
        for index in range(max(bisect_right(bases, start, 0, memory.n) - 1, 0), memory.n):
            base = bases[index]
            if base >= end:
                break
            low, top = max(base, start), min(base + sizes[index], end)
            if low < top and not self._skips(memory, memory.region(index), nid, flags):
                found = lowest_gap(reserved, low, top, size, align)
                if found is not None:
                    return found
        return 0

    # The same for any tables and for size 0, range by range as Linux does it.

    def _top_down_any(
        self, start: int, end: int, size: int, align: int, nid: int, flags: int
    ) -> int:
        for low, top, _nid in self.for_each_free_mem_range_reverse(nid, flags):
            low, top = min(max(low, start), end), min(max(top, start), end)
            if top < size:
                continue
            found = (top - size) & -align
            if found >= low:
                return found
        return 0

    def _bottom_up_any(
        self, start: int, end: int, size: int, align: int, nid: int, flags: int
    ) -> int:
        for low, top, _nid in self.for_each_free_mem_range(nid, flags):
            low, top = min(max(low, start), end), min(max(top, start), end)
            found = (((low - 1) | (align - 1)) + 1) & self.phys_addr_max
            if found < top and top - found >= size:
                return found
        return 0

    # Helpers.

    def _selection(
        self,
        function: str,
        type_a: MemblockType | str,
        type_b: MemblockType | str | None,
        nid: int,
        flags: int,
    ) -> tuple[MemblockType, MemblockType | None, int]:
        self._check_nid(function, nid)
        self._check_flags(function, flags)
        b = None if type_b is None else self.table(type_b)
        return self.table(type_a), b, self._some_node(nid)

    def _gap_before(self, table: MemblockType, index: int) -> tuple[int, int]:
        """From the end of the region before `index` to the base of region `index`."""
        start = 0
        if index:
            start = (table.bases[index - 1] + table.sizes[index - 1]) & self.phys_addr_max
        return start, table.bases[index] if index < table.n else self.phys_addr_max

    def _skips(self, table: MemblockType, region: Region, nid: int, flags: int) -> bool:
        """should_skip_region(): whether an iteration for `nid` and `flags` passes `region` by."""
        features = self.features
        if table is not self.memory and not features.filters_every_type:
            return False
        if nid not in (NUMA_NO_NODE, region.nid):
            return True
        # In 5.0 no flag asks for hotplug memory.
        asked = flags & _HOTPLUG and not features.filters_every_type
        if features.movable_node and region.flags & _HOTPLUG and not asked:
            return True
        if flags & _MIRROR and not region.flags & _MIRROR:
            return True
        refused = _NOMAP | (_DRIVER_MANAGED if features.driver_managed else 0)
        return bool(region.flags & refused & ~flags)

    def _mirror_failed(self, size: int) -> None:
        digits = self.features.phys_addr_bits // 4
        text = f"Could not allocate 0x{size:0{digits}x} bytes of mirrored memory"
        self._print(KERN_WARNING, text)


def _signed(index: int) -> int:
    """An index as the int that Linux makes of it: a step down from 0 leaves -1."""
    return index - (1 << _INDEX_BITS) if index >> (_INDEX_BITS - 1) else index


def _packed(step: Step | None) -> tuple[int, int, int, int]:
    """A step with its two indices in one number, as Linux has them."""
    if step is None:
        return ITERATION_END, 0, 0, 0
    at_a, at_b, span = step
    return (at_a & _INDEX_MASK) | (at_b & _INDEX_MASK) << _INDEX_BITS, *span
