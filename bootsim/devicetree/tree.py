"""A device tree in memory: nodes with their properties, frozen.

Names and terms are those of the Devicetree Specification v0.4, chapter 2. Values are the raw bytes
of the blob (numbers big-endian, strings with a NUL at the end); what they mean is for the reader of
the tree to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bootsim.machine.memory import Range


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `path` is its full path; `children` are in the tree's order."""

    name: str
    path: str
    properties: Mapping[str, bytes]
    children: tuple[Node, ...]

    def child(self, name: str) -> Node | None:
        """The first subnode of that name; without `@` it need not match the unit address.

        As libfdt's fdt_subnode_offset() does, and so Linux and U-Boot.
        """
        for node in self.children:
            if node.name == name or ("@" not in name and node.name.split("@")[0] == name):
                return node
        return None

    def strings(self, name: str) -> tuple[str, ...]:
        """The strings of property `name`; empty if there is none. Bytes that are no UTF-8 are kept
        as surrogates."""
        value = self.properties.get(name, b"")
        text = value.decode("utf-8", "surrogateescape")
        return tuple(text.removesuffix("\0").split("\0")) if text else ()

    def string(self, name: str) -> str | None:
        """The first string of property `name`, or None if there is no such property or value."""
        return next(iter(self.strings(name)), None)

    @property
    def available(self) -> bool:
        """Whether `status` lets the node be used (of_fdt_device_is_available in Linux)."""
        return self.string("status") in (None, "ok", "okay")

    def __iter__(self) -> Iterator[Node]:
        """This node and all below it, in the tree's order."""
        yield self
        for node in self.children:
            yield from node


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole device tree, with what a blob holds beside the nodes.

    `name` says where it came from (a file's name), for messages. `memreserve` is the memory
    reservation block, in bytes; `boot_cpuid` the physical id of the CPU that boots.
    """

    name: str
    root: Node
    memreserve: tuple[Range, ...] = ()
    boot_cpuid: int = 0

    def node(self, path: str) -> Node | None:
        """The node at `path`; a path that does not begin with `/` begins with an alias.

        As libfdt's fdt_path_offset(): unit addresses may be left out where a name is the first.
        """
        node: Node | None = self.root
        if not path.startswith("/"):
            alias, _, path = path.partition("/")
            aliases = self.root.child("aliases")
            target = aliases.string(alias) if aliases else None
            node = self.node(target) if target and target.startswith("/") else None
        for name in path.split("/"):
            if node is not None and name:
                node = node.child(name)
        return node
