"""Edits to a blob in place, as libfdt (and with it U-Boot and QEMU) makes them.

A new property comes first in its node, a new node before the root's other subnodes, and nothing
else moves or changes (scripts/dtc/libfdt/fdt_rw.c). What boot loaders edit lies in the root's
subnodes: /chosen, /memory.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from bootsim.devicetree.blob import (
    FDT_LAST_COMPATIBLE_VERSION,
    FDT_MAGIC,
    FDT_VERSION,
    Entry,
    Token,
    entries,
    memreserve_entries,
    read_header,
)

_HEADER = struct.Struct(">10I")
_TOKEN = struct.Struct(">I")
_PROPERTY = struct.Struct(">III")  # token, size, offset of the name


@dataclass(slots=True)
class Subnode:
    """A subnode of the root, with its own properties as the blob has them.

    It goes from `start` to `end`, offsets from the blob's start, and its content from `inside`;
    `entries` are its properties' places, also of those that a first of the same name hides; `added`
    is what comes before them.
    """

    name: str
    start: int = 0
    inside: int = 0
    end: int = 0
    properties: dict[str, bytes] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    added: bytes = b""


class BlobEdit:
    """Edits to one blob, which is checked first: make them, then get the new blob().

    `root` has the root's properties, `subnodes` its subnodes in the blob's order.
    """

    def __init__(self, data: bytes, name: str) -> None:
        """Start with blob `data`; bytes past totalsize are cut off.

        `name` is the blob's name in messages. Raises DeviceTreeError.
        """
        self._header = read_header(data, name)
        self._blob = data[: self._header.totalsize]
        strings_end = self._header.off_dt_strings + self._header.size_dt_strings
        self._strings = self._blob[self._header.off_dt_strings : strings_end]
        self.root: dict[str, bytes] = {}
        self.subnodes: list[Subnode] = []
        self._new: list[Subnode] = []
        self._changes: list[tuple[int, int, bytes]] = []  # from, to, what comes there instead
        self._insert = self._struct_end = 0
        for entry in entries(self._blob, self._header, name):
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        match entry.token, entry.depth:
            case Token.FDT_PROP, 1:
                self.root.setdefault(entry.name, self._value(entry))
            case Token.FDT_PROP, 2:
                node = self.subnodes[-1]
                node.properties.setdefault(entry.name, self._value(entry))
                node.entries.append(entry)
            case Token.FDT_BEGIN_NODE, 2:
                self.subnodes.append(Subnode(entry.name, entry.offset, entry.end))
            case Token.FDT_END_NODE, 1:
                self.subnodes[-1].end = entry.end
            case Token.FDT_END, _:
                self._struct_end = entry.end
        if entry.depth == 1 and not self.subnodes:
            self._insert = entry.end

    def _value(self, entry: Entry) -> bytes:
        return self._blob[entry.value : entry.value + entry.size]

    def subnode(self, name: str) -> Subnode | None:
        """The first subnode of that name, whatever its unit address (fdt_subnode_offset)."""
        nodes = (*self._new, *self.subnodes)
        return next((node for node in nodes if node.name.split("@")[0] == name), None)

    def find_or_add_subnode(self, name: str) -> Subnode:
        """The first subnode of that name; it is added if there is none."""
        node = self.subnode(name)
        if node is None:
            node = Subnode(name)
            self._new.insert(0, node)
        return node

    def set_property(self, node: Subnode, name: str, value: bytes) -> None:
        """Give `node` a property, in place of the one of that name; once for each name."""
        if old := next((entry for entry in node.entries if entry.name == name), None):
            _, _, name_offset = _PROPERTY.unpack_from(self._blob, old.offset)
            self._changes.append((old.offset, old.end, _property(name_offset, value)))
        else:
            node.added = _property(self._name_offset(name), value) + node.added

    def delete_property(self, node: Subnode, name: str) -> None:
        """Take all properties of that name from `node`, of those that the blob has there."""
        self._changes += [(e.offset, e.end, b"") for e in node.entries if e.name == name]

    def delete_subnode(self, node: Subnode) -> None:
        """Take out a subnode of the blob with all that is in it; nothing else of it is edited."""
        self._changes.append((node.start, node.end, b""))

    def _name_offset(self, name: str) -> int:
        wanted = name.encode("ascii") + b"\0"
        offset = self._strings.find(wanted)
        if offset < 0:
            offset = len(self._strings)
            self._strings += wanted
        return offset

    def blob(self) -> bytes:
        """The edited blob, its blocks one after another as dtc lays them out.

        The blob's free space is used; it grows only if there is too little.
        """
        changes = self._changes + [
            (node.inside, node.inside, node.added) for node in self.subnodes if node.added
        ]
        if self._new:
            changes.append((self._insert, self._insert, b"".join(map(_node, self._new))))
        if not changes:
            return self._blob
        pieces = []
        done = self._header.off_dt_struct
        for start, end, replacement in sorted(changes):
            pieces += [self._blob[done:start], replacement]
            done = end
        structure = b"".join([*pieces, self._blob[done : self._struct_end]])
        count = len(memreserve_entries(self._blob, "")) + 1  # and the entry of zeros
        at = self._header.off_mem_rsvmap
        return self._assemble(self._blob[at : at + 16 * count], structure)

    def _assemble(self, reserve: bytes, structure: bytes) -> bytes:
        off_struct = _HEADER.size + len(reserve)
        off_strings = off_struct + len(structure)
        size = off_strings + len(self._strings)
        totalsize = max(size, self._header.totalsize)
        header = _HEADER.pack(
            FDT_MAGIC,
            totalsize,
            off_struct,
            off_strings,
            _HEADER.size,
            FDT_VERSION,
            FDT_LAST_COMPATIBLE_VERSION,
            self._header.boot_cpuid_phys,
            len(self._strings),
            len(structure),
        )
        return b"".join((header, reserve, structure, self._strings, bytes(totalsize - size)))


def _node(node: Subnode) -> bytes:
    name = node.name.encode("ascii") + b"\0"
    begin = _TOKEN.pack(Token.FDT_BEGIN_NODE) + name + bytes(-len(name) % 4)
    return begin + node.added + _TOKEN.pack(Token.FDT_END_NODE)


def _property(name_offset: int, value: bytes) -> bytes:
    head = _PROPERTY.pack(Token.FDT_PROP, len(value), name_offset)
    return head + value + bytes(-len(value) % 4)
