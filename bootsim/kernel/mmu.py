"""Where lowmem ends, and the kernel's own page tables.

Linux: arch/arm/mm/mmu.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bootsim.errors import KernelPanic
from bootsim.kernel.init import bootmem_init
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memory import (
    PAGE_SHIFT,
    PAGE_SIZE,
    PMD_SIZE,
    SECTION_SIZE,
    round_down,
    round_up,
)
from bootsim.kernel.own_mapping import OWN_BSS, check_own_mapping
from bootsim.kernel.params import memparse, null_parameter
from bootsim.kernel.pgtable import (
    DOMAIN_IO,
    DOMAIN_KERNEL,
    DOMAIN_VECTORS,
    L_PTE_DIRTY,
    L_PTE_MT_DEV_SHARED,
    L_PTE_MT_UNCACHED,
    L_PTE_MT_WRITEALLOC,
    L_PTE_MT_WRITEBACK,
    L_PTE_PRESENT,
    L_PTE_RDONLY,
    L_PTE_SHARED,
    L_PTE_USER,
    L_PTE_XN,
    L_PTE_YOUNG,
    PAGE_KERNEL_TABLE,
    PMD_SECT_AP_WRITE,
    PMD_SECT_APX,
    PMD_SECT_S,
    PMD_SECT_TEX0,
    PMD_SECT_WB,
    PMD_SECT_WBWA,
    PMD_SECT_XN,
    PMD_TYPE_SECT,
    PMD_TYPE_TABLE,
    MemType,
    create_mapping,
    early_alloc,
    early_pte_alloc,
    map_pages,
    pmd_clear,
    pmd_populate,
    vmalloc_start,
)
from bootsim.kernel.static_vm import fill_pmd_gaps, iotable_init, pci_reserve_io
from bootsim.trace import Refusal

SZ_16M = 16 << 20
SZ_32M = 32 << 20
U32_MASK = 0xFFFFFFFF
FDT_FIXED_BASE = 0xFF800000  # arch/arm/include/asm/memory.h
PMD_PROTECTION = 1 << 9  # arch/arm/include/asm/pgtable-2level-hwdef.h
_CACHE_POLICIES = ("uncached", "buffered", "writethrough", "writeback", "writealloc")
_UNDEFINED_INSTRUCTION = 0xE7FDDEF1  # arch/arm/kernel/traps.c poisons the vectors page with it


def early_vmalloc(kernel: Kernel, value: str | None) -> int:
    """vmalloc=size: how much of the kernel's address space is kept from lowmem (bytes).

    Up to 5.13 the gap below the area counts in (feature `vmalloc_holds_gap`).
    """
    if value is None:
        raise null_parameter("vmalloc")
    layout = kernel.profile.layout
    holds_gap = kernel.profile.features.vmalloc_holds_gap
    gap = layout.vmalloc_offset - _gap_in_vmalloc(kernel)
    small, unit = ("too small", "MB") if holds_gap else ("is too small", "MiB")
    size = memparse(value)[0] & U32_MASK
    if size < SZ_16M:
        size = SZ_16M
        kernel.pr_warn(f"vmalloc area {small}, limiting to {size >> 20}{unit}")
    largest = layout.vmalloc_end - (layout.page_offset + SZ_32M + gap)
    if size > largest:
        size = largest
        kernel.pr_warn(f"vmalloc area is too big, limiting to {size >> 20}{unit}")
    kernel.vmalloc_size = size - _gap_in_vmalloc(kernel)
    return 0


def vmalloc_parameter(kernel: Kernel, size: int) -> int:
    """What vmalloc= is to say for `kernel.vmalloc_size` to be `size`, bytes."""
    return size + _gap_in_vmalloc(kernel)


def _gap_in_vmalloc(kernel: Kernel) -> int:
    return kernel.profile.layout.vmalloc_offset if kernel.profile.features.vmalloc_holds_gap else 0


def early_cachepolicy(kernel: Kernel, value: str | None) -> int:
    """cachepolicy=: only what head.S has chosen already is good on ARMv6 and later."""
    if value is None:
        raise null_parameter("cachepolicy")
    initial = "writealloc" if is_smp(kernel) else "writeback"
    selected = next((policy for policy in _CACHE_POLICIES if value.startswith(policy)), None)
    if selected is None:
        kernel.pr_err("ERROR: unknown or unsupported cache policy")
    if selected != initial:
        kernel.pr_warn(f"Only cachepolicy={initial} supported on ARMv6 and later")
    return 0


def early_nocache(kernel: Kernel, _value: str | None) -> int:
    """nocache: an old name of cachepolicy=buffered."""
    kernel.pr_warn("nocache is deprecated; use cachepolicy=buffered")
    return early_cachepolicy(kernel, "buffered")


def early_nowrite(kernel: Kernel, _value: str | None) -> int:
    """nowb: an old name of cachepolicy=uncached."""
    kernel.pr_warn("nowb is deprecated; use cachepolicy=uncached")
    return early_cachepolicy(kernel, "uncached")


def early_ecc(kernel: Kernel, value: str | None) -> int:
    """ecc=on: lowmem and the vectors are mapped with the protection bit."""
    if value is None:
        raise null_parameter("ecc")
    if value.startswith("on"):
        kernel.ecc_mask = PMD_PROTECTION
    elif value.startswith("off"):
        kernel.ecc_mask = 0
    return 0


def adjust_lowmem_bounds(kernel: Kernel) -> None:
    """Find where lowmem ends, and up to where memblock may allocate before it is mapped.

    Sets arm_lowmem_limit, high_memory and memblock's current limit; without HIGHMEM, RAM above
    lowmem is removed.
    """
    memblock, variables = kernel.memblock, kernel.vars
    vmalloc_limit = lowmem_end_max(kernel)
    first = next(iter(memblock.for_each_mem_range()), None)
    unaligned = first is not None and first[0] % PMD_SIZE
    if first is not None and unaligned and kernel.profile.features.nomap_unaligned_head:
        memblock.mark_nomap(
            first[0], round_up(first[0], PMD_SIZE) - first[0], caller="adjust_lowmem_bounds"
        )
    lowmem_limit = memblock_limit = 0
    for start, end in memblock.for_each_mem_range():
        if start >= vmalloc_limit:
            continue
        lowmem_limit = max(lowmem_limit, min(vmalloc_limit, end))
        if not memblock_limit:
            if start % PMD_SIZE:
                memblock_limit = start
            elif end % PMD_SIZE:
                memblock_limit = lowmem_limit
    variables.arm_lowmem_limit = lowmem_limit
    variables.high_memory = kernel.phys_to_virt(lowmem_limit - 1) + 1
    memblock_limit = round_down(memblock_limit or lowmem_limit, PMD_SIZE)
    if not kernel.profile.config.highmem and memblock.end_of_DRAM() > lowmem_limit:
        end = memblock.end_of_DRAM()
        kernel.pr_notice(f"Ignoring RAM at {memblock_limit:#010x}-{end:#010x}")
        kernel.pr_notice("Consider using a HIGHMEM enabled kernel.")
        memblock.remove(memblock_limit, end - memblock_limit, caller="adjust_lowmem_bounds")
    memblock.set_current_limit(memblock_limit)


def lowmem_end_max(kernel: Kernel) -> int:
    """The physical address that lowmem does not pass, as the vmalloc area needs what follows."""
    layout = kernel.profile.layout
    room = layout.vmalloc_end - kernel.vmalloc_size - layout.vmalloc_offset - layout.page_offset
    return room + kernel.phys_offset


def early_fixmap_init(kernel: Kernel) -> None:
    """Give the fixmap a page table out of the kernel's data, before memory can be allocated."""
    top = kernel.profile.layout.fixaddr_top
    pmd_populate(kernel, top, kernel.pa_symbol("bm_pte"), PAGE_KERNEL_TABLE)


def early_mm_init(kernel: Kernel) -> None:
    """Choose the attribute bits of each memory type and say which cache policy it is."""
    policy = "writealloc" if is_smp(kernel) else "writeback"
    ecc = "ECC enabled, " if kernel.ecc_mask else ""
    kernel.pr_info(f"Memory policy: {ecc}Data cache {policy}")


def is_smp(kernel: Kernel) -> bool:
    """Whether head.S mapped the kernel shareable, as it does where the SCU counts several CPUs.

    Read from the section that maps the kernel's text, like initial_pmd_value.
    """
    entry = kernel.memory.read_u32(
        kernel.virt_to_phys(kernel.profile.swapper_pg_dir)
        + 4 * (kernel.symbol("_stext") // SECTION_SIZE)
    )
    return bool(entry & PMD_SECT_S)


def mem_type(kernel: Kernel, name: str) -> MemType:
    """build_mem_type_table's row `name` for an ARMv7 CPU with TEX remapping.

    Only the types that a boot up to the handover maps.
    """
    smp = is_smp(kernel)
    page = L_PTE_PRESENT | L_PTE_YOUNG | L_PTE_DIRTY
    kernel_pgprot = (L_PTE_MT_WRITEALLOC | L_PTE_SHARED) if smp else L_PTE_MT_WRITEBACK
    section = PMD_TYPE_SECT | PMD_SECT_AP_WRITE | DOMAIN_KERNEL << 5
    section |= (PMD_SECT_WBWA | PMD_SECT_S) if smp else PMD_SECT_WB
    section |= kernel.ecc_mask
    table = PMD_TYPE_TABLE | DOMAIN_KERNEL << 5
    vectors_table = PMD_TYPE_TABLE | DOMAIN_VECTORS << 5 | kernel.ecc_mask
    read_only = page | L_PTE_RDONLY | kernel_pgprot
    rows = {
        "MT_MEMORY_RWX": (page | kernel_pgprot, table, section),
        "MT_MEMORY_RW": (page | L_PTE_XN | kernel_pgprot, table, section | PMD_SECT_XN),
        "MT_MEMORY_RO": (
            read_only | L_PTE_XN,
            table,
            section | PMD_SECT_XN | PMD_SECT_APX,
        ),
        "MT_MEMORY_RW_SO": (
            page | L_PTE_XN | L_PTE_MT_UNCACHED,
            table,
            PMD_TYPE_SECT | PMD_SECT_AP_WRITE | PMD_SECT_S | PMD_SECT_XN | DOMAIN_KERNEL << 5,
        ),
        "MT_MEMORY_DMA_READY": (page | L_PTE_XN | kernel_pgprot, table, 0),
        "MT_HIGH_VECTORS": (read_only | L_PTE_USER, vectors_table, 0),
        "MT_LOW_VECTORS": (read_only, vectors_table, 0),
        "MT_DEVICE": (
            page | L_PTE_XN | L_PTE_MT_DEV_SHARED | L_PTE_SHARED,
            PMD_TYPE_TABLE | DOMAIN_IO << 5,
            PMD_TYPE_SECT
            | (PMD_SECT_AP_WRITE | PMD_SECT_S | PMD_SECT_XN | PMD_SECT_TEX0)
            | DOMAIN_IO << 5,
        ),
    }
    return MemType(name, *rows[name])


def paging_init(kernel: Kernel, map_io: Callable[[Kernel], None]) -> None:
    """Replace head.S's mappings by the kernel's own, then set up zones and the memory map.

    `map_io` is the machine's own hook. Left out: TCM.
    """
    variables = kernel.vars
    prepare_page_table(kernel)
    map_lowmem(kernel)
    kernel.memblock.set_current_limit(variables.arm_lowmem_limit)
    if kernel.profile.features.maps_kernel_apart:
        map_kernel(kernel)
    kernel.lowmem_is_mapped = True
    dma_contiguous_remap(kernel)
    early_fixmap_shutdown(kernel)
    devicemaps_init(kernel, map_io)
    kmap_init(kernel)
    zero_page = early_alloc(kernel, PAGE_SIZE, "zero page")
    bootmem_init(kernel)
    variables.empty_zero_page = kernel.buddy.pfn_to_page(zero_page >> PAGE_SHIFT)
    kernel.stage("bootmem_init")


def prepare_page_table(kernel: Kernel) -> None:
    """Clear what head.S mapped, but for the first bank of lowmem with the kernel in it.

    Raises KernelPanic where the kernel is not in that bank: Linux unmaps itself here and dies
    without a word. Where only the end of its .bss is behind, it is not mapped until lowmem or, if
    that is mapped apart, the kernel is: Debian's kernel lives, as long as it needs nothing there.
    So it does with only text cleared, which the TLB still has, but not its data.
    """
    layout, variables = kernel.profile.layout, kernel.vars
    pmd_clear(kernel, 0, layout.page_offset)
    kernel.memblock.memory.sync()
    region = kernel.memblock.memory.region(0)
    end = min(region.base + region.size, variables.arm_lowmem_limit)
    start, stop = kernel.phys_to_virt(end) & -PMD_SIZE, vmalloc_start(kernel)
    if start < kernel.symbol("_end") and kernel.symbol("_stext") < stop:
        bss = kernel.symbol("__bss_start")
        lost = end < kernel.pa_symbol("_end") or start < bss
        if kernel.profile.features.maps_kernel_apart:
            lost = start < bss and kernel.symbol("_sdata") < stop
        if lost:
            raise KernelPanic(
                f"prepare_page_table: the first bank of lowmem ends at {end:#010x}, the kernel at"
                f" {kernel.pa_symbol('_end'):#010x}: Linux unmaps itself here and dies silently"
            )
        if start >= bss:
            unmapped = kernel.symbol("_end") - start
            kernel.refuse(Refusal("bss-unmapped", kernel.virt_to_phys(start), unmapped, start=end))
    pmd_clear(kernel, start, stop)


def map_lowmem(kernel: Kernel) -> None:
    """Map all of lowmem: executable from the kernel's text to the end of init, else not.

    Where the kernel is mapped apart, lowmem ends with the bank that holds it.
    """
    if kernel.profile.features.maps_kernel_apart:
        for start, end in _lowmem_beside_kernel(kernel):
            if start > end and end % SECTION_SIZE:
                raise KernelPanic(
                    f"map_lowmem: a bank ends at {end:#010x}, in the sections that hold the kernel:"
                    " Linux maps on until the address comes round, and dies silently"
                )
            virt, kind = kernel.phys_to_virt(start), mem_type(kernel, "MT_MEMORY_RW")
            create_mapping(kernel, virt, start, end - start, kind)
        return
    kernel_x_start = round_down(kernel.pa_symbol("_stext"), SECTION_SIZE)
    kernel_x_end = round_up(kernel.pa_symbol("__init_end"), SECTION_SIZE)
    executable, plain = mem_type(kernel, "MT_MEMORY_RWX"), mem_type(kernel, "MT_MEMORY_RW")
    for start, end in kernel.memblock.for_each_mem_range():
        end = min(end, kernel.vars.arm_lowmem_limit)
        if start >= end:
            break
        if end < kernel_x_start:
            pieces = [(start, end, executable)]
        elif start >= kernel_x_end:
            pieces = [(start, end, plain)]
        else:
            pieces = [
                (start, max(start, kernel_x_start), plain),
                (kernel_x_start, kernel_x_end, executable),
                (kernel_x_end, max(end, kernel_x_end), plain),
            ]
        for first, last, kind in pieces:
            create_mapping(kernel, kernel.phys_to_virt(first), first, last - first, kind)
    kernel.flush_tlb_all()


def _lowmem_beside_kernel(kernel: Kernel) -> Iterator[tuple[int, int]]:
    """What map_lowmem() maps where map_kernel() does the rest: [start, end), physical."""
    sec_start, sec_end = kernel_sections(kernel)
    for start, end in kernel.memblock.for_each_mem_range():
        end = min(end, kernel.vars.arm_lowmem_limit)
        if start >= end or (start > sec_start and end < sec_end):
            return
        if start <= sec_start <= end:
            if start < sec_start and end > sec_end:
                yield start, sec_start
                yield sec_end, end
                return  # whatever banks follow: they stay unmapped, as in Linux
            if sec_start == start:
                start = sec_end
            if sec_end == end:
                end = sec_start
        elif sec_start < start < sec_end < end:
            start = sec_end
        elif start < sec_start < end < sec_end:
            end = sec_start
        yield start, end


def kernel_sections(kernel: Kernel) -> tuple[int, int]:
    """kernel_sec_start and kernel_sec_end as head.S sets them: the sections that hold the kernel.

    Its text begins with that of the linear map: head.S maps from PAGE_OFFSET on.
    """
    end = round_up(kernel.pa_symbol("_end"), SECTION_SIZE)
    return kernel.phys_offset, end


def map_kernel(kernel: Kernel) -> None:
    """Map the kernel: executable up to the end of init, then not."""
    start, nx_end = kernel_sections(kernel)
    x_end = round_up(kernel.pa_symbol("__init_end"), SECTION_SIZE)
    executable, plain = mem_type(kernel, "MT_MEMORY_RWX"), mem_type(kernel, "MT_MEMORY_RW")
    create_mapping(kernel, kernel.phys_to_virt(start), start, x_end - start, executable)
    if x_end != nx_end:
        create_mapping(kernel, kernel.phys_to_virt(x_end), x_end, nx_end - x_end, plain)


def dma_contiguous_remap(kernel: Kernel) -> None:
    """Map the CMA areas in lowmem by pages, whose attributes can change (dma-mapping.c).

    The pmds from an area's start on are cleared before, whole ones, whatever else is in them.
    Raises KernelPanic where that is the kernel itself: at once, or if the end of its .bss, which it
    can do without for that long, is not mapped again.
    """
    kind, function = mem_type(kernel, "MT_MEMORY_DMA_READY"), "dma_contiguous_remap"
    for start, size in kernel.dma_mmu_remap:
        end = min(start + size, kernel.vars.arm_lowmem_limit)
        if start >= end:
            continue
        virt = kernel.phys_to_virt(start)
        first, count = virt & -PMD_SIZE, -(-(end - start) // PMD_SIZE)
        behind = first + count * PMD_SIZE
        pmd_clear(kernel, first, behind)
        check_own_mapping(kernel, first, behind, function)
        kernel.flush_tlb_all()
        iotable_init(kernel, [(virt, start, end - start)], kind)
        check_own_mapping(kernel, first, behind, function, (OWN_BSS,))


def set_fixmap_io(kernel: Kernel, phys: int) -> None:
    """Map the page of a device at FIX_EARLYCON_MEM_BASE, by the early fixmap's page table."""
    virt, kind = kernel.profile.layout.fixaddr_top, mem_type(kernel, "MT_DEVICE")
    map_pages(kernel, kernel.pa_symbol("bm_pte"), virt, PAGE_SIZE, phys & -PAGE_SIZE, kind)
    kernel.earlycon_mapbase = phys


def early_fixmap_shutdown(kernel: Kernel) -> None:
    """Take away the early fixmap's page table; what earlycon mapped is mapped anew."""
    top = kernel.profile.layout.fixaddr_top
    pmd_clear(kernel, top & -PMD_SIZE, (top & -PMD_SIZE) + PMD_SIZE)
    kernel.flush_tlb_all()
    if kernel.earlycon_mapbase is not None:
        device, page = mem_type(kernel, "MT_DEVICE"), kernel.earlycon_mapbase & -PAGE_SIZE
        kernel.bootconsole_is_mapped = False
        create_mapping(kernel, top, page, PAGE_SIZE, device)
        kernel.bootconsole_is_mapped = True


def devicemaps_init(kernel: Kernel, map_io: Callable[[Kernel], None]) -> None:
    """Allocate and map the exception vectors; have the machine map its devices.

    The page is only poisoned: the vectors' code itself belongs to a kernel image.
    """
    layout = kernel.profile.layout
    vectors = early_alloc(kernel, 2 * PAGE_SIZE, "exception vectors")
    poison = _UNDEFINED_INSTRUCTION.to_bytes(4, "little")
    kernel.memory.write(vectors, poison * (PAGE_SIZE // 4))
    start, end = vmalloc_start(kernel), layout.fixaddr_top & -PMD_SIZE
    pmd_clear(kernel, start, end)
    check_own_mapping(kernel, start, end, "devicemaps_init")
    tree = kernel.memory.read_u32(kernel.pa_symbol("__atags_pointer"))
    if tree and kernel.profile.features.maps_fdt:
        kind = mem_type(kernel, "MT_MEMORY_RO")
        create_mapping(kernel, FDT_FIXED_BASE, tree & -SECTION_SIZE, 2 * SECTION_SIZE, kind)
    high, low = mem_type(kernel, "MT_HIGH_VECTORS"), mem_type(kernel, "MT_LOW_VECTORS")
    create_mapping(kernel, layout.vectors_base, vectors, PAGE_SIZE, high)
    create_mapping(kernel, layout.vectors_base + PAGE_SIZE, vectors + PAGE_SIZE, PAGE_SIZE, low)
    map_io(kernel)
    fill_pmd_gaps(kernel)
    if kernel.profile.config.pci:
        pci_reserve_io(kernel)
    kernel.flush_tlb_all()


def kmap_init(kernel: Kernel) -> None:
    """Page tables for the mappings of highmem pages, where there is any, and for the fixmap."""
    layout = kernel.profile.layout
    if kernel.profile.config.highmem:
        early_pte_alloc(kernel, layout.page_offset - PMD_SIZE, PAGE_KERNEL_TABLE)  # PKMAP_BASE
    early_pte_alloc(kernel, layout.fixaddr_start, PAGE_KERNEL_TABLE)
