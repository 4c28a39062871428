"""earlycon: a console before consoles, found through the tree or named on the command line.

Linux: drivers/tty/serial/earlycon.c, drivers/of/fdt.c (early_init_dt_scan_chosen_stdout).
"""

from __future__ import annotations

import re

from bootsim.kernel.fdt import chosen_node, tree
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.libfdt import FdtNode
from bootsim.kernel.params import memparse

ENOENT, ENODEV = 2, 19


def param_setup_earlycon(kernel: Kernel, value: str | None) -> int:
    """earlycon[=name,address,options]; 0 or a negative errno.

    Without a value the tree's stdout-path decides; a name that no driver has is no error.
    """
    if value is None:
        return early_init_dt_scan_chosen_stdout(kernel)
    name, _, rest = value.partition(",")
    if name not in kernel.profile.earlycon.values():
        return 0
    words = rest.split(",", 2)
    if words[0] in ("mmio", "mmio32", "mmio16", "mmio32be", "mmio32native", "io"):
        words = words[1].split(",", 1) if len(words) > 1 else [""]
    address = memparse(words[0])[0]
    if not address:
        return 0
    _register(kernel, name, address, words[1] if len(words) > 1 else "")
    return 0


def early_init_dt_scan_chosen_stdout(kernel: Kernel) -> int:
    """Start the driver of the node that /chosen's stdout-path names; 0 or a negative errno."""
    chosen = chosen_node(kernel)
    path = None
    if chosen is not None:
        path = chosen.string("stdout-path") or chosen.string("linux,stdout-path")
    if not path:
        return -ENOENT
    path, _, options = path.partition(":")
    node = _node(kernel, path)
    if node is None:
        kernel.pr_warn(f"OF: fdt: earlycon: stdout-path {path} not found")
        return 0
    for compatible, name in kernel.profile.earlycon.items():
        if not node.is_compatible(compatible):
            continue
        address = translate_address(node)
        if address is None:
            continue
        _register(kernel, name, address, options)
        return 0
    return -ENODEV


def translate_address(node: FdtNode) -> int | None:
    """The CPU's physical address of `node`'s first reg entry, None where a bus hides it.

    drivers/of/fdt_address.c: each parent's ranges is gone through up to the root.
    """
    reg = node.props.get("reg")
    parent = node.parent
    if reg is None or parent is None:
        return None
    address = int.from_bytes(reg[: 4 * _cells(parent, "#address-cells", 2)], "big")
    while parent.parent is not None:
        ranges = parent.props.get("ranges")
        if ranges is None:
            return None
        if ranges:
            child = 4 * _cells(parent, "#address-cells", 2)
            up = 4 * _cells(parent.parent, "#address-cells", 2)
            size = 4 * _cells(parent, "#size-cells", 1)
            for offset in range(0, len(ranges) - child - up - size + 1, child + up + size):
                base = int.from_bytes(ranges[offset : offset + child], "big")
                to = int.from_bytes(ranges[offset + child : offset + child + up], "big")
                length = int.from_bytes(ranges[offset + child + up :][:size], "big")
                if base <= address < base + length:
                    address = to + address - base
                    break
            else:
                return None
        parent = parent.parent
    return address


def _node(kernel: Kernel, path: str) -> FdtNode | None:
    """The node at `path`, whose first part may be an alias (fdt_path_offset)."""
    root = tree(kernel).root
    if not path.startswith("/"):
        alias, _, rest = path.partition("/")
        aliases = root.find("/aliases")
        target = aliases.string(alias) if aliases is not None else None
        if target is None:
            return None
        path = f"{target}/{rest}"
    return root.find(path)


def _register(kernel: Kernel, name: str, address: int, options: str) -> None:
    """earlycon_init: trailing digits of the driver's name become the console's index."""
    match = re.fullmatch(r"(.*?)(\d*)", name)
    assert match is not None
    console = f"{match[1]}{int(match[2] or 0)}"
    kernel.pr_info(f"earlycon: {console} at MMIO {address:#010x} (options '{options}')")
    kernel.pr_info(f"bootconsole [{console}] enabled")


def _cells(node: FdtNode, name: str, default: int) -> int:
    value = node.props.get(name)
    return default if value is None else int.from_bytes(value[:4], "big")
