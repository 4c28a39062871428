"""RAM as a boot loader writes it into a tree: byte for byte what libfdt makes of the same blob."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.devicetree.blob import check_blob, pad_blob, parse_blob
from bootsim.devicetree.board import Board
from bootsim.devicetree.memory_node import set_memory
from bootsim.devicetree.source import compile_dts
from bootsim.devicetree.tree import Tree
from bootsim.errors import BootsimError, DeviceTreeError
from bootsim.simulate import Boot
from tests.requirements import need_directory, need_module
from tests.trees import CELLS, blob, packed

MIB = 1 << 20
OWN = compile_dts(Path(__file__).parents[1] / "dts" / "vexpress-v2p-ca9.dts")
WIDE = "#address-cells = <2>; #size-cells = <2>;"
RESERVED = "/memreserve/ 0x1000 0x2000; /memreserve/ 0x9 0x1;"
RAM = 'device_type = "memory"; reg = <0x10000000 0x1000>;'

# Roots without memory, with one that the boot loader is to fill in, and with more than one.
TREES = {
    "own": OWN,
    "none": blob(RESERVED, f"{CELLS} a {{ memory {{ {RAM} }}; }}; b {{ x; }};"),
    "none, no subnode": blob("", f"{WIDE} model = [00];"),
    "no cells": blob("", "a { };"),
    "size 0": blob("", f'{CELLS} z {{ }}; memory {{ device_type = "memory"; reg = <0 0>; }};'),
    "reg only": blob("", f"{WIDE} memory@80000000 {{ reg = <0 0 0 0>; l: x {{ }}; }}; b {{ }};"),
    "empty": blob("", "#address-cells = <2>; #size-cells = <1>; memory { }; b { };"),
    "usable": blob(
        "", f'{CELLS} memory@9 {{ linux,usable-memory = <1 2>; {RAM} status = "disabled"; p; }};'
    ),
    "more": blob(
        "",
        f"{CELLS} ram {{ {RAM} sub {{ x; }}; }}; memory@1 {{ {RAM} }}; memory@2 {{ {RAM} }};"
        f" memory@3 {{ x; }}; sram {{ {RAM} }}; b {{ {RAM.replace('memory', 'memory2')} }};",
    ),
    "other name": blob("", f"{CELLS} ram@1 {{ {RAM} }};"),
    "many cells": blob("", "#address-cells = <3>; #size-cells = <4>; c { };"),
}


def by_libfdt(data: bytes, banks: Iterable[tuple[int, int]]) -> bytes:
    """The same with libfdt: U-Boot's edits in their order, and what Linux must not see deleted."""
    libfdt = need_module("libfdt")
    fdt = libfdt.Fdt(data)
    fdt.resize(len(data) + 4096)
    quiet = libfdt.QUIET_NOTFOUND

    def cells(key: str) -> int:
        value = fdt.getprop(0, key, quiet)
        return value.as_uint32() if isinstance(value, libfdt.Property) else 1

    def subnodes() -> list[int]:
        found = [fdt.first_subnode(0, quiet)]
        while found[-1] >= 0:
            found.append(fdt.next_subnode(found[-1], quiet))
        return found[:-1]

    reg = b"".join(
        base.to_bytes(4 * cells("#address-cells"), "big")
        + size.to_bytes(4 * cells("#size-cells"), "big")
        for base, size in banks
    )
    memory = fdt.subnode_offset(0, "memory", quiet)
    if memory < 0:
        memory = fdt.add_subnode(0, "memory")
    fdt.setprop(memory, "device_type", b"memory\0")
    fdt.setprop(memory, "reg", reg)
    for key in ("linux,usable-memory", "status"):
        fdt.delprop(memory, key, quiet)
    own = fdt.get_name(memory)
    for node in reversed(subnodes()):  # what comes before does not move
        kind = fdt.getprop(node, "device_type", quiet)
        if fdt.get_name(node) != own and kind == b"memory\0":
            fdt.del_node(node)
    return packed(fdt)


BANKS = [
    [(0x60000000, 512 * MIB)],
    [(0x80000000, 64 * MIB), (0, MIB), (MIB, 0x1000), (0xFFFFF000, 0x1000)],
]


@pytest.mark.parametrize("data", TREES.values(), ids=TREES)
@pytest.mark.parametrize("banks", BANKS, ids=["one", "more"])
def test_as_libfdt_does_it(data: bytes, banks: list[tuple[int, int]]) -> None:
    result = set_memory(data, banks)
    check_blob(result, "result")
    # What was deleted is free space now.
    expected = by_libfdt(data, banks)
    assert result == pad_blob(expected, max(len(expected), len(data)))


def test_debian_s_trees_as_libfdt_does_it() -> None:
    trees = need_directory("BOOTSIM_DTBS", "Debian's device trees")
    paths = sorted(trees.rglob("*.dtb"))[::20]
    assert len(paths) > 20
    for path in paths:
        data = path.read_bytes()
        result, expected = set_memory(data, BANKS[1]), by_libfdt(data, BANKS[1])
        assert result == pad_blob(expected, max(len(expected), len(result))), path


def without_memory(data: bytes) -> Tree:
    """The tree, its blob's name and the root's memory nodes left out."""
    tree = parse_blob(data, "")
    others = tuple(
        node
        for node in tree.root.children
        if node.name.split("@")[0] != "memory" and node.string("device_type") != "memory"
    )
    return replace(tree, root=replace(tree.root, children=others))


@st.composite
def ram(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Banks of whole pages below 4 GiB, in any order, that may touch."""
    edges = draw(st.lists(st.integers(0, 1 << 20), min_size=2, max_size=13, unique=True))
    edges.sort()
    pairs = list(pairwise(edges))
    kept = draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True))
    banks = [(start << 12, (end - start) << 12) for start, end in kept]
    return [bank for bank in banks if bank[1] < 1 << 32] or [(0, 0x1000)]


@given(st.sampled_from(sorted(TREES)), ram())
@settings(deadline=None)
def test_the_machine_has_those_banks_and_the_rest_stays(
    name: str, banks: list[tuple[int, int]]
) -> None:
    data = TREES[name]
    result = set_memory(data, banks)
    board = Board.from_blob(result, "result")
    assert list(board.memory) == banks
    assert list(board.ram_banks()) == sorted(banks)
    if name != "more":
        assert without_memory(result) == without_memory(data)
    # Nothing of it is left by the next time.
    again = set_memory(result, [(0x1000, 0x1000)])
    assert parse_blob(again, "") == parse_blob(set_memory(data, [(0x1000, 0x1000)]), "")


def test_nodes_that_are_no_ram_stay() -> None:
    names = [
        node.name for node in parse_blob(set_memory(TREES["more"], BANKS[0]), "").root.children
    ]
    # "ram", "memory@2" and "sram" were memory; the first called so is /memory.
    assert names == ["memory@1", "memory@3", "b"]


def test_what_hides_behind_a_first_of_its_name_goes_too() -> None:
    # dtc makes no such blobs: "statu2" becomes a second "status".
    data = blob("", f'{CELLS} memory {{ statu2 = "okay"; status = "disabled"; {RAM} }};')
    data = data.replace(b"statu2\0", b"status\0")
    assert Board.from_blob(set_memory(data, BANKS[0]), "t").memory == tuple(BANKS[0])


def test_beyond_4_gib_as_far_as_the_cells_reach() -> None:
    banks = [(0x40000000, 4 << 30), (1 << 40, 1 << 30)]
    board = Board.from_blob(set_memory(TREES["none, no subnode"], banks), "t")
    assert list(board.memory) == banks
    assert list(board.ram_banks()) == [(0x40000000, 3 << 30)]


@pytest.mark.parametrize(
    ("banks", "words"),
    [
        ([], "RAM of no banks: give one at least"),
        ([(0x1000, 0)], "RAM bank 0x1000:0x0: there is nothing in it"),
        ([(0x1000, -0x1000)], "RAM bank 0x1000:-0x1000: there is nothing in it"),
        ([(0x800, 0x1000)], "RAM bank 0x800:0x1000: it is not of whole pages, 0x1000 bytes each"),
        ([(0x1000, 0x1001)], "RAM bank 0x1000:0x1001: it is not of whole pages"),
        ([(-0x1000, 0x1000)], "RAM bank -0x1000:0x1000: it does not fit into the numbers of t: "),
        ([(0, 1 << 32)], "RAM bank 0x0:0x100000000: it does not fit into the numbers of t: "),
        ([(1 << 32, 0x1000)], "RAM bank 0x100000000:0x1000: it does not fit into the numbers of t"),
        ([(0xFFFFF000, 0x2000)], "RAM bank 0xfffff000:0x2000: it does not fit into the numbers"),
        (
            [(0x4000, 0x1000), (0x1000, 0x2000), (0x2000, 0x1000)],
            "RAM banks overlap: [0x00001000-0x00002fff] and [0x00002000-0x00002fff]",
        ),
        ([(0x1000, 0x1000)] * 2, "RAM banks overlap: [0x00001000-0x00001fff] and [0x00001000-"),
    ],
)
def test_ram_that_cannot_be(banks: list[tuple[int, int]], words: str) -> None:
    with pytest.raises(BootsimError) as caught:
        set_memory(OWN, banks, name="t")
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ("#address-cells = <0>;", "t: /: #address-cells is 0x0 in 4 bytes, expected one cell"),
        ("#size-cells = <5>;", "t: /: #size-cells is 0x5, expected at most 4"),
        ("#size-cells = <0xffffffff>;", "t: /: #size-cells is 0xffffffff, expected at most 4"),
    ],
)
def test_roots_that_cannot_be(root: str, words: str) -> None:
    with pytest.raises(DeviceTreeError) as caught:
        set_memory(blob("", root), [(0x1000, 0x1000)], name="t")
    assert str(caught.value).startswith(words)


# The tree, its RAM, and what of it the kernel is to have.
DEBIAN = [
    ("sun8i-h3-orangepi-pc", [(0x40000000, 512 * MIB)]),  # no memory node
    ("imx6dl-b105pv2", [(0x10000000, 256 * MIB)]),  # one without device_type
    ("bcm2711-rpi-4-b", [(0, 948 * MIB), (0x40000000, 256 * MIB)]),  # one of size 0
    ("imx6q-prtwd2", [(0x10000000, 256 * MIB)]),  # two, of which the other would stay
]


@pytest.mark.parametrize("profile", ["linux-5.0", "linux-6.1-armmp"])
@pytest.mark.parametrize(("name", "banks"), DEBIAN, ids=[case[0] for case in DEBIAN])
def test_the_kernel_sees_it(profile: str, name: str, banks: list[tuple[int, int]]) -> None:
    path = need_directory("BOOTSIM_DTBS", "Debian's device trees") / f"{name}.dtb"
    boot = Boot(dtb=path, ram=banks, profile=profile, cmdline="memblock=debug").run()
    assert boot.handed_over
    assert f" memory size = {sum(size for _, size in banks):#010x} " in " ".join(boot.log)
    assert [(bank.base, bank.size) for bank in boot.board.memory] == banks


def test_boot_with_ram_of_its_own() -> None:
    boot = Boot(ram=[(0x70000000, 64 * MIB), (0x80000000, 64 * MIB)], until="cmd_line").run()
    regions = [(region.base, region.size) for region in boot.memblock.memory]
    assert regions == [(0x70000000, 64 * MIB), (0x80000000, 64 * MIB)]
    assert boot.placement.phys_offset == 0x70000000
