"""Fixed mappings of machines, read back by a walk of the page tables in RAM.

Where they lie is said by arch/arm/mach-*/*.h; that gaps cost what they cost by the recorded boots.
"""

from __future__ import annotations

import pytest

from bootsim.batch import prepare
from bootsim.errors import BootsimError
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.mach_init import machine_init_early
from bootsim.kernel.mach_io import machine_map_io
from bootsim.kernel.main import start_kernel
from bootsim.kernel.profile import MachineDesc
from bootsim.kernel.profile_file import load_profile
from bootsim.machine.mmu import physical_ranges, walk
from tests.conftest import REAL_BOOTS
from tests.real_boots import PROFILE, real_boots

MIB = 1 << 20
BOARDS = {boot.name.removesuffix(".dtb"): boot for boot in real_boots(REAL_BOOTS / "boards")}


def started(prefix: str) -> Kernel:
    name = next(name for name in BOARDS if name.startswith(prefix))
    kernel = prepare(BOARDS[name].task(), load_profile(PROFILE))
    start_kernel(kernel)
    return kernel


def physical(kernel: Kernel, virt: int) -> int:
    return walk(kernel.memory, kernel.virt_to_phys(kernel.profile.swapper_pg_dir), virt).phys


@pytest.mark.parametrize(
    ("board", "virt", "phys"),
    [
        ("omap3", 0xFA000000 + 0x2000, 0x48002000),  # L4: system control module
        ("omap3", 0xFB020000, 0x49020000),  # L4 peripherals: UART3
        ("am33", 0xF9E09000, 0x44E09000),  # L4 wakeup: UART0
        ("tegra", 0xFE200000 + 0x5000, 0x60005000),  # PPSB: timers
        ("tegra", 0xFE440000 + 0x1000, 0x50041000),  # CPU: GIC distributor
    ],
)
def test_devices_are_mapped(board: str, virt: int, phys: int) -> None:
    assert physical(started(board), virt) == phys


def test_the_tree_is_mapped_read_only() -> None:
    boot = next(iter(BOARDS.values()))
    kernel = prepare(boot.task(), load_profile(PROFILE))
    start_kernel(kernel)
    table = kernel.virt_to_phys(kernel.profile.swapper_pg_dir)
    virt = 0xFF800000 + boot.record["dtb_load_addr"] % MIB
    ranges = physical_ranges(kernel.memory, table, virt, len(boot.dtb))
    assert b"".join(kernel.memory.read(r.base, r.size) for r in ranges) == boot.dtb
    entry = kernel.memory.read_u32(table + 4 * (virt >> 20))
    assert entry & 3 == 2  # a section
    assert entry & 1 << 4  # XN
    assert (entry >> 10 & 3) | (entry >> 13 & 4) == 0b101  # AP: the kernel may read, no one write


def test_the_kernel_is_mapped_apart() -> None:
    kernel = started("omap3")
    table = kernel.virt_to_phys(kernel.profile.swapper_pg_dir)
    never = {
        name: bool(kernel.memory.read_u32(table + 4 * (kernel.symbol(name) >> 20)) & 1 << 4)
        for name in ("_text", "_stext", "__init_begin", "_sdata", "_end")
    }
    assert never == {
        "_text": False,
        "_stext": False,
        "__init_begin": False,
        "_sdata": True,
        "_end": True,
    }


def test_hooks_that_there_are_not_are_named() -> None:
    kernel = prepare(next(iter(BOARDS.values())).task(), load_profile(PROFILE))
    kernel.machine_desc = MachineDesc("X", (), map_io="x_map_io", init_early="x_init_early")
    with pytest.raises(BootsimError, match="machine 'X': no map_io 'x_map_io'"):
        machine_map_io(kernel)
    with pytest.raises(BootsimError, match="machine 'X': no init_early 'x_init_early'"):
        machine_init_early(kernel)
