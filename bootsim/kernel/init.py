"""Reservations at the start, zones in the middle, and the handover at the end.

Linux: arch/arm/mm/init.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType

from bootsim.errors import KernelPanic
from bootsim.kernel.cma import dma_contiguous_reserve
from bootsim.kernel.fdt import early_init_fdt_reserve_self
from bootsim.kernel.free_area_init import free_area_init
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memblock import Memblock
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE, pfn_down, pfn_up, round_down, round_up
from bootsim.kernel.memtest import early_memtest
from bootsim.kernel.mmzone import ZONE_HIGHMEM, PageLayout, PfnRange, ZoneSpan
from bootsim.kernel.of_reserved_mem import early_init_fdt_scan_reserved_mem
from bootsim.kernel.page_alloc import PageAllocator
from bootsim.kernel.params import memparse, null_parameter
from bootsim.trace import KERNEL_IMAGE, PG_DIR, RAMDISK, Refusal
from bootsim.weak import weakly

U32_MASK = 0xFFFFFFFF
_SWAPPER_PG_DIR_SIZE = 0x4000
_PAGE_LAYOUTS = MappingProxyType(
    {
        "5.0": PageLayout.linux_5_0,
        "5.10": PageLayout.linux_5_10,
        "6.1": PageLayout.linux_6_1,
        "6.12": PageLayout.linux_6_12,
    }
)
_MEMMAP_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "alloc_node_mem_map": "memory map (struct page)",
        "free_area_init": "memory map (struct page)",
        "setup_usemap": "pageblock flags of a zone",
    }
)


def early_initrd(kernel: Kernel, value: str | None) -> int:
    """initrd=start,size in bytes; overrides what /chosen says."""
    if value is None:
        raise null_parameter("initrd")
    place = initrd_place(value)
    if place is not None:
        kernel.vars.phys_initrd_start, kernel.vars.phys_initrd_size = place
    return 0


def initrd_place(value: str) -> tuple[int, int] | None:
    """Physical address and size that initrd=`value` gives; None without a comma in it."""
    start, rest = memparse(value)
    if not rest.startswith(","):
        return None
    return start & U32_MASK, memparse(rest[1:])[0] & U32_MASK


def setup_dma_zone(kernel: Kernel) -> None:
    """Where the zone ends that the machine's most restricted devices can reach."""
    size = kernel.machine_desc.dma_zone_size if kernel.machine_desc is not None else 0
    kernel.arm_dma_limit = (kernel.phys_offset + size - 1 if size else -1) & U32_MASK


def arm_memblock_steal(kernel: Kernel, size: int, align: int, caller: str) -> int:
    """Take `size` bytes out of memory for good, for `caller`; where they are.

    Raises KernelPanic if there is no room.
    """
    function = "arm_memblock_steal"
    phys = kernel.memblock.phys_alloc(size, align, caller=function)
    if not phys:
        raise KernelPanic.panic(f"Failed to steal 0x{size:08x} bytes at {caller}")
    kernel.memblock.phys_free(phys, size, caller=function)
    kernel.memblock.remove(phys, size, caller=function)
    return phys


def arm_memblock_init(kernel: Kernel, reserve: Callable[[Kernel], None]) -> None:
    """Reserve all that is in use or promised before anything is allocated.

    `reserve` is the machine's own hook.
    """
    text, end = kernel.pa_symbol("_stext"), kernel.pa_symbol("_end")
    kernel.memblock.reserve(text, end - text, caller="arm_memblock_init")
    kernel.use(text, end - text, KERNEL_IMAGE)
    arm_initrd_init(kernel)
    arm_mm_memblock_reserve(kernel)
    reserve(kernel)
    if kernel.profile.features.reserve_dtb == "arm_memblock_init":
        early_init_fdt_reserve_self(kernel)
    early_init_fdt_scan_reserved_mem(kernel)
    dma_contiguous_reserve(kernel)
    kernel.memblock_dump_all()


def arm_initrd_init(kernel: Kernel) -> None:
    """Reserve the initrd, rounded outward to pages, unless it lies where it cannot.

    Later kernels have it as reserve_initrd_mem() in init/initramfs.c.
    """
    function = kernel.profile.features.reserve_initrd
    if not kernel.vars.phys_initrd_size:
        return
    start = round_down(kernel.vars.phys_initrd_start, PAGE_SIZE)
    size = kernel.vars.phys_initrd_size + kernel.vars.phys_initrd_start - start
    size = round_up(size, PAGE_SIZE) & U32_MASK
    if not kernel.memblock.is_region_memory(start, size):
        problem, what = "is not a memory region", "initrd-not-memory"
    elif kernel.memblock.is_region_reserved(start, size):
        problem, what = "overlaps in-use memory region", "initrd-in-use"
        if function == "reserve_initrd_mem":  # its message ends the line before the rest comes
            problem += "\n"
    else:
        caller = "arm_memblock_init" if function == "arm_initrd_init" else function
        kernel.memblock.reserve(start, size, caller=caller)
        kernel.use(start, size, RAMDISK)
        variables = kernel.vars
        variables.initrd_start = kernel.phys_to_virt(variables.phys_initrd_start)
        variables.initrd_end = variables.initrd_start + variables.phys_initrd_size
        return
    kernel.refuse(Refusal(what, start, size))
    kernel.pr_err(f"INITRD: 0x{start:08x}+0x{size:08x} {problem} - disabling initrd")


def arm_mm_memblock_reserve(kernel: Kernel) -> None:
    """Reserve the page table that head.S made (arch/arm/mm/mmu.c)."""
    table = kernel.virt_to_phys(kernel.profile.swapper_pg_dir)
    kernel.memblock.reserve(table, _SWAPPER_PG_DIR_SIZE, caller="arm_memblock_init")
    kernel.use(table, _SWAPPER_PG_DIR_SIZE, PG_DIR)


def bootmem_init(kernel: Kernel) -> None:
    """Test memory where asked to, then make the zones and the memory map."""
    kernel.memblock.allow_resize()
    find_limits(kernel)
    variables = kernel.vars
    early_memtest(kernel, variables.min_low_pfn << PAGE_SHIFT, variables.max_low_pfn << PAGE_SHIFT)
    zone_sizes_init(kernel)


def find_limits(kernel: Kernel) -> None:
    """The pfns that bound lowmem and all memory."""
    memblock, variables = kernel.memblock, kernel.vars
    variables.max_low_pfn = pfn_down(memblock.get_current_limit())
    variables.min_low_pfn = pfn_up(memblock.start_of_DRAM())
    variables.max_pfn = pfn_down(memblock.end_of_DRAM())


def zone_sizes_init(kernel: Kernel) -> None:
    """One node; its lowest zone is lowmem, HighMem what lies above."""
    variables, config = kernel.vars, kernel.profile.config
    zones = _zone_spans(kernel)
    allocator = PageAllocator(
        kernel.memory,
        kernel.linear,
        kernel.trace,
        _PAGE_LAYOUTS[kernel.profile.features.page_alloc](
            kernel.pa_symbol("contig_page_data"),
            struct_page_size=config.struct_page_size,
            max_order=config.max_order,
        ),
        weakly(kernel.printk),
    )

    def alloc(size: int, nid: int, caller: str) -> int:
        memblock, align = kernel.memblock, kernel.memblock.features.smp_cache_bytes
        if not allocator.layout.allocs_memmap_raw:
            virt = memblock.alloc_node_nopanic(size, nid, caller=caller)
        elif caller == allocator.layout.memmap_caller:
            virt = memblock.alloc_try_nid_raw(size, align, 0, 0, nid, caller=caller)
        else:
            virt = memblock.alloc_node(size, align, nid, caller=caller)
        if not virt:
            return 0
        phys = kernel.virt_to_phys(virt)
        kernel.use(phys, size, _MEMMAP_PARTS.get(caller, caller))
        if caller == allocator.layout.memmap_caller:
            _check_memory_map(kernel, allocator.layout, phys)
        return phys

    allocator.free_area_init_node(0, zones, alloc, kernel.phys_offset >> PAGE_SHIFT)
    _check_memory_map(kernel, allocator.layout, allocator.mem_map.phys)
    kernel.page_alloc = allocator
    if not allocator.layout.counts_memmap:
        calc_nr_kernel_pages(kernel)
    mem_map = allocator.mem_map
    first = (kernel.phys_offset >> PAGE_SHIFT) - mem_map.start_pfn
    variables.mem_map = mem_map.page_virt(first)


def calc_nr_kernel_pages(kernel: Kernel) -> None:
    """Count what memblock has free, all of it and lowmem (mm/mm_init.c since 6.10)."""
    node, lowmem_end = kernel.buddy.node, kernel.vars.max_low_pfn
    for base, end, _nid in kernel.memblock.for_each_free_mem_range():
        first, last = pfn_up(base), pfn_down(end)
        if first < last:
            node.nr_all_pages += last - first
            node.nr_kernel_pages += min(last, lowmem_end) - min(first, lowmem_end)


def _zone_spans(kernel: Kernel) -> list[ZoneSpan]:
    variables, config = kernel.vars, kernel.profile.config
    if kernel.profile.features.page_alloc != "5.0":
        low = [variables.max_low_pfn] * len(config.zones)
        if len(low) > 1:  # ZONE_DMA, which other lowmem may follow
            low[0] = min(pfn_up(kernel.arm_dma_limit), variables.max_low_pfn)
        max_zone_pfn = dict(zip(config.zones, low, strict=True))
        if config.highmem:
            max_zone_pfn[ZONE_HIGHMEM] = variables.max_pfn
        return free_area_init(kernel, max_zone_pfn)
    bounds = {config.zones[0]: (variables.min_low_pfn, variables.max_low_pfn)}
    if config.highmem:
        bounds[ZONE_HIGHMEM] = (variables.max_low_pfn, variables.max_pfn)
    memory = _memory_pfns(kernel)
    return [
        ZoneSpan(name, start, end, tuple(_clipped(memory, start, end)))
        for name, (start, end) in bounds.items()
    ]


def _check_memory_map(kernel: Kernel, layout: PageLayout, phys: int) -> None:
    """Stop where Linux writes past its memory map, at `phys`, until it leaves the linear map.

    The map begins with the block of the highest order that memory starts in, but is indexed from
    PHYS_OFFSET: where that is in a block before, the struct pages lie behind their place, over
    what is there. Up to the handover that is borne, unless it is the page tables that map them:
    to be called before they are written, and after.
    """
    start, first = kernel.vars.min_low_pfn, kernel.phys_offset >> PAGE_SHIFT
    if round_down(start, layout.max_order_nr_pages) <= first <= start:
        return
    low = phys + (start - first) * layout.struct_page_size
    high = phys + (kernel.vars.max_pfn - first) * layout.struct_page_size
    if low < phys or kernel.first_unmapped(kernel.phys_to_virt(low), high - low):
        raise KernelPanic(
            f"memmap_init: memory starts at {start << PAGE_SHIFT:#010x}, in another block than"
            f" PHYS_OFFSET {kernel.phys_offset:#010x}: Linux writes past its memory map and dies"
        )


def _memory_pfns(kernel: Kernel) -> list[PfnRange]:
    """memblock.memory as whole pages, neighbours joined."""
    return [PfnRange(start, end) for start, end, _ in kernel.memblock.for_each_mem_pfn_range()]


def _clipped(ranges: list[PfnRange], start: int, end: int) -> Iterator[PfnRange]:
    for low, high in ranges:
        if max(low, start) < min(high, end):
            yield PfnRange(max(low, start), min(high, end))


def pfn_valid(memblock: Memblock, pfn: int) -> bool:
    """Whether `pfn` has a struct page, as 6.1 has it: memory lies in its pageblock."""
    if pfn > U32_MASK >> PAGE_SHIFT:
        return False
    block = PAGE_SIZE << (memblock.features.max_order - 1)
    return memblock.overlaps_region(memblock.memory, (pfn << PAGE_SHIFT) & -block, block)


def mem_init(kernel: Kernel) -> None:
    """Hand every free page to the buddy allocator and say how many there are."""
    buddy, memblock = kernel.buddy, kernel.memblock
    buddy.free_unused_memmap(
        _memory_pfns(kernel),
        partial(memblock.phys_free, caller=kernel.buddy.layout.unused_memmap_caller),
    )
    _check_free_ranges(kernel)
    kernel.vars.max_mapnr = kernel.vars.max_pfn - (kernel.phys_offset >> PAGE_SHIFT)
    buddy.reset_all_zones_managed_pages()
    pages = memblock.free_all(kernel.vars.max_low_pfn, buddy)
    totalhigh_pages = free_highpages(kernel)
    memblock.late_alloc = buddy.late_alloc
    if kernel.profile.features.memory_line:
        mem_init_print_info(kernel, pages + totalhigh_pages, totalhigh_pages)


def _check_free_ranges(kernel: Kernel) -> None:
    """Stop where Linux would corrupt memory: PFN_UP() of a start in the last page wraps to 0.

    RAM that ends at 4 GiB and is lowmem to its end leaves such a range; memblock_free_all() then
    frees pages from pfn 0 on.
    """
    for start, end, _nid in kernel.memblock.for_each_free_mem_range():
        if pfn_up(start) > U32_MASK >> PAGE_SHIFT:
            raise KernelPanic(
                f"memblock_free_all: the free range [{start:#010x}-{end - 1:#010x}] starts in the"
                " last page below 4 GiB: PFN_UP() wraps to 0 and Linux frees pages that are not RAM"
            )


def free_highpages(kernel: Kernel) -> int:
    """Free what is free above lowmem; how many pages that is."""
    if not kernel.profile.config.highmem:
        return 0
    pages, lowest = 0, kernel.vars.max_low_pfn
    for start, end, _nid in kernel.memblock.for_each_free_mem_range():
        first, last = max(pfn_up(start), lowest), pfn_down(end)
        if first < last:
            kernel.buddy.free_highpages(first, last)
            pages += last - first
    return pages


def mem_init_print_info(kernel: Kernel, totalram_pages: int, totalhigh_pages: int) -> None:
    """The "Memory:" line: pages counted by the zones, sections by symbols (mm/page_alloc.c)."""
    symbol, buddy = kernel.symbol, kernel.buddy
    code = symbol("_etext") - symbol("_stext")
    data = symbol("_edata") - symbol("_sdata")
    rodata = symbol("__end_rodata") - symbol("__start_rodata")
    init_data = symbol("__init_end") - symbol("__init_begin")
    init_code = symbol("_einittext") - symbol("_sinittext")
    bss = symbol("__bss_stop") - symbol("__bss_start")
    if symbol("__init_begin") <= symbol("_sinittext") < symbol("__init_end"):
        init_data -= init_code
    pages = sum(zone.struct.present_pages for zone in buddy.zones)
    cma = kernel.vars.totalcma_pages
    reserved = (pages - totalram_pages - cma) & U32_MASK
    highmem = ""
    if kernel.profile.config.highmem:
        highmem = f", {_kib(totalhigh_pages)}K highmem"
    kernel.pr_info(
        f"Memory: {_kib(buddy.nr_free_pages())}K/{_kib(pages)}K available"
        f" ({code >> 10}K kernel code, {data >> 10}K rwdata, {rodata >> 10}K rodata,"
        f" {(init_data + init_code) >> 10}K init, {bss >> 10}K bss, {_kib(reserved)}K reserved,"
        f" {_kib(cma)}K cma-reserved{highmem})"
    )


def _kib(pages: int) -> int:
    return (pages << (PAGE_SHIFT - 10)) & U32_MASK
