"""Setting up the node: its zones, its memory map, which pages are reserved.

Linux: mm/page_alloc.c up to 6.3, mm/mm_init.c since (free_area_init_node and what it calls,
reserve_bootmem_region); arch/arm/mm/init.c, mm/memblock.c since 5.11 (free_unused_memmap).
"""

from __future__ import annotations

import ctypes
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

from bootsim.errors import BootsimError, KernelPanic
from bootsim.kernel.memory import (
    PAGE_SHIFT,
    PAGE_SIZE,
    LinearMap,
    pfn_down,
    pfn_up,
    round_down,
    round_up,
)
from bootsim.kernel.mm_types import PG_RESERVED, MemMap, PageAllocError
from bootsim.kernel.mmzone import (
    NR_PAGEBLOCK_BITS,
    ZONE_MOVABLE,
    ZONE_NAME_SIZE,
    ZONE_ORDER,
    PageLayout,
    PfnRange,
    StructPglistData,
    Zone,
    ZoneSpan,
    calc_memmap_size,
    merge_ranges,
    usemap_size,
    zone_batchsize,
)
from bootsim.kernel.printk import KERN_DEBUG, KERN_INFO, KERN_WARNING
from bootsim.machine.memory import PhysMemory

MIGRATE_MOVABLE = 1  # enum migratetype, include/linux/mmzone.h

Printk = Callable[[int, str], None]
Alloc = Callable[[int, int, str], int]


class Node:
    """The node (struct pglist_data), its zones and its memory map, all views of RAM.

    `nr_kernel_pages` and `nr_all_pages` are what alloc_large_system_hash() sizes hashes by.
    """

    def __init__(
        self,
        memory: PhysMemory,
        linear: LinearMap,
        layout: PageLayout,
        nid: int,
        spans: Sequence[ZoneSpan],
        first_pfn: int | None = None,
    ) -> None:
        """The node `nid` with the zones `spans`; free_area_init_node() fills it in.

        The memory map is allocated for whole blocks, from that on in which memory starts. A flat
        one is indexed from `first_pfn`, that of PHYS_OFFSET: only where memory starts there
        alloc_node_mem_map() sees to it that its first entry is the block's.
        ZONE_MOVABLE, which every kernel has, is appended where it is not given. Raises
        BootsimError for zones out of order or without any RAM.
        """
        if ZONE_MOVABLE not in [span.name for span in spans]:
            spans = [*spans, ZoneSpan(ZONE_MOVABLE, 0, 0)]
        check_zones(spans)
        self.memory = memory
        self.linear = linear
        self.layout = layout
        self.nid = nid
        self.spans = tuple(spans)
        self.present = merge_ranges(r for span in spans for r in span.present_ranges)
        self.start_pfn = min(span.start_pfn for span in spans if span.spanned_pages)
        self.end_pfn = max(span.end_pfn for span in spans if span.spanned_pages)
        # MAX_NR_ZONES decides how many bits of page->flags name the zone (ZONES_SHIFT).
        block = round_down(self.start_pfn, layout.max_order_nr_pages)
        self.map_start_pfn = block if first_pfn in (None, self.start_pfn) else first_pfn
        self.zones_pgshift = 32 - (len(spans) - 1).bit_length()

        phys, virt = layout.pgdat_addr, linear.phys_to_virt(layout.pgdat_addr)
        memory.zero(phys, layout.pgdat_size(len(spans)))
        self.zones = tuple(
            Zone(memory, layout, span, index, virt) for index, span in enumerate(spans)
        )
        tail = len(spans) * layout.zone_size
        size = ctypes.sizeof(StructPglistData)
        self.struct = StructPglistData.from_buffer(memory.view(phys + tail, size))
        self.names_offset = tail + size
        self.nr_kernel_pages = 0
        self.nr_all_pages = 0
        self.mem_map: MemMap
        self._valid = self.present
        if layout.inits_holes:
            block = layout.max_order_nr_pages
            self._valid = merge_ranges(
                PfnRange(round_down(start, block), round_up(end, block))
                for start, end in self.present
            )
            first = self.map_start_pfn
            self._valid = [PfnRange(max(low, first), high) for low, high in self._valid]
        self._valid_starts = [start for start, _ in self._valid]

    def pfn_valid(self, pfn: int) -> bool:
        """Whether `pfn` has an initialised struct page (arch/arm/mm/init.c, pfn_valid)."""
        index = bisect_right(self._valid_starts, pfn) - 1
        return index >= 0 and pfn < self._valid[index].end

    def valid_ranges(self, start: int, end: int) -> Iterator[PfnRange]:
        """The parts of pfns [start, end) that are valid."""
        for low, high in self._valid:
            if low < end and start < high:
                yield PfnRange(max(start, low), min(end, high))

    def page_entry(self, pfn: int) -> int:
        """The entry of `pfn` in mem_map; raises PageAllocError unless the pfn is valid."""
        if not self.pfn_valid(pfn):
            raise PageAllocError(f"pfn {pfn:#x} is not RAM: the zones are {self.describe_zones()}")
        return pfn - self.mem_map.start_pfn

    def page_zone(self, entry: int) -> Zone:
        """The zone that the flags of a page name (page_zone)."""
        flags = self.mem_map.flags[entry]
        index = flags >> self.zones_pgshift
        if index >= len(self.zones):
            pfn = self.mem_map.start_pfn + entry
            raise PageAllocError(f"pfn {pfn:#x}: its flags, {flags:08x}, name zone {index}: none")
        return self.zones[index]

    def describe_zones(self) -> str:
        """The zones with their pfns, for messages."""
        return ", ".join(
            f"{span.name} {span.start_pfn:#x}-{span.end_pfn - 1:#x}"
            for span in self.spans
            if span.spanned_pages
        )

    def reserve_bootmem_region(self, start: int, end: int) -> None:
        """Mark the pages that hold bytes [start, end) reserved; pages without RAM are skipped."""
        mem_map = self.mem_map
        for low, high in self.valid_ranges(pfn_down(start), pfn_up(end)):
            first, last = low - mem_map.start_pfn, high - mem_map.start_pfn
            mem_map.init_lru(first, last - first)
            flags = mem_map.flags[first:last]
            flags[:] = memoryview(array("I", [word | PG_RESERVED for word in flags]))

    def free_unused_memmap(
        self, memory: Iterable[tuple[int, int]], phys_free: Callable[[int, int], object]
    ) -> None:
        """Give back the memory map's pages that describe only holes between banks.

        `memory` are memblock.memory's regions as half-open pfn ranges, in order;
        `phys_free(base, size)` is memblock's, in bytes.
        """
        block = self.layout.max_order_nr_pages
        prev_end = 0
        for start, end in memory:
            aligned = round_down(start, block)
            if prev_end and prev_end < aligned:
                base = round_up(self._page_phys(prev_end), PAGE_SIZE)
                limit = round_down(self._page_phys(aligned), PAGE_SIZE)
                if base < limit:
                    phys_free(base, limit - base)
            prev_end = round_up(end, block)

    def _page_phys(self, pfn: int) -> int:
        mem_map = self.mem_map
        return mem_map.phys + (pfn - mem_map.start_pfn) * mem_map.page_size


def free_area_init_node(node: Node, alloc: Alloc, printk: Printk) -> None:
    """Fill in the node: sizes, memory map, zones, and every struct page of RAM.

    `alloc(size, nid, caller)` is memblock's allocator (bytes; physical address, 0 when it fails);
    raises KernelPanic where Linux panics or runs on with a null memory map.
    """
    layout, nid = node.layout, node.nid
    node.struct.node_id = nid
    node.struct.node_start_pfn = node.start_pfn
    if layout.reports_initmem:
        start, end = node.start_pfn << PAGE_SHIFT, node.end_pfn << PAGE_SHIFT
        printk(KERN_INFO, f"Initmem setup node {nid} [mem {start:#018x}-{end - 1:#018x}]")
    for zone, span in zip(node.zones, node.spans, strict=True):
        zone.struct.zone_start_pfn = span.start_pfn if span.spanned_pages else 0
        zone.struct.spanned_pages = span.spanned_pages
        zone.struct.present_pages = span.present_pages
    node.struct.node_spanned_pages = sum(span.spanned_pages for span in node.spans)
    node.struct.node_present_pages = sum(span.present_pages for span in node.spans)
    if layout.reports_zones:
        printk(KERN_DEBUG, f"On node {nid} totalpages: {node.struct.node_present_pages}")
    alloc_node_mem_map(node, alloc)
    free_area_init_core(node, alloc, printk)
    memmap_init(node, printk)


def alloc_node_mem_map(node: Node, alloc: Alloc) -> None:
    """Allocate the memory map, out to whole blocks of the highest order."""
    layout = node.layout
    start = round_down(node.start_pfn, layout.max_order_nr_pages)
    end = round_up(node.end_pfn, layout.max_order_nr_pages)
    size = (end - start) * layout.struct_page_size
    phys = alloc(size, node.nid, layout.memmap_caller)
    if not phys:
        raise KernelPanic.panic(f"Failed to allocate {size} bytes for node {node.nid} memory map")
    virt = node.linear.phys_to_virt(phys)
    node.mem_map = MemMap(
        node.memory,
        phys=phys,
        virt=virt,
        start_pfn=node.map_start_pfn,
        count=end - node.map_start_pfn,
        page_size=layout.struct_page_size,
    )
    node.struct.node_mem_map = node.mem_map.page_virt(node.start_pfn - start)


def free_area_init_core(node: Node, alloc: Alloc, printk: Printk) -> None:
    """Count each zone's pages, log them, and make its lists empty."""
    layout = node.layout
    for zone, span in zip(node.zones, node.spans, strict=True):
        name, struct = zone.name, zone.struct
        freesize = struct.present_pages
        memmap_pages = calc_memmap_size(struct.spanned_pages, layout.struct_page_size)
        if layout.counts_memmap and not span.is_highmem:
            if freesize >= memmap_pages:
                freesize -= memmap_pages
                if memmap_pages and layout.reports_zones:
                    printk(KERN_DEBUG, f"  {name} zone: {memmap_pages} pages used for memmap")
            else:
                what = "pages" if layout.reports_zones else "memmap pages"
                printk(
                    KERN_WARNING,
                    f"  {name} zone: {memmap_pages} {what} exceeds freesize {freesize}",
                )
        if zone.index == 0 and freesize and layout.reports_zones:
            printk(KERN_DEBUG, f"  {name} zone: 0 pages reserved")
        if layout.counts_memmap:
            if not span.is_highmem:
                node.nr_kernel_pages += freesize
            elif node.nr_kernel_pages > memmap_pages * 2:
                node.nr_kernel_pages -= memmap_pages
            node.nr_all_pages += freesize
        zone_init_internals(node, zone, freesize)
        if zone.populated and layout.reports_zones:
            batch = zone_batchsize(freesize)
            printk(KERN_DEBUG, f"  {name} zone: {struct.present_pages} pages, LIFO batch:{batch}")
        if struct.spanned_pages:
            setup_usemap(node, zone, alloc)
            node.struct.nr_zones = zone.index + 1
            zone.init_free_lists()
            struct.initialized = 1


def zone_init_internals(node: Node, zone: Zone, remaining_pages: int) -> None:
    """The zone's name, node, and a first guess of the pages it manages."""
    offset = node.names_offset + zone.index * ZONE_NAME_SIZE
    phys = node.layout.pgdat_addr + offset
    node.memory.write(phys, zone.name.encode().ljust(ZONE_NAME_SIZE, b"\0"))
    zone.struct.name = node.linear.phys_to_virt(phys)
    zone.struct.zone_pgdat = node.zones[0].virt
    zone.struct.managed_pages = remaining_pages


def setup_usemap(node: Node, zone: Zone, alloc: Alloc) -> None:
    """Allocate zone->pageblock_flags and make the pageblocks that begin in RAM movable."""
    layout = node.layout
    size = usemap_size(zone.start_pfn, zone.struct.spanned_pages, layout.pageblock_order)
    phys = alloc(size, node.nid, "setup_usemap")
    if not phys:
        raise KernelPanic.panic(
            f"Failed to allocate {size} bytes for zone {zone.name} pageblock flags on node"
            f" {node.nid}"
        )
    zone.struct.pageblock_flags = node.linear.phys_to_virt(phys)
    block = 1 << layout.pageblock_order
    first = round_down(zone.start_pfn, block)
    usemap = 0
    for start, end in zone.present:
        for pfn in range(round_up(start, block), end, block):
            usemap |= MIGRATE_MOVABLE << (pfn - first) // block * NR_PAGEBLOCK_BITS
    if layout.pageblocks_from_top:
        # Each word the other way round: the type's three bits begin at the block's highest bit.
        words = array("I", usemap.to_bytes(size, "little"))
        usemap = int.from_bytes(array("I", map(_types_from_top, words)), "little")
    node.memory.write(phys, usemap.to_bytes(size, "little"))


def _types_from_top(word: int) -> int:
    """A word of pageblock flags with block 0 in its highest bits, types kept as numbers."""
    nibbles = [word >> shift & 0xF for shift in range(0, 32, NR_PAGEBLOCK_BITS)]
    return sum(
        nibble << 1 << (32 - NR_PAGEBLOCK_BITS - NR_PAGEBLOCK_BITS * index)
        for index, nibble in enumerate(nibbles)
    )


def memmap_init(node: Node, printk: Printk) -> None:
    """Initialise the struct pages of RAM, and, where the layout says so, of holes beside it.

    The memory map's other entries stay as the allocator gave them, as in Linux.
    """
    mem_map, block = node.mem_map, node.layout.max_order_nr_pages
    hole = 0
    for zone in node.zones:
        flags = zone.index << node.zones_pgshift
        for start, end in zone.present:
            mem_map.init_pages(start - mem_map.start_pfn, end - start, flags)
            if node.layout.inits_holes:
                # Only the pageblocks at both ends of a hole hold RAM.
                below = PfnRange(hole, min(round_up(hole, block), start))
                above = PfnRange(max(round_down(start, block), below.end), start)
                for low, high in (below, above):
                    if low < high:
                        # Linux writes the pages below it in front of the map, where all is free.
                        first = max(low, mem_map.start_pfn)
                        if first < high:
                            entry = first - mem_map.start_pfn
                            mem_map.init_pages(entry, high - first, flags | PG_RESERVED)
                pages = sum(high - low for low, high in (below, above))
                if pages:
                    where = f"On node {node.nid}, zone {zone.name}"
                    printk(KERN_INFO, f"{where}: {pages} pages in unavailable ranges")
            hole = end


def check_zones(spans: Sequence[ZoneSpan]) -> None:
    """Raise BootsimError unless the zones are in the kernel's order, apart, and hold RAM."""
    names = [span.name for span in spans]
    if names != [name for name in ZONE_ORDER if name in names]:
        raise BootsimError(f"zones {', '.join(names)}: expected the order {', '.join(ZONE_ORDER)}")
    end = 0
    for span in spans:
        if not span.spanned_pages:
            continue
        if span.start_pfn < end:
            raise BootsimError(
                f"zone {span.name} begins at pfn {span.start_pfn:#x}, below the end of the zone"
                f" before it, {end:#x}"
            )
        end = span.end_pfn
    if not any(span.present_pages for span in spans):
        raise BootsimError("no zone has any RAM")
