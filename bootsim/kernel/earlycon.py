"""earlycon: a console before consoles, found through the tree or named on the command line.

Linux: drivers/tty/serial/earlycon.c, drivers/of/fdt.c (early_init_dt_scan_chosen_stdout).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bootsim.kernel.fdt import chosen_node, tree
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.libfdt import FdtNode
from bootsim.kernel.mmu import set_fixmap_io
from bootsim.kernel.params import memparse

ENOENT, ENODEV, EINVAL = 2, 19, 22

_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "mmio": "MMIO",
        "mmio16": "MMIO16",
        "mmio32": "MMIO32",
        "mmio32be": "MMIO32BE",
        "mmio32native": "MMIO32",
    }
)


def param_setup_earlycon(kernel: Kernel, value: str | None) -> int:
    """earlycon[=name[,address[,options]]]; 0 or a negative errno.

    Without a value the tree's stdout-path decides. A name that no driver has, or a second
    earlycon, is no error.
    """
    if value is None:
        return early_init_dt_scan_chosen_stdout(kernel)
    if not value:
        return -EINVAL
    name, _, rest = value.partition(",")
    if name not in kernel.profile.earlycon.values() or kernel.earlycon_mapbase is not None:
        return 0
    if not rest:
        kernel.pr_info(f"earlycon: {_console(name)} at I/O port 0x0 (options '')")
        return -ENODEV
    width, _, behind = rest.partition(",")
    if width in _KINDS:
        rest = behind
    address, _, options = rest.partition(",")
    kind = _KINDS.get(width, "MMIO")
    _register(kernel, name, kind, memparse(address)[0] & 0xFFFFFFFF, options)
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
        address = translate_address(kernel, node)
        if address is None:
            kernel.pr_warn(f"earlycon: [{name}] bad address")
        elif kernel.earlycon_mapbase is None:
            _register(kernel, name, "MMIO", address, options)
        if address is not None or kernel.profile.features.stdout_match == "first":
            return 0
    return -ENODEV


def translate_address(kernel: Kernel, node: FdtNode) -> int | None:
    """The CPU's physical address of `node`'s first reg entry, None where a bus hides it.

    drivers/of/fdt_address.c: each parent's ranges is gone through up to the root; cell counts
    that a bus lacks are the root's.
    """
    address_cells, size_cells = kernel.vars.dt_root_addr_cells, kernel.vars.dt_root_size_cells
    reg = node.props.get("reg")
    parent = node.parent
    if reg is None or parent is None:
        return None
    address = int.from_bytes(reg[: 4 * _cells(parent, "#address-cells", address_cells)], "big")
    while parent.parent is not None:
        ranges = parent.props.get("ranges")
        if ranges is None:
            return None
        if ranges:
            child = 4 * _cells(parent, "#address-cells", address_cells)
            up = 4 * _cells(parent.parent, "#address-cells", address_cells)
            size = 4 * _cells(parent, "#size-cells", size_cells)
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


def _register(kernel: Kernel, name: str, kind: str, address: int, options: str) -> None:
    """register_earlycon: map the registers and start to print there."""
    set_fixmap_io(kernel, address)
    console = _console(name)
    kernel.pr_info(f"earlycon: {console} at {kind} {address:#010x} (options '{options}')")
    kernel.pr_info(f"printk: bootconsole [{console}] enabled")


def _console(name: str) -> str:
    """earlycon_init: trailing digits of the driver's name become the console's index."""
    base = name.rstrip("0123456789")
    return f"{base}{int(name[len(base) :] or 0)}"


def _cells(node: FdtNode, name: str, default: int) -> int:
    value = node.props.get(name)
    return default if value is None else int.from_bytes(value[:4], "big")
