"""A read-only walk of a flattened device tree as it lies in RAM.

Linux: scripts/dtc/libfdt, as used by drivers/of/fdt.c before the tree is unflattened. Devicetree
Specification v0.4, chapter 5. Blobs that the boot loader took are sound, but what lies in RAM may
have been written over since: each step is bounded, and errors name the offset in the blob. A node
is read when it is asked for: a boot looks at few of the thousand that a board has.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator

from bootsim.errors import DeviceTreeError

FDT_MAGIC = 0xD00DFEED
FDT_BEGIN_NODE = 1
FDT_END_NODE = 2
FDT_PROP = 3
FDT_NOP = 4
FDT_END = 9
_FIRST_SUPPORTED_VERSION = 2  # libfdt.h
_LAST_SUPPORTED_VERSION = 17

_WORDS_2 = struct.Struct(">II")
_HEADER = struct.Struct(">10I")
_OFF_STRINGS, _SIZE_STRINGS, _SIZE_STRUCT = 3, 8, 9  # words of struct fdt_header
_PROPERTY_HEAD = 12  # struct fdt_property: tag, len, nameoff
_RESERVE_ENTRY = struct.Struct(">QQ")


class FdtNode:
    """One node: `offset` in the structure block, depth (the root's is 0), unit name, parent."""

    __slots__ = ("_body", "_children", "_fdt", "_props", "depth", "name", "offset", "parent")

    def __init__(self, fdt: Fdt, index: int, parent: FdtNode | None) -> None:
        """`index` is that of the node's first word in the structure block."""
        self._fdt = fdt
        self.offset = 4 * index
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.parent = parent
        self.name, self._body = fdt.node_name(index)
        self._props: dict[str, bytes] | None = None
        self._children: list[FdtNode] | None = None

    @property
    def path(self) -> str:
        """The full path, `/` for the root."""
        if self.parent is None:
            return "/"
        return f"{self.parent.path.rstrip('/')}/{self.name}"

    @property
    def first_word(self) -> int:
        """Where the properties begin, in words of the structure block."""
        return self._body

    @property
    def props(self) -> dict[str, bytes]:
        """The properties as raw big-endian bytes; of two with one name, the first."""
        if self._props is None:
            self._props = self._fdt.properties(self._body)
        return self._props

    def items(self) -> Iterator[tuple[str, bytes]]:
        """All properties in their order, twins too."""
        for name, size, at in self._fdt.property_offsets(self):
            blob = self._fdt.blob
            end = blob.index(b"\0", name)
            yield blob[name:end].decode("latin-1"), blob[at : at + size]

    @property
    def children(self) -> list[FdtNode]:
        """The nodes right below this one, in tree order."""
        if self._children is None:
            subnodes = self._fdt.subnodes(self._body)
            self._children = [FdtNode(self._fdt, index, self) for index in subnodes]
        return self._children

    def walk(self) -> Iterator[FdtNode]:
        """This node and all below it, in tree order."""
        return self._fdt.walk(self)

    def find(self, path: str) -> FdtNode | None:
        """The node at `path` below this one; a component matches with or without unit address."""
        node = self
        for part in path.strip("/").split("/"):
            if not part:
                continue
            for child in node.children:
                if child.name == part or ("@" not in part and child.name.split("@")[0] == part):
                    node = child
                    break
            else:
                return None
        return node

    def string(self, name: str) -> str | None:
        """Property `name` as its first string, or None."""
        value = self.props.get(name)
        return None if value is None else value.split(b"\0", 1)[0].decode("latin-1")

    def strings(self, name: str) -> list[str]:
        """Property `name` as its list of strings."""
        value = self.props.get(name, b"")
        return (
            [part.decode("latin-1") for part in value.rstrip(b"\0").split(b"\0")] if value else []
        )

    def is_compatible(self, compatible: str) -> bool:
        """of_flat_dt_is_compatible: one of the node's compatible strings equals, ignoring case."""
        wanted = compatible.lower()
        return any(entry.lower() == wanted for entry in self.strings("compatible"))

    def is_available(self) -> bool:
        """of_fdt_device_is_available: no status, or one that begins with ok."""
        status = self.string("status")
        return status is None or status in ("ok", "okay")


def fdt_check_header(header: bytes) -> str | None:
    """What is wrong with the first 40 bytes of a blob, or None (fdt_check_header)."""
    if len(header) < _HEADER.size:
        return f"{len(header)} bytes hold no header of {_HEADER.size}"
    magic, total, off_struct, off_strings, off_rsvmap, version, last_compatible = _HEADER.unpack(
        header[: _HEADER.size]
    )[:7]
    if magic != FDT_MAGIC:
        return f"magic {magic:#010x} is not {FDT_MAGIC:#010x}"
    if version < _FIRST_SUPPORTED_VERSION or last_compatible > _LAST_SUPPORTED_VERSION:
        return f"version {version}, compatible with {last_compatible}, is not supported"
    if max(off_struct, off_strings, off_rsvmap) > total:
        return f"a block starts past totalsize {total:#x}"
    return None


def fdt_totalsize(header: bytes) -> int:
    """The blob's size in bytes as its header gives it."""
    total: int = _WORDS_2.unpack_from(header)[1]
    return total


class Fdt:
    """A blob whose structure is sound: each of its tags has been visited once."""

    def __init__(self, blob: bytes) -> None:
        """Check `blob` (its totalsize bytes); raises DeviceTreeError with the offset if it ends."""
        problem = fdt_check_header(blob)
        if problem:
            raise DeviceTreeError(f"device tree in RAM: {problem}")
        self.blob = blob
        (_, self.totalsize, self._struct, self._strings, self._rsvmap, *_rest) = _HEADER.unpack(
            blob[: _HEADER.size]
        )
        self._words = array("I", blob[self._struct :][: (len(blob) - self._struct) & -4])
        if sys.byteorder == "little":
            self._words.byteswap()
        self._names: dict[int, str] = {}
        index = self._skip_nops(0)
        if self._word(index) != FDT_BEGIN_NODE:
            raise self._misplaced(index)
        self.root = FdtNode(self, index, None)
        end = self._skip_nops(self._scan(self.node_name(index)[1], None))
        if self._word(end) != FDT_END:
            raise self._misplaced(end)

    def memory_reserve_entries(self) -> Iterator[tuple[int, int]]:
        """(address, size) in bytes of each /memreserve/ entry (fdt_get_mem_rsv)."""
        offset = self._rsvmap
        while offset + _RESERVE_ENTRY.size <= len(self.blob):
            address, size = _RESERVE_ENTRY.unpack_from(self.blob, offset)
            if not size:
                return
            yield address, size
            offset += _RESERVE_ENTRY.size

    def property_place(self, node: FdtNode, name: str) -> tuple[int, int]:
        """Where property `name` of `node` lies in the blob, with its head, and its size in bytes.

        Raises DeviceTreeError if the node has none.
        """
        index = node.first_word
        while self._words[index] in (FDT_PROP, FDT_NOP):
            if self._words[index] == FDT_NOP:
                index += 1
                continue
            size, name_offset = self._words[index + 1], self._words[index + 2]
            if self._string(name_offset) == name:
                return self._struct + 4 * index, _PROPERTY_HEAD + size
            index += 3 + (size + 3 >> 2)
        raise DeviceTreeError(f"device tree in RAM: node '{node.name}' has no property {name}")

    def from_property(self, node: FdtNode, name: str) -> bytes:
        """The value of property `name` of `node` and all that lies behind it in the blob."""
        return self.blob[self.property_place(node, name)[0] + _PROPERTY_HEAD :]

    def with_property_cut(self, node: FdtNode, name: str, size: int) -> bytes:
        """The blob with property `name` of `node` cut to `size` bytes, a multiple of 4.

        What follows moves up and the block of strings with it, as fdt_setprop() has it; totalsize
        stays.
        """
        offset, old = self.property_place(node, name)
        tail = offset + (old + 3 & ~3)
        header = list(_HEADER.unpack_from(self.blob))
        end = header[_OFF_STRINGS] + header[_SIZE_STRINGS]
        shift = tail - (offset + _PROPERTY_HEAD + size)
        header[_OFF_STRINGS] -= shift
        header[_SIZE_STRUCT] -= shift
        blob = bytearray(self.blob)
        blob[tail - shift : end - shift] = self.blob[tail:end]
        blob[offset + 4 : offset + 8] = size.to_bytes(4, "big")
        blob[: _HEADER.size] = _HEADER.pack(*header)
        return bytes(blob)

    # What nodes are made of; an index counts the words of the structure block.

    def node_name(self, index: int) -> tuple[str, int]:
        """The name of the node that begins at `index`, and where its properties begin."""
        start = self._struct + 4 * index + 4
        end = self._find_nul(start)
        return self.blob[start:end].decode("latin-1"), end - self._struct + 4 >> 2

    def properties(self, index: int) -> dict[str, bytes]:
        """The properties from `index` on, up to the first other tag."""
        blob, words = self.blob, self._words
        found: dict[str, bytes] = {}
        while True:
            token = words[index]
            if token == FDT_PROP:
                size, name_offset = words[index + 1], words[index + 2]
                at = self._struct + 4 * index + _PROPERTY_HEAD
                found.setdefault(self._string(name_offset), blob[at : at + size])
                index += 3 + (size + 3 >> 2)
            elif token == FDT_NOP:
                index += 1
            else:
                return found

    def property_offsets(self, node: FdtNode) -> Iterator[tuple[int, int, int]]:
        """Of each property of `node`, twins too: where in the blob its name lies, its length in
        bytes, and where its value lies."""
        words, index = self._words, node.first_word
        while True:
            if words[index] == FDT_PROP:
                size = words[index + 1]
                at = self._struct + 4 * index + _PROPERTY_HEAD
                yield self._strings + words[index + 2], size, at
                index += 3 + (size + 3 >> 2)
            elif words[index] == FDT_NOP:
                index += 1
            else:
                return

    def subnodes(self, index: int) -> list[int]:
        """Where the nodes right below that with its properties at `index` begin."""
        found: list[int] = []
        self._scan(index, found)
        return found

    def walk(self, node: FdtNode) -> Iterator[FdtNode]:
        """`node` and all below it, in tree order, however deep."""
        words, top, parent = self._words, node.depth, node
        yield node
        _, index = self.node_name(node.offset >> 2)
        while True:
            token = words[index]
            if token == FDT_PROP:
                index += 3 + (words[index + 1] + 3 >> 2)
            elif token == FDT_BEGIN_NODE:
                parent = FdtNode(self, index, parent)
                yield parent
                _, index = self.node_name(index)
            elif token == FDT_END_NODE:
                if parent.depth == top or parent.parent is None:
                    return
                parent = parent.parent
                index += 1
            else:
                index += 1

    def _scan(self, index: int, subnodes: list[int] | None) -> int:
        """Go over the rest of a node from `index` on; its end. Adds to `subnodes` what is in it.

        Raises DeviceTreeError for a tag that is none, or if the block ends.
        """
        words, blob, base = self._words, self.blob, self._struct
        depth = 0
        try:
            while True:
                token = words[index]
                if token == FDT_PROP:
                    index += 3 + (words[index + 1] + 3 >> 2)
                elif token == FDT_BEGIN_NODE:
                    if depth == 0 and subnodes is not None:
                        subnodes.append(index)
                    depth += 1
                    index = blob.index(b"\0", base + 4 * index + 4) - base + 4 >> 2
                elif token == FDT_END_NODE:
                    index += 1
                    if depth == 0:
                        return index
                    depth -= 1
                elif token == FDT_NOP:
                    index += 1
                else:
                    raise self._misplaced(index)
        except (IndexError, ValueError):
            raise self._ended(index) from None

    def _word(self, index: int) -> int:
        if index >= len(self._words):
            raise self._ended(index)
        return self._words[index]

    def _skip_nops(self, index: int) -> int:
        while self._word(index) == FDT_NOP:
            index += 1
        return index

    def _string(self, offset: int) -> str:
        name = self._names.get(offset)
        if name is None:
            start = self._strings + offset
            name = self.blob[start : self._find_nul(start)].decode("latin-1")
            self._names[offset] = name
        return name

    def _find_nul(self, offset: int) -> int:
        end = self.blob.find(b"\0", offset)
        if end < 0:
            raise DeviceTreeError(f"device tree in RAM: a string at offset {offset:#x} has no end")
        return end

    def _misplaced(self, index: int) -> DeviceTreeError:
        offset = self._struct + 4 * index
        return DeviceTreeError(
            f"device tree in RAM: token {self._words[index]:#x} at offset {offset:#x}"
            " is out of place"
        )

    def _ended(self, index: int) -> DeviceTreeError:
        return DeviceTreeError(
            "device tree in RAM: it ends before the structure block does, at offset"
            f" {self._struct + 4 * index:#x}"
        )
