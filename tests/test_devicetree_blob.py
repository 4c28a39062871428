"""Blobs: what is read equals what libfdt and dtc read; what is damaged is refused."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bootsim.devicetree.blob import (
    FDT_MAX_DEPTH,
    check_blob,
    flatten,
    memreserve_entries,
    pad_blob,
    parse_blob,
)
from bootsim.devicetree.board import Board
from bootsim.devicetree.chosen import set_chosen
from bootsim.devicetree.source import compile_dts
from bootsim.devicetree.tree import Node, Tree
from bootsim.errors import DeviceTreeError
from bootsim.machine.memory import Range
from tests.requirements import need_directory, need_module, need_program

OWN_DTS = Path(__file__).parents[1] / "dts" / "vexpress-v2p-ca9.dts"
OWN = compile_dts(OWN_DTS)
BEGIN, END_NODE, PROP, NOP, END = 1, 2, 3, 4, 9


def node(path: str, properties: dict[str, bytes], *children: Node) -> Node:
    return Node(path.rpartition("/")[2], path, MappingProxyType(properties), children)


def blob_of(
    words: list[int | bytes], *, strings: bytes = b"reg\0", reserve: bytes = bytes(16)
) -> bytes:
    """A blob of a structure block given as tokens and padded bytes."""
    structure = b"".join(
        word + bytes(-len(word) % 4) if isinstance(word, bytes) else struct.pack(">I", word)
        for word in words
    )
    at = 40 + len(reserve)
    total = at + len(structure) + len(strings)
    sizes = (len(strings), len(structure))
    head = (0xD00DFEED, total, at, at + len(structure), 40, 17, 16, 0, *sizes)
    return struct.pack(">10I", *head) + reserve + structure + strings


GOOD: list[int | bytes] = [BEGIN, b"\0", PROP, 4, 0, b"abcd", END_NODE, END]

names = st.from_regex(r"[a-z][a-z0-9,._+-]{0,30}", fullmatch=True)
values = st.one_of(
    st.binary(max_size=24),
    st.lists(st.integers(0, 2**32 - 1), max_size=5).map(
        lambda words: struct.pack(f">{len(words)}I", *words)
    ),
    st.lists(st.text(st.characters(codec="ascii"), max_size=9), max_size=3).map(
        lambda texts: "".join(text + "\0" for text in texts).encode()
    ),
)


@st.composite
def nodes(draw: st.DrawFn, path: str = "/", depth: int = 0) -> Node:
    children = draw(st.lists(names, max_size=3 if depth < 3 else 0, unique=True))
    below = path.rstrip("/") + "/"
    properties = draw(st.dictionaries(names, values, max_size=4))
    for child in children:
        properties.pop(child, None)  # legal in a blob, but dtc would not write it again
    subnodes = [draw(nodes(below + child, depth + 1)) for child in children]
    return Node(
        "/" if depth == 0 else path.rpartition("/")[2],
        path,
        MappingProxyType(properties),
        tuple(subnodes),
    )


u64 = st.integers(1, 2**64 - 1)
trees = st.builds(
    lambda root, memreserve, cpu: Tree("random", root, tuple(memreserve), cpu),
    nodes(),
    st.lists(st.builds(Range, u64, u64), max_size=3),
    st.integers(0, 2**32 - 1),
)


@given(trees)
@settings(deadline=None, max_examples=40)
def test_a_tree_comes_back_from_its_blob(tree: Tree) -> None:
    blob = flatten(tree)
    check_blob(blob, "random")
    assert parse_blob(blob, "random") == tree
    assert memreserve_entries(blob, "random") == tree.memreserve


@given(trees)
@settings(deadline=None, max_examples=40)
def test_dtc_writes_the_same_blob(tree: Tree) -> None:
    blob = flatten(tree)
    command = [need_program("dtc"), "-q", "-f", "-I", "dtb", "-O", "dtb"]
    result = subprocess.run(command, input=blob, capture_output=True, check=True)
    assert result.stdout == blob


@given(trees)
@settings(deadline=None, max_examples=40)
def test_libfdt_reads_the_same(tree: Tree) -> None:
    libfdt = need_module("libfdt")
    fdt = libfdt.Fdt(flatten(tree))
    for expected in tree.root:
        offset = fdt.path_offset(expected.path)
        found = {}
        at = fdt.first_property_offset(offset, libfdt.QUIET_NOTFOUND)
        while at >= 0:
            prop = fdt.get_property_by_offset(at)
            found[prop.name] = bytes(prop)
            at = fdt.next_property_offset(at, libfdt.QUIET_NOTFOUND)
        assert found == expected.properties
    assert fdt.num_mem_rsv() == len(tree.memreserve)
    assert [tuple(fdt.get_mem_rsv(i)) for i in range(fdt.num_mem_rsv())] == list(tree.memreserve)


def test_a_property_and_a_subnode_may_share_a_name() -> None:
    tree = Tree("t", node("/", {"x": b"\1"}, node("/x", {"x": b"\2"})))
    again = parse_blob(flatten(tree), "t").root
    assert again.properties["x"] == b"\1"
    assert again.children[0].properties["x"] == b"\2"


def test_of_two_properties_of_one_name_the_first_counts() -> None:
    both: list[int | bytes] = [PROP, 4, 0, b"1111", PROP, 4, 0, b"2222"]
    blob = blob_of([BEGIN, b"\0", *both, END_NODE, END])
    assert parse_blob(blob, "t").root.properties == {"reg": b"1111"}
    assert bytes(need_module("libfdt").Fdt(blob).getprop(0, "reg")) == b"1111"


def test_bytes_past_totalsize_are_cut_off_and_nops_are_skipped() -> None:
    plain = parse_blob(blob_of(GOOD), "t")
    assert parse_blob(blob_of(GOOD) + b"trailing", "t") == plain
    nops = [NOP, BEGIN, b"\0", NOP, *GOOD[2:6], NOP, END_NODE, NOP, END]
    assert parse_blob(blob_of(nops), "t") == plain


def test_version_16_has_no_size_of_the_structure_block() -> None:
    blob = bytearray(blob_of(GOOD))
    struct.pack_into(">I", blob, 0x14, 16)
    struct.pack_into(">I", blob, 0x24, 0xFFFFFFFF)
    assert parse_blob(bytes(blob), "t") == parse_blob(blob_of(GOOD), "t")


def deep(levels: int) -> list[int | bytes]:
    opening: list[int | bytes] = [BEGIN, b"n\0"]
    return [BEGIN, b"\0", *opening * (levels - 1), *[END_NODE] * levels, END]


def test_nesting_up_to_the_limit() -> None:
    check_blob(blob_of(deep(FDT_MAX_DEPTH)), "t")


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"", "t: 0 bytes are no device tree blob: the header alone has 40"),
        (bytes(40), "t: offset 0x0: magic 0x00000000, expected 0xd00dfeed"),
        (
            blob_of(deep(FDT_MAX_DEPTH + 1)),
            f"t: offset 0x238: {'/n' * 63}: nodes are nested deeper than 64",
        ),
        (blob_of([END]), "t: offset 0x38: FDT_END, but there is no root"),
        (blob_of([BEGIN, b"\0", END]), "t: offset 0x40: /: FDT_END, but a node is open"),
        (blob_of([BEGIN, b"\0", END_NODE]), "t: offset 0x44: the structure block ends without"),
        (blob_of([BEGIN, b"\0", 7]), "t: offset 0x40: /: 0x7 is not a token"),
        (blob_of([END_NODE, END]), "t: offset 0x38: FDT_END_NODE, but no node is open"),
        (blob_of([PROP, 0, 0]), "t: offset 0x38: a property outside of any node"),
        (
            blob_of([BEGIN, b"\0", BEGIN, b"a\0", END_NODE, PROP, 0, 0, END_NODE, END]),
            "t: offset 0x4c: /: a property after a subnode",
        ),
        (
            blob_of([BEGIN, b"\0", END_NODE, BEGIN, b"\0", END_NODE, END]),
            "t: offset 0x44: a second root node",
        ),
        (
            blob_of([BEGIN, b"\0", PROP, 99, 0, END_NODE, END]),
            "t: offset 0x40: /: a property of 0x63 bytes passes the block's end 0x54",
        ),
        (
            blob_of([BEGIN, b"\0", PROP, 9, 0, END_NODE, END]),
            "t: offset 0x40: /: a property of 0x9 bytes passes the block's end 0x54",
        ),
        (
            blob_of([BEGIN, b"\0", PROP, 0, 0, END_NODE, END], strings=b"reg"),
            "t: offset 0x40: /: a property's name at 0x54 has no end before 0x57",
        ),
        (
            blob_of([BEGIN, b"\0", PROP, 0, 4, END_NODE, END]),
            "t: offset 0x40: /: a property's name at 0x58 has no end before 0x58",
        ),
        (
            blob_of([BEGIN, b"\0", PROP, 0, 0xFFFFFFFF, END_NODE, END]),
            "t: offset 0x40: /: a property's name at 0x100000053 has no end before 0x58",
        ),
        (
            blob_of([BEGIN, b"\0", PROP, 0, 3, END_NODE, END]),
            "t: offset 0x40: /: a property without a name",
        ),
        (
            blob_of([BEGIN, b"\0", BEGIN, b"\0", END_NODE, END_NODE, END]),
            "t: offset 0x40: /: a node named ''",
        ),
        (
            blob_of([BEGIN, b"\0", BEGIN, b"a/b\0", END_NODE, END_NODE, END]),
            "t: offset 0x40: /: a node named 'a/b'",
        ),
        (
            blob_of([BEGIN, b"root\0", END_NODE, END]),
            "t: offset 0x38: a node named 'root', expected the root",
        ),
        (
            blob_of([BEGIN, b"\0", BEGIN, b"\xffn\0", END_NODE, END_NODE, END]),
            "t: offset 0x40: /: a node's name at 0x44, b'\\xffn', is not visible ASCII",
        ),
        (
            blob_of(GOOD, reserve=b"\0\0\0\0\0\0\0\1" * 2),
            "t: offset 0x28: the memory reservation block has no end",
        ),
    ],
)
def test_damage_is_named_with_its_place(blob: bytes, message: str) -> None:
    for read in (check_blob, parse_blob):
        with pytest.raises(DeviceTreeError) as caught:
            read(blob, "t")
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0x04, 1 << 31, "t: offset 0x4: totalsize 0x80000000 does not fit"),
        (0x04, 39, "t: offset 0x4: totalsize 0x27 does not fit"),
        (0x08, 2, "t: the structure block, 0x20 bytes at 0x2, is not between"),
        (0x08, 58, "t: the structure block at 0x3a is not aligned to 4 bytes"),
        (0x0C, 0xFFFFFFFF, "t: the strings block, 0x4 bytes at 0xffffffff, is not between"),
        (0x10, 44, "t: the memory reservation block at 0x2c is not aligned to 8 bytes"),
        (0x10, 96, "t: the memory reservation block, 0x10 bytes at 0x60, is not between"),
        (0x14, 3, "t: offset 0x14: version 3, compatible back to 16"),
        (0x18, 18, "t: offset 0x14: version 17, compatible back to 18"),
        (0x20, 5, "t: the strings block, 0x5 bytes at 0x58, is not between"),
        (0x24, 64, "t: the structure block, 0x40 bytes at 0x38, is not between"),
    ],
)
def test_header_fields_are_checked(offset: int, value: int, message: str) -> None:
    blob = bytearray(blob_of(GOOD))
    struct.pack_into(">I", blob, offset, value)
    with pytest.raises(DeviceTreeError) as caught:
        check_blob(bytes(blob), "t")
    assert str(caught.value).startswith(message)


def error_of(action: Callable[[], object]) -> str | None:
    """The message of the DeviceTreeError that `action` raises, if any."""
    try:
        action()
    except DeviceTreeError as error:
        return str(error)
    return None


def use(blob: bytes) -> bool:
    """Do all that can be done with a blob; whether it was accepted."""
    errors = [
        error_of(lambda: check_blob(blob, "damaged")),
        error_of(lambda: parse_blob(blob, "damaged")),
        error_of(lambda: set_chosen(blob, bootargs="x", initrd=(1, 2), name="damaged")),
        error_of(lambda: Board.from_blob(blob, "damaged").ram_banks()),
    ]
    for error in errors:
        assert error is None or error.startswith("damaged: ")
        assert "\n" not in (error or "")
    assert errors[0] == errors[1] == errors[2]  # the last may find no memory, and say so
    return errors[0] is None


def accepted_by_libfdt(blob: bytes) -> bool:
    return bool(need_module("libfdt").fdt_check_full(bytearray(blob), len(blob)) == 0)


@given(st.lists(st.tuples(st.integers(0, len(OWN) - 1), st.integers(0, 7)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_flipped_bits(flips: list[tuple[int, int]]) -> None:
    blob = bytearray(OWN)
    for offset, bit in flips:
        blob[offset] ^= 1 << bit
    if use(bytes(blob)):
        assert accepted_by_libfdt(bytes(blob))


def test_every_flipped_bit_of_the_header() -> None:
    for bit in range(40 * 8):
        blob = bytearray(OWN)
        blob[bit // 8] ^= 1 << bit % 8
        if use(bytes(blob)):
            assert accepted_by_libfdt(bytes(blob))


@given(st.integers(0, len(OWN) - 1))
@settings(deadline=None, max_examples=60)
def test_truncated(size: int) -> None:
    assert not use(OWN[:size])
    if size >= 40:  # and if its header says so too
        assert not use(OWN[:4] + struct.pack(">I", size) + OWN[8:size])


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_noise_behind_a_good_header(noise: bytes) -> None:
    blob = blob_of([noise])
    if use(blob):
        assert accepted_by_libfdt(blob)


def test_reservations_end_with_an_entry_of_zeros() -> None:
    reserve = struct.pack(">6Q", 0x1000, 0, 0, 0x2000, 0, 0)
    blob = blob_of(GOOD, reserve=reserve)
    assert memreserve_entries(blob, "t") == (Range(0x1000, 0), Range(0, 0x2000))
    assert flatten(parse_blob(blob, "t")) == blob


def test_padding() -> None:
    padded = pad_blob(OWN, 0xBC2E)
    assert len(padded) == 0xBC2E
    assert parse_blob(padded, "own") == parse_blob(OWN, "own")
    assert need_module("libfdt").Fdt(padded).totalsize() == 0xBC2E
    assert pad_blob(OWN, len(OWN)) == OWN
    with pytest.raises(DeviceTreeError, match="does not fit into 0x10"):
        pad_blob(OWN, 16)


@pytest.mark.slow
def test_every_blob_of_a_directory() -> None:
    """Those of a Linux distribution, say: each is read, comes back byte for byte (dtc wrote them),
    and gives a board or one clear line."""
    directory = need_directory("BOOTSIM_DTBS", "a directory of device tree blobs")
    blobs = sorted(directory.rglob("*.dtb"))
    assert blobs
    for path in blobs:
        blob = path.read_bytes()
        tree = parse_blob(blob, path.name)
        assert flatten(tree) == blob
        assert set_chosen(blob, name=path.name) == blob
        error = error_of(lambda tree=tree: Board.from_tree(tree).ram_banks())  # type: ignore[misc]
        assert error is None or error.startswith(f"{path.name}: /")
