"""setup_arch() and what it starts with.

Linux: arch/arm/kernel/setup.c.
"""

from __future__ import annotations

from bootsim.errors import KernelPanic
from bootsim.kernel.crash_core import reserve_crashkernel
from bootsim.kernel.devtree import arm_dt_init_cpu_maps
from bootsim.kernel.early_param import parse_early_param
from bootsim.kernel.efi import arm_efi_init, xen_early_init
from bootsim.kernel.fdt import (
    early_init_dt_scan_nodes,
    early_init_dt_verify,
    early_init_fdt_reserve_self,
    of_flat_dt_match_machine,
)
from bootsim.kernel.init import arm_memblock_init, setup_dma_zone
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.mach import machine_fixup, machine_reserve
from bootsim.kernel.mach_init import machine_init_early
from bootsim.kernel.mach_io import machine_map_io
from bootsim.kernel.memory import PAGE_SIZE, round_up
from bootsim.kernel.mmu import (
    adjust_lowmem_bounds,
    early_fixmap_init,
    early_mm_init,
    is_smp,
    paging_init,
)
from bootsim.kernel.of_reserved_mem import fdt_scan_reserved_mem_reg_nodes
from bootsim.kernel.params import memparse, null_parameter
from bootsim.kernel.profile import BootSizes
from bootsim.kernel.unflatten import unflatten_device_tree
from bootsim.trace import Refusal

EINVAL = 22
_MEM_SIZE = 16 << 20  # arch/arm/kernel/atags_parse.c
_MACHINE_NUMBER_DT = 0xFFFFFFFF  # arch/arm/include/asm/mach/arch.h, DT_MACHINE_START
ULONG_MAX = 0xFFFFFFFF


def setup_arch(kernel: Kernel) -> None:
    """What the architecture does before the kernel proper."""
    setup_processor(kernel)
    kernel.stage("setup_processor")
    dt_phys = kernel.memory.read_u32(kernel.pa_symbol("__atags_pointer"))
    if not setup_machine_fdt(kernel, dt_phys):
        setup_machine_tags(kernel, dt_phys)
    elif kernel.profile.features.reserve_dtb == "setup_arch":
        early_init_fdt_reserve_self(kernel)
    kernel.stage("setup_machine_fdt")
    kernel.stage("cmd_line")
    early_fixmap_init(kernel)
    kernel.stage("early_fixmap_init")
    parse_early_param(kernel, early_mem)
    kernel.stage("parse_early_param")
    early_mm_init(kernel)
    kernel.stage("early_mm_init")
    setup_dma_zone(kernel)
    xen_early_init(kernel)
    arm_efi_init(kernel)
    adjust_lowmem_bounds(kernel)
    kernel.stage("adjust_lowmem_bounds")
    arm_memblock_init(kernel, machine_reserve)
    kernel.stage("arm_memblock_init")
    adjust_lowmem_bounds(kernel)  # memory may have been removed
    paging_init(kernel, machine_map_io)
    kernel.stage("paging_init")
    if kernel.profile.boot_sizes is not None:
        request_standard_resources(kernel, kernel.profile.boot_sizes)
        fdt_scan_reserved_mem_reg_nodes(kernel)
        unflatten_device_tree(kernel)
        arm_dt_init_cpu_maps(kernel)
        if not is_smp(kernel):
            kernel.pr_info("CPU: All CPU(s) started in SVC mode.")  # hyp_mode_check()
        if kernel.profile.config.kexec:
            reserve_crashkernel(kernel)
        machine_init_early(kernel)


def request_standard_resources(kernel: Kernel, sizes: BootSizes) -> None:
    """A struct resource for each bank, for /proc/iomem."""
    for start, end in list(kernel.memblock.for_each_mem_range()):
        kernel.memblock_alloc(
            sizes.resource,
            kernel.memblock.features.smp_cache_bytes,
            f"struct resource of System RAM {start:#010x}-{end - 1:#010x}",
            caller="setup_arch",
            says="request_standard_resources",
        )


def setup_processor(kernel: Kernel) -> None:
    """Name the CPU and its caches from its registers."""
    midr, sctlr = kernel.registers.midr, kernel.registers.sctlr
    if midr >> 16 & 0xF != 0xF:  # ARM ARM B4.1.105: 0xf is "see the CPUID scheme", ARMv7
        raise KernelPanic(f"CPU {midr:#010x} is not an ARMv7 processor")
    kernel.pr_info(
        f"CPU: ARMv7 Processor [{midr:08x}] revision {midr & 0xF} (ARMv7), cr={sctlr:08x}"
    )
    kernel.pr_info("CPU: {} data cache, {} instruction cache".format(*cacheid_init(kernel)))


def cacheid_init(kernel: Kernel) -> tuple[str, str]:
    """What kind the data and the instruction cache are, from the Cache Type Register.

    ARM ARM B4.1.42: format 4 is ARMv7; L1Ip says how the instruction cache is indexed and tagged.
    """
    ctr = kernel.registers.ctr
    if ctr >> 29 != 4:
        raise KernelPanic(f"cache type register {ctr:#010x} is not of ARMv7's format")
    instruction = {1: "VIVT ASID tagged", 3: "PIPT"}.get(ctr >> 14 & 3, "VIPT nonaliasing")
    return "PIPT / VIPT nonaliasing", instruction


def setup_machine_fdt(kernel: Kernel, dt_phys: int) -> bool:
    """Scan the blob at physical address `dt_phys`, if one is there (arch/arm/kernel/devtree.c).

    Every tree finds a machine description: multi-platform kernels fall back to "Generic DT based
    system".
    """
    if not dt_phys or not early_init_dt_verify(kernel, dt_phys):
        return False
    kernel.machine_desc = of_flat_dt_match_machine(kernel)
    machine_fixup(kernel)
    early_init_dt_scan_nodes(kernel)
    return True


def setup_machine_tags(kernel: Kernel, atags_phys: int) -> None:
    """Go on without a tree, with a default of RAM (arch/arm/kernel/atags_parse.c).

    Machines that are described by trees all have the number that r1 holds for these, so that the
    first one is taken. Tags of boot loaders from before device trees are not modelled. Raises
    KernelPanic with Linux's words where the number is another, or the profile has no machines.
    """
    number = kernel.memory.read_u32(kernel.pa_symbol("__machine_arch_type"))
    if number != _MACHINE_NUMBER_DT or not kernel.profile.machines:
        raise KernelPanic(
            "Error: invalid dtb and unrecognized/unsupported machine ID"
            f" (r1=0x{number:08x}, r2=0x{atags_phys:08x})"
        )
    kernel.machine_desc = kernel.profile.machines[0]
    kernel.pr_info(f"Machine: {kernel.machine_desc.name}")
    if atags_phys:
        kernel.pr_warn("Warning: Neither atags nor dtb found")
    arm_add_memory(kernel, kernel.phys_offset, _MEM_SIZE)


def early_mem(kernel: Kernel, value: str | None) -> int:
    """mem=size[@start]: the first one forgets the tree's memory, each adds a range."""
    if value is None:
        raise null_parameter("mem")
    if not kernel.usermem:
        kernel.usermem = True
        start = kernel.memblock.start_of_DRAM()
        kernel.memblock.remove(start, kernel.memblock.end_of_DRAM() - start, caller="early_mem")
    arm_add_memory(kernel, *mem_range(value, kernel.phys_offset))
    return 0


def mem_range(value: str, phys_offset: int) -> tuple[int, int]:
    """Start and size that mem=`value` gives, as they are written."""
    size, rest = memparse(value)
    start = memparse(rest[1:])[0] if rest.startswith("@") else phys_offset
    return start, size


def arm_add_memory(kernel: Kernel, start: int, size: int) -> int:
    """Add [start, start + size), whole pages of it, to memblock; 0 or a negative errno."""
    aligned = round_up(start, PAGE_SIZE)
    size = 0 if aligned > start + size else size - (aligned - start)
    if aligned > ULONG_MAX:
        kernel.refuse(Refusal("memory-ignored", start, size))
        kernel.pr_crit(f"Ignoring memory at 0x{start:08x} outside 32-bit physical address space")
        return -EINVAL
    if aligned + size > ULONG_MAX:
        kernel.refuse(Refusal("memory-ignored", ULONG_MAX, aligned + size - ULONG_MAX))
        kernel.pr_crit(
            f"Truncating memory at 0x{start:08x} to fit in 32-bit physical address space"
        )
        size = ULONG_MAX - aligned
    if aligned < kernel.phys_offset:
        end = min(aligned + size, kernel.phys_offset)
        kernel.refuse(Refusal("memory-ignored", aligned, end - aligned))
        kernel.pr_info(f"Ignoring memory below PHYS_OFFSET: 0x{aligned:08x}-0x{end:08x}")
        if aligned + size <= kernel.phys_offset:
            return -EINVAL
        size -= kernel.phys_offset - aligned
        aligned = kernel.phys_offset
    size &= -PAGE_SIZE
    if size == 0:
        return -EINVAL
    kernel.memblock.add(aligned, size, caller="arm_add_memory")
    return 0
