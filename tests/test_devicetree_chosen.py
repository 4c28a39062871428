"""Filling in /chosen: byte for byte what libfdt makes of the same blob."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.devicetree.blob import check_blob, pad_blob, parse_blob
from bootsim.devicetree.chosen import set_chosen
from bootsim.devicetree.source import compile_dts
from bootsim.errors import DeviceTreeError
from tests.requirements import need_module, need_program
from tests.trees import packed

OWN = compile_dts(Path(__file__).parents[1] / "dts" / "vexpress-v2p-ca9.dts")

# Roots with and without /chosen, with what it may hold before, and with either address size.
TREES = {
    "own": OWN,
    "no chosen": "/ { #address-cells = <1>; a { }; b { x; }; };",
    "no chosen, 64 bits": "/ { #address-cells = <2>; a { }; };",
    "no chosen, no subnode": "/ { #address-cells = <2>; };",
    "no address cells": "/ { chosen { }; };",
    "filled": """/ { #address-cells = <1>; a { bootargs = "not here"; };
        chosen { stdout-path = "/a"; bootargs = "old"; linux,initrd-end = <9>; sub { bootargs; }; };
        z { }; };""",
    "unit address": "/ { #address-cells = <1>; a { }; chosen@0 { bootargs = [00]; }; };",
    "late": "/ { #address-cells = <1>; a { chosen { }; }; chosen { }; };",
    "reserved": "/memreserve/ 0x1000 0x2000; /memreserve/ 0x9 0x1; / { chosen { }; };",
    "suffix": "/ { #address-cells = <1>; my-bootargs; };",
}


def blob_of(tree: bytes | str) -> bytes:
    if isinstance(tree, bytes):
        return tree
    command = [need_program("dtc"), "-q", "-f", "-I", "dts", "-O", "dtb"]
    return subprocess.run(
        command, input=f"/dts-v1/; {tree}".encode(), capture_output=True, check=True
    ).stdout


def by_libfdt(blob: bytes, bootargs: str | None, initrd: tuple[int, int] | None) -> bytes:
    """The same edits with libfdt, in the order in which QEMU makes them."""
    libfdt = need_module("libfdt")
    fdt = libfdt.Fdt(blob)
    fdt.resize(len(blob) + 4096)
    at = fdt.subnode_offset(0, "chosen", libfdt.QUIET_NOTFOUND)
    if at < 0:
        at = fdt.add_subnode(0, "chosen")
    if bootargs is not None:
        fdt.setprop(at, "bootargs", bootargs.encode() + b"\0")
    cells = fdt.getprop(0, "#address-cells", libfdt.QUIET_NOTFOUND)
    size = 4 if isinstance(cells, libfdt.Property) and cells.as_uint32() == 1 else 8
    for name, value in zip(("start", "end"), initrd or (), strict=False):
        fdt.setprop(at, f"linux,initrd-{name}", value.to_bytes(size, "big"))
    return packed(fdt)


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
@pytest.mark.parametrize("initrd", [None, (0x68000000, 0x69CF7000)])
@pytest.mark.parametrize("bootargs", [None, "", "console=ttyAMA0", "ä 3"])
def test_as_libfdt_does_it(
    tree: bytes | str, bootargs: str | None, initrd: tuple[int, int] | None
) -> None:
    blob = blob_of(tree)
    result = set_chosen(blob, bootargs=bootargs, initrd=initrd)
    if bootargs is None and initrd is None:
        assert result == blob
        return
    check_blob(result, "result")
    assert result == by_libfdt(blob, bootargs, initrd)


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=30)
def test_twice_is_the_last(bootargs: str, one: int, other: int) -> None:
    start, end = sorted((one, other))
    first = set_chosen(OWN, bootargs="first, and rather a long one" * 3, initrd=(1, 2))
    result = set_chosen(first, bootargs=bootargs, initrd=(start, end))
    chosen = parse_blob(result, "result").node("/chosen")
    assert chosen is not None
    assert chosen.properties == {
        "linux,initrd-end": end.to_bytes(4, "big"),
        "linux,initrd-start": start.to_bytes(4, "big"),
        "bootargs": bootargs.encode() + b"\0",
    }


def test_the_blob_s_free_space_is_used() -> None:
    padded = pad_blob(OWN, len(OWN) + 200)
    result = set_chosen(padded, bootargs="quiet")
    assert len(result) == len(padded)
    assert parse_blob(result, "t") == parse_blob(set_chosen(OWN, bootargs="quiet"), "t")
    assert len(set_chosen(padded, bootargs="x" * 500)) > len(padded)


def test_what_follows_the_blob_is_cut_off() -> None:
    assert set_chosen(OWN + b"initrd") == OWN
    assert set_chosen(OWN + b"initrd", bootargs="a") == set_chosen(OWN, bootargs="a")


def test_a_version_16_blob_becomes_one_of_version_17() -> None:
    dtc = need_program("dtc")
    old = subprocess.run(
        [dtc, "-I", "dtb", "-O", "dtb", "-V", "16"], input=OWN, capture_output=True, check=True
    ).stdout
    assert old[0x17] == 16
    result = set_chosen(old, bootargs="a")
    assert result[0x17] == 17
    assert parse_blob(result, "t") == parse_blob(set_chosen(OWN, bootargs="a"), "t")


@pytest.mark.parametrize(
    ("bootargs", "initrd", "message"),
    [
        ("a\0b", None, "t: /chosen: bootargs with a NUL"),
        (None, (2, 1), "t: /chosen: initrd from 0x2 to 0x1 is not a range of 32-bit addresses"),
        (None, (0, 1 << 32), "t: /chosen: initrd from 0x0 to 0x100000000 is not"),
        (None, (-1, 5), "t: /chosen: initrd from -0x1 to 0x5 is not"),
    ],
)
def test_what_cannot_be(bootargs: str | None, initrd: tuple[int, int] | None, message: str) -> None:
    with pytest.raises(DeviceTreeError) as caught:
        set_chosen(OWN, bootargs=bootargs, initrd=initrd, name="t")
    assert str(caught.value).startswith(message)
