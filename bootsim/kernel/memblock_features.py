"""What a kernel build or version changes in memblock: constants, and features instead of versions.

Linux: include/linux/memblock.h, include/linux/numa.h, mm/memblock.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

NUMA_NO_NODE = -1  # include/linux/numa.h
ENOMEM = 12  # include/uapi/asm-generic/errno-base.h

# include/linux/memblock.h; "anywhere" is all ones, so MemblockFeatures.phys_addr_max.
MEMBLOCK_ALLOC_ACCESSIBLE = 0
MEMBLOCK_ALLOC_NOLEAKTRACE = 1  # MEMBLOCK_ALLOC_KASAN in 5.0
MEMBLOCK_LOW_LIMIT = 0


class MemblockFlags(IntFlag):
    """enum memblock_flags."""

    NONE = 0
    HOTPLUG = 1
    MIRROR = 2
    NOMAP = 4
    DRIVER_MANAGED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MemblockFeatures:
    """How one kernel's memblock differs from another's; the defaults are those of Linux 6.1.

    The first group is the kernel's configuration and command line, the second what changed over
    the versions; the comments say where it is known from. `linux_5_0()`, `linux_5_10()` and
    `linux_6_1()` give the sets of those.
    """

    phys_addr_bits: int = 32  # 64 with CONFIG_ARM_LPAE
    numa: bool = False  # CONFIG_NUMA; regions have a node id
    max_numnodes: int = 1  # MAX_NUMNODES; 1 without NUMA
    physmem: bool = False  # CONFIG_HAVE_MEMBLOCK_PHYS_MAP
    init_regions: int = 128  # INIT_MEMBLOCK_REGIONS
    init_physmem_regions: int = 4  # INIT_PHYSMEM_REGIONS
    smp_cache_bytes: int = 64  # SMP_CACHE_BYTES: 64 with CONFIG_CPU_V7
    max_order: int = 11  # MAX_ORDER: the largest block freed has 2**(max_order - 1) pages
    arch_low_address_limit: int = 0xFFFFFFFF  # ARCH_LOW_ADDRESS_LIMIT
    memory_hotremove: bool = False  # CONFIG_MEMORY_HOTREMOVE
    movable_node: bool = False  # command line: movable_node
    mirrored_kernelcore: bool = False  # command line: kernelcore=mirror

    # Bottom-up allocation starts at kernel_end, the physical address of _end, and falls back to
    # top-down, with a warning if memory_hotremove: to about 5.11.
    bottom_up_above_kernel_end: bool = False
    kernel_end: int = 0
    physmem_member: bool = False  # physmem is part of struct memblock: 5.0; later on its own
    # memblock_phys_alloc() and memblock_alloc() panic instead of returning 0: to 5.0.
    # memblock_alloc*() then also gives up min_addr before it gives up mirrored memory.
    alloc_panics: bool = False
    # memblock_free() takes a physical address, and is what 5.16 calls memblock_phys_free().
    free_is_physical: bool = False
    # The _nopanic functions are functions of their own, seen in the log: to 5.0.
    nopanic_functions: bool = False
    # memblock_alloc_range_nid() is static and inlined, so the log shows who called it: 5.0.
    inlined_alloc_range_nid: bool = False
    # Iterators skip by node and flags in any type, and hotplug regions whatever the flags: 5.0.
    filters_every_type: bool = False
    driver_managed: bool = True  # iterators know MEMBLOCK_DRIVER_MANAGED: 6.1
    mirror_needs_kernelcore: bool = True  # memblock_mark_mirror() is inert otherwise: 6.1
    cap_needs_memory: bool = True  # memblock_cap_memory_range() on no memory is inert: 6.1
    nomap_is_reserved: bool = True  # memblock_free_all() marks NOMAP pages reserved: 6.1
    # memblock_free_all() gives reserve_bootmem_region() the last byte instead of the end: 5.0.
    reserved_end_inclusive: bool = False
    logs_function_names: bool = True  # 5.0 has "   memblock_free:", 6.1 "memblock_phys_free:"
    logs_add_node: bool = True  # memblock_add_node() is logged: 6.1
    logs_phys_alloc_range: bool = True  # memblock_phys_alloc_range() is logged: 6.1

    @classmethod
    def linux_6_1(cls, kernel_end: int = 0) -> MemblockFeatures:
        """Linux 6.1, whose kernel image ends at physical address `kernel_end`."""
        return cls(kernel_end=kernel_end)

    @classmethod
    def linux_5_0(cls, kernel_end: int = 0) -> MemblockFeatures:
        """Linux 5.0, whose kernel image ends at physical address `kernel_end`.

        `memory_hotremove` is on, so that a failing bottom-up allocation warns; ARM kernels do not
        have that option.
        """
        return cls(
            memory_hotremove=True,
            bottom_up_above_kernel_end=True,
            kernel_end=kernel_end,
            physmem_member=True,
            alloc_panics=True,
            free_is_physical=True,
            nopanic_functions=True,
            inlined_alloc_range_nid=True,
            filters_every_type=True,
            driver_managed=False,
            mirror_needs_kernelcore=False,
            cap_needs_memory=False,
            nomap_is_reserved=False,
            reserved_end_inclusive=True,
            logs_function_names=False,
            logs_add_node=False,
            logs_phys_alloc_range=False,
        )

    @classmethod
    def linux_5_10(cls, kernel_end: int = 0) -> MemblockFeatures:
        """Linux 5.10, whose kernel image ends at physical address `kernel_end`."""
        return cls(
            bottom_up_above_kernel_end=True,
            kernel_end=kernel_end,
            free_is_physical=True,
            driver_managed=False,
            mirror_needs_kernelcore=False,
            cap_needs_memory=False,
            nomap_is_reserved=False,
            logs_add_node=False,
            logs_phys_alloc_range=False,
        )

    @property
    def phys_addr_max(self) -> int:
        """PHYS_ADDR_MAX, also MEMBLOCK_ALLOC_ANYWHERE."""
        return (1 << self.phys_addr_bits) - 1
