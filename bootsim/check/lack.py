"""Findings on trees that give too little RAM for a boot."""

from __future__ import annotations

from collections.abc import Sequence

from bootsim.batch import tree_memory
from bootsim.check.findings import Area, Finding
from bootsim.check.nodes import memory_nodes
from bootsim.check.spans import total
from bootsim.kernel.libfdt import Fdt
from bootsim.loader import KernelSpace
from bootsim.machine.memory import Range
from bootsim.numbers import size_text


def no_memory(fdt: Fdt) -> Finding:
    """W-NO-MEMORY: no byte of RAM, and why (early_init_dt_scan_memory)."""
    nodes = memory_nodes(fdt)
    named = next((n for n in fdt.root.children if n.name.split("@")[0] == "memory"), None)
    node = nodes[0] if nodes else named
    if node is None:
        what = "the tree has no memory node"
    elif not nodes:
        what = 'the node has no device_type = "memory": Linux passes it over'
    elif "reg" not in node.props:
        what = "the memory node has no reg"
    elif not node.is_available():
        what = f'the memory node is not to be used: status = "{node.string("status")}"'
    else:
        what = "the memory node's reg gives no byte of RAM below 4 GiB"
    return Finding(
        "W-NO-MEMORY",
        f"{what}: total RAM is 0 B, and nothing else was checked",
        remedy="Give the RAM in the tree, or check with --ram BASE:SIZE what the boot loader"
        " fills in.",
        node=node.path if node is not None else "/",
        prop="reg" if node is not None and "reg" in node.props else "",
    )


def too_small(fdt: Fdt, banks: Sequence[Range], space: KernelSpace, error: str) -> Finding:
    """E-MEMORY-TOO-SMALL: no bank holds the kernel, as `error` says."""
    node = (*memory_nodes(fdt), fdt.root)[0]
    memory = [bank for bank in tree_memory(fdt) if bank.size]
    size = total(memory)
    why = error.split(": ", 1)[-1]
    need = space.text_offset + space.size
    text = f"total RAM is {size_text(size)} ({size:#x})"
    if len(memory) > 1:
        text += f", in {len(memory)} banks, the first of {size_text(banks[0].size)}"
    return Finding(
        "E-MEMORY-TOO-SMALL",
        f"{text}: the kernel alone takes {size_text(need)} ({need:#x}) from a multiple of 2 MiB on",
        cause=f"{why[:1].upper()}{why[1:]}.",
        remedy="Correct reg of the memory node: sizes are in bytes, in #size-cells cells of the"
        " root.",
        node=node.path,
        prop="reg",
        areas=tuple(Area.of("memory", bank) for bank in memory),
    )


def no_room(fdt: Fdt, banks: Sequence[Range], what: str, size: int) -> Finding:
    """E-MEMORY-TOO-SMALL: no `size` bytes are left in `banks` for `what`, which is to be loaded."""
    node = (*memory_nodes(fdt), fdt.root)[0]
    ram = total(banks)
    return Finding(
        "E-MEMORY-TOO-SMALL",
        f"total RAM is {size_text(ram)} ({ram:#x}): the kernel, and what the tree reserves,"
        f" leave no {size_text(size)} ({size:#x}) in one piece for {what}",
        cost="It cannot be loaded without destroying something.",
        node=node.path,
        prop="reg",
    )
