"""Looking for nodes in the tree, and the aliases.

Linux: drivers/of/base.c. Nodes are those of the flattened tree, which the unflattened one mirrors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bootsim.errors import KernelPanic
from bootsim.kernel.fdt import read_cells, tree
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.libfdt import FdtNode

OF_ROOT_NODE_ADDR_CELLS_DEFAULT = 1  # include/linux/of.h
HWID_INVALID = 0xFFFFFFFFFFFFFFFF
_NO_ALIASES = ("name", "phandle", "linux,phandle")
_ALIAS_ALIGN = 4  # of struct alias_prop
_INT_MAX = 0x7FFFFFFF
_ALIAS_CHAIN_MAX = 64  # calls: a ring of aliases outgrows the kernel's stack


def of_find_node_by_path(kernel: Kernel, path: str, depth: int = 0) -> FdtNode | None:
    """The node at `path`: unit names as they are, or an alias first; what follows `:` is options.

    None as well for an alias that there is not. Raises KernelPanic for aliases that name each other
    in a ring.
    """
    node: FdtNode | None = tree(kernel).root
    separator = path.find(":")
    end = len(path) if separator < 0 else separator
    at = 0
    if not path.startswith("/"):
        if depth > _ALIAS_CHAIN_MAX:
            raise KernelPanic(f"/aliases: '{path}' leads in a circle: Linux recurses until it dies")
        aliases = of_find_node_by_path(kernel, "/aliases")
        if aliases is None:
            return None
        at = separator if separator >= 0 else (path + "/").find("/")
        value = aliases.props.get(path[:at])
        if value is None:
            return None
        node = of_find_node_by_path(kernel, _string(value), depth + 1)
    while node is not None and path[at : at + 1] == "/" and path != "/":
        at += 1
        stop = min((n for n in (path.find("/", at), path.find(":", at)) if n >= 0), default=-1)
        name = path[at : stop if stop >= 0 else len(path)]
        node = next((child for child in kept(kernel, node.children) if child.name == name), None)
        following = path.find("/", at)
        at = following if following >= 0 else len(path)
        if separator >= 0 and end < at:
            break
    return node


def of_alias_scan(kernel: Kernel) -> None:
    """Remember which number of its kind an alias gives to a node ("serial0")."""
    sizes = kernel.profile.boot_sizes
    aliases = of_find_node_by_path(kernel, "/aliases")
    if aliases is None or sizes is None:
        return
    for name, value in aliases.items():
        if name in _NO_ALIASES or of_find_node_by_path(kernel, _string(value)) is None:
            continue
        stem = name.rstrip("0123456789")
        digits = name[len(stem) :]
        if digits and int(digits) <= _INT_MAX:
            early_init_dt_alloc_memory_arch(
                kernel, sizes.alias_prop + len(stem) + 1, _ALIAS_ALIGN, f"alias {name}"
            )


def early_init_dt_alloc_memory_arch(kernel: Kernel, size: int, align: int, what: str) -> int:
    """Memory for the tree, physical (drivers/of/fdt.c)."""
    return kernel.memblock_alloc(size, align, what, caller="early_init_dt_alloc_memory_arch")


def kept(kernel: Kernel, nodes: Iterable[FdtNode]) -> Iterator[FdtNode]:
    """Those of `nodes` that the unflattened tree has too, on their own account."""
    all_nodes = kernel.profile.config.of_kobj
    return (node for node in nodes if all_nodes or node.is_available())


def cpu_nodes(cpus: FdtNode | None, *, skip_failed: bool = True) -> Iterator[FdtNode]:
    """The nodes below /cpus that are CPUs and have not failed (for_each_of_cpu_node).

    Kernels up to 5.16 take those too: `skip_failed` False.
    """
    for node in cpus.children if cpus is not None else ():
        status = node.string("status") or ""
        if skip_failed and (status == "fail" or status.startswith("fail-")):
            continue
        if node.name.split("@")[0] == "cpu" or node.string("device_type") == "cpu":
            yield node


def of_get_cpu_hwid(node: FdtNode) -> int:
    """The CPU's id from the first entry of its reg, HWID_INVALID without one."""
    cells = _addr_cells(node)
    reg = node.props.get("reg")
    if reg is None or not cells or 4 * cells > len(reg):
        return HWID_INVALID
    return read_cells(reg[: 4 * cells])


def _addr_cells(node: FdtNode) -> int:
    """of_n_addr_cells(): the nearest #address-cells above the node."""
    above = node.parent or node
    while True:
        value = above.props.get("#address-cells", b"")
        if len(value) >= 4:
            return int.from_bytes(value[:4], "big")
        if above.parent is None:
            return OF_ROOT_NODE_ADDR_CELLS_DEFAULT
        above = above.parent


def _string(value: bytes) -> str:
    return value.split(b"\0", 1)[0].decode("latin-1")
