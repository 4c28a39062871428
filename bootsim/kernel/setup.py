"""setup_arch() and what it starts with.

Linux: arch/arm/kernel/setup.c, and early parameters that other files of arch/arm register.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from bootsim.errors import KernelPanic
from bootsim.kernel.cma import early_cma
from bootsim.kernel.earlycon import param_setup_earlycon
from bootsim.kernel.fdt import early_init_dt_scan_nodes, early_init_dt_verify, tree
from bootsim.kernel.init import arm_memblock_init, early_initrd
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memory import PAGE_SIZE, round_up
from bootsim.kernel.memtest import parse_memtest
from bootsim.kernel.mmu import (
    adjust_lowmem_bounds,
    early_fixmap_init,
    early_mm_init,
    early_vmalloc,
    paging_init,
)
from bootsim.kernel.params import memparse, null_parameter, parse_early_options

EINVAL = 22
ULONG_MAX = 0xFFFFFFFF


def setup_arch(kernel: Kernel) -> None:
    """What the architecture does before the kernel proper.

    Left out after paging_init(): standard resources, the unflattened tree, crashkernel.
    """
    setup_processor(kernel)
    kernel.stage("setup_processor")
    setup_machine_fdt(kernel, kernel.memory.read_u32(kernel.pa_symbol("__atags_pointer")))
    kernel.stage("setup_machine_fdt")
    kernel.stage("cmd_line")
    early_fixmap_init(kernel)
    kernel.stage("early_fixmap_init")
    parse_early_param(kernel)
    kernel.stage("parse_early_param")
    early_mm_init(kernel)
    kernel.stage("early_mm_init")
    adjust_lowmem_bounds(kernel)
    kernel.stage("adjust_lowmem_bounds")
    arm_memblock_init(kernel)
    kernel.stage("arm_memblock_init")
    adjust_lowmem_bounds(kernel)  # memory may have been removed
    paging_init(kernel)
    kernel.stage("paging_init")


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


def setup_machine_fdt(kernel: Kernel, dt_phys: int) -> None:
    """Scan the blob at physical address `dt_phys` (arch/arm/kernel/devtree.c).

    Raises KernelPanic with Linux's words where there is no blob. Every tree finds a machine
    description: multi-platform kernels fall back to "Generic DT based system".
    """
    if not dt_phys or not early_init_dt_verify(kernel, dt_phys):
        raise KernelPanic(
            "Error: invalid dtb and unrecognized/unsupported machine ID"
            f" (r1=0x{kernel.memory.read_u32(kernel.pa_symbol('__machine_arch_type')):08x},"
            f" r2=0x{dt_phys:08x})"
        )
    root = tree(kernel).root
    model = root.string("model")
    if model is None:
        model = root.string("compatible")
    kernel.pr_info(f"OF: fdt: Machine model: {'(null)' if model is None else model}")
    early_init_dt_scan_nodes(kernel)


def parse_early_param(kernel: Kernel) -> None:
    """Act on the early parameters of the command line (init/main.c)."""
    handlers: Mapping[str, Callable[[Kernel, str | None], int]] = {
        "mem": early_mem,
        "vmalloc": early_vmalloc,
        "initrd": early_initrd,
        "memblock": early_memblock,
        "memtest": parse_memtest,
        "earlycon": param_setup_earlycon,
        "cma": early_cma,
    }
    others = parse_early_options(
        kernel.boot_command_line,
        [
            *((name, partial(handler, kernel)) for name, handler in handlers.items()),
            *kernel.early_params,
        ],
        lambda name: kernel.pr_warn(f"Malformed early option '{name}'"),
    )
    if others:
        kernel.note("unknown to the model, left alone: " + " ".join(dict.fromkeys(others)))


def early_memblock(kernel: Kernel, value: str | None) -> int:
    """memblock=debug: log what memblock does from here on (mm/memblock.c)."""
    if value and "debug" in value:
        kernel.memblock.memblock_debug = True
    return 0


def early_mem(kernel: Kernel, value: str | None) -> int:
    """mem=size[@start]: the first one forgets the tree's memory, each adds a range."""
    if value is None:
        raise null_parameter("mem")
    if not kernel.usermem:
        kernel.usermem = True
        start = kernel.memblock.start_of_DRAM()
        kernel.memblock.remove(start, kernel.memblock.end_of_DRAM() - start, caller="early_mem")
    size, rest = memparse(value)
    start = memparse(rest[1:])[0] if rest.startswith("@") else kernel.phys_offset
    arm_add_memory(kernel, start, size)
    return 0


def arm_add_memory(kernel: Kernel, start: int, size: int) -> int:
    """Add [start, start + size), whole pages of it, to memblock; 0 or a negative errno."""
    aligned = round_up(start, PAGE_SIZE)
    size = 0 if aligned > start + size else size - (aligned - start)
    if aligned > ULONG_MAX:
        kernel.pr_crit(f"Ignoring memory at 0x{start:08x} outside 32-bit physical address space")
        return -EINVAL
    if aligned + size > ULONG_MAX:
        kernel.pr_crit(
            f"Truncating memory at 0x{start:08x} to fit in 32-bit physical address space"
        )
        size = ULONG_MAX - aligned
    if aligned < kernel.phys_offset:
        end = min(aligned + size, kernel.phys_offset)
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
