"""The zones of a real kernel and their free lists, read where that kernel has them.

Linux: include/linux/mmzone.h, mm/page_alloc.c. zone_layout makes out where things are; here they
are read, with the names that the model's PageAllocator and Zone give them. Pointers come out of
RAM, and each is checked before it is followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bootsim.errors import BootsimError
from bootsim.kernel.free_list import FreeBlock
from bootsim.kernel.memory import LinearMap
from bootsim.kernel.mm_debug import PageInfo, PageState
from bootsim.kernel.mm_types import (
    LRU_OFFSET,
    PAGE_FLAGS_CHECK_AT_PREP,
    PG_RESERVED,
    MemMap,
    PageAllocError,
    PageFlag,
)
from bootsim.kernel.mmzone import PfnRange, merge_ranges
from bootsim.machine.memory import PhysMemory
from bootsim.realkernel.contents import WORD
from bootsim.realkernel.image import KernelImage
from bootsim.realkernel.zone_layout import NodeLayout, node_layout

# The versions in which enum pageflags is the one of PageFlag (include/linux/page-flags.h).
_FLAGS_SINCE, _FLAGS_TO = (5, 0), (6, 6)


@dataclass(frozen=True, slots=True)
class ZonePages:
    """The counts of a struct zone, in pages; `nr_free_pages` are those on its free lists."""

    zone_start_pfn: int
    managed_pages: int
    spanned_pages: int
    present_pages: int
    nr_free_pages: int


class RealZone:
    """One struct zone. What it tells is what RAM holds when it is asked.

    `free_lists` has for each order the virtual addresses of the lists' heads, one a migrate type.
    """

    def __init__(
        self, memory: PhysMemory, linear: LinearMap, layout: NodeLayout, index: int
    ) -> None:
        """The node's zone number `index`."""
        self.name = layout.zone_names[index]
        self.index = index
        self.virt = layout.pgdat + index * layout.zone_size
        self._counts = memory.words(linear.virt_to_phys(self.virt + layout.counts_offset), 4)
        area, size = self.virt + layout.free_area_offset, layout.free_area_size
        words = memory.words(linear.virt_to_phys(area), layout.orders * size // WORD)
        self.nr_free = words[2 * layout.migrate_types :: size // WORD]
        self.free_lists = tuple(
            tuple(area + order * size + kind * 2 * WORD for kind in range(layout.migrate_types))
            for order in range(layout.orders)
        )

    @property
    def struct(self) -> ZonePages:
        free = sum(count << order for order, count in enumerate(self.nr_free))
        start, managed, spanned, present = self._counts
        return ZonePages(start, managed, spanned, present, free)

    @property
    def populated(self) -> bool:
        """Whether any RAM belongs to the zone (populated_zone)."""
        return self._counts[3] != 0

    @property
    def start_pfn(self) -> int:
        start: int = self._counts[0]
        return start

    @property
    def end_pfn(self) -> int:
        return self.start_pfn + self._counts[2]


class RealNode:
    """The node of a real kernel, with what reads it that PageAllocator has too.

    `present`: what of it is RAM, None where that is not known.
    """

    nid = 0

    def __init__(
        self,
        memory: PhysMemory,
        linear: LinearMap,
        layout: NodeLayout,
        version: tuple[int, int],
        present: list[PfnRange] | None,
    ) -> None:
        self.layout = layout
        self.start_pfn = layout.start_pfn
        self.end_pfn = layout.start_pfn + layout.spanned_pages
        self.present = present
        self.zones = tuple(
            RealZone(memory, linear, layout, index) for index in range(len(layout.zone_names))
        )
        self.mem_map = MemMap(
            memory,
            phys=linear.virt_to_phys(layout.mem_map),
            virt=layout.mem_map,
            start_pfn=layout.start_pfn,
            count=layout.spanned_pages,
            page_size=layout.page_size,
        )
        self._linear = linear
        self._version = version

    @property
    def node(self) -> RealNode:
        """Itself: where PageAllocator has its node."""
        return self

    def nr_free_pages(self) -> int:
        """Pages on all free lists, by their counts."""
        return sum(zone.struct.nr_free_pages for zone in self.zones)

    def free_blocks(self) -> Iterator[FreeBlock]:
        """All free blocks, by the lists: zone by zone, order by order, one migrate type after the
        other. Raises PageAllocError where a list is damaged or nr_free counts other than it."""
        for zone in self.zones:
            for order, heads in enumerate(zone.free_lists):
                count = 0
                # The lists of a zone without pages are not initialised.
                for head in heads if zone.populated else ():
                    for entry in self._walk(zone, order, head):
                        count += 1
                        yield FreeBlock(zone.name, order, self.start_pfn + entry)
                if count != zone.nr_free[order]:
                    raise _damaged(
                        zone,
                        order,
                        f"it holds {count} blocks, but nr_free is {zone.nr_free[order]}",
                    )

    def free_ranges(self) -> list[PfnRange]:
        """The free pages, ascending; raises PageAllocError if two blocks overlap."""
        blocks = sorted(self.free_blocks(), key=lambda block: block.pfn)
        end = 0
        for block in blocks:
            if block.pfn < end:
                raise PageAllocError(
                    f"the free block of order {block.order} at pfn {block.pfn:#x} overlaps another"
                )
            end = block.pfn + (1 << block.order)
        return merge_ranges(PfnRange(b.pfn, b.pfn + (1 << b.order)) for b in blocks)

    def page(self, pfn: int) -> PageInfo:
        """What there is to know of `pfn`; raises PageAllocError where it has no struct page.

        Raises BootsimError for a version whose page flags are not known.
        """
        if not _FLAGS_SINCE <= self._version <= _FLAGS_TO:
            raise BootsimError(
                f"page flags of Linux {'.'.join(map(str, self._version))} are not known: those of"
                f" {'.'.join(map(str, _FLAGS_SINCE))} to {'.'.join(map(str, _FLAGS_TO))} are"
            )
        zone = next((z for z in self.zones if z.start_pfn <= pfn < z.end_pfn), None)
        if zone is None or not self.start_pfn <= pfn < self.end_pfn:
            raise PageAllocError(
                f"pfn {pfn:#x} is in no zone: the node's are"
                f" {self.start_pfn:#x}-{self.end_pfn - 1:#x}"
            )
        entry = pfn - self.start_pfn
        block = next((b for b in self.free_blocks() if b.pfn <= pfn < b.pfn + (1 << b.order)), None)
        flags = self.mem_map.flags[entry]
        if self.present is not None and not any(s <= pfn < e for s, e in self.present):
            state = PageState.HOLE
        elif block:
            state = PageState.FREE
        else:
            state = PageState.RESERVED if flags & PG_RESERVED else PageState.ALLOCATED
        return PageInfo(
            pfn=pfn,
            address=self.mem_map.page_virt(entry),
            struct=self.mem_map.struct(entry),
            state=state,
            flags=PageFlag(flags & PAGE_FLAGS_CHECK_AT_PREP),
            zone=zone.name,
            node=self.nid,
            order=block.order if block and block.pfn == pfn else None,
            block=block,
        )

    def _walk(self, zone: RealZone, order: int, head: int) -> Iterator[int]:
        """The entries of mem_map on one list, its links checked; no more than there is room for."""
        mem_map = self.mem_map
        links = mem_map.memory.words(self._linear.virt_to_phys(head), 2)
        lru = mem_map.virt + LRU_OFFSET
        previous, pointer, room = head, links[0], mem_map.count >> order
        while pointer != head:
            entry, rest = divmod(pointer - lru, mem_map.page_size)
            pfn = self.start_pfn + entry
            if rest or not 0 <= entry < mem_map.count:
                raise _damaged(zone, order, f"{pointer:08x} is not the lru of a struct page")
            if not room:
                raise _damaged(zone, order, "it never comes back to its head")
            if mem_map.prev[entry] != previous:
                raise _damaged(
                    zone,
                    order,
                    f"prev of {pointer:08x} should be {previous:08x}, but was"
                    f" {mem_map.prev[entry]:08x}",
                )
            if (
                mem_map.private[entry] != order
                or pfn & (1 << order) - 1
                or not zone.start_pfn <= pfn < zone.end_pfn
            ):
                raise _damaged(
                    zone,
                    order,
                    f"pfn {pfn:#x} is on it, but is no free block of this order and zone"
                    f" (private {mem_map.private[entry]:x})",
                )
            yield entry
            room -= 1
            previous, pointer = pointer, mem_map.next[entry]
        if links[1] != previous:
            raise _damaged(
                zone, order, f"prev of its head should be {previous:08x}, but was {links[1]:08x}"
            )


def find_zones(
    memory: PhysMemory,
    linear: LinearMap,
    image: KernelImage,
    *,
    present: Iterable[tuple[int, int]] | None = None,
) -> RealNode | None:
    """The node of the kernel out of `image` that runs in `memory`; None if it has no zones (yet).

    `present` are the pfns that are RAM, as memblock has them, so that page() can tell holes. Raises
    BootsimError where there are zones, but not all about them can be made out.
    """
    layout = node_layout(memory, linear, image)
    if layout is None:
        return None
    ram = None if present is None else [PfnRange(*pfns) for pfns in present]
    return RealNode(memory, linear, layout, image.version, ram)


def _damaged(zone: RealZone, order: int, what: str) -> PageAllocError:
    return PageAllocError(f"free list of zone {zone.name}, order {order}: {what}")
