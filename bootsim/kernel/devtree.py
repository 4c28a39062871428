"""Which CPUs the tree has.

Linux: arch/arm/kernel/devtree.c.
"""

from __future__ import annotations

from bootsim.kernel.kernel import Kernel
from bootsim.kernel.libfdt import Fdt, FdtNode
from bootsim.kernel.mmu import is_smp
from bootsim.kernel.of_base import cpu_nodes, kept, of_find_node_by_path, of_get_cpu_hwid

MPIDR_HWID_BITMASK = 0xFFFFFF  # arch/arm/include/asm/cputype.h
_MPIDR_INVALID = ~MPIDR_HWID_BITMASK & 0xFFFFFFFF
_U32_MASK = 0xFFFFFFFF


def boot_cpu_hwid(kernel: Kernel) -> int:
    """The id of the CPU that boots: MPIDR's on SMP, else 0, if the machine has no other idea."""
    registers = kernel.registers
    if registers.hwid is not None:
        return registers.hwid
    return registers.mpidr & MPIDR_HWID_BITMASK if is_smp(kernel) else 0


def lowest_cpu_hwid(fdt: Fdt) -> int:
    """The id that the CPU which boots has on a machine made for the tree; 0 without any."""
    cpus = next((node for node in fdt.root.children if node.name == "cpus"), None)
    hwid = min((of_get_cpu_hwid(cpu) for cpu in cpu_nodes(cpus)), default=0)
    return hwid if hwid <= MPIDR_HWID_BITMASK else 0


def arm_dt_init_cpu_maps(kernel: Kernel) -> None:
    """Make the CPUs of the tree possible, if the one that boots is among them."""
    cpus = of_find_node_by_path(kernel, "/cpus") if kernel.fdt.tree is not None else None
    if cpus is None:
        return
    mpidr = boot_cpu_hwid(kernel)
    tmp_map = {0: _MPIDR_INVALID}
    cpuidx, bootcpu_valid = 1, False
    like_5_0 = kernel.profile.features.dt_cpus == "5.0"
    for cpu in kept(kernel, cpu_nodes(cpus, skip_failed=not like_5_0)):
        hwid = _hwid_in_reg(cpu) if like_5_0 else of_get_cpu_hwid(cpu) & _U32_MASK
        if hwid & ~MPIDR_HWID_BITMASK:
            return
        if hwid in tmp_map.values():
            kernel.warn("Duplicate /cpu reg properties in the DT")
            return
        if hwid == mpidr:
            index, bootcpu_valid = 0, True
        else:
            index, cpuidx = cpuidx, cpuidx + 1
        if cpuidx > kernel.nr_cpu_ids:
            kernel.warn(
                f"DT /cpu {cpuidx} nodes greater than max cores {kernel.nr_cpu_ids}, capping them"
            )
            cpuidx = kernel.nr_cpu_ids
            break
        tmp_map[index] = hwid
    if not bootcpu_valid:
        kernel.pr_warn("DT missing boot CPU MPIDR[23:0], fall back to default cpu_logical_map")
        return
    kernel.possible_cpus.update(range(cpuidx))


def _hwid_in_reg(cpu: FdtNode) -> int:
    """The id as kernels up to 5.15 read it: whole cells, none of which but the last is not 0."""
    reg = cpu.props.get("reg", b"")
    hwid = int.from_bytes(reg, "big")
    return hwid if reg and len(reg) % 4 == 0 and hwid <= _U32_MASK else _MPIDR_INVALID
