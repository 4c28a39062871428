"""Kernels that are configured otherwise, against real ones that are."""

from __future__ import annotations

import pytest

from bootsim.errors import BootsimError
from bootsim.kernel.profile_file import load_profile
from bootsim.kernel.variants import VMSPLIT, with_highmem, with_vmsplit
from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.image import load_kernel_image
from bootsim.simulate import Boot
from bootsim.views.account import Kind, account
from tests.requirements import need_directory
from tests.trees import board

MIB = 1 << 20
SIX = load_profile("linux-6.1-armmp")
# Sizes around what lowmem holds with VMSPLIT_2G, 1792 MiB by default: base, bytes of each board.
BOARDS = [
    (0x60000000, 1024 * MIB),
    (0x60000000, 1792 * MIB),
    (0x60000000, 2500 * MIB + 0x3000),
    (0x10000000, 3840 * MIB),
    (0x40000000, 2026 * MIB),
    (0x00000000, 4064 * MIB),
]


def test_the_kernel_moves_with_the_split() -> None:
    for split, page_offset in VMSPLIT.items():
        moved = with_vmsplit(SIX, split)
        assert moved.layout.page_offset == page_offset
        for name, at in SIX.symbols.items():
            assert moved.symbols[name] - page_offset == at - 0xC0000000
        assert moved.linear(0x60000000).virt_to_phys(moved.symbols["_text"]) == 0x60208000
        assert with_vmsplit(moved, "3G").symbols == SIX.symbols


def test_what_is_so_already_stays_the_same() -> None:
    assert with_vmsplit(SIX, "3G") is SIX
    assert with_highmem(SIX, True) is SIX
    assert not with_highmem(SIX, False).config.highmem


def test_there_are_four_splits() -> None:
    with pytest.raises(BootsimError, match="vmsplit 4G: there are 3G, 3G_OPT, 2G, 1G"):
        with_vmsplit(SIX, "4G")


@pytest.mark.parametrize("split", VMSPLIT)
@pytest.mark.parametrize("highmem", [True, False])
def test_they_boot_on_the_machine(split: str, highmem: bool) -> None:
    boot = Boot(profile=with_highmem(with_vmsplit(SIX, split), highmem)).run()
    lowmem = {"3G": 768, "3G_OPT": 1024, "2G": 1024, "1G": 1024}[split]
    sizes = {zone.name: zone.struct.present_pages >> 8 for zone in boot.zones}
    assert sizes["Normal"] + sizes.get("DMA", 0) == lowmem
    assert sizes.get("HighMem", 0) == (1024 - lowmem if highmem else 0)


@pytest.mark.parametrize("vmalloc", [None, "vmalloc=512M"])
@pytest.mark.parametrize("bank", BOARDS, ids=lambda bank: f"{bank[1] // MIB}M@{bank[0]:#x}")
def test_against_a_real_kernel_of_that_configuration(
    bank: tuple[int, int], vmalloc: str | None
) -> None:
    built = need_directory("BOOTSIM_VEXPRESS_KERNEL", "a kernel of .ci/build-vexpress-kernel")
    dtb = board(bank)
    real = RealBoot(load_kernel_image(built / "zImage"), dtb=dtb, cmdline=vmalloc).run()
    profile = with_highmem(with_vmsplit(SIX, "2G"), False)
    model = Boot(profile=profile, dtb=dtb, cmdline=vmalloc).run()
    found = [account(boot, boot.board.memory) for boot in (real, model)]
    for kind in (Kind.LOST, Kind.NO_PAGE):
        assert found[0].size(kind) == found[1].size(kind)
    lost = [[p for p in each.pieces if p.kind == Kind.LOST] for each in found]
    assert lost[0] == lost[1]
    assert found[0].present == found[1].present
