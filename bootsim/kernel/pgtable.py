"""The kernel's page tables: two levels, written into RAM as the hardware reads them.

Linux: arch/arm/mm/mmu.c (create_mapping), asm/pgtable-2level*.h, arch/arm/mm/proc-v7-2level.S.
A Linux pmd is two hardware first-level entries (2 MiB); a page of second-level tables holds 512
Linux ptes, then 512 hardware ptes.
"""

from __future__ import annotations

from dataclasses import dataclass

from bootsim.errors import KernelPanic
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memory import (
    PAGE_SHIFT,
    PAGE_SIZE,
    PMD_SIZE,
    SECTION_SIZE,
    round_down,
    round_up,
)
from bootsim.trace import CreateMapping

# asm/pgtable-2level-hwdef.h; ARM ARM DDI 0406C, B3.5.1
PMD_TYPE_TABLE = 1
PMD_TYPE_MASK = 3
PMD_BIT4 = 1 << 4
PMD_TYPE_SECT = 2
PMD_SECT_BUFFERABLE = 1 << 2
PMD_SECT_CACHEABLE = 1 << 3
PMD_SECT_XN = 1 << 4
PMD_SECT_AP_WRITE = 1 << 10
PMD_SECT_APX = 1 << 15
PMD_SECT_TEX0 = 1 << 12
PMD_SECT_S = 1 << 16
PMD_SECT_WB = PMD_SECT_CACHEABLE | PMD_SECT_BUFFERABLE
PMD_SECT_WBWA = PMD_SECT_TEX0 | PMD_SECT_WB

# asm/domain.h without CONFIG_IO_36
DOMAIN_KERNEL, DOMAIN_IO, DOMAIN_VECTORS = 0, 2, 3

# asm/pgtable-2level.h: Linux's view of a page
L_PTE_PRESENT = 1 << 0
L_PTE_YOUNG = 1 << 1
L_PTE_MT_UNCACHED = 0 << 2
L_PTE_MT_WRITEBACK = 3 << 2
L_PTE_MT_WRITEALLOC = 7 << 2
L_PTE_MT_DEV_SHARED = 4 << 2
L_PTE_DIRTY = 1 << 6
L_PTE_RDONLY = 1 << 7
L_PTE_USER = 1 << 8
L_PTE_XN = 1 << 9
L_PTE_SHARED = 1 << 10

# asm/pgtable-2level-hwdef.h: second-level small page
PTE_EXT_XN = 1 << 0
PTE_TYPE_SMALL = 1 << 1
PTE_EXT_AP0 = 1 << 4
PTE_EXT_AP1 = 1 << 5
PTE_EXT_TEX0 = 1 << 6
PTE_EXT_APX = 1 << 9

PTE_HWTABLE_OFF = 512 * 4
PTE_TABLE_SIZE = 2 * PTE_HWTABLE_OFF
PAGE_KERNEL_TABLE = PMD_TYPE_TABLE | PMD_BIT4 | DOMAIN_KERNEL << 5
_TASK_GAP = 16 << 20  # bytes below PAGE_OFFSET: arch/arm/include/asm/memory.h, TASK_SIZE


@dataclass(frozen=True, slots=True)
class MemType:
    """struct mem_type: how a kind of memory is mapped; prot_sect 0: never by sections."""

    name: str
    prot_pte: int
    prot_l1: int
    prot_sect: int


def set_pmd(kernel: Kernel, virt: int, first: int, second: int) -> None:
    """Write both hardware entries of the pmd that maps `virt`."""
    entries = kernel.memory.words(pmd_entry(kernel, virt & -PMD_SIZE), 2)
    entries[0], entries[1] = first, second


def pmd_clear(kernel: Kernel, start: int, end: int) -> None:
    """Clear the pmds of virtual [start, end), whole ones."""
    first, last = start // PMD_SIZE, -(-end // PMD_SIZE)
    if first < last:
        kernel.memory.zero(pmd_entry(kernel, first * PMD_SIZE), 8 * (last - first))


def pmd_populate(kernel: Kernel, virt: int, table_phys: int, prot: int) -> None:
    """Have the pmd of `virt` point to the two hardware tables in the page at `table_phys`."""
    hardware = table_phys + PTE_HWTABLE_OFF
    set_pmd(kernel, virt, hardware | prot, hardware + 256 * 4 | prot)


def early_alloc(kernel: Kernel, size: int, what: str, *, align: int | None = None) -> int:
    """Zeroed memory for `what`, aligned to its own size: its physical address.

    Raises KernelPanic where there is none, as memblock_phys_alloc() panics.
    """
    align = align or size
    if kernel.profile.features.early_alloc == "memblock_alloc":
        return kernel.memblock_alloc(size, align, what, caller="early_alloc")
    phys = kernel.memblock.phys_alloc(size, align, caller="early_alloc")
    if not phys:
        raise KernelPanic.panic(f"early_alloc: Failed to allocate {size} bytes align={align:#x}")
    kernel.before_zeroing(phys, size)
    kernel.memory.zero(phys, size)
    kernel.use(phys, size, what)
    return phys


def early_pte_alloc(kernel: Kernel, virt: int, prot: int) -> int:
    """The page of second-level tables behind `virt`, allocated where there is none yet."""
    entry = kernel.memory.read_u32(pmd_entry(kernel, virt & -PMD_SIZE))
    if entry & PMD_TYPE_MASK == PMD_TYPE_TABLE:
        return entry & -1024 & -PTE_TABLE_SIZE
    if entry & PMD_TYPE_MASK:
        raise KernelPanic(f"BUG: a section maps {virt:#010x}, where a page table is asked for")
    table = early_alloc(kernel, PTE_TABLE_SIZE, f"page table for {virt & -PMD_SIZE:#010x}")
    pmd_populate(kernel, virt, table, prot)
    return table


def vmalloc_start(kernel: Kernel) -> int:
    """VMALLOC_START: a gap above lowmem, aligned to it (asm/pgtable.h)."""
    offset = kernel.profile.layout.vmalloc_offset
    return round_down(kernel.vars.high_memory + offset, offset)


def create_mapping(kernel: Kernel, virt: int, phys: int, length: int, kind: MemType) -> None:
    """Map virtual [virt, virt + length) to `phys`: by sections where all is aligned, else pages.

    Whole pages are mapped; a `phys` within a page is that page's start. Nothing is mapped below
    TASK_SIZE, where processes are to live; Linux says so and goes on.
    """
    layout = kernel.profile.layout
    what = f"mapping for {phys & -PAGE_SIZE:#010x} at {virt:#010x}"
    if virt != layout.vectors_base and virt < layout.page_offset - _TASK_GAP:
        kernel.pr_warn(f"BUG: not creating {what} in user region")
        return
    for_devices = layout.page_offset <= virt < layout.fixaddr_start and kind.name == "MT_DEVICE"
    if for_devices and not vmalloc_start(kernel) <= virt < layout.vmalloc_end:
        kernel.pr_warn(f"BUG: {what} out of vmalloc space")
    if length == 0:
        return
    offset = virt % PAGE_SIZE
    virt, phys = virt - offset, phys & -PAGE_SIZE
    length = round_up(length + offset, PAGE_SIZE)
    kernel.trace.emit(CreateMapping(virt, phys, length, kind.name))
    end = virt + length
    while virt < end:
        following = min((virt // PMD_SIZE + 1) * PMD_SIZE, end)
        if kind.prot_sect and not (virt | following | phys) % SECTION_SIZE:
            for section in range(virt, following, SECTION_SIZE):
                kernel.memory.write_u32(
                    pmd_entry(kernel, section), phys + section - virt | kind.prot_sect
                )
        else:
            table = early_pte_alloc(kernel, virt, kind.prot_l1)
            map_pages(kernel, table, virt, following - virt, phys, kind)
        phys += following - virt
        virt = following


def hardware_pte(pte: int) -> int:
    """The small-page descriptor bits of Linux's `pte` (cpu_v7_set_pte_ext)."""
    hardware = pte & ~0x3F3 | PTE_TYPE_SMALL | PTE_EXT_AP0
    if pte & 1 << 4:  # the third bit of L_PTE_MT
        hardware |= PTE_EXT_TEX0
    if pte & L_PTE_RDONLY or not pte & L_PTE_DIRTY:
        hardware |= PTE_EXT_APX
    if pte & L_PTE_USER:
        hardware |= PTE_EXT_AP1
    if pte & L_PTE_XN:
        hardware |= PTE_EXT_XN
    if not (pte & L_PTE_YOUNG and pte & L_PTE_PRESENT):
        return 0
    return hardware


def map_pages(kernel: Kernel, table: int, virt: int, length: int, phys: int, kind: MemType) -> None:
    """Write the ptes of [virt, virt + length), within a pmd, into the page of tables at `table`."""
    first, count = virt % PMD_SIZE >> PAGE_SHIFT, length >> PAGE_SHIFT
    linux = kernel.memory.words(table + 4 * first, count)
    hardware = kernel.memory.words(table + PTE_HWTABLE_OFF + 4 * first, count)
    prot = hardware_pte(kind.prot_pte)
    for page in range(count):
        linux[page] = phys + page * PAGE_SIZE | kind.prot_pte
        hardware[page] = phys + page * PAGE_SIZE | prot


def unmap_pages(kernel: Kernel, table: int, virt: int, length: int) -> None:
    """Clear the ptes of the pages that [virt, virt + length), within a pmd, touches."""
    first, count = virt % PMD_SIZE >> PAGE_SHIFT, -(-length // PAGE_SIZE)
    kernel.memory.zero(table + 4 * first, 4 * count)
    kernel.memory.zero(table + PTE_HWTABLE_OFF + 4 * first, 4 * count)


def pmd_entry(kernel: Kernel, virt: int) -> int:
    """Physical address of the first-level entry that maps `virt`."""
    return kernel.virt_to_phys(kernel.profile.swapper_pg_dir) + 4 * (virt // SECTION_SIZE)
