"""Temporary mappings before ioremap() works: seven slots of the fixmap.

Linux: mm/early_ioremap.c; the slots' place: arch/arm/include/asm/fixmap.h.
"""

from __future__ import annotations

from bootsim.errors import KernelPanic
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE, PMD_SIZE
from bootsim.kernel.mmu import mem_type
from bootsim.kernel.pgtable import PTE_TABLE_SIZE, map_pages, pmd_entry, unmap_pages

NR_FIX_BTMAPS = 32  # pages of a slot
FIX_BTMAPS_SLOTS = 7
_FIX_BTMAP_BEGIN = NR_FIX_BTMAPS * FIX_BTMAPS_SLOTS  # behind FIX_EARLYCON_MEM_BASE, which is 0
_U32_MASK = 0xFFFFFFFF


def early_memremap(kernel: Kernel, phys: int, size: int) -> int:
    """Map `size` bytes at physical `phys` as memory: their virtual address, 0 after a WARN()."""
    return _map(kernel, phys, size, "MT_MEMORY_RW")


def early_ioremap(kernel: Kernel, phys: int, size: int) -> int:
    """The same for a device's registers."""
    return _map(kernel, phys, size, "MT_DEVICE")


def early_iounmap(kernel: Kernel, virt: int, size: int) -> None:
    """Take a mapping away again; early_memunmap() is the same."""
    slot = next((slot for slot, (at, _) in kernel.early_maps.items() if at == virt), None)
    if slot is None:
        kernel.warn(f"early_iounmap({virt:08x}, {size:08x}) not found slot")
        return
    _, mapped = kernel.early_maps[slot]
    if mapped != size:
        kernel.warn(
            f"early_iounmap({virt:08x}, {size:08x}) [{slot}] size not consistent {mapped:08x}"
        )
        return
    unmap_pages(kernel, _fixmap_table(kernel), virt & -PAGE_SIZE, virt % PAGE_SIZE + size)
    kernel.flush_tlb_all()
    del kernel.early_maps[slot]


def _map(kernel: Kernel, phys: int, size: int, kind: str) -> int:
    slot = next((slot for slot in range(FIX_BTMAPS_SLOTS) if slot not in kernel.early_maps), None)
    if slot is None:
        kernel.warn(f"__early_ioremap({phys:#010x}, {size:08x}) not found slot")
        return 0
    offset = phys % PAGE_SIZE
    if not size or phys + size - 1 > _U32_MASK or offset + size > NR_FIX_BTMAPS << PAGE_SHIFT:
        kernel.warn(f"__early_ioremap({phys:#010x}, {size:08x}) cannot be mapped")
        return 0
    index = _FIX_BTMAP_BEGIN - NR_FIX_BTMAPS * slot
    virt = kernel.profile.layout.fixaddr_top - (index << PAGE_SHIFT)
    length = -(-(offset + size) // PAGE_SIZE) * PAGE_SIZE
    table = _fixmap_table(kernel)
    map_pages(kernel, table, virt, length, phys - offset, mem_type(kernel, kind))
    kernel.flush_tlb_all()
    kernel.early_maps[slot] = virt + offset, size
    return virt + offset


def _fixmap_table(kernel: Kernel) -> int:
    """The page of tables behind the fixmap; raises KernelPanic before early_fixmap_init()."""
    top = kernel.profile.layout.fixaddr_top
    entry = kernel.memory.read_u32(pmd_entry(kernel, top & -PMD_SIZE))
    if not entry & 1:
        raise KernelPanic("early_ioremap() before early_fixmap_init(): there is no fixmap yet")
    return entry & -1024 & -PTE_TABLE_SIZE
