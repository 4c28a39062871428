"""Where machines map their devices before there is ioremap().

Linux: the map_io() of arch/arm/mach-*, named by the machine descriptions of a profile; addresses
from the iomap.h, addr-map.h, map.h and hardware.h beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from bootsim.errors import BootsimError, KernelPanic
from bootsim.kernel.fdt import tree
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.mmu import mem_type
from bootsim.kernel.static_vm import iotable_init

_K, _M = 1 << 10, 1 << 20
_IO_DESC: Mapping[str, tuple[tuple[int, int, int], ...]] = MappingProxyType(
    {  # virtual, physical, bytes
        "omap34xx": (
            (0xF8000000, 0x68000000, _M),  # L3
            (0xFA000000, 0x48000000, 4 * _M),  # L4
            (0xFE000000, 0x6E000000, _M),  # GPMC
            (0xFC000000, 0x6C000000, _M),  # SMS
            (0xFD000000, 0x6D000000, _M),  # SDRC
            (0xFB000000, 0x49000000, _M),  # L4_PER
            (0xFE800000, 0x54000000, 8 * _M),  # L4_EMU
        ),
        "omapti81xx": ((0xFA000000, 0x48000000, 4 * _M),),
        "omapam33xx": ((0xFA000000, 0x48000000, 4 * _M), (0xF9C00000, 0x44C00000, 4 * _M)),
        "omap44xx": (
            (0xF8000000, 0x44000000, _M),  # L3
            (0xFC000000, 0x4A000000, 4 * _M),  # L4
            (0xFA000000, 0x48000000, 4 * _M),  # L4_PER
        ),
        "omap54xx": (
            (0xF8000000, 0x44000000, _M),  # L3
            (0xFC000000, 0x4A000000, 4 * _M),  # L4
            (0xFCE00000, 0x4AE00000, 2 * _M),  # L4_WK
            (0xFA000000, 0x48000000, 4 * _M),  # L4_PER
        ),
        "dra7xx": (
            (0xFA210000, 0x48210000, _M),  # L4_CFG_MPU
            (0xF8000000, 0x44000000, _M),  # L3_MAIN_SN
            (0xFA000000, 0x48000000, _M),  # L4_PER1
            (0xFA400000, 0x48400000, _M),  # L4_PER2
            (0xFA800000, 0x48800000, 2 * _M),  # L4_PER3
            (0xFC000000, 0x4A000000, 3 * _M),  # L4_CFG
            (0xFCE00000, 0x4AE00000, _M),  # L4_WKUP
        ),
        "mmp": ((0xFE000000, 0xD4000000, 2 * _M), (0xFE200000, 0xD4200000, 2 * _M)),
        "mmp2": ((0xFE400000, 0xE0000000, _M),),
        "tegra": (
            (0xFE200000, 0x60000000, _M),  # PPSB
            (0xFE000000, 0x70000000, _M),  # APB
            (0xFE440000, 0x50040000, 16 * _K),  # CPU
            (0xFE400000, 0x40000000, 256 * _K),  # IRAM
        ),
        "vt8500": ((0xF8000000, 0xD8000000, 0x00390000),),
    }
)
_S5P_VA_CHIPID = 0xF8000000
_OMAP4_DRAM_BARRIER_VA = 0xFE600000
_IMX_SCU_SIZE = 4 * _K


def machine_map_io(kernel: Kernel) -> None:
    """mdesc->map_io(), once the vectors are mapped."""
    machine = kernel.machine_desc
    if machine is None or not machine.map_io:
        return
    function = _MAP_IO.get(machine.map_io)
    if function is None:
        raise BootsimError(
            f"machine '{machine.name}': no map_io '{machine.map_io}': there are"
            f" {', '.join(_MAP_IO)}"
        )
    function(kernel)


def exynos_init_io(kernel: Kernel) -> None:
    """Map the chip's id, where the tree has it, and read it; a device that is not there reads 0.

    Raises KernelPanic where the tree has none, since Linux reads it all the same.
    """
    for node in tree(kernel).root.walk():
        reg = node.props.get("reg", b"")
        if node.is_compatible("samsung,exynos4210-chipid") and len(reg) == 8:
            phys, size = int.from_bytes(reg[:4], "big"), int.from_bytes(reg[4:], "big")
            io_desc = [(_S5P_VA_CHIPID, phys & -4096, size - 1)]
            iotable_init(kernel, io_desc, mem_type(kernel, "MT_DEVICE"))
            kernel.pr_info(f"Samsung CPU ID: 0x{0:08x}")
            return
    raise KernelPanic(
        "exynos_init_io: no samsung,exynos4210-chipid in the tree: Linux reads"
        f" {_S5P_VA_CHIPID:#x}, which is not mapped, and faults"
    )


def imx6q_map_io(kernel: Kernel) -> None:
    """Map the SCU, which lies where the CPU says: register CBAR."""
    base = kernel.registers.cbar
    virt = (base & 0x80000000) >> 7 | (
        0xF4000000 + ((base & 0x50000000) >> 6) + ((base & 0x0B000000) >> 4) + (base & 0xFFFFF)
    )
    iotable_init(kernel, [(virt, base, _IMX_SCU_SIZE)], mem_type(kernel, "MT_DEVICE"))


def omap_barriers_init(kernel: Kernel) -> None:
    """Map the RAM that omap_reserve() took to write to as a barrier."""
    base, size = kernel.dram_sync
    kind = mem_type(kernel, "MT_MEMORY_RW_SO")
    iotable_init(kernel, [(_OMAP4_DRAM_BARRIER_VA, base, size)], kind)
    kernel.pr_info(f"OMAP4: Map {base:#010x} to (ptrval) for dram barrier")


def _devices(*tables: str, barriers: bool = False) -> Callable[[Kernel], None]:
    def map_io(kernel: Kernel) -> None:
        for table in tables:
            iotable_init(kernel, _IO_DESC[table], mem_type(kernel, "MT_DEVICE"))
        if barriers:
            omap_barriers_init(kernel)

    return map_io


_MAP_IO: Mapping[str, Callable[[Kernel], None]] = MappingProxyType(
    {
        "exynos_init_io": exynos_init_io,
        "imx6q_map_io": imx6q_map_io,
        "omap3_map_io": _devices("omap34xx"),
        "ti81xx_map_io": _devices("omapti81xx"),
        "am33xx_map_io": _devices("omapam33xx"),
        "omap4_map_io": _devices("omap44xx", barriers=True),
        "omap5_map_io": _devices("omap54xx", barriers=True),
        "dra7xx_map_io": _devices("dra7xx", barriers=True),
        "mmp_map_io": _devices("mmp"),
        "mmp2_map_io": _devices("mmp", "mmp2"),
        "tegra_map_common_io": _devices("tegra"),
        "vt8500_map_io": _devices("vt8500"),
    }
)
