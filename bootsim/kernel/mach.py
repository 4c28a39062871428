"""What machines do of their own to the tree and to memory.

Linux: arch/arm/mach-*, named by the machine descriptions of a profile (struct machine_desc).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from bootsim.errors import BootsimError
from bootsim.kernel.fdt import U32_MASK, of_fdt_limit_memory, reg_entries, tree
from bootsim.kernel.init import arm_memblock_steal
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memory import SECTION_SIZE, round_up
from bootsim.kernel.profile import MachineDesc

_OMAP_SECURE_RAM_STORAGE = 88 << 10  # bytes: arch/arm/mach-omap2/omap-secure.h
_OMAP_BARRIER_SIZE = 1 << 20
_MVEBU_DDR_TRAINING_AREA_SZ = 10 << 10  # arch/arm/mach-mvebu/board-v7.c
_EXYNOS_BANKS_MAX = 8


def machine_fixup(kernel: Kernel) -> None:
    """mdesc->dt_fixup(), before the tree is scanned."""
    machine = kernel.machine_desc
    if machine is not None and machine.dt_fixup:
        _function(_FIXUPS, machine.dt_fixup, machine)(kernel)


def machine_reserve(kernel: Kernel) -> None:
    """mdesc->reserve(), after kernel and initrd, before what the tree reserves."""
    machine = kernel.machine_desc
    if machine is not None and machine.reserve:
        _function(_RESERVES, machine.reserve, machine)(kernel)


def exynos_dt_fixup(kernel: Kernel) -> None:
    """Some boot loaders pass garbage behind the eighth bank (mach-exynos/exynos.c)."""
    of_fdt_limit_memory(kernel, _EXYNOS_BANKS_MAX)


def omap_reserve(kernel: Kernel) -> None:
    """Room to save the secure RAM, and to write to as a barrier (mach-omap2/common.c)."""
    size = round_up(_OMAP_SECURE_RAM_STORAGE, SECTION_SIZE)
    base = arm_memblock_steal(kernel, size, SECTION_SIZE, "omap_secure_ram_reserve_memblock")
    kernel.use(base, size, "OMAP secure RAM's copy")
    size = _OMAP_BARRIER_SIZE
    base = arm_memblock_steal(kernel, size, size, "omap_barrier_reserve_memblock")
    kernel.dram_sync = base, size
    kernel.use(base, size, "OMAP barrier")


def mvebu_memblock_reserve(kernel: Kernel) -> None:
    """The start of each bank, which the boot loader trains the RAM on at resume (board-v7.c)."""
    for node in tree(kernel).root.walk():
        if node.string("device_type") != "memory":
            continue
        reg = node.props.get("linux,usable-memory", node.props.get("reg"))
        for base, _size in reg_entries(kernel, reg or b""):
            base &= U32_MASK
            size = _MVEBU_DDR_TRAINING_AREA_SZ
            kernel.memblock.reserve(base, size, caller="mvebu_scan_mem")
            kernel.use(base, size, "DDR training area")


_FIXUPS: Mapping[str, Callable[[Kernel], None]] = MappingProxyType(
    {"exynos_dt_fixup": exynos_dt_fixup}
)
_RESERVES: Mapping[str, Callable[[Kernel], None]] = MappingProxyType(
    {"omap_reserve": omap_reserve, "mvebu_memblock_reserve": mvebu_memblock_reserve}
)


def _function(
    functions: Mapping[str, Callable[[Kernel], None]], name: str, machine: MachineDesc
) -> Callable[[Kernel], None]:
    if name not in functions:
        known = ", ".join(functions)
        raise BootsimError(f"machine '{machine.name}': no function '{name}': there are {known}")
    return functions[name]
