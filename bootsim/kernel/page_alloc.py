"""The buddy allocator: free pages in blocks of 2**order.

Linux: mm/page_alloc.c. Free lists, struct pages and counters lie in emulated RAM, so that the
allocator works on what is there, guest code's doing included: a page is checked before it is handed
on, and one that is not right is a PageAllocError where Linux prints "BUG: Bad page state".

Simpler than Linux: one migrate type (at boot every block is movable), no watermarks, no per-CPU
lists (at boot they hold no pages either), no compound pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntFlag

from bootsim.kernel.free_list import LIST_POISON1, FreeBlock, FreeLists
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE, LinearMap, pfn_down, pfn_up
from bootsim.kernel.mm_debug import PageInfo, page_info, page_states
from bootsim.kernel.mm_init import Alloc, Node, Printk, free_area_init_node
from bootsim.kernel.mm_types import (
    PAGE_FLAGS_CHECK_AT_FREE,
    PAGE_FLAGS_CHECK_AT_PREP,
    PAGE_TYPE_NONE,
    PG_RESERVED,
    PageAllocError,
    PageFlag,
)
from bootsim.kernel.mmzone import ZONE_HIGHMEM, ZONE_MOVABLE, PageLayout, Zone, ZoneSpan
from bootsim.machine.memory import PhysMemory
from bootsim.trace import PageAlloc, PageFree, Trace

ZERO_SIZE_PTR = 16  # include/linux/slab.h


class Gfp(IntFlag):
    """What a request asks for: the bits of gfp_t that the model looks at (gfp_types.h, 6.1)."""

    DMA = 0x01
    HIGHMEM = 0x02
    MOVABLE = 0x08
    ZERO = 0x100
    KERNEL = 0xCC0
    HIGHUSER = 0x100CC2
    HIGHUSER_MOVABLE = 0x100CCA


_GFP_ZERO, _GFP_HIGHMEM = int(Gfp.ZERO), int(Gfp.HIGHMEM)  # plain integers are fast
GFP_ZONEMASK = 0x0F  # include/linux/gfp_types.h


class PageAllocator:
    """The page allocator of one node; free_area_init_node() comes first."""

    node: Node
    zones: tuple[Zone, ...]
    lists: FreeLists

    def __init__(
        self,
        memory: PhysMemory,
        linear: LinearMap,
        trace: Trace,
        layout: PageLayout,
        printk: Printk,
    ) -> None:
        """An allocator that logs through `printk(level, text)`."""
        self.memory = memory
        self.linear = linear
        self.trace = trace
        self.layout = layout
        self.printk = printk
        self.max_order = layout.max_order

    # The boot.

    def free_area_init_node(
        self, nid: int, zones: Sequence[ZoneSpan], alloc: Alloc, first_pfn: int | None = None
    ) -> None:
        """Set up the node `nid` with `zones` (see mm_init.free_area_init_node).

        A flat memory map is indexed from `first_pfn` (see mm_init.Node).
        """
        self.node = Node(self.memory, self.linear, self.layout, nid, zones, first_pfn)
        free_area_init_node(self.node, alloc, self.printk)
        self.zones = self.node.zones
        self.mem_map = self.node.mem_map
        self.lists = FreeLists(self.node)
        self._zonelists = [self._zonelist(gfp) for gfp in range(GFP_ZONEMASK + 1)]

    def reserve_bootmem_region(self, start: int, end: int) -> None:
        """Mark the pages that hold bytes [start, end) reserved."""
        self.node.reserve_bootmem_region(start, end)

    def free_unused_memmap(
        self, memory: Iterable[tuple[int, int]], phys_free: Callable[[int, int], object]
    ) -> None:
        """Give back the memory map of holes between banks (see mm_init)."""
        self.node.free_unused_memmap(memory, phys_free)

    def reset_all_zones_managed_pages(self) -> None:
        """Count managed pages from 0: memblock_free_all() is about to hand them over."""
        for zone in self.zones:
            zone.struct.managed_pages = 0

    def free_pages_core(self, pfn: int, order: int, *, caller: str = "memblock_free_all") -> None:
        """Take over 2**order pages from memblock (__free_pages_core; 5.0: __free_pages_boot_core).

        Raises PageAllocError unless they are as memmap_init() left them, reserved or not.
        """
        self._boot_free(pfn, order, caller, to_tail=self.layout.boot_frees_to_tail)

    def free_highpages(
        self, start_pfn: int, end_pfn: int, *, caller: str = "free_highpages"
    ) -> None:
        """Take over the pages [start_pfn, end_pfn) of ZONE_HIGHMEM (arch/arm/mm/init.c).

        Linux frees them one at a time, upwards. Whole blocks leave the same lists, since pages join
        their neighbours either way, and the same RAM: what list_del() leaves in the lru of the
        pages that were on a list meanwhile, the even ones, is written here too. The trace has one
        event a block.
        """
        pfn = start_pfn
        while pfn < end_pfn:
            alignment = (pfn & -pfn).bit_length() - 1 if pfn else self.max_order
            order = min(self.max_order - 1, alignment, (end_pfn - pfn).bit_length() - 1)
            self._boot_free(pfn, order, caller, to_tail=False, one_by_one=True)
            pfn += 1 << order

    # Taking and giving back.

    def alloc_pages(
        self, order: int, gfp: int = Gfp.KERNEL, *, caller: str = "alloc_pages"
    ) -> int | None:
        """Take 2**order pages: the first one's pfn, or None when no zone of `gfp` has as many.

        As in Linux the first page is referenced once, the others are not. (pfn 0 is a page like
        any other where RAM begins at 0, hence None.) Raises PageAllocError for a bad order.
        """
        self._check_order(order)
        gfp = int(gfp)
        for zone in self._zonelists[gfp & GFP_ZONEMASK]:
            if not zone.struct.managed_pages:
                continue
            entry = self._rmqueue(zone, order, caller)
            if entry is not None:
                pfn = self.mem_map.start_pfn + entry
                if gfp & _GFP_ZERO:
                    self.memory.zero(pfn << PAGE_SHIFT, PAGE_SIZE << order)
                return pfn
        return None

    def free_pages(self, pfn: int, order: int, *, caller: str = "__free_pages") -> None:
        """Give back 2**order pages at `pfn` (__free_pages of a page referenced once).

        Raises PageAllocError for a bad order, a pfn that is not RAM or not aligned, and for pages
        that are free already, reserved, or not the first of what was taken. As in Linux, giving
        back less than was taken is no error: the rest stays taken.
        """
        zone, entry = self._block(pfn, order, "freed")
        mem_map, count = self.mem_map, 1 << order
        if mem_map.refcount[entry] != 1:
            raise self._not_taken(pfn, order, entry)
        clean = self._check_pages(zone, entry, order, PAGE_FLAGS_CHECK_AT_FREE, "FREE")
        if not mem_map.all_are(mem_map.refcount, entry + 1, count - 1, 0):
            raise _bad_page(pfn, f"nonzero _refcount in the pages after it, freed as order {order}")
        self.trace.emit(PageFree(pfn, order, zone.name, caller))
        mem_map.refcount[entry] = 0
        if not clean:
            self._clear_flags(zone, entry, order)
        self._free_one_page(zone, entry, order, to_tail=False)

    def get_free_pages(
        self, order: int, gfp: int = Gfp.KERNEL, *, caller: str = "__get_free_pages"
    ) -> int:
        """Take 2**order pages of lowmem: their virtual address, 0 when there are none."""
        pfn = self.alloc_pages(order, int(gfp) & ~_GFP_HIGHMEM, caller=caller)
        return 0 if pfn is None else self.linear.phys_to_virt(pfn << PAGE_SHIFT)

    def split_page(self, pfn: int, order: int) -> None:
        """Make each of 2**order pages taken at `pfn` one that can be given back by itself."""
        _, entry = self._block(pfn, order, "split")
        if self.mem_map.refcount[entry] != 1:
            raise self._not_taken(pfn, order, entry)
        self.mem_map.fill(self.mem_map.refcount, slice(entry, entry + (1 << order)), 1)

    def alloc_pages_exact(
        self, size: int, gfp: int = Gfp.KERNEL, *, caller: str = "alloc_pages_exact"
    ) -> int:
        """Take just the pages that `size` bytes need: their virtual address, 0 when none are."""
        order = get_order(size)
        virt = self.get_free_pages(order, gfp, caller=caller) if order < self.max_order else 0
        if virt:
            pfn = pfn_down(self.linear.virt_to_phys(virt))
            self.split_page(pfn, order)
            for unused in range(pfn + pfn_up(size), pfn + (1 << order)):
                zone, entry = self._block(unused, 0, "freed")
                self.trace.emit(PageFree(unused, 0, zone.name, caller))
                self.mem_map.refcount[entry] = 0
                self._free_one_page(zone, entry, 0, to_tail=self.layout.boot_frees_to_tail)
        return virt

    def free_pages_exact(self, virt: int, size: int, *, caller: str = "free_pages_exact") -> None:
        """Give back what alloc_pages_exact(size) returned."""
        pfn = pfn_down(self.linear.virt_to_phys(virt))
        for page in range(pfn, pfn + pfn_up(size)):
            self.free_pages(page, 0, caller=caller)

    def late_alloc(self, size: int, nid: int, *, caller: str = "memblock_alloc_internal") -> int:
        """What memblock_alloc() does after the handover: kzalloc_node(size), from whole pages.

        Returns the virtual address of zeroed memory, ZERO_SIZE_PTR for 0 bytes, 0 when there is
        none. `nid` makes no difference: there is one node.
        """
        if size == 0:
            return ZERO_SIZE_PTR
        order = get_order(size)
        if order >= self.max_order:
            return 0
        return self.get_free_pages(order, Gfp.KERNEL | Gfp.ZERO, caller=caller)

    # Looking.

    def nr_free_pages(self) -> int:
        """Free pages in all zones, by the zones' counters."""
        return sum(zone.struct.nr_free_pages for zone in self.zones)

    def free_blocks(self) -> Iterator[FreeBlock]:
        """Every free block, walking the lists in RAM: by zone, order, and place on the list.

        Raises PageAllocError where a list is damaged.
        """
        for zone in self.zones:
            yield from self.lists.blocks(zone)

    def page(self, pfn: int) -> PageInfo:
        """What the struct page of `pfn` says; raises PageAllocError where there is none."""
        return page_info(self.node, self.lists, pfn)

    def pfn_to_page(self, pfn: int) -> int:
        """Virtual address of the struct page of `pfn`, or PageAllocError where there is none."""
        return self.mem_map.page_virt(self.node.page_entry(pfn))

    def page_states(self) -> bytes:
        """One PageState a pfn from node.start_pfn on (see mm_debug.page_states)."""
        return page_states(self.node, self.lists)

    # Blocks.

    def _rmqueue(self, zone: Zone, order: int, caller: str) -> int | None:
        """Take a block of `order`, splitting the smallest that will do (__rmqueue_smallest)."""
        for current in range(order, self.max_order):
            entry = self.lists.first(zone, current)
            if entry is not None:
                break
        else:
            return None
        mem_map = self.mem_map
        self.trace.emit(PageAlloc(mem_map.start_pfn + entry, order, zone.name, caller))
        self.lists.remove(zone, entry, current)
        while current > order:  # expand(): the upper halves stay free
            current -= 1
            self.lists.add(zone, entry + (1 << current), current, to_tail=False)
        zone.struct.nr_free_pages -= 1 << order
        self._check_pages(zone, entry, order, PAGE_FLAGS_CHECK_AT_PREP, "PREP")
        if not mem_map.all_are(mem_map.refcount, entry, 1 << order, 0):
            raise _bad_page(mem_map.start_pfn + entry, f"nonzero _refcount, order {order}")
        mem_map.refcount[entry] = 1
        return entry

    def _boot_free(
        self, pfn: int, order: int, caller: str, *, to_tail: bool, one_by_one: bool = False
    ) -> None:
        """Free pages that never were free, and count them as managed.

        `one_by_one` leaves in each even page's lru what freeing the pages one at a time does.
        """
        zone, entry = self._block(pfn, order, "handed over")
        mem_map, last = self.mem_map, entry + (1 << order)
        if not mem_map.all_are(mem_map.refcount, entry, 1 << order, 1):
            taken = next(e for e in range(entry, last) if mem_map.refcount[e] != 1)
            raise self._not_taken(pfn, order, taken)
        ignored = PAGE_FLAGS_CHECK_AT_FREE & ~PG_RESERVED
        clean = self._check_pages(zone, entry, order, ignored, "FREE")
        self.trace.emit(PageFree(pfn, order, zone.name, caller))
        mem_map.fill(mem_map.refcount, slice(entry, last), 0)
        if one_by_one and order:
            mem_map.fill(mem_map.next, slice(entry, last, 2), LIST_POISON1)
            mem_map.fill(mem_map.prev, slice(entry, last, 2), self.layout.list_poison2)
        zone.struct.managed_pages += 1 << order
        if not clean:
            self._clear_flags(zone, entry, order)
        self._free_one_page(zone, entry, order, to_tail=to_tail)

    def _clear_flags(self, zone: Zone, entry: int, order: int) -> None:
        """Leave nothing but the zone in the pages' flags (free_pages_prepare)."""
        flags = self.mem_map.flags
        clean = zone.index << self.node.zones_pgshift
        self.mem_map.fill(flags, slice(entry, entry + (1 << order)), clean)

    def _free_one_page(self, zone: Zone, entry: int, order: int, *, to_tail: bool) -> None:
        """Free a block: join it with its buddy as long as that is free (__free_one_page)."""
        lists = self.lists
        zone.struct.nr_free_pages += 1 << order
        while order < self.max_order - 1:
            buddy = entry ^ 1 << order
            if not lists.is_buddy(zone, buddy, order):
                # If only the buddy is missing for two more steps up, keep the block for last
                # (buddy_merge_likely).
                above = entry & buddy ^ 2 << order
                if order < self.max_order - 2 and lists.is_buddy(zone, above, order + 1):
                    to_tail = True
                break
            lists.remove(zone, buddy, order)
            entry &= buddy
            order += 1
        lists.add(zone, entry, order, to_tail=to_tail)

    def _zonelist(self, gfp: int) -> tuple[Zone, ...]:
        """The zones that may serve `gfp`, best first (gfp_zone, build_zonerefs_node)."""
        if gfp & Gfp.HIGHMEM:
            highest = ZONE_MOVABLE if gfp & Gfp.MOVABLE else ZONE_HIGHMEM
        else:
            highest = "DMA" if gfp & Gfp.DMA else "Normal"
        names = [zone.name for zone in self.zones]
        if highest not in names:  # OPT_ZONE_DMA, OPT_ZONE_HIGHMEM: include/linux/gfp.h
            highest = "Normal"
        top = names.index(highest) if highest in names else 0
        return self.zones[top::-1]

    # Checks.

    def _check_order(self, order: int) -> None:
        if not 0 <= order < self.max_order:
            raise PageAllocError(f"order {order}: expected 0 to {self.max_order - 1}")

    def _block(self, pfn: int, order: int, action: str) -> tuple[Zone, int]:
        """The zone and the entry of 2**order pages at `pfn`, which lie in one zone's RAM."""
        self._check_order(order)
        entry = self.node.page_entry(pfn)
        count = 1 << order
        if pfn & (count - 1):
            raise PageAllocError(f"pfn {pfn:#x} {action} as order {order}: not aligned to {count}")
        zone = self.node.page_zone(entry)
        if not any(start <= pfn and pfn + count <= end for start, end in zone.present):
            raise PageAllocError(
                f"pfns {pfn:#x}-{pfn + count - 1:#x} {action} as order {order}: not all RAM of zone"
                f" {zone.name}; the zones are {self.node.describe_zones()}"
            )
        return zone, entry

    def _check_pages(self, zone: Zone, entry: int, order: int, mask: int, check: str) -> bool:
        """Raise unless each page is mapped nowhere and has no flag of `mask` (page_bad_reason).

        Returns whether they have no flags at all.
        """
        mem_map, count = self.mem_map, 1 << order
        shift = self.node.zones_pgshift
        if (
            mem_map.all_are(mem_map.page_type, entry, count, PAGE_TYPE_NONE)
            and mem_map.all_are(mem_map.mapping, entry, count, 0)
            and mem_map.all_are(mem_map.flags, entry, count, zone.index << shift)
        ):
            return True
        for page in range(entry, entry + count):
            pfn, flags = mem_map.start_pfn + page, mem_map.flags[page]
            if mem_map.page_type[page] != PAGE_TYPE_NONE:
                if check == "FREE" and self.lists.enclosing_block(zone, page):
                    raise self._not_taken(mem_map.start_pfn + entry, order, page)
                raise _bad_page(pfn, "nonzero mapcount")
            if mem_map.mapping[page]:
                raise _bad_page(pfn, "non-NULL mapping")
            if flags & mask:
                names = ", ".join(PageFlag(flags & mask).names)
                raise _bad_page(pfn, f"PAGE_FLAGS_CHECK_AT_{check} flag(s) set: {names}")
            if flags >> shift != zone.index:
                raise _bad_page(pfn, f"its flags name another zone than {zone.name}")
        return False

    def _not_taken(self, pfn: int, order: int, entry: int) -> PageAllocError:
        """The error for freeing pages at `pfn` of which `entry` is not one that was taken."""
        mem_map = self.mem_map
        found = mem_map.start_pfn + entry
        block = self.lists.enclosing_block(self.node.page_zone(entry), entry)
        if block:
            reason = f"is free already, in the block of order {block.order} at pfn {block.pfn:#x}"
            return PageAllocError(
                f"double free of pfn {pfn:#x}, order {order}: pfn {found:#x} {reason}"
            )
        return PageAllocError(
            f"bad free of pfn {pfn:#x}, order {order}: pfn {found:#x} has _refcount"
            f" {mem_map.struct(entry).refcount}, the first page of what was taken would have 1"
        )


def get_order(size: int) -> int:
    """The smallest order whose block holds `size` bytes (include/asm-generic/getorder.h)."""
    return (pfn_up(size) - 1).bit_length() if size else 0


def _bad_page(pfn: int, reason: str) -> PageAllocError:
    return PageAllocError(f"BUG: Bad page state  pfn:{pfn:05x}: {reason}")
