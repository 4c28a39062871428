"""The buddy allocator's free lists, as they lie in RAM.

Linux: mm/page_alloc.c (add_to_free_list, del_page_from_free_list, page_is_buddy),
include/linux/list.h. A list links the lru of the first page of each free block; that page is marked
PageBuddy and keeps the order in `private`. Pointers come out of RAM, where guest code may have
written anything, so that each is checked before it is followed, as CONFIG_DEBUG_LIST does
(lib/list_debug.c) and somewhat beyond.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bootsim.kernel.mm_init import Node
from bootsim.kernel.mm_types import (
    LRU_OFFSET,
    PAGE_TYPE_BASE,
    PAGE_TYPE_BUDDY,
    PAGE_TYPE_BUDDY_MASK,
    PAGE_TYPE_NONE,
    PageAllocError,
)
from bootsim.kernel.mmzone import Zone

LIST_POISON1 = 0x100  # include/linux/poison.h: what list_del() leaves in `next`


class FreeBlock(NamedTuple):
    """2**order free pages at `pfn`, on a list of `zone`."""

    zone: str
    order: int
    pfn: int


class FreeLists:
    """All free lists of a node. Blocks are named by the entry of their first page in mem_map."""

    def __init__(self, node: Node) -> None:
        self.mem_map = node.mem_map
        self.zones = node.zones
        self.max_order = node.layout.max_order
        self._list_poison2 = node.layout.list_poison2
        self._zones_pgshift = node.zones_pgshift
        self._lru = node.mem_map.virt + LRU_OFFSET
        self._heads = {
            head: (zone, order) for zone in node.zones for order, head in enumerate(zone.free_lists)
        }

    def is_buddy(self, zone: Zone, entry: int, order: int) -> bool:
        """Whether a free block of `order` in `zone` begins at `entry` (page_is_buddy)."""
        mem_map = self.mem_map
        return bool(
            mem_map.page_type[entry] & PAGE_TYPE_BUDDY_MASK == PAGE_TYPE_BASE
            and mem_map.private[entry] == order
            and mem_map.flags[entry] >> self._zones_pgshift == zone.index
        )

    def enclosing_block(self, zone: Zone, entry: int) -> FreeBlock | None:
        """The free block that holds `entry`, by the marks in struct pages."""
        for order in range(self.max_order):
            head = entry & -(1 << order)
            if self.is_buddy(zone, head, order):
                return FreeBlock(zone.name, order, self.mem_map.start_pfn + head)
        return None

    def first(self, zone: Zone, order: int) -> int | None:
        """The block at the head of a list, None for an empty list."""
        pointer = zone.next[order]
        return None if pointer == zone.free_lists[order] else self._entry(pointer, zone, order)

    def add(self, zone: Zone, entry: int, order: int, *, to_tail: bool) -> None:
        """Mark a block free and put it at its list's head or tail."""
        mem_map = self.mem_map
        pointer = self._lru + entry * mem_map.page_size
        head = zone.free_lists[order]
        if to_tail:
            prev, next_ = zone.prev[order], head
            nexts, _, index = self._links(prev)
            if nexts[index] != head:
                raise damaged(
                    zone,
                    order,
                    f"list_add corruption. prev->next should be next ({head:08x}), but was"
                    f" {nexts[index]:08x}. (prev={prev:08x})",
                )
            nexts[index] = pointer
            zone.prev[order] = pointer
        else:
            prev, next_ = head, zone.next[order]
            _, prevs, index = self._links(next_)
            if prevs[index] != head:
                raise damaged(
                    zone,
                    order,
                    f"list_add corruption. next->prev should be prev ({head:08x}), but was"
                    f" {prevs[index]:08x}. (next={next_:08x})",
                )
            prevs[index] = pointer
            zone.next[order] = pointer
        mem_map.next[entry] = next_
        mem_map.prev[entry] = prev
        zone.nr_free[order] = zone.nr_free[order] + 1 & 0xFFFFFFFF
        mem_map.private[entry] = order
        mem_map.page_type[entry] = PAGE_TYPE_BUDDY

    def remove(self, zone: Zone, entry: int, order: int) -> None:
        """Take a block off its list and unmark it; its lru is poisoned, as by list_del()."""
        mem_map = self.mem_map
        pointer = self._lru + entry * mem_map.page_size
        prev, next_ = mem_map.prev[entry], mem_map.next[entry]
        nexts, _, prev_index = self._links(prev)
        _, prevs, next_index = self._links(next_)
        if nexts[prev_index] != pointer:
            raise damaged(
                zone,
                order,
                f"list_del corruption. prev->next should be {pointer:08x}, but was"
                f" {nexts[prev_index]:08x}. (prev={prev:08x})",
            )
        if prevs[next_index] != pointer:
            raise damaged(
                zone,
                order,
                f"list_del corruption. next->prev should be {pointer:08x}, but was"
                f" {prevs[next_index]:08x}. (next={next_:08x})",
            )
        if not zone.nr_free[order]:
            raise damaged(zone, order, "nr_free is 0, but a block is on it")
        nexts[prev_index] = next_
        prevs[next_index] = prev
        mem_map.next[entry] = LIST_POISON1
        mem_map.prev[entry] = self._list_poison2
        mem_map.page_type[entry] = PAGE_TYPE_NONE
        mem_map.private[entry] = 0
        zone.nr_free[order] -= 1

    def blocks(self, zone: Zone) -> Iterator[FreeBlock]:
        """The zone's free blocks, order by order, as the lists have them."""
        if zone.struct.initialized:
            for order in range(self.max_order):
                for entry in self._walk(zone, order):
                    yield FreeBlock(zone.name, order, self.mem_map.start_pfn + entry)

    def _walk(self, zone: Zone, order: int) -> Iterator[int]:
        """The blocks of one list, its links checked; no more than the memory map has room for."""
        mem_map = self.mem_map
        head = previous = zone.free_lists[order]
        pointer, room = zone.next[order], mem_map.count >> order
        while pointer != head:
            if not room:
                raise damaged(zone, order, "it never comes back to its head")
            room -= 1
            entry = self._entry(pointer, zone, order)
            if mem_map.prev[entry] != previous:
                raise damaged(
                    zone,
                    order,
                    f"prev of {pointer:08x} should be {previous:08x}, but was"
                    f" {mem_map.prev[entry]:08x}",
                )
            yield entry
            previous, pointer = pointer, mem_map.next[entry]
        if zone.prev[order] != previous:
            raise damaged(
                zone,
                order,
                f"prev of its head should be {previous:08x}, but was {zone.prev[order]:08x}",
            )

    def _entry(self, pointer: int, zone: Zone, order: int) -> int:
        """The page whose lru is at virtual address `pointer`, a free block of this list."""
        mem_map = self.mem_map
        entry, rest = divmod(pointer - self._lru, mem_map.page_size)
        if rest or not 0 <= entry < mem_map.count:
            raise damaged(zone, order, f"{pointer:08x} is not the lru of a struct page")
        if not self.is_buddy(zone, entry, order) or entry & (1 << order) - 1:
            raise damaged(
                zone,
                order,
                f"pfn {mem_map.start_pfn + entry:#x} is on it, but is no free block of this order"
                f" and zone (flags {mem_map.flags[entry]:08x}, page_type"
                f" {mem_map.page_type[entry]:08x}, private {mem_map.private[entry]:x})",
            )
        return entry

    def _links(self, pointer: int) -> tuple[memoryview, memoryview, int]:
        """Where the list head at `pointer` has next and prev: two columns and an index."""
        entry, rest = divmod(pointer - self._lru, self.mem_map.page_size)
        if not rest and 0 <= entry < self.mem_map.count:
            return self.mem_map.next, self.mem_map.prev, entry
        try:
            zone, order = self._heads[pointer]
        except KeyError:
            raise PageAllocError(
                f"free list: {pointer:08x} is neither the lru of a struct page nor a list's head"
            ) from None
        return zone.next, zone.prev, order


def damaged(zone: Zone, order: int, what: str) -> PageAllocError:
    """The error for a free list that is not as it was left."""
    return PageAllocError(f"free list of zone {zone.name}, order {order}: {what}")
