"""The unflattened tree in RAM, followed by its pointers, against libfdt's reading of the blob.

Offsets are those of include/linux/of.h for 32 bits with CONFIG_OF_KOBJ. That the sizes are a real
kernel's is shown by tests/test_real_boots.py and tests/test_linux_5_0.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from bootsim.batch import Task, prepare
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.main import start_kernel
from bootsim.kernel.profile_file import load_profile
from bootsim.trace import Use
from tests.conftest import REAL_BOOTS
from tests.real_boots import real_boots
from tests.requirements import need_module

SEED_TREE = Path(__file__).parent / "data" / "biscuitos" / "vexpress-v2p-ca9-qemu.dtb"
# include/linux/fwnode.h: secondary and ops; later also what fw_devlink wants to know.
FWNODE_WORDS = {"linux-5.0": 2, "linux-6.1-armmp": 8}

Tree = tuple[str, list[tuple[str, bytes]], list["Tree"]]


def words(kernel: Kernel, virt: int, count: int) -> tuple[int, ...]:
    return tuple(kernel.memory.words(kernel.virt_to_phys(virt), count))


def string(kernel: Kernel, virt: int) -> str:
    text = kernel.memory.read(kernel.virt_to_phys(virt), 256)
    return text.split(b"\0", 1)[0].decode()


def properties(kernel: Kernel, virt: int) -> Iterator[tuple[str, bytes]]:
    while virt:
        name, length, value, virt = words(kernel, virt, 4)
        yield string(kernel, name), kernel.memory.read(kernel.virt_to_phys(value), length)


def unflattened(kernel: Kernel, virt: int, parent: int = 0) -> Tree:
    name, phandle, full_name, *rest = words(kernel, virt, 16)
    # Properties, removed ones, parent, child, sibling.
    links = rest[FWNODE_WORDS[kernel.profile.name] :]
    assert links[2] == parent
    children, child = [], links[3]
    while child:
        children.append(unflattened(kernel, child, virt))
        child = words(kernel, child, 16)[3:][FWNODE_WORDS[kernel.profile.name] :][4]
    found = list(properties(kernel, links[0]))
    assert string(kernel, name) == found[-1][1].rstrip(b"\0").decode()  # its name property
    assert phandle == int.from_bytes(dict(found).get("phandle", b"\0\0\0\0"), "big")
    return string(kernel, full_name), found[:-1], children


def flattened(libfdt: ModuleType, blob: bytes) -> Tree:
    fdt = libfdt.FdtRo(blob)
    quiet = libfdt.QUIET_NOTFOUND

    def read(node: int) -> Tree:
        found, children = [], []
        at = fdt.first_property_offset(node, quiet)
        while at >= 0:
            entry = fdt.get_property_by_offset(at)
            found.append((entry.name, bytes(entry)))
            at = fdt.next_property_offset(at, quiet)
        child = fdt.first_subnode(node, quiet)
        while child >= 0:
            children.append(read(child))
            child = fdt.next_subnode(child, quiet)
        return fdt.get_name(node), found, children

    return read(0)


def check(task: Task) -> None:
    libfdt = need_module("libfdt")
    kernel = prepare(task, load_profile(task.profile))
    start_kernel(kernel)
    place = next(
        event
        for event in kernel.trace
        if isinstance(event, Use) and event.what == "unflattened device tree"
    )
    root = kernel.phys_to_virt(place.base)
    assert unflattened(kernel, root) == flattened(libfdt, task.dtb)
    end = kernel.memory.read(place.base + place.size - 4, 4)
    assert end == b"\xde\xad\xbe\xef"


@pytest.mark.parametrize("number", [0, 20, 40])
def test_the_tree_in_ram_is_the_blobs(number: int) -> None:
    check(real_boots(REAL_BOOTS / "boards")[number].task())


def test_the_tree_in_ram_is_the_blobs_in_linux_5_0() -> None:
    check(Task("seed", SEED_TREE.read_bytes(), profile="linux-5.0"))
