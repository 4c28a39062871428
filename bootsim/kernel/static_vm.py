"""Fixed mappings of devices, and what vmalloc() must keep away from.

Linux: arch/arm/mm/mmu.c (iotable_init and what follows it), struct static_vm of arch/arm/mm/mm.h.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence

from bootsim.errors import KernelPanic
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memory import PAGE_SIZE, PMD_SIZE, SECTION_SIZE, round_up
from bootsim.kernel.pgtable import MemType, create_mapping, early_alloc, pmd_entry

PCI_IO_VIRT_BASE = 0xFEE00000  # arch/arm/include/asm/io.h
_ALIGN = 4  # of struct static_vm


def iotable_init(kernel: Kernel, io_desc: Sequence[tuple[int, int, int]], kind: MemType) -> None:
    """Map each (virtual, physical, size) of `io_desc` as `kind`, and remember where."""
    size = kernel.profile.config.static_vm_size * len(io_desc)
    what = "struct static_vm of iotable_init()"
    if kernel.profile.features.early_alloc == "memblock_alloc":
        kernel.memblock_alloc(size, _ALIGN, what, caller="iotable_init")
    else:
        early_alloc(kernel, size, what, align=_ALIGN)
    for virt, phys, length in io_desc:
        create_mapping(kernel, virt, phys, length, kind)
        pages = round_up(length + virt % PAGE_SIZE, PAGE_SIZE)
        _add_static_vm_early(kernel, virt & -PAGE_SIZE, pages)


def vm_reserve_area_early(kernel: Kernel, virt: int, size: int, what: str) -> None:
    """Keep virtual [virt, virt + size) from vmalloc()."""
    caller = "vm_reserve_area_early"
    kernel.memblock_alloc(kernel.profile.config.static_vm_size, _ALIGN, what, caller=caller)
    _add_static_vm_early(kernel, virt, size)


def _add_static_vm_early(kernel: Kernel, virt: int, size: int) -> None:
    """Remember a fixed mapping; no two may share an address (mm/vmalloc.c, vm_area_add_early)."""
    for other, length in kernel.static_vms:
        if virt < other + length and other < virt + size:
            raise KernelPanic(
                f"BUG: vm_area_add_early: the mapping [{virt:#010x}-{virt + size - 1:#010x}]"
                f" overlaps [{other:#010x}-{other + length - 1:#010x}]"
            )
    insort(kernel.static_vms, (virt, size))


def fill_pmd_gaps(kernel: Kernel) -> None:
    """Keep the empty half of a pmd from vmalloc() where a fixed mapping has the other."""
    following = 0
    for virt, size in list(kernel.static_vms):
        if virt < following:
            continue
        for gap in (virt - SECTION_SIZE, virt + size):
            beside = gap + SECTION_SIZE if gap < virt else gap
            if beside % PMD_SIZE == SECTION_SIZE and not kernel.memory.read_u32(
                pmd_entry(kernel, gap)
            ):
                vm_reserve_area_early(kernel, gap, SECTION_SIZE, "struct static_vm of a gap")
        following = round_up(virt + size, PMD_SIZE)


def pci_reserve_io(kernel: Kernel) -> None:
    """Keep room for PCI I/O space, unless a machine has mapped something there."""
    if not any(virt <= PCI_IO_VIRT_BASE < virt + size for virt, size in kernel.static_vms):
        what = "struct static_vm of PCI I/O space"
        vm_reserve_area_early(kernel, PCI_IO_VIRT_BASE, PMD_SIZE, what)
