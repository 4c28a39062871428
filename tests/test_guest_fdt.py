"""libfdt and the flat tree's functions as served to guest code, against libfdt and a kernel."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bootsim
from bootsim.devicetree.source import compile_dts
from bootsim.errors import BootsimError
from bootsim.guest.driver import GuestOptions, load_guest_drivers
from bootsim.guest.exports import APIS, Api
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.libfdt_blob import FdtError
from bootsim.kernel.libfdt_ro import FlatTree
from bootsim.kernel.profile_file import load_profile
from bootsim.resources import resource_path
from tests.requirements import need_module
from tests.trees import blob

DATA = Path(__file__).parent / "data" / "guest_lib" / "libfdt-6.1-armmp.jsonl.gz"
BASE = 0x1000
END = 0x10000


class Bytes:
    """Memory with a blob in it, and zeroes around it."""

    def __init__(self, data: bytes, at: int = BASE) -> None:
        self.data = bytes(at) + data + bytes(END)

    def read(self, address: int, size: int) -> bytes:
        return self.data[address : address + size].ljust(size, b"\0")


def flat_tree(data: bytes, misaligned: int = 0, *, aligned: bool = True) -> FlatTree:
    return FlatTree(Bytes(data, BASE + misaligned), BASE + misaligned, aligned=aligned)


# A real kernel's libfdt, on sound and damaged trees.


def test_as_linux_6_1_on_damaged_trees() -> None:
    with gzip.open(DATA, "rt") as file:
        sound = bytes.fromhex(json.loads(next(file))["blob"])
        for line in file:
            recorded = json.loads(line)
            damaged = bytearray(sound)
            for at, data in recorded["edits"]:
                damaged[at : at + len(data) // 2] = bytes.fromhex(data)
            tree = flat_tree(bytes(damaged), recorded.get("misaligned", 0))
            for function, arguments, result in recorded["calls"]:
                asked = [a.encode() if isinstance(a, str) else a for a in arguments]
                answer = getattr(tree, function)(*asked)
                if function in ("getprop", "get_name"):
                    answer = [answer[0] and answer[0] - tree.address, answer[1]]
                elif function == "next_node":
                    answer = list(answer)
                assert answer == result, (recorded["edits"], function, arguments)


# libfdt itself, on sound trees.

NAMES = st.sampled_from(["a", "b", "ab", "cpu", "x,y", "soc", "a@0", "cpu@0", "cpu@1", "cpu@10"])
PROPERTIES = st.dictionaries(
    st.sampled_from(["reg", "compatible", "#address-cells", "#size-cells", "model", "p"]),
    st.sampled_from(["<0>", "<1>", "<5>", '"x"', '"x", "arm,y"', "<1 2>", "[78]", '"x\\0"', '""']),
    max_size=4,
)
# Nodes in the order of the source: depth at most, name, properties, whether it has a phandle.
NODES = st.lists(st.tuples(st.integers(1, 4), NAMES, PROPERTIES, st.booleans()), max_size=8)


def source(nodes: list[tuple[int, str, dict[str, str], bool]]) -> str:
    """A root's content in the notation of device tree sources; nodes with a taken name are out."""
    root: list[Any] = [{}, {}]  # properties, nodes by name
    path = [root]
    for phandle, (depth, name, properties, has_phandle) in enumerate(nodes, 1):
        del path[depth:]
        if name not in path[-1][1]:
            own = properties | ({"phandle": f"<{phandle}>"} if has_phandle else {})
            path.append([own, {}])
            path[-2][1][name] = path[-1]
    return content(root)


def content(node: list[Any]) -> str:
    properties, below = node
    text = "".join(f"{name} = {value}; " for name, value in properties.items())
    return text + "".join(f"{name} {{ {content(body)} }}; " for name, body in below.items())


@settings(max_examples=40, deadline=None)
@given(NODES, st.lists(st.integers(1, 1 << 40), max_size=3))
def test_as_libfdt_on_made_trees(
    nodes: list[tuple[int, str, dict[str, str], bool]], reserved: list[int]
) -> None:
    entries = "".join(f"/memreserve/ {size:#x} {size:#x}; " for size in reserved)
    aliases = 'aliases { me = "/a"; up = "/soc/cpu"; }; '
    check_against_libfdt(blob(entries, source(nodes) + aliases))


def test_as_libfdt_on_the_built_in_tree() -> None:
    check_against_libfdt(compile_dts(resource_path("dts", "vexpress-v2p-ca9.dts")))


def check_against_libfdt(data: bytes) -> None:
    libfdt: Any = need_module("libfdt")
    theirs, quiet = libfdt.FdtRo(data), libfdt.QUIET_ALL
    raw = theirs.as_bytearray()  # for what FdtRo has no method for
    ours = flat_tree(data)
    assert ours.check_header() == 0
    assert ours.num_mem_rsv() == theirs.num_mem_rsv()
    for number in range(theirs.num_mem_rsv()):
        assert ours.get_mem_rsv(number) == tuple(theirs.get_mem_rsv(number))
    assert ours.get_mem_rsv(10000) == -FdtError.BADOFFSET
    for node, depth, path in walk(theirs, quiet):
        pointer, length = ours.get_name(node)
        name = ours.read(pointer, length).decode()
        assert name == theirs.get_name(node)
        assert ours.node_depth(node) == depth
        assert ours.parent_offset(node) == theirs.parent_offset(node, quiet)
        assert ours.path_offset(path.encode()) == theirs.path_offset(path, quiet)
        without_unit = "/".join(part.partition("@")[0] for part in path.split("/"))
        assert ours.path_offset(without_unit.encode()) == theirs.path_offset(without_unit, quiet)
        assert ours.first_subnode(node) == theirs.first_subnode(node, quiet)
        assert ours.next_subnode(node) == theirs.next_subnode(node, quiet)
        assert ours.get_phandle(node) == theirs.get_phandle(node)
        assert ours.address_cells(node) == libfdt.fdt_address_cells(raw, node)
        assert ours.size_cells(node) == libfdt.fdt_size_cells(raw, node)
        for compatible in ("x", "arm,y", "arm,vexpress,v2p-ca9", ""):
            wanted = compatible.encode()
            assert ours.node_check_compatible(node, wanted) == (
                libfdt.fdt_node_check_compatible(raw, node, compatible)
            )
            assert ours.node_offset_by_compatible(node, wanted) == (
                libfdt.fdt_node_offset_by_compatible(raw, node, compatible)
            )
        check_properties(ours, theirs, quiet, node)
    for phandle in (1, 2, 9, 0x10000):
        assert ours.node_offset_by_phandle(phandle) == theirs.node_offset_by_phandle(phandle, quiet)
    for alias in ("me", "up", "serial0", "nobody"):
        pointer = ours.get_alias(alias.encode())
        assert (ours.string(pointer).decode() if pointer else None) == theirs.get_alias(alias)
        assert ours.path_offset(alias.encode()) == theirs.path_offset(alias, quiet)


def walk(theirs: Any, quiet: Any) -> Iterator[tuple[int, int, str]]:
    """Each node's offset, depth and path, as libfdt walks."""
    names: list[str] = []
    node, depth = theirs.next_node(-1, -1, quiet)
    while node >= 0 and depth >= 0:
        names[depth:] = [theirs.get_name(node)]
        yield node, depth, "/" + "/".join(names[1:])
        node, depth = theirs.next_node(node, depth, quiet)


def check_properties(ours: FlatTree, theirs: Any, quiet: Any, node: int) -> None:
    offset = theirs.first_property_offset(node, quiet)
    assert ours.first_property_offset(node) == offset
    while offset >= 0:
        prop = theirs.get_property_by_offset(offset)
        pointer, length, name = ours.getprop_by_offset(offset)
        assert ours.string(name).decode() == prop.name
        assert ours.read(pointer, length) == bytes(prop)
        pointer, length = ours.getprop(node, prop.name.encode())
        assert ours.read(pointer, length) == bytes(theirs.getprop(node, prop.name))
        following = theirs.next_property_offset(offset, quiet)
        assert ours.next_property_offset(offset) == following
        offset = following
    assert ours.getprop(node, b"nothing") == (0, -FdtError.NOTFOUND)


# Where kernels differ, and where Linux never ends.


def test_linux_5_0_took_a_blob_anywhere() -> None:
    data = blob("", 'model = "M";')
    assert flat_tree(data, 4).check_header() == -FdtError.ALIGNMENT
    assert flat_tree(data, 4).path_offset(b"/") == -FdtError.ALIGNMENT
    assert flat_tree(data, 4, aligned=False).check_header() == 0
    assert flat_tree(data, 4, aligned=False).path_offset(b"/") == 0


def test_a_property_that_leads_to_itself() -> None:
    data = bytearray(blob("", "p = <1 2 3>;"))
    tree = flat_tree(bytes(data))
    at = tree.off_dt_struct + tree.first_property_offset(0) + 4
    data[at : at + 4] = struct.pack(">i", -12)
    with pytest.raises(BootsimError, match=r"property of 0xfffffff4 bytes, where Linux never ends"):
        flat_tree(bytes(data)).next_node(0)


def test_an_alias_that_leads_to_itself() -> None:
    data = blob("", 'aliases { a = "b"; b = "a/x"; };')
    with pytest.raises(BootsimError, match="alias leads to itself"):
        flat_tree(data).path_offset(b"a")


# As C calls them.

DTS = """
    #address-cells = <1>; #size-cells = <1>; model = "Test board"; compatible = "test,board", "x";
    aliases { serial0 = "/soc/uart@10009000"; };
    chosen { bootargs = "quiet"; };
    memory@60000000 { device_type = "memory"; reg = <0x60000000 0x10000000>; };
    soc { #address-cells = <1>; #size-cells = <1>;
        uart@10009000 { compatible = "ARM,PL011"; phandle = <7>; reg = <0x10009000 0x1000>; };
        timer { };
    };
"""

C = r"""
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/libfdt.h>
#include <linux/of_fdt.h>
#include <linux/printk.h>
#include <linux/string.h>

static int __init node(unsigned long node, const char *uname, int depth, void *data)
{
	++*(int *)data;
	pr_info("node %lu '%s' %d\n", node, uname, depth);
	return strcmp(uname, "timer") ? 0 : 42;
}

static int __init child(unsigned long node, const char *uname, void *data)
{
	const __be32 *reg;
	u64 first, second;
	int size;

	pr_info("child '%s'\n", uname);
	reg = of_get_flat_dt_prop(node, "reg", &size);
	if (!reg) {
		pr_info("no reg: %s\n", fdt_strerror(size));
		return 0;
	}
	first = dt_mem_next_cell(dt_root_addr_cells, &reg);
	second = dt_mem_next_cell(dt_root_size_cells, &reg);
	pr_info("reg %llx %llx of %d bytes\n", first, second, size);
	return 0;
}

void __init debug_fdt(void)
{
	const void *fdt = initial_boot_params;
	u64 address, size;
	int nodes = 0, result, uart, soc, length, each;
	char *name;

	result = of_scan_flat_dt(node, &nodes);
	pr_info("scan %d, %d nodes\n", result, nodes);
	result = of_scan_flat_dt_subnodes(of_get_flat_dt_root(), child, NULL);
	pr_info("subnodes %d\n", result);
	pr_info("machine %s\n", of_flat_dt_get_machine_name());
	uart = fdt_path_offset(fdt, "serial0");
	soc = fdt_parent_offset(fdt, uart);
	pr_info("uart %s in %s\n", fdt_get_name(fdt, uart, &length), fdt_get_name(fdt, soc, NULL));
	pr_info("name of %d letters, phandle %u, by phandle %d\n", length,
		of_get_flat_dt_phandle(uart), fdt_node_offset_by_phandle(fdt, 7) == uart);
	pr_info("compatible %d %d %d %d\n", of_flat_dt_is_compatible(uart, "arm,pl011"),
		fdt_node_check_compatible(fdt, uart, "arm,pl011"),
		of_flat_dt_is_compatible(0, "x"), of_flat_dt_is_compatible(0, "y"));
	pr_info("cells %d %d\n", fdt_address_cells(fdt, soc), fdt_size_cells(fdt, soc));
	pr_info("subnode %d\n", of_get_flat_dt_subnode_by_name(soc, "timer") ==
		fdt_subnode_offset(fdt, soc, "timer"));
	fdt_for_each_subnode(each, fdt, soc)
		pr_info("each %s\n", fdt_get_name(fdt, each, NULL));
	result = fdt_get_mem_rsv(fdt, 0, &address, &size);
	pr_info("reserved %d of %d: %llx %llx\n", result, fdt_num_mem_rsv(fdt), address, size);
	pr_info("%s, %s, %s, %s\n", fdt_strerror(fdt_path_offset(fdt, "/none")), fdt_strerror(0),
		fdt_strerror(4), fdt_strerror(-100));
	pr_info("header %d\n", fdt_check_header(fdt));

	name = (char *)fdt_get_name(fdt, fdt_path_offset(fdt, "/soc/timer"), NULL);
	memcpy(name, "/a/b", 5);
	of_scan_flat_dt_subnodes(soc, child, NULL);
}
"""


def expected(data: bytes, uname: str) -> list[str]:
    """What the driver prints, its numbers from libfdt."""
    libfdt: Any = need_module("libfdt")
    theirs = libfdt.FdtRo(data)
    lines = []
    for node, depth, path in walk(theirs, libfdt.QUIET_ALL):
        lines.append(f"node {node} '{path.rpartition('/')[2]}' {depth}")
        if path.endswith("timer"):
            break
    return [
        *lines,
        f"scan 42, {len(lines)} nodes",
        "child 'aliases'",
        "no reg: FDT_ERR_NOTFOUND",
        "child 'chosen'",
        "no reg: FDT_ERR_NOTFOUND",
        "child 'memory@60000000'",
        "reg 60000000 10000000 of 8 bytes",
        "child 'soc'",
        "no reg: FDT_ERR_NOTFOUND",
        "subnodes 0",
        "machine Test board",
        "uart uart@10009000 in soc",
        "name of 13 letters, phandle 7, by phandle 1",
        "compatible 1 1 2 0",
        "cells 1 1",
        "subnode 1",
        "each uart@10009000",
        "each timer",
        "reserved 0 of 1: 60001000 1000",
        "FDT_ERR_NOTFOUND, <no error>, <valid offset/length>, <unknown error>",
        "header 0",
        "child 'uart@10009000'",
        "reg 10009000 1000 of 8 bytes",
        f"child '{uname}'",
        "no reg: FDT_ERR_NOTFOUND",
    ]


@pytest.mark.parametrize("api", APIS)
def test_as_c_calls_them(tmp_path: Path, api: Api) -> None:
    need_module("ziglang")
    source = tmp_path / "fdt.c"
    source.write_text(C)
    options = GuestOptions(entry="debug_fdt", api=api)
    drivers = load_guest_drivers([source], load_profile("linux-5.0"), options)
    in_ram: list[bytes] = []

    def keep(kernel: Kernel) -> None:  # the boot loader may have added to it
        size = int.from_bytes(kernel.memory.read(kernel.fdt.blob_phys + 4, 4), "big")
        in_ram.append(kernel.memory.read(kernel.fdt.blob_phys, size))

    data = blob("/memreserve/ 0x60001000 0x1000;", DTS)
    boot = bootsim.boot(dtb=data, drivers=[keep, *drivers], until="cmd_line")
    lines = expected(in_ram[0], {"5.0": "b", "6.1": "/a/b"}[api])
    start = boot.log.index(lines[0])
    assert boot.log[start : start + len(lines)] == lines
