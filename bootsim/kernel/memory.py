"""Pages, pfns and the linear map.

Linux: include/linux/pfn.h, arch/arm/include/asm/memory.h, include/asm-generic/memory_model.h.
"""

from __future__ import annotations

from dataclasses import dataclass

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
SECTION_SIZE = 1 << 20  # ARM ARM DDI 0406C, B3.5.1
PMD_SIZE = 1 << 21  # arch/arm/include/asm/pgtable-2level.h: a Linux pmd is two hardware entries
PHYS_ADDR_MAX = 0xFFFFFFFF
# What /proc/iomem shows (mem_res[], arch/arm/kernel/setup.c): name, first symbol, the one behind.
KERNEL_SECTIONS = (("Kernel code", "_text", "__init_begin"), ("Kernel data", "_sdata", "_end"))


def pfn_up(addr: int) -> int:
    """The first pfn at or above `addr` (PFN_UP)."""
    return (addr + PAGE_SIZE - 1) >> PAGE_SHIFT


def pfn_down(addr: int) -> int:
    """The pfn that holds `addr` (PFN_DOWN)."""
    return addr >> PAGE_SHIFT


def round_up(value: int, align: int) -> int:
    """`value` rounded up to `align`, a power of two."""
    return (value + align - 1) & -align


def round_down(value: int, align: int) -> int:
    """`value` rounded down to `align`, a power of two."""
    return value & -align


@dataclass(frozen=True, slots=True)
class LinearMap:
    """The kernel's linear map: RAM from `phys_offset` on appears at `page_offset` (bytes)."""

    phys_offset: int
    page_offset: int

    def phys_to_virt(self, phys: int) -> int:
        return (phys - self.phys_offset + self.page_offset) & 0xFFFFFFFF

    def virt_to_phys(self, virt: int) -> int:
        return (virt - self.page_offset + self.phys_offset) & 0xFFFFFFFF
