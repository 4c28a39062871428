"""Nodes of the tree that rules look for."""

from __future__ import annotations

from bootsim.kernel.libfdt import Fdt, FdtNode


def memory_nodes(fdt: Fdt) -> list[FdtNode]:
    """The nodes that early_init_dt_scan_memory() looks at, with those that are disabled."""
    return [node for node in fdt.root.children if node.string("device_type") == "memory"]


def reserved_nodes(fdt: Fdt) -> list[FdtNode]:
    """The nodes right below /reserved-memory, in tree order."""
    parent = fdt.root.find("/reserved-memory")
    return parent.children if parent is not None else []


def is_pool(node: FdtNode) -> bool:
    """Whether Linux is to make a CMA area of a node: it uses the memory itself until a device wants
    it (rmem_cma_setup)."""
    return node.is_compatible("shared-dma-pool") and "reusable" in node.props


def is_used(node: FdtNode) -> bool:
    """Whether somebody may ask for a region: a driver of its own, or one that refers to it."""
    return not {"compatible", "phandle"}.isdisjoint(node.props)


def name_of(path: str) -> str:
    """The name of the node at `path`, as Linux prints it."""
    return path.rsplit("/", 1)[-1]
