"""start_kernel(): the boot's table of contents.

Linux: init/main.c. What comes between setup_arch() and mem_init() and touches memory (command line
copies, per-cpu areas, hashes) is not modelled yet: the pages it takes count as free here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bootsim.errors import BootsimError, KernelPanic, MemoryAccessError
from bootsim.kernel.init import mem_init
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.mmu import is_smp
from bootsim.kernel.setup import setup_arch

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
HANDOVER = "mem_init"
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


def smp_setup_processor_id(kernel: Kernel) -> None:
    """Say which CPU booted (arch/arm/kernel/setup.c)."""
    mpidr_hwid_bitmask = 0xFFFFFF  # arch/arm/include/asm/cputype.h
    hwid = kernel.registers.mpidr & mpidr_hwid_bitmask if is_smp(kernel) else 0
    kernel.pr_info(f"Booting Linux on physical CPU {hwid:#x}")
