"""A read-only walk of a flattened device tree as it lies in RAM.

Linux: scripts/dtc/libfdt, as used by drivers/of/fdt.c before the tree is unflattened. Devicetree
Specification v0.4, chapter 5. Blobs that the boot loader took are sound, but what lies in RAM may
have been written over since: each step is bounded, and errors name the offset in the blob.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

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
_RESERVE_ENTRY = struct.Struct(">QQ")


@dataclass(slots=True)
class FdtNode:
    """One node: `offset` in the structure block, unit name, properties as raw big-endian bytes."""

    offset: int
    depth: int
    name: str
    parent: FdtNode | None
    props: dict[str, bytes] = field(default_factory=dict)
    children: list[FdtNode] = field(default_factory=list)

    def walk(self) -> Iterator[FdtNode]:
        """This node and all below it, in tree order."""
        yield self
        for child in self.children:
            yield from child.walk()

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
    """A blob of which each node has been visited once."""

    def __init__(self, blob: bytes) -> None:
        """Walk `blob` (its totalsize bytes); raises DeviceTreeError with the offset if it ends."""
        problem = fdt_check_header(blob)
        if problem:
            raise DeviceTreeError(f"device tree in RAM: {problem}")
        self.blob = blob
        (_, self.totalsize, self._struct, self._strings, self._rsvmap, *_rest) = _HEADER.unpack(
            blob[: _HEADER.size]
        )
        try:
            self.root = self._walk()
        except (struct.error, IndexError, ValueError) as error:
            raise DeviceTreeError(f"device tree in RAM: {error}") from error

    def memory_reserve_entries(self) -> Iterator[tuple[int, int]]:
        """(address, size) in bytes of each /memreserve/ entry (fdt_get_mem_rsv)."""
        offset = self._rsvmap
        while offset + _RESERVE_ENTRY.size <= len(self.blob):
            address, size = _RESERVE_ENTRY.unpack_from(self.blob, offset)
            if not size:
                return
            yield address, size
            offset += _RESERVE_ENTRY.size

    def _walk(self) -> FdtNode:
        blob, base, strings = self.blob, self._struct, self._strings
        names: dict[int, str] = {}
        root: FdtNode | None = None
        node: FdtNode | None = None
        offset = base
        while True:
            token = int.from_bytes(blob[offset : offset + 4], "big")
            if token == FDT_PROP and node is not None:
                size, name_offset = _WORDS_2.unpack_from(blob, offset + 4)
                name = names.get(name_offset)
                if name is None:
                    start = strings + name_offset
                    name = blob[start : blob.index(b"\0", start)].decode("latin-1")
                    names[name_offset] = name
                start = offset + 12
                if start + size > len(blob):
                    raise ValueError(f"property {name} at offset {offset:#x} ends past the blob")
                node.props.setdefault(name, blob[start : start + size])
                offset = start + (size + 3 & ~3)
            elif token == FDT_BEGIN_NODE and (node is not None or root is None):
                end = blob.index(b"\0", offset + 4)
                child = FdtNode(
                    offset=offset - base,
                    depth=0 if node is None else node.depth + 1,
                    name=blob[offset + 4 : end].decode("latin-1"),
                    parent=node,
                )
                if node is None:
                    root = child
                else:
                    node.children.append(child)
                node = child
                offset = end + 4 & ~3
            elif token == FDT_END_NODE and node is not None:
                node = node.parent
                offset += 4
            elif token == FDT_NOP:
                offset += 4
            elif token == FDT_END and root is not None and node is None:
                return root
            else:
                raise ValueError(f"token {token:#x} at offset {offset:#x} is out of place")
