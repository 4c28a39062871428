"""Nodes and zones as they lie in RAM.

Linux: include/linux/mmzone.h (struct zone, struct pglist_data), mm/page_alloc.c (sizes).

`struct zone` and `struct pglist_data` are reduced to the fields that the model uses. A zone is its
head (StructZone) and then one FreeArea an order, with one free list where the kernel has one for
each migrate type. As in the kernel, node_zones[] comes first, then the rest of the node; the zones'
names lie after it as C strings, where the kernel has them in .rodata.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from bootsim.errors import BootsimError
from bootsim.kernel.memory import PAGE_SHIFT, pfn_up, round_up
from bootsim.kernel.mm_types import WORD, ListHead, StructPage
from bootsim.machine.memory import PhysMemory

NR_PAGEBLOCK_BITS = 4  # include/linux/pageblock-flags.h
ZONE_MOVABLE = "Movable"
ZONE_HIGHMEM = "HighMem"
# enum zone_type, include/linux/mmzone.h: the order in which zones lie in a node.
ZONE_ORDER = ("DMA", "Normal", ZONE_HIGHMEM, ZONE_MOVABLE)
ZONE_NAME_SIZE = 8  # bytes: "Movable" and its NUL


class FreeArea(ctypes.LittleEndianStructure):
    """struct free_area with a single free list: the blocks of one order, `nr_free` of them."""

    free_list: ListHead
    nr_free: int
    _fields_ = [("free_list", ListHead), ("nr_free", ctypes.c_uint32)]


class StructZone(ctypes.LittleEndianStructure):
    """The reduced struct zone up to its free areas; pages are counted, pointers are virtual.

    `nr_free_pages` is the kernel's vm_stat[NR_FREE_PAGES].
    """

    zone_pgdat: int
    pageblock_flags: int
    zone_start_pfn: int
    managed_pages: int
    spanned_pages: int
    present_pages: int
    name: int
    initialized: int
    nr_free_pages: int
    _fields_ = [
        ("zone_pgdat", ctypes.c_uint32),
        ("pageblock_flags", ctypes.c_uint32),
        ("zone_start_pfn", ctypes.c_uint32),
        ("managed_pages", ctypes.c_uint32),
        ("spanned_pages", ctypes.c_uint32),
        ("present_pages", ctypes.c_uint32),
        ("name", ctypes.c_uint32),
        ("initialized", ctypes.c_uint32),
        ("nr_free_pages", ctypes.c_uint32),
    ]


class StructPglistData(ctypes.LittleEndianStructure):
    """What the reduced struct pglist_data has after node_zones[]."""

    nr_zones: int
    node_mem_map: int
    node_start_pfn: int
    node_present_pages: int
    node_spanned_pages: int
    node_id: int
    _fields_ = [
        ("nr_zones", ctypes.c_uint32),
        ("node_mem_map", ctypes.c_uint32),
        ("node_start_pfn", ctypes.c_uint32),
        ("node_present_pages", ctypes.c_uint32),
        ("node_spanned_pages", ctypes.c_uint32),
        ("node_id", ctypes.c_uint32),
    ]


class PfnRange(NamedTuple):
    """A half-open range of page frame numbers."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ZoneSpan:
    """What a zone is made of: pfns [start_pfn, end_pfn), and the ranges of it that are RAM.

    An empty zone has start_pfn == end_pfn. `present` is in ascending order; None: all of the span.
    `highmem`: ZONE_MOVABLE is made of high memory.
    """

    name: str
    start_pfn: int
    end_pfn: int
    present: tuple[PfnRange, ...] | None = None
    highmem: bool = False

    def __post_init__(self) -> None:
        if self.name not in ZONE_ORDER:
            raise BootsimError(f"no zone '{self.name}': there are {', '.join(ZONE_ORDER)}")
        if not 0 <= self.start_pfn <= self.end_pfn:
            raise BootsimError(f"zone {self.name}: pfns {self.start_pfn:#x}-{self.end_pfn:#x}")
        position = self.start_pfn
        for start, end in self.present_ranges:
            if not position <= start < end <= self.end_pfn:
                raise BootsimError(
                    f"zone {self.name}: RAM at pfns {start:#x}-{end:#x} is out of order, empty, or"
                    f" outside of the zone's {self.start_pfn:#x}-{self.end_pfn:#x}"
                )
            position = end

    @property
    def is_highmem(self) -> bool:
        """is_highmem_idx(): not mapped, so that its struct pages are no burden of its own."""
        return self.highmem or self.name == ZONE_HIGHMEM

    @property
    def present_ranges(self) -> tuple[PfnRange, ...]:
        if self.present is not None:
            return self.present
        return (PfnRange(self.start_pfn, self.end_pfn),) if self.spanned_pages else ()

    @property
    def spanned_pages(self) -> int:
        return self.end_pfn - self.start_pfn

    @property
    def present_pages(self) -> int:
        return sum(end - start for start, end in self.present_ranges)


@dataclass(frozen=True, slots=True)
class PageLayout:
    """How a kernel's build and version lay out its zones and memory map.

    struct_page_size: bytes; 32, and 36 with CONFIG_MEMCG.
    max_order: orders are 0 .. max_order - 1 (MAX_ORDER, CONFIG_ARCH_FORCE_MAX_ORDER).
    pgdat_addr: physical address of contig_page_data (`pgdat_size` bytes are used there).
    boot_frees_to_tail: pages that memblock hands over go to the lists' tails (since 5.10).
    list_poison2: what list_del() leaves in `prev` (include/linux/poison.h).
    reports_zones: the sizes of node and zones are printed as KERN_DEBUG; later kernels print them
        with pr_debug, which is compiled out.
    reports_initmem: "Initmem setup node" is printed (CONFIG_HAVE_MEMBLOCK_NODE_MAP).
    inits_holes: pages in holes are valid, and initialised as reserved, if RAM shares their
        pageblock (since 5.12 and 5.14); before, a page is valid only where memblock has memory.
    pageblocks_from_top: zone.pageblock_flags fills its words from the highest bit (before 5.9).
    allocs_memmap_raw: the memory map is not zeroed by memblock (since 5.2).
    memmap_caller: the function that memblock logs as the memory map's requester;
        unused_memmap_caller: the one that gives back what of it describes nothing.
    counts_memmap: a zone's pages are without those of the memory map until the handover, and hashes
        are sized by them; since 6.10 hashes are sized by what memblock has free.
    """

    struct_page_size: int
    max_order: int
    pgdat_addr: int
    boot_frees_to_tail: bool
    list_poison2: int
    reports_zones: bool
    reports_initmem: bool
    inits_holes: bool
    pageblocks_from_top: bool
    allocs_memmap_raw: bool
    memmap_caller: str
    unused_memmap_caller: str
    counts_memmap: bool = True

    @classmethod
    def linux_5_0(
        cls, pgdat_addr: int, *, struct_page_size: int = 32, max_order: int = 11
    ) -> PageLayout:
        """Linux 5.0 on ARM."""
        return cls(
            struct_page_size=struct_page_size,
            max_order=max_order,
            pgdat_addr=pgdat_addr,
            boot_frees_to_tail=False,
            list_poison2=0x200,
            reports_zones=True,
            reports_initmem=False,
            inits_holes=False,
            pageblocks_from_top=True,
            allocs_memmap_raw=False,
            memmap_caller="alloc_node_mem_map",
            unused_memmap_caller="mem_init",
        )

    @classmethod
    def linux_6_1(
        cls, pgdat_addr: int, *, struct_page_size: int = 36, max_order: int = 12
    ) -> PageLayout:
        """Linux 6.1 on ARM; by default with the sizes of Debian's armmp kernel."""
        return cls(
            struct_page_size=struct_page_size,
            max_order=max_order,
            pgdat_addr=pgdat_addr,
            boot_frees_to_tail=True,
            list_poison2=0x122,
            reports_zones=False,
            reports_initmem=True,
            inits_holes=True,
            pageblocks_from_top=False,
            allocs_memmap_raw=True,
            memmap_caller="free_area_init",
            unused_memmap_caller="memblock_free_all",
        )

    @classmethod
    def linux_5_10(
        cls, pgdat_addr: int, *, struct_page_size: int = 36, max_order: int = 12
    ) -> PageLayout:
        """Linux 5.10 on ARM."""
        return replace(
            cls.linux_6_1(pgdat_addr, struct_page_size=struct_page_size, max_order=max_order),
            reports_zones=True,
            inits_holes=False,
            allocs_memmap_raw=False,
            memmap_caller="alloc_node_mem_map",
            unused_memmap_caller="mem_init",
        )

    @classmethod
    def linux_6_12(
        cls, pgdat_addr: int, *, struct_page_size: int = 36, max_order: int = 12
    ) -> PageLayout:
        """Linux 6.12 on ARM; its MAX_PAGE_ORDER is `max_order` - 1."""
        return replace(
            cls.linux_6_1(pgdat_addr, struct_page_size=struct_page_size, max_order=max_order),
            counts_memmap=False,
        )

    def __post_init__(self) -> None:
        smallest = ctypes.sizeof(StructPage)
        if self.struct_page_size < smallest or self.struct_page_size % WORD:
            raise BootsimError(
                f"struct page of {self.struct_page_size} bytes: expected {smallest} or more, in"
                " words of 4"
            )
        if not 1 <= self.max_order <= 32 - PAGE_SHIFT:
            raise BootsimError(f"MAX_ORDER {self.max_order}: expected 1 to {32 - PAGE_SHIFT}")

    @property
    def pageblock_order(self) -> int:
        """MAX_ORDER - 1, as it is without huge pages (include/linux/pageblock-flags.h)."""
        return self.max_order - 1

    @property
    def max_order_nr_pages(self) -> int:
        """Pages in a block of the highest order."""
        return 1 << (self.max_order - 1)

    @property
    def zone_size(self) -> int:
        """Bytes of one struct zone."""
        return ctypes.sizeof(StructZone) + self.max_order * ctypes.sizeof(FreeArea)

    def pgdat_size(self, nr_zones: int = len(ZONE_ORDER)) -> int:
        """Bytes that a node of `nr_zones` zones takes at `pgdat_addr`, names included."""
        return nr_zones * (self.zone_size + ZONE_NAME_SIZE) + ctypes.sizeof(StructPglistData)


def calc_memmap_size(spanned_pages: int, struct_page_size: int) -> int:
    """Pages that the struct pages of `spanned_pages` fill (flat memory model)."""
    return pfn_up(spanned_pages * struct_page_size)


def usemap_size(zone_start_pfn: int, spanned_pages: int, pageblock_order: int) -> int:
    """Bytes of zone.pageblock_flags: NR_PAGEBLOCK_BITS a pageblock, in whole words."""
    block = 1 << pageblock_order
    blocks = round_up(spanned_pages + zone_start_pfn % block, block) >> pageblock_order
    return round_up(blocks * NR_PAGEBLOCK_BITS, 8 * WORD) // 8


def zone_batchsize(managed_pages: int) -> int:
    """Pages that a per-CPU list takes at a time: a quarter of 0.1 % of the zone or of 1 MiB.

    Clamped to one below a power of two (mm/page_alloc.c).
    """
    batch = max(min(managed_pages >> 10, (1 << 20) >> PAGE_SHIFT) // 4, 1)
    batch += batch // 2
    return (1 << batch.bit_length() - 1) - 1


def merge_ranges(ranges: Iterable[PfnRange]) -> list[PfnRange]:
    """Ascending ranges with those that touch or overlap made one."""
    merged: list[PfnRange] = []
    for start, end in ranges:
        if merged and start <= merged[-1].end:
            merged[-1] = PfnRange(merged[-1].start, max(end, merged[-1].end))
        else:
            merged.append(PfnRange(start, end))
    return merged


class Zone:
    """One zone of the node: its struct zone in RAM, and which of its pfns are RAM."""

    def __init__(
        self, memory: PhysMemory, layout: PageLayout, span: ZoneSpan, index: int, virt: int
    ) -> None:
        """The node's zone number `index`; `virt` is the virtual address of node_zones[0]."""
        offset = index * layout.zone_size
        areas = layout.pgdat_addr + offset + ctypes.sizeof(StructZone)
        self.name = span.name
        self.index = index
        self.virt = virt + offset
        self.present = tuple(merge_ranges(span.present_ranges))
        head = memory.view(layout.pgdat_addr + offset, ctypes.sizeof(StructZone))
        self.struct = StructZone.from_buffer(head)
        words = memory.words(areas, layout.max_order * ctypes.sizeof(FreeArea) // WORD)
        self.next = words[0::3]
        self.prev = words[1::3]
        self.nr_free = words[2::3]
        self.free_lists = tuple(
            self.virt + ctypes.sizeof(StructZone) + order * ctypes.sizeof(FreeArea)
            for order in range(layout.max_order)
        )

    def init_free_lists(self) -> None:
        """Empty lists, each pointing to itself (zone_init_free_lists)."""
        for order, head in enumerate(self.free_lists):
            self.next[order] = self.prev[order] = head
            self.nr_free[order] = 0

    @property
    def populated(self) -> bool:
        """Whether any RAM belongs to the zone (populated_zone)."""
        return self.struct.present_pages != 0

    @property
    def start_pfn(self) -> int:
        return self.struct.zone_start_pfn

    @property
    def end_pfn(self) -> int:
        return self.struct.zone_start_pfn + self.struct.spanned_pages
