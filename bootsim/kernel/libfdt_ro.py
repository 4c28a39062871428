"""The device tree's nodes and properties, looked up in place as libfdt does it.

Linux: scripts/dtc/libfdt, fdt_ro.c and fdt_addresses.c.
"""

from __future__ import annotations

import struct

from bootsim.errors import BootsimError
from bootsim.kernel.libfdt import FDT_END, FDT_NOP, FDT_PROP
from bootsim.kernel.libfdt_blob import INT_MAX, FdtError, FlatBlob

_U32 = 0xFFFFFFFF
_WORDS = struct.Struct(">II")
_RESERVE_ENTRY = struct.Struct(">QQ")
_PROPERTY_SIZE = 12  # struct fdt_property: tag, len, nameoff
_MAX_NCELLS = 4  # libfdt.h, FDT_MAX_NCELLS
_ALIASES_MAX = 64  # aliases of aliases: each takes some of a stack of 8 KiB


class FlatTree(FlatBlob):
    """The blob at an address, and all that can be asked about it."""

    # The memory reservation block.

    def num_mem_rsv(self) -> int:
        """Entries before the one of size 0."""
        number = 0
        while (entry := self._mem_rsv(number)) is not None:
            if not entry[1]:
                return number
            number += 1
        return -FdtError.TRUNCATED

    def get_mem_rsv(self, number: int) -> tuple[int, int] | int:
        """(address, size) in bytes of an entry."""
        error = self.probe()
        if error:
            return error
        entry = self._mem_rsv(number)
        return -FdtError.BADOFFSET if entry is None else entry

    def _mem_rsv(self, number: int) -> tuple[int, int] | None:
        at = self.off_mem_rsvmap + (number * _RESERVE_ENTRY.size & _U32) & _U32
        if at < self.off_mem_rsvmap or at > (self.totalsize - _RESERVE_ENTRY.size & _U32):
            return None
        place = self.address + self.off_mem_rsvmap + number * _RESERVE_ENTRY.size
        address, size = _RESERVE_ENTRY.unpack(self.read(place, _RESERVE_ENTRY.size))
        return address, size

    # Nodes.

    def subnode_offset(self, offset: int, name: bytes) -> int:
        """The child called `name`, whose unit address may be left out."""
        error = self.probe()
        if error:
            return error
        depth = 0
        while offset >= 0 and depth >= 0:
            if depth == 1 and self._is_called(offset, name):
                return offset
            offset, depth = self.next_node(offset, depth)
        return -FdtError.NOTFOUND if depth < 0 else offset

    def _is_called(self, offset: int, name: bytes) -> bool:
        pointer, length = self.get_name(offset)
        if not pointer or length < len(name):
            return False
        own = self.read(pointer, length)
        if not own.startswith(name):
            return False
        return len(own) == len(name) or (b"@" not in name and own[len(name)] == ord("@"))

    def path_offset(self, path: bytes) -> int:
        """The node at `path`, which begins with `/` or the name of an alias."""
        return self._path_offset(path, _ALIASES_MAX)

    def _path_offset(self, path: bytes, aliases: int) -> int:
        error = self.probe()
        if error:
            return error
        offset = 0
        if not path.startswith(b"/"):
            alias, _, path = path.partition(b"/")
            pointer, _ = self._alias(alias)
            if not pointer:
                return -FdtError.BADPATH
            if not aliases:
                raise BootsimError("device tree: an alias leads to itself, where Linux never ends")
            offset = self._path_offset(self.string(pointer), aliases - 1)
        for name in path.split(b"/"):
            if name:
                offset = self.subnode_offset(offset, name)
                if offset < 0:
                    break
        return offset

    def get_alias(self, name: bytes) -> int:
        """The path that the alias `name` stands for: a pointer, 0 if there is none."""
        return self._alias(name)[0]

    def _alias(self, name: bytes) -> tuple[int, int]:
        aliases = self._path_offset(b"/aliases", 0)
        return (0, aliases) if aliases < 0 else self.getprop(aliases, name)

    def get_name(self, offset: int) -> tuple[int, int]:
        """The node's name."""
        error = self.probe() or min(self.check_node_offset(offset), 0)
        if error:
            return 0, error
        pointer = self.struct_block + offset + 4
        name = self.string(pointer)
        if self.version < 16:
            leaf = name.rfind(b"/") + 1
            if not leaf:
                return 0, -FdtError.BADSTRUCTURE
            pointer, name = pointer + leaf, name[leaf:]
        return pointer, len(name)

    def supernode_atdepth_offset(self, offset: int, depth: int) -> tuple[int, int]:
        """The node at `depth` that `offset` is in or is, and how deep `offset` itself is."""
        error = self.probe()
        if error:
            return error, 0
        if depth < 0:
            return -FdtError.NOTFOUND, 0
        found, node, level = -FdtError.INTERNAL.value, 0, 0
        while 0 <= node <= offset:
            if level == depth:
                found = node
            if node == offset:
                return (-FdtError.NOTFOUND if depth > level else found), level
            node, level = self.next_node(node, level)
        if node == -FdtError.NOTFOUND or node >= 0:
            return -FdtError.BADOFFSET, 0
        return (-FdtError.BADSTRUCTURE if node == -FdtError.BADOFFSET else node), 0

    def node_depth(self, offset: int) -> int:
        """How deep the node is; the root is at 0."""
        root, depth = self.supernode_atdepth_offset(offset, 0)
        if root:
            return root if root < 0 else -FdtError.INTERNAL
        return depth

    def parent_offset(self, offset: int) -> int:
        depth = self.node_depth(offset)
        return depth if depth < 0 else self.supernode_atdepth_offset(offset, depth - 1)[0]

    def node_offset_by_phandle(self, phandle: int) -> int:
        if phandle in (0, _U32):
            return -FdtError.BADPHANDLE
        error = self.probe()
        if error:
            return error
        offset, _ = self.next_node(-1)
        while offset >= 0 and self.get_phandle(offset) != phandle:
            offset, _ = self.next_node(offset)
        return offset

    def node_offset_by_compatible(self, start: int, compatible: bytes) -> int:
        """The first node behind `start` that is compatible; all are for a negative `start`."""
        error = self.probe()
        if error:
            return error
        offset, _ = self.next_node(start)
        while offset >= 0:
            differs = self.node_check_compatible(offset, compatible)
            if differs == 0:
                return offset
            if differs < 0 and differs != -FdtError.NOTFOUND:
                return differs
            offset, _ = self.next_node(offset)
        return offset

    def node_check_compatible(self, offset: int, compatible: bytes) -> int:
        """0 if one of the node's compatible strings is this one, 1 if none is."""
        pointer, length = self.getprop(offset, b"compatible")
        if not pointer:
            return length
        strings = self.read(pointer, length + 1)
        wanted, at = compatible + b"\0", 0
        while length - at >= len(compatible):  # the NUL of the last may be beyond the property
            if strings.startswith(wanted, at):
                return 0
            at = strings.find(b"\0", at, length) + 1
            if not at:
                break
        return 1

    # Properties.

    def first_property_offset(self, offset: int) -> int:
        after = self.check_node_offset(offset)
        return after if after < 0 else self._next_property(after)

    def next_property_offset(self, offset: int) -> int:
        after = self.check_offset(offset, FDT_PROP)
        return after if after < 0 else self._next_property(after)

    def getprop(self, offset: int, name: bytes) -> tuple[int, int]:
        """The value of the node's property `name`."""
        offset = self.first_property_offset(offset)
        while offset >= 0:
            length, name_offset = _WORDS.unpack(self.read(self.struct_block + offset + 4, 8))
            if self._is_string(name_offset, name):
                return self._value(offset, length), length
            offset = self.next_property_offset(offset)
        return 0, offset

    def getprop_by_offset(self, offset: int) -> tuple[int, int, int]:
        """The value of the property at `offset`, and where its name is."""
        error = min(self.check_offset(offset, FDT_PROP), 0)
        if error:
            return 0, error, 0
        length, name_offset = _WORDS.unpack(self.read(self.struct_block + offset + 4, 8))
        pointer, name_length = self.get_string(name_offset)
        if not pointer:
            return 0, name_length, 0
        return self._value(offset, length), length, pointer

    def _value(self, offset: int, length: int) -> int:
        """Before version 16 the values of 8 bytes and more are aligned to 8."""
        offset += _PROPERTY_SIZE
        pad = 4 if self.version < 16 and offset % 8 and length >= 8 else 0
        return self.struct_block + offset + pad

    def get_phandle(self, offset: int) -> int:
        """The node's phandle, 0 if it has none."""
        for name in (b"phandle", b"linux,phandle"):
            pointer, length = self.getprop(offset, name)
            if pointer and length == 4:
                return self.word(pointer)
        return 0

    def address_cells(self, offset: int) -> int:
        """#address-cells of the node: 2 if it does not say."""
        cells = self._cells(offset, b"#address-cells")
        if cells == -FdtError.NOTFOUND:
            return 2
        return cells or -FdtError.BADNCELLS

    def size_cells(self, offset: int) -> int:
        """#size-cells of the node: 1 if it does not say."""
        cells = self._cells(offset, b"#size-cells")
        return 1 if cells == -FdtError.NOTFOUND else cells

    def _cells(self, offset: int, name: bytes) -> int:
        pointer, length = self.getprop(offset, name)
        if not pointer:
            return length
        if length != 4 or (cells := self.word(pointer)) > _MAX_NCELLS:
            return -FdtError.BADNCELLS
        return cells

    # The strings block.

    def get_string(self, offset: int) -> tuple[int, int]:
        """The string at `offset`, unsigned, of the strings block."""
        error = self.probe()
        if error:
            return 0, error
        at = offset + self.off_dt_strings & _U32
        if at >= self.totalsize or offset > INT_MAX:
            return 0, -FdtError.BADOFFSET
        room = self.totalsize - at
        if self.version >= 17:
            if offset >= self.size_dt_strings:
                return 0, -FdtError.BADOFFSET
            room = min(room, self.size_dt_strings - offset)
        length = self.find_nul(self.address + at, room)
        return (0, -FdtError.TRUNCATED) if length < 0 else (self.address + at, length)

    def _is_string(self, offset: int, text: bytes) -> bool:
        pointer, length = self.get_string(offset)
        return bool(pointer) and length == len(text) and self.read(pointer, length) == text

    def _next_property(self, offset: int) -> int:
        while True:
            tag, after = self.next_tag(offset)
            if tag == FDT_PROP:
                return offset
            if tag == FDT_END:
                return -FdtError.BADSTRUCTURE if after >= 0 else after
            if tag != FDT_NOP:
                return -FdtError.NOTFOUND
            offset = after
