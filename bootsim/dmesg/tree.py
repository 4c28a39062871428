"""What a device tree tells of memory: the banks, and what certain ranges are for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bootsim.devicetree.blob import memreserve_entries, parse_blob, read_header
from bootsim.devicetree.board import Board
from bootsim.devicetree.tree import Node, Tree
from bootsim.errors import DeviceTreeError
from bootsim.machine.memory import Range
from bootsim.trace import DEVICE_TREE, RAMDISK


@dataclass(frozen=True, slots=True)
class TreeFacts:
    """`memory` as the tree has it, `named` ranges with what they are, the blob's `size` in bytes.

    `problem` says why there is no memory: it may come from the command line.
    """

    name: str
    memory: tuple[Range, ...]
    problem: str
    named: tuple[tuple[Range, str], ...]
    size: int

    def what(self, span: Range) -> str | None:
        """What the tree keeps `span` for; a range of the blob's own size is the blob."""
        for place, what in self.named:
            if place == span:
                return what
        if span.size == self.size:
            return DEVICE_TREE
        for place, what in self.named:
            if place.base <= span.base and span.end <= place.end:
                return what
        return None


def tree_facts(data: bytes, name: str) -> TreeFacts:
    """What blob `data` tells. Raises DeviceTreeError for one that cannot be used."""
    header = read_header(data, name)
    tree = parse_blob(data, name)
    named = [(span, "/memreserve/") for span in memreserve_entries(data, name)]
    memory: tuple[Range, ...] = ()
    problem = ""
    try:
        board = Board.from_tree(tree)
    except DeviceTreeError as error:
        problem = str(error)
    else:
        memory = board.memory
        if board.initrd is not None and board.initrd[0] < board.initrd[1]:
            start, end = board.initrd
            named.append((Range(start, end - start), RAMDISK))
    named += _reserved_memory(tree)
    return TreeFacts(name, memory, problem, tuple(named), header.totalsize)


def _reserved_memory(tree: Tree) -> Iterator[tuple[Range, str]]:
    """The static regions of /reserved-memory (__reserved_mem_reserve_reg() in drivers/of)."""
    parent = tree.root.child("reserved-memory")
    if parent is None:
        return
    address, size = _cells(parent, "#address-cells"), _cells(parent, "#size-cells")
    entry = 4 * (address + size)
    for node in parent.children:
        reg = node.properties.get("reg", b"")
        if not entry or not node.available:
            continue
        for at in range(0, len(reg) // entry * entry, entry):
            base = int.from_bytes(reg[at : at + 4 * address], "big")
            length = int.from_bytes(reg[at + 4 * address : at + entry], "big")
            if length:
                yield Range(base, length), f"/reserved-memory/{node.name}"


def _cells(node: Node, name: str) -> int:
    cells = int.from_bytes(node.properties.get(name, b"\0\0\0\1"), "big")
    return cells if cells <= 2 else 0
