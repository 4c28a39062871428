"""Each page's fate at the handover, against the free lists and the page flags that lie in RAM."""

from __future__ import annotations

from itertools import pairwise

import pytest

import bootsim
from bootsim.kernel.memory import PAGE_SHIFT
from bootsim.kernel.mm_types import PG_RESERVED
from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.image import load_kernel_image
from bootsim.simulate import Boot
from bootsim.views.account import account
from bootsim.views.pages import Fate, Pages, pages
from tests.requirements import need_kernel
from tests.trees import CELLS, board

MIB = 1 << 20
BASE = 0x60000000
NODES = (
    f"reserved-memory {{ {CELLS} ranges;"
    " fw@64000000 { reg = <0x64000000 0x400000>; no-map; };"
    " half@66000800 { reg = <0x66000800 0x1000>; };"
    ' pool@67000000 { compatible = "shared-dma-pool"; reusable; reg = <0x67000000 0x800000>; };'
    " };"
)
TREE = board((BASE, 256 * MIB), (BASE + 512 * MIB, 64 * MIB), extra=NODES)


def told(boot: Boot | RealBoot) -> list[Pages]:
    return pages(boot, account(boot, boot.board.memory))


def hold_against_ram(boot: Boot | RealBoot) -> list[Pages]:
    """The runs, which are what the free lists and the memory map say."""
    runs = told(boot)
    assert all(a.end_pfn <= b.pfn for a, b in pairwise(runs))
    given = {p for run in runs if run.fate == Fate.GIVEN for p in range(run.pfn, run.end_pfn)}
    free = {b.pfn + n for b in boot.buddy.free_blocks() for n in range(1 << b.order)}
    assert given == free
    mem_map = boot.buddy.mem_map
    for run in runs:
        if run.fate not in (Fate.NONE, Fate.NOMAP):
            step = max(run.count - 1, 1) if run.fate == Fate.GIVEN else 1
            for pfn in range(run.pfn, run.end_pfn, step):
                reserved = bool(mem_map.flags[pfn - mem_map.start_pfn] & PG_RESERVED)
                assert reserved == (run.fate != Fate.GIVEN), (hex(pfn), run)
    return runs


@pytest.mark.parametrize("profile", ["linux-5.0", "linux-6.1-armmp"])
@pytest.mark.parametrize("cmdline", ["", "mem=128M cma=8M"])
@pytest.mark.parametrize("tree", [None, TREE])
def test_the_model(tree: bytes | None, cmdline: str, profile: str) -> None:
    boot = bootsim.boot(dtb=tree, cmdline=cmdline, profile=profile)
    runs = hold_against_ram(boot)
    size = sum(bank.size for bank in boot.board.memory)
    assert sum(run.count for run in runs) == size >> PAGE_SHIFT


def test_a_real_kernel() -> None:
    for tree in (None, TREE):
        boot = RealBoot(load_kernel_image(need_kernel()), dtb=tree)
        boot.run()
        hold_against_ram(boot)


def test_each_fate_has_its_reason() -> None:
    boot = bootsim.boot(dtb=TREE, profile="linux-6.1-armmp", cmdline="mem=256M")
    runs = {run.pfn << PAGE_SHIFT: run for run in told(boot)}
    asked = (0x64000000, 0x66000000, 0x67000000, 0x60300000, 0x80000000)
    assert [(runs[a].fate, runs[a].count, runs[a].zone, runs[a].why) for a in asked] == [
        (Fate.NOMAP, 1024, "DMA", "/reserved-memory/fw@64000000"),
        # A page from the middle of one to the middle of the next: half of both is lost.
        (Fate.RESERVED, 2, "DMA", "/reserved-memory/half@66000800; 4 KiB of it free"),
        (Fate.CMA, 2048, "DMA", "CMA area pool@67000000"),
        (Fate.RESERVED, 4872, "DMA", "kernel image; 2.6 KiB of it free"),
        (Fate.NONE, 16384, "", "not in what mem= on the command line allows"),
    ]
