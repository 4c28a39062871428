"""Where things are loaded: what the kernel writes over, and what its decompressor makes of it.

The addresses follow from arch/arm/boot/compressed/head.S, which was run with such trees.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootsim.check.findings import Finding, Severity
from bootsim.check.payload import Payload
from bootsim.check.tree import check_tree
from bootsim.kernel.profile_file import load_profile

# Debian's armmp 6.1: what is unpacked, and its file.
IMAGE, ZIMAGE = 0x13A1000, 0x532200
HIGH = {"zimage_size": ZIMAGE, "zimage_addr": 0x62000000}  # stays: nothing is unpacked there
LOW = {"zimage_size": ZIMAGE, "zimage_addr": 0x60008000}  # moves itself behind what it unpacks
STACK_AND_HEAP = 0x11000
BOARD = """/dts-v1/;
/ {
	#address-cells = <1>;
	#size-cells = <1>;
	compatible = "test,board";
	memory@60000000 { device_type = "memory"; reg = <0x60000000 0x20000000>; };
	%s
};
"""


def check(
    tmp_path: Path, *, more: str = "", profile: str = "linux-6.1-armmp", **payload: Any
) -> list[Finding]:
    path = tmp_path / "board.dts"
    path.write_text(BOARD % more)
    report = check_tree(str(path), Payload(image_size=IMAGE, **payload), load_profile(profile))
    assert report.error is None
    return list(report.findings)


def bad(findings: list[Finding]) -> list[str]:
    return [f.code for f in findings if f.severity > Severity.INFO]


@pytest.mark.parametrize(
    ("zimage", "dtb_addr", "codes"),
    [
        (LOW, 0x615A9400, ["E-PAYLOAD-OVERLAP"]),  # where it has moved to
        (LOW, 0x61AEC600, ["W-PAYLOAD-MARGIN"]),  # right behind its heap
        (LOW, 0x61B00000, []),
        (HIGH, 0x61B00000, []),
        (HIGH, 0x62000000 + ZIMAGE + 0x1000, ["E-PAYLOAD-OVERLAP"]),  # its stack
        (HIGH, 0x62000000 + ZIMAGE + STACK_AND_HEAP, ["W-PAYLOAD-MARGIN"]),
        (HIGH, 0x62100000, ["E-PAYLOAD-OVERLAP"]),  # loaded into it
        (HIGH, 0x62000000 - 0x1000, ["W-PAYLOAD-MARGIN"]),  # may grow into it
        (HIGH, 0x62000000 - 0x8000, []),
        (HIGH, 0x62000000 + ZIMAGE, []),  # appended: it goes with the zImage
        (LOW, 0x60008000 + ZIMAGE, []),
    ],
)
def test_the_tree_near_a_zimage(
    tmp_path: Path, zimage: dict[str, int], dtb_addr: int, codes: list[str]
) -> None:
    assert bad(check(tmp_path, dtb_addr=dtb_addr, **zimage)) == codes


def test_an_appended_tree_goes_where_the_zimage_goes(tmp_path: Path) -> None:
    """Behind all of it that moves, and out of the way of .bss."""
    more = "reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;"
    more += "fw@61a00000 { no-map; reg = <0x61a00000 0x100000>; }; };"
    findings = check(tmp_path, more=more, dtb_addr=0x60008000 + ZIMAGE, **LOW)
    assert bad(findings) == ["E-DTB-IN-NOMAP"]
    assert "device tree [0x61adb600-" in findings[0].text


def test_it_is_told_who_writes_over_whom_and_by_how_much(tmp_path: Path) -> None:
    found = check(tmp_path, initrd=4 << 20, initrd_addr=0x61A00000, dtb_addr=0x68000000, **LOW)
    assert bad(found) == ["E-PAYLOAD-OVERLAP"]
    assert found[0].text == (
        "the initrd [0x61a00000-0x61dfffff] (4 MiB) is written over by the zImage, moved out of its"
        " own way [0x615a9400-0x61aec5ff] (5.3 MiB): they share 945.5 KiB"
    )


@pytest.mark.parametrize(
    "chosen", ["linux,initrd-start = <%s>; linux,initrd-end = <%s>;", 'bootargs = "initrd=%s,%s";']
)
def test_an_initrd_that_the_tree_tells_of(tmp_path: Path, chosen: str) -> None:
    end = "0x61e00000" if "end" in chosen else "4M"
    for start, codes in (("0x61a00000", ["E-PAYLOAD-OVERLAP"]), ("0x68000000", [])):
        last = end if codes or "end" not in chosen else "0x68400000"
        more = "chosen { " + chosen % (start, last) + " };"
        assert bad(check(tmp_path, more=more, **LOW)) == codes


def test_the_margin_that_is_left(tmp_path: Path) -> None:
    found = check(tmp_path, dtb_addr=0x61700000, initrd=4 << 20, initrd_addr=0x61740000)
    assert bad(found) == []
    texts = [f.text for f in found if f.code == "I-PAYLOAD-MARGIN"]
    assert texts == [
        "994.6 KiB lie between the kernel's .bss and the device tree at 0x61700000:"
        " a kernel that is larger by more writes over the device tree",
        "255.7 KiB lie between the device tree at 0x61700000 and the initrd:"
        " if the device tree grows by more, both are loaded over each other",
    ]


def test_a_zimage_in_the_second_128_mib_loses_the_first(tmp_path: Path) -> None:
    found = check(tmp_path, zimage_size=ZIMAGE, zimage_addr=0x69000000)
    assert bad(found) == ["W-MEMORY-IGNORED"]
    assert "[0x60000000-0x67ffffff] (128 MiB)" in found[0].text
    assert "zImage" in found[0].remedy


@pytest.mark.parametrize("payload", [{**HIGH, "zimage_addr": 0x50000000}, {"dtb_addr": 0x90000000}])
def test_where_there_is_no_ram(tmp_path: Path, payload: dict[str, int]) -> None:
    found = check(tmp_path, **payload)
    assert bad(found) == ["E-PAYLOAD-OVERLAP"]
    assert "does not fit into RAM, [0x60000000-0x7fffffff] (512 MiB)" in found[0].text


def test_what_has_no_place_yet_gets_a_good_one(tmp_path: Path) -> None:
    """An initrd of which only the size is known, on much RAM, on little, and with mem=."""
    for ram, cmdline in ((512, None), (48, None), (512, "mem=64M")):
        banks = ((0x60000000, ram << 20),)
        found = check(tmp_path, initrd=8 << 20, ram=banks, cmdline=cmdline)
        assert {"E-INITRD-NOT-RAM", "E-INITRD-OVERLAP"}.isdisjoint(bad(found))


def test_initrd_on_the_command_line_moves_a_tree_without_place(tmp_path: Path) -> None:
    assert bad(check(tmp_path, cmdline="initrd=0x68000000,8M")) == []


def test_kernels_that_reserve_the_tree_last(tmp_path: Path) -> None:
    """Linux 5.0 takes an initrd that lies over its tree, and no-map memory with the tree in it."""
    found = check(
        tmp_path, profile="linux-5.0", dtb_addr=0x68080000, initrd=1 << 20, initrd_addr=0x68000000
    )
    assert bad(found) == ["E-INITRD-OVERLAP"]
    more = "reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;"
    more += "fw@68000000 { no-map; reg = <0x68000000 0x100000>; }; };"
    found = check(tmp_path, more=more, profile="linux-5.0", dtb_addr=0x68080000)
    assert bad(found) == ["E-DTB-IN-NOMAP"]


def test_a_safe_place_is_in_no_region_that_was_refused(tmp_path: Path) -> None:
    """Linux leaves the no-map region in memory where the initrd lies: free it is not."""
    more = "reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;"
    more += "fw@61800000 { no-map; reg = <0x61800000 0x800000>; }; };"
    found = check(tmp_path, more=more, initrd=4 << 20, initrd_addr=0x61900000)
    assert bad(found) == ["E-INITRD-OVERLAP"]
    assert found[0].remedy == "Load it at 0x62000000, the first address that is safe."
    assert bad(check(tmp_path, more=more, initrd=4 << 20, initrd_addr=0x62000000)) == []


@pytest.mark.parametrize(
    ("region", "codes"),
    [
        # In the last 2 MiB of the kernel, and right behind it: little is left below.
        ("0x61700000 0x100000", ["W-BANK-UNALIGNED", "W-KERNEL-EDGE"]),
        ("0x61800000 0x100000", ["W-BANK-UNALIGNED"]),
        ("0x60100000 0x100000", ["E-KERNEL-OUTSIDE"]),
        ("0x65f00000 0x80000", ["E-SECTION-SPLIT"]),  # BUG in arm_pte_alloc()
        ("0x65f00000 0x100000", []),
        ("0x65e00000 0x80000", []),
    ],
)
def test_no_map_regions_that_the_kernel_dies_of(
    tmp_path: Path, region: str, codes: list[str]
) -> None:
    """As Debian's kernel does."""
    more = "reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;"
    more += f"fw {{ no-map; reg = <{region}>; }}; }};"
    found = check(tmp_path, more=more)
    assert bad(found) == codes
    assert all(f.node == "/reserved-memory/fw" for f in found)


def test_an_initrd_in_memory_that_goes_later(tmp_path: Path) -> None:
    """It is when it knows the tree's no-map regions that Linux removes the RAM between them."""
    profile = load_profile("linux-6.1-armmp")
    profile = replace(profile, config=replace(profile.config, highmem=False))
    path = tmp_path / "board.dts"
    more = "reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;"
    more += "fw { no-map; reg = <0x70000000 0x100000>, <0x7f000000 0x1000000>; }; };"
    path.write_text(BOARD % more)
    payload = Payload(initrd=4 << 20, initrd_addr=0x78000000)
    found = check_tree(str(path), payload, profile).findings
    assert bad(list(found)) == ["E-RAM-UNALIGNED", "E-INITRD-HIGHMEM"]


def test_the_command_line_has_no_line_in_the_source(tmp_path: Path) -> None:
    """What was asked for with --append is not the tree's; what bootargs says is."""
    chosen = 'chosen { bootargs = "mem=1G"; };'
    own = check(tmp_path, more=chosen)[0]
    assert (own.code, own.node, own.line) == ("E-MEM-EXCEEDS", "/chosen", 7)
    given = check(tmp_path, more=chosen, cmdline="mem=2G")[0]
    assert (given.code, given.node, given.line) == ("E-MEM-EXCEEDS", "", 0)


def no_highmem(tmp_path: Path, first: str) -> Finding:
    """What is found of a board without HIGHMEM, and a no-map node with `first` and its last 16 MiB
    in reg."""
    profile = load_profile("linux-6.1-armmp")
    profile = replace(profile, config=replace(profile.config, highmem=False))
    path = tmp_path / "board.dts"
    more = "reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;"
    more += f"fw@70000000 {{ no-map; reg = <{first}>, <0x7f000000 0x1000000>; }}; }};"
    path.write_text(BOARD % more)
    (found,) = check_tree(str(path), Payload(), profile).findings
    return found


def test_all_ranges_of_a_node_count(tmp_path: Path) -> None:
    found = no_highmem(tmp_path, "0x70000000 0x200000")
    assert found.code == "W-NOMAP-TOP"
    assert found.text.startswith("/reserved-memory/fw@70000000 [0x7f000000-0x7fffffff] (16 MiB) is")


def test_a_hole_off_2_mib_below_a_no_map_region_at_the_top(tmp_path: Path) -> None:
    """adjust_lowmem_bounds(): it is from memblock_limit on that RAM is removed."""
    found = no_highmem(tmp_path, "0x70000000 0x100000")
    assert found.code == "E-RAM-UNALIGNED"
    assert found.text.startswith("239 MiB of RAM are lost: [0x70100000-0x7effffff] (239 MiB);")
    assert found.log[0] == "Ignoring RAM at 0x70000000-0x80000000"
