"""start_kernel(): the boot's table of contents.

Linux: init/main.c. What is asked of memblock between paging_init() and mem_init() depends on sizes
that only some profiles know: without them those pages count as free here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bootsim.errors import BootsimError, KernelPanic, MemoryAccessError
from bootsim.kernel.boot_options import parse_boot_options, setup_command_line
from bootsim.kernel.devtree import boot_cpu_hwid
from bootsim.kernel.init import mem_init
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.log_buf import setup_log_buf
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.kernel.percpu import max_dma_address, setup_per_cpu_areas
from bootsim.kernel.setup import setup_arch
from bootsim.kernel.system_hash import stack_depot_early_init, vfs_caches_init_early
from bootsim.trace import HANDOVER

STAGES: Mapping[str, str] = MappingProxyType(
    {
        "start_kernel": "the CPU has come through head.S: MMU on, page tables in RAM",
        "setup_processor": "the CPU's id and caches are known",
        "setup_machine_fdt": "the device tree was scanned: memblock knows the RAM",
        "cmd_line": "the command line is kept; debug drivers of BiscuitOS hook here",
        "early_fixmap_init": "a page table holds the fixmap",
        "parse_early_param": "mem=, vmalloc=, memblock=debug ... have acted",
        "early_mm_init": "the memory types' attribute bits are chosen",
        "adjust_lowmem_bounds": "lowmem ends, highmem begins",
        "arm_memblock_init": "kernel, initrd, device tree, reserved-memory, CMA are reserved",
        "bootmem_init": "zones and the memory map exist",
        "paging_init": "lowmem is mapped by the kernel's own page tables",
        "setup_arch": "the architecture is done",
        "mem_init": "every free page has been handed to the buddy allocator",
    }
)
_MIGRATE_TYPES = 4  # include/linux/mmzone.h
_MIGRATE_TYPES_CMA = 6  # with CONFIG_CMA and the CONFIG_MEMORY_ISOLATION that it selects
_BOOTCONFIG_MAGIC = b"#BOOTCONFIG\n"  # include/linux/bootconfig.h
DRIVER_STAGE = "cmd_line"


def start_kernel(kernel: Kernel) -> None:
    """Run the boot to its handover.

    Raises KernelPanic where Linux dies, whatever a driver raised, and BootStopped at the stage or
    event to stop at.
    """
    try:
        kernel.stage("start_kernel")
        smp_setup_processor_id(kernel)
        kernel.pr_notice(kernel.profile.banner)
        setup_arch(kernel)
        kernel.stage("setup_arch")
        if kernel.profile.features.boot_config:
            get_boot_config_from_initrd(kernel)
        if kernel.profile.boot_sizes is not None:
            setup_command_line(kernel)
            setup_per_cpu_areas(kernel)
            late_zonelists = kernel.profile.features.zonelists_after_hashes
            if not late_zonelists:
                build_all_zonelists(kernel)
            kernel.pr_notice(f"Kernel command line: {kernel.boot_command_line}")
            parse_boot_options(kernel)
            setup_log_buf(kernel)
            vfs_caches_init_early(kernel)
            if late_zonelists:
                build_all_zonelists(kernel)
            page_ext_init_flatmem(kernel)
            if kernel.profile.config.init_stack:
                report_meminit(kernel)
            stack_depot_early_init(kernel)
        mem_init(kernel)
        kernel.stage(HANDOVER)
    except KernelPanic as panic:
        if panic.words:
            kernel.pr_emerg(panic.words)
        raise
    except MemoryAccessError as error:
        raise KernelPanic(f"Linux takes for RAM what is none and dies: {error}") from error
    except BootsimError as error:
        if error.exit_code == BootsimError.exit_code:  # what lies in RAM is damaged, not the input
            raise KernelPanic(f"the kernel cannot go on: {error}") from error
        raise


def build_all_zonelists(kernel: Kernel) -> None:
    """Say how many pages there may be, and whether they are grouped (mm/page_alloc.c)."""
    buddy = kernel.buddy
    pages = sum(zone.struct.managed_pages for zone in buddy.zones)
    types = _MIGRATE_TYPES_CMA if kernel.profile.config.max_cma_areas else _MIGRATE_TYPES
    grouped = pages >= buddy.layout.max_order_nr_pages * types
    kernel.pr_info(
        f"Built 1 zonelists, mobility grouping {'on' if grouped else 'off'}.  Total pages: {pages}"
    )


def page_ext_init_flatmem(kernel: Kernel) -> None:
    """Take what CONFIG_PAGE_EXTENSION keeps beside each struct page (mm/page_ext.c)."""
    size = kernel.profile.config.page_ext_size
    if not size:
        return
    node, block = kernel.buddy.node, kernel.buddy.layout.max_order_nr_pages
    pages: int = node.struct.node_spanned_pages
    if node.start_pfn % block or (node.start_pfn + pages) % block:
        pages += block
    table, goal = size * pages, max_dma_address(kernel)
    virt = kernel.memblock.alloc_try_nid(
        table, PAGE_SIZE, goal, 0, node.nid, caller="page_ext_init_flatmem"
    )
    if not virt:
        kernel.pr_crit("allocation of page_ext failed.")
        raise KernelPanic.panic("Out of memory")
    kernel.use(kernel.virt_to_phys(virt), table, "page_ext")
    kernel.pr_info(f"allocated {table} bytes of page_ext")


def report_meminit(kernel: Kernel) -> None:
    """Say what memory is zeroed without being asked to."""
    alloc, free = (kernel.switches[name] for name in ("init_on_alloc", "init_on_free"))
    kernel.pr_info(
        f"mem auto-init: stack:{kernel.profile.config.init_stack}, heap"
        f" alloc:{'on' if alloc else 'off'}, heap free:{'on' if free else 'off'}"
    )
    if free:
        kernel.pr_info("mem auto-init: clearing system memory may take some time...")


def get_boot_config_from_initrd(kernel: Kernel) -> None:
    """Look for a boot configuration at the end of the initrd; what one would do is left out.

    Raises KernelPanic where the initrd's end is not in the linear map: Linux reads it all the same.
    """
    variables = kernel.vars
    if not variables.initrd_end:
        return
    magic = kernel.virt_to_phys(variables.initrd_end) - len(_BOOTCONFIG_MAGIC)
    if magic >= variables.arm_lowmem_limit or not kernel.memblock.is_map_memory(magic):
        raise KernelPanic(
            f"get_boot_config_from_initrd: {magic:#010x}, in the initrd, is not mapped: Linux reads"
            " it through the linear map and faults"
        )
    for start in range(magic, magic - 4, -1):  # boot loaders may have aligned its size
        if kernel.memory.read(start, len(_BOOTCONFIG_MAGIC)) == _BOOTCONFIG_MAGIC:
            kernel.note("the initrd ends in a boot configuration: the model leaves it there")


def smp_setup_processor_id(kernel: Kernel) -> None:
    """Say which CPU booted (arch/arm/kernel/setup.c)."""
    kernel.pr_info(f"Booting Linux on physical CPU {boot_cpu_hwid(kernel):#x}")
