"""Device tree blobs: checked, read, built.

The format is that of the Devicetree Specification v0.4, chapter 5: a header, the memory reservation
block, the structure block (a stream of big-endian 32-bit tokens) and the strings block (names of
properties). pyfdt reads and builds blobs, but believes what it reads; so each blob is checked here
before, down to the last token.
"""

# mypy: untyped-calls-exclude="pyfdt"
from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from io import BytesIO
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from bootsim.devicetree.tree import Node, Tree
from bootsim.errors import DeviceTreeError
from bootsim.machine.memory import Range

FDT_MAGIC = 0xD00DFEED
FDT_VERSION = 17
FDT_LAST_COMPATIBLE_VERSION = 16
FDT_MAX_DEPTH = 64  # Linux drivers/of/fdt.c: deeper nodes are left out of its tree
# The specification ends names at 31 characters and Linux nowhere; ten times that is damage.
MAX_NAME = 310

_HEADER_V16 = struct.Struct(">9I")
_HEADER_V17 = struct.Struct(">10I")
_RESERVE_ENTRY = struct.Struct(">QQ")
_U32 = struct.Struct(">I")
_PROPERTY = struct.Struct(">II")
# Visible ASCII; the specification (2.2.1, 2.2.4) allows less, real trees use a little more.
_NAME_BYTES = bytes(range(0x21, 0x7F))


class Token(IntEnum):
    """Tokens of the structure block (specification, 5.4.1)."""

    FDT_BEGIN_NODE = 1
    FDT_END_NODE = 2
    FDT_PROP = 3
    FDT_NOP = 4
    FDT_END = 9


@dataclass(frozen=True, slots=True)
class Header:
    """The header's fields (specification, 5.2). Offsets are from the blob's start, in bytes."""

    magic: int
    totalsize: int
    off_dt_struct: int
    off_dt_strings: int
    off_mem_rsvmap: int
    version: int
    last_comp_version: int
    boot_cpuid_phys: int
    size_dt_strings: int
    size_dt_struct: int


class Entry(NamedTuple):
    """One token of the structure block, at `offset` from the blob's start; the next is at `end`.

    `name` is a node's or a property's; `value` is where a property's value begins, `size` its
    length in bytes; `depth` counts the nodes that are open after the token.
    """

    token: Token
    offset: int
    end: int
    depth: int
    name: str = ""
    value: int = 0
    size: int = 0


def check_blob(data: bytes, name: str) -> None:
    """Check that all of blob `data` is as the specification says; bytes past totalsize may follow.

    `name` is the blob's name in messages. Raises DeviceTreeError naming the offset or node path.
    """
    for _ in entries(data, read_header(data, name), name):
        pass


def parse_blob(data: bytes, name: str) -> Tree:
    """Check and read blob `data`. Of two properties of one name in a node the first counts, as in
    libfdt. Raises DeviceTreeError."""
    header = read_header(data, name)
    for _ in entries(data, header, name):
        pass
    return _tree_from_tags(_read_by_pyfdt(data[: header.totalsize], name), header, data, name)


def memreserve_entries(data: bytes, name: str) -> tuple[Range, ...]:
    """The memory reservation block (/memreserve/ in DTS) of blob `data`, in bytes."""
    return tuple(_reservations(data, read_header(data, name), name))


def flatten(tree: Tree) -> bytes:
    """The blob of `tree`, version 17: the bytes that dtc makes of the same nodes in that order."""
    from pyfdt.pyfdt import Fdt  # noqa: PLC0415

    fdt = Fdt(FDT_VERSION, FDT_LAST_COMPATIBLE_VERSION, tree.boot_cpuid)
    fdt.add_rootnode(_pyfdt_node(tree.root, "/"))
    fdt.add_reserve_entries([{"address": area.base, "size": area.size} for area in tree.memreserve])
    blob: bytes = fdt.to_dtb()
    return blob


def pad_blob(data: bytes, totalsize: int, name: str = "device tree") -> bytes:
    """Blob `data` grown to `totalsize` bytes with zeros at its end, as `dtc -S` does.

    Raises DeviceTreeError if the blob is larger than that.
    """
    now = read_header(data, name).totalsize
    if totalsize < now:
        raise DeviceTreeError(f"{name}: a blob of {now:#x} bytes does not fit into {totalsize:#x}")
    if totalsize > 0xFFFFFFFF:
        raise DeviceTreeError(f"{name}: a blob of {totalsize:#x} bytes is past 4 GiB")
    return b"".join((data[:4], _U32.pack(totalsize), data[8:now], bytes(totalsize - now)))


def read_header(data: bytes, name: str) -> Header:
    """The header of `data`, with all its offsets and sizes known to be inside the blob."""
    if len(data) < _HEADER_V17.size:
        raise DeviceTreeError(
            f"{name}: {len(data)} bytes are no device tree blob: "
            f"the header alone has {_HEADER_V17.size}"
        )
    header = Header(*_HEADER_V17.unpack_from(data))
    if header.magic != FDT_MAGIC:
        raise DeviceTreeError(
            f"{name}: offset 0x0: magic {header.magic:#010x}, expected {FDT_MAGIC:#x}"
        )
    version, compatible = header.version, header.last_comp_version
    if version not in (FDT_LAST_COMPATIBLE_VERSION, FDT_VERSION) or compatible > version:
        raise DeviceTreeError(
            f"{name}: offset 0x14: version {version}, compatible back to {compatible}: "
            "only versions 16 and 17 can be read"
        )
    header_size = (_HEADER_V17 if version == FDT_VERSION else _HEADER_V16).size
    if not header_size <= header.totalsize <= len(data):
        raise DeviceTreeError(
            f"{name}: offset 0x4: totalsize {header.totalsize:#x} does not fit: "
            f"the file has {len(data):#x} bytes, the header {header_size:#x}"
        )
    if version < FDT_VERSION:  # has no size_dt_struct: the block ends with its FDT_END
        header = replace(header, size_dt_struct=_struct_size_before_v17(header))
    for block, offset, size, align in (
        ("memory reservation", header.off_mem_rsvmap, _RESERVE_ENTRY.size, 8),
        ("structure", header.off_dt_struct, header.size_dt_struct, 4),
        ("strings", header.off_dt_strings, header.size_dt_strings, 1),
    ):
        if offset < header_size or offset + size > header.totalsize:
            raise DeviceTreeError(
                f"{name}: the {block} block, {size:#x} bytes at {offset:#x}, is not between "
                f"the header's end {header_size:#x} and totalsize {header.totalsize:#x}"
            )
        if offset % align:
            raise DeviceTreeError(
                f"{name}: the {block} block at {offset:#x} is not aligned to {align} bytes"
            )
    return header


def entries(data: bytes, header: Header, name: str) -> Iterator[Entry]:
    """The tokens of the structure block, FDT_END the last, each checked before it is given.

    The memory reservation block is checked first. Raises DeviceTreeError.
    """
    for _ in _reservations(data, header, name):
        pass
    return _Walk(data, header, name).entries()


class _Walk:
    """One pass over the structure block."""

    def __init__(self, data: bytes, header: Header, name: str) -> None:
        self._data = data
        self._blob = name
        self._offset = header.off_dt_struct
        self._end = header.off_dt_struct + header.size_dt_struct
        self._strings = header.off_dt_strings
        self._strings_end = header.off_dt_strings + header.size_dt_strings
        self._property_names: dict[int, str] = {}
        self._path: list[str] = []
        self._has_subnode: list[bool] = []  # for each node of the path
        self._has_root = False

    def entries(self) -> Iterator[Entry]:
        steps: dict[int, Callable[[int], Entry]] = {
            Token.FDT_PROP: self._prop,
            Token.FDT_BEGIN_NODE: self._begin_node,
            Token.FDT_END_NODE: self._end_node,
            Token.FDT_NOP: self._nop,
        }
        while True:
            if self._offset + 4 > self._end:
                self._bad("the structure block ends without FDT_END")
            (token,) = _U32.unpack_from(self._data, self._offset)
            step = steps.get(token)
            if step is None:
                break
            entry = step(self._offset + 4)
            yield entry
            self._offset = entry.end
        if token != Token.FDT_END:
            self._bad(f"{token:#x} is not a token of the structure block")
        if self._path or not self._has_root:
            self._bad("FDT_END, but " + ("a node is open" if self._path else "there is no root"))
        yield Entry(Token.FDT_END, self._offset, self._offset + 4, 0)

    # Each takes the offset behind the token.

    def _prop(self, at: int) -> Entry:
        if not self._path:
            self._bad("a property outside of any node")
        if self._has_subnode[-1]:
            self._bad("a property after a subnode")  # libfdt would not find it
        value = at + _PROPERTY.size
        if value > self._end:
            self._bad("the structure block ends inside a property")
        size, name_offset = _PROPERTY.unpack_from(self._data, at)
        if value + size > self._end:
            self._bad(f"a property of {size:#x} bytes passes the block's end {self._end:#x}")
        name = self._property_names.get(name_offset)
        if name is None:
            name = self._name(self._strings + name_offset, self._strings_end, "a property")
            self._property_names[name_offset] = name
            if not name:
                self._bad("a property without a name")
        end = value + (size + 3 & ~3)
        return Entry(Token.FDT_PROP, self._offset, end, len(self._path), name, value, size)

    def _begin_node(self, at: int) -> Entry:
        if self._has_root and not self._path:
            self._bad("a second root node")
        if len(self._path) == FDT_MAX_DEPTH:
            self._bad(f"nodes are nested deeper than {FDT_MAX_DEPTH}")
        name = self._name(at, self._end, "a node")
        if bool(name) != self._has_root or "/" in name:
            self._bad(f"a node named {name!r}" + ("" if self._has_root else ", expected the root"))
        if self._path:
            self._has_subnode[-1] = True
        self._has_root = True
        self._path.append(name)
        self._has_subnode.append(False)
        end = at + (len(name) + 4 & ~3)
        return Entry(Token.FDT_BEGIN_NODE, self._offset, end, len(self._path), name)

    def _end_node(self, at: int) -> Entry:
        if not self._path:
            self._bad("FDT_END_NODE, but no node is open")
        self._path.pop()
        self._has_subnode.pop()
        return Entry(Token.FDT_END_NODE, self._offset, at, len(self._path))

    def _nop(self, at: int) -> Entry:
        return Entry(Token.FDT_NOP, self._offset, at, len(self._path))

    def _name(self, offset: int, end: int, whose: str) -> str:
        """The name at `offset` of the blob; its NUL lies before `end`."""
        stop = self._data.find(0, offset, min(end, offset + MAX_NAME + 1))
        if stop < 0:
            self._bad(f"{whose}'s name at {offset:#x} has no end before {end:#x} or is too long")
        raw = self._data[offset:stop]
        if raw.translate(None, _NAME_BYTES):
            self._bad(f"{whose}'s name at {offset:#x}, {raw!r}, is not visible ASCII")
        return raw.decode("ascii")

    def _bad(self, what: str) -> NoReturn:
        where = f"/{'/'.join(self._path[1:])}: " if self._path else ""
        raise DeviceTreeError(f"{self._blob}: offset {self._offset:#x}: {where}{what}")


def _struct_size_before_v17(header: Header) -> int:
    """The most that the structure block can have, where the header does not say."""
    later = [header.totalsize]
    later += [
        offset
        for offset in (header.off_dt_strings, header.off_mem_rsvmap)
        if offset > header.off_dt_struct
    ]
    return max(0, min(later) - header.off_dt_struct)


def _reservations(data: bytes, header: Header, name: str) -> Iterator[Range]:
    offset = header.off_mem_rsvmap
    while offset + _RESERVE_ENTRY.size <= header.totalsize:
        address, size = _RESERVE_ENTRY.unpack_from(data, offset)
        if not address and not size:
            return
        yield Range(address, size)
        offset += _RESERVE_ENTRY.size
    raise DeviceTreeError(
        f"{name}: offset {header.off_mem_rsvmap:#x}: "
        "the memory reservation block has no end (an entry of zeros)"
    )


def _read_by_pyfdt(data: bytes, name: str) -> list[tuple[int, Any]]:
    """pyfdt's own list of tokens, each with a node's name or a property's (name, value)."""
    from pyfdt.pyfdt import FdtBlobParse  # noqa: PLC0415

    # pyfdt takes no blob that says, as it may, that only version 17 can read it.
    data = data[:0x18] + _U32.pack(FDT_LAST_COMPATIBLE_VERSION) + data[0x1C:]
    try:
        tags: list[tuple[int, Any]] = FdtBlobParse(BytesIO(data)).fdt_dt_tags
    except Exception as error:  # pyfdt raises TypeError, struct.error and plain Exception
        raise DeviceTreeError(f"{name}: pyfdt cannot read this blob: {error}") from error
    return tags


def _tree_from_tags(tags: list[tuple[int, Any]], header: Header, data: bytes, name: str) -> Tree:
    """Nodes from pyfdt's tokens. Its own node objects would refuse a property and a subnode of one
    name, which the format allows."""
    open_nodes: list[tuple[str, str, dict[str, bytes], list[Node]]] = []
    top: list[Node] = []
    for tag, content in tags:
        if tag == Token.FDT_PROP:
            open_nodes[-1][2].setdefault(*content)
        elif tag == Token.FDT_BEGIN_NODE:
            parent = open_nodes[-1][1].rstrip("/") + "/" if open_nodes else ""
            open_nodes.append((content, parent + content, {}, []))
        elif tag == Token.FDT_END_NODE:
            node_name, path, properties, children = open_nodes.pop()
            node = Node(node_name, path, MappingProxyType(properties), tuple(children))
            (open_nodes[-1][3] if open_nodes else top).append(node)
    memreserve = tuple(_reservations(data, header, name))
    return Tree(name, top[0], memreserve, header.boot_cpuid_phys)


def _pyfdt_node(node: Node, name: str) -> Any:
    from pyfdt.pyfdt import FdtNode, FdtProperty  # noqa: PLC0415

    fdt_node = FdtNode(name)
    # Not append(): that looks through all names each time, see also _tree_from_tags.
    fdt_node.subdata.extend(
        FdtProperty.new_raw_property(name, value) for name, value in node.properties.items()
    )
    fdt_node.subdata.extend(_pyfdt_node(child, child.name) for child in node.children)
    return fdt_node
