"""Real boards: device trees as Debian's kernel package has them, RAM where those boards have it.

Needs that package's trees: set BOOTSIM_DTBS to their directory (.ci/fetch-debian-kernel gets them).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bootsim.kernel.memory import PAGE_SHIFT
from bootsim.kernel.mm_debug import PageState
from bootsim.simulate import Boot
from bootsim.trace import MemblockRange
from tests.requirements import need_directory

GIB = 1 << 30

# The tree, its model, and its RAM (base, size), all as fdtget shows them.
BOARDS = [
    ("vexpress-v2p-ca9", "V2P-CA9", [(0x60000000, GIB)]),
    ("am335x-boneblack", "TI AM335x BeagleBone Black", [(0x80000000, GIB // 2)]),
    ("imx6q-sabrelite", "Freescale i.MX6 Quad SABRE Lite Board", [(0x10000000, GIB)]),
    ("imx7d-sdb", "Freescale i.MX7 SabreSD Board", [(0x80000000, 2 * GIB)]),
    ("armada-385-db-ap", "Marvell Armada 385 Access Point Development Board", [(0, 2 * GIB)]),
    (
        "exynos4412-odroidu3",
        "Hardkernel ODROID-U3 board based on Exynos4412",
        [(0x40000000, 0x7FF00000)],
    ),
    (
        "exynos5250-arndale",
        "Insignal Arndale evaluation board based on Exynos5250",
        [(0x40000000, 2 * GIB)],
    ),
    ("socfpga_cyclone5_socdk", "Altera SOCFPGA Cyclone V SoC Development Kit", [(0, GIB)]),
    ("omap4-panda", "TI OMAP4 PandaBoard", [(0x80000000, GIB)]),
    ("meson8b-odroidc1", "Hardkernel ODROID-C1", [(0x40000000, GIB)]),
    (
        "stm32mp157c-dk2",
        "STMicroelectronics STM32MP157C-DK2 Discovery Board",
        [(0xC0000000, GIB // 2)],
    ),
    ("am57xx-beagle-x15", "TI AM5728 BeagleBoard-X15", [(0x80000000, 2 * GIB)]),
    (
        "imx53-qsb",
        "Freescale i.MX53 Quick Start Board",
        [(0x70000000, GIB // 2), (0xB0000000, GIB // 2)],
    ),
    ("rk3288-rock2-square", "Radxa Rock 2 Square", [(0, 2 * GIB)]),
]
LOWMEM_MAX = 0xFF800000 - (240 << 20) - 0x800000 - 0x80000000  # VMSPLIT_2G, no HIGHMEM


@pytest.fixture(scope="module")
def trees() -> Path:
    return need_directory("BOOTSIM_DTBS", "Debian's device trees")


@pytest.mark.parametrize(("name", "model", "ram"), BOARDS, ids=[board[0] for board in BOARDS])
def test_a_board_boots_and_every_page_is_accounted_for(
    trees: Path, name: str, model: str, ram: list[tuple[int, int]]
) -> None:
    path = trees / f"{name}.dtb"
    boot = Boot(dtb=path.read_bytes(), name=str(path)).run()
    assert boot.handed_over
    assert f"OF: fdt: Machine model: {model}" in boot.log
    assert [(bank.base, bank.size) for bank in boot.board.memory] == ram
    assert boot.placement.phys_offset == ram[0][0]

    # What lies above lowmem is cut and said, what a no-map node takes is not memory any more;
    # every other page is free or reserved.
    limit = min(ram[-1][0] + ram[-1][1], ram[0][0] + LOWMEM_MAX)
    removed = sum(
        max(min(event.base + event.size, base + size, limit) - max(event.base, base), 0)
        for event in boot.trace
        if isinstance(event, MemblockRange) and event.function == "memblock_remove"
        for base, size in ram
    )
    low = sum(max(min(base + size, limit) - base, 0) for base, size in ram)
    assert any(line.startswith("Ignoring RAM") for line in boot.log) == (
        limit < ram[-1][0] + ram[-1][1]
    )
    states = boot.buddy.page_states()
    pages = states.count(PageState.FREE) + states.count(PageState.RESERVED)
    assert pages << PAGE_SHIFT == low - removed
    assert states.count(PageState.FREE) == boot.buddy.nr_free_pages()
