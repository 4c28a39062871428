"""A flattened device tree read in place, as libfdt does it: its header, its tags, its nodes.

Linux: scripts/dtc/libfdt/fdt.c, which is compiled into the kernel from lib/. Devicetree
Specification v0.4, chapter 5. Unlike `bootsim.kernel.libfdt`, which walks a tree once, this is what
kernel code itself calls: nothing is kept, and a damaged blob gives the answers that libfdt gives.
Trees that libfdt is still writing (FDT_SW_MAGIC) count as having a bad magic.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Protocol

from bootsim.errors import BootsimError
from bootsim.kernel.libfdt import (
    FDT_BEGIN_NODE,
    FDT_END,
    FDT_END_NODE,
    FDT_MAGIC,
    FDT_NOP,
    FDT_PROP,
)


class FdtError(IntEnum):
    """scripts/dtc/libfdt/libfdt.h, FDT_ERR_*: functions return them negated."""

    NOTFOUND = 1
    EXISTS = 2
    NOSPACE = 3
    BADOFFSET = 4
    BADPATH = 5
    BADPHANDLE = 6
    BADSTATE = 7
    TRUNCATED = 8
    BADMAGIC = 9
    BADVERSION = 10
    BADSTRUCTURE = 11
    BADLAYOUT = 12
    INTERNAL = 13
    BADNCELLS = 14
    BADVALUE = 15
    BADOVERLAY = 16
    NOPHANDLES = 17
    BADFLAGS = 18
    ALIGNMENT = 19


class Memory(Protocol):
    """Where the blob lies; what it raises for a bad address is passed on."""

    def read(self, address: int, size: int, /) -> bytes:
        """`size` bytes."""
        ...


_PAGE = 1 << 12
_U32 = 0xFFFFFFFF
INT_MAX = 0x7FFFFFFF
_HEADER = struct.Struct(">10I")
_WORD = struct.Struct(">I")
_FIRST_SUPPORTED_VERSION, _LAST_SUPPORTED_VERSION = 2, 17
_STRING_MAX = 1 << 20


class FlatBlob:
    """The blob at an address, while nobody writes to it. Methods are named without `fdt_`.

    Offsets count from the structure block; errors are negative. What returns a pointer returns it
    with a length: 0 and the error where there is none.
    """

    def __init__(self, memory: Memory, address: int, *, aligned: bool = True) -> None:
        """`aligned`: whether blobs off a multiple of 8, or of 2 GiB, are refused (Linux 5.6)."""
        self._memory = memory
        self._pages: dict[int, bytes] = {}
        self.address = address
        self._aligned = aligned
        header: tuple[int, ...] = _HEADER.unpack(self.read(address, _HEADER.size))
        (
            self.magic,
            self.totalsize,
            self.off_dt_struct,
            self.off_dt_strings,
            self.off_mem_rsvmap,
            self.version,
            self.last_comp_version,
            _,
            self.size_dt_strings,
            self.size_dt_struct,
        ) = header
        self.struct_block = address + self.off_dt_struct
        self._struct_end = self.totalsize - self.off_dt_struct
        if self.version >= 17:
            self._struct_end = min(self._struct_end, self.size_dt_struct)

    # The header.

    def check_header(self) -> int:
        """0, or what is wrong with the header."""
        if self._aligned and self.address % 8:
            return -FdtError.ALIGNMENT
        if self.magic != FDT_MAGIC:
            return -FdtError.BADMAGIC
        if not self._supported() or self.version < self.last_comp_version:
            return -FdtError.BADVERSION
        if not self._header_size() <= self.totalsize <= INT_MAX:
            return -FdtError.TRUNCATED
        struct_size = self.size_dt_struct if self.version >= 17 else 0
        if not (
            self._holds(self.off_mem_rsvmap, 0)
            and self._holds(self.off_dt_struct, struct_size)
            and self._holds(self.off_dt_strings, self.size_dt_strings)
        ):
            return -FdtError.TRUNCATED
        return 0

    def _supported(self) -> bool:
        return (
            self.version >= _FIRST_SUPPORTED_VERSION
            and self.last_comp_version <= _LAST_SUPPORTED_VERSION
        )

    def _header_size(self) -> int:
        """The header grew by a word with versions 2, 3 and 17."""
        return 28 + 4 * sum(self.version >= version for version in (2, 3, 17))

    def _holds(self, base: int, size: int) -> bool:
        return self._header_size() <= base <= base + size <= self.totalsize

    def probe(self) -> int:
        """0, or why nothing can be read of the blob (fdt_ro_probe_)."""
        if self._aligned and self.address % 8:
            return -FdtError.ALIGNMENT
        if self.magic != FDT_MAGIC:
            return -FdtError.BADMAGIC
        if not self._supported():
            return -FdtError.BADVERSION
        if self._aligned and self.totalsize >= INT_MAX:
            return -FdtError.TRUNCATED
        return 0

    # Nodes.

    def next_node(self, offset: int, depth: int | None = None) -> tuple[int, int]:
        """The node after `offset` (the first for a negative one), and its depth.

        `depth` is that of the node before; without one the end of the blob counts as the tree's.
        """
        level = depth or 0
        after = 0
        if offset >= 0 and (after := self.check_node_offset(offset)) < 0:
            return after, level
        while True:
            offset = after
            tag, after = self.next_tag(offset)
            if tag == FDT_BEGIN_NODE:
                return offset, level + 1
            if tag == FDT_END_NODE:
                level -= 1
                if depth is not None and level < 0:
                    return after, level
            elif tag == FDT_END:
                if after >= 0 or (after == -FdtError.TRUNCATED and depth is None):
                    return -FdtError.NOTFOUND, level
                return after, level

    def first_subnode(self, offset: int) -> int:
        offset, depth = self.next_node(offset, 0)
        return -FdtError.NOTFOUND if offset < 0 or depth != 1 else offset

    def next_subnode(self, offset: int) -> int:
        """The next node with the same parent."""
        depth = 1
        while True:
            offset, depth = self.next_node(offset, depth)
            if offset < 0 or depth < 1:
                return -FdtError.NOTFOUND
            if depth == 1:
                return offset

    # Tags.

    def next_tag(self, start: int) -> tuple[int, int]:
        """The tag at `start` and the offset behind it; FDT_END and an error for a bad one."""
        if not self._fits(start, 4):
            return FDT_END, -FdtError.TRUNCATED
        tag = self.word(self.struct_block + start)
        offset = start + 4
        if tag == FDT_BEGIN_NODE:
            length = self.find_nul(self.struct_block + offset, self._struct_end - offset)
            if length < 0:
                return FDT_END, -FdtError.BADSTRUCTURE
            offset += length + 1
        elif tag == FDT_PROP:
            if not self._fits(offset, 4):
                return FDT_END, -FdtError.BADSTRUCTURE
            length = self.word(self.struct_block + offset)
            offset += 8
            if self.version < 16 and length >= 8 and offset % 8:
                offset += 4
            offset += length - (length > INT_MAX) * (_U32 + 1)  # as an int
        elif tag not in (FDT_END, FDT_END_NODE, FDT_NOP):
            return FDT_END, -FdtError.BADSTRUCTURE
        if offset < start or not self._fits(start, offset - start):
            return FDT_END, -FdtError.BADSTRUCTURE
        if offset == start:
            where = f"device tree at {self.address:#x}, offset {start:#x}"
            raise BootsimError(f"{where}: a property of {length:#x} bytes, where Linux never ends")
        return tag, offset + 3 & ~3

    def check_node_offset(self, offset: int) -> int:
        return self.check_offset(offset, FDT_BEGIN_NODE)

    def check_offset(self, offset: int, wanted: int) -> int:
        """The offset behind the tag at `offset`, if it is the one `wanted`."""
        if offset < 0 or offset % 4:
            return -FdtError.BADOFFSET
        tag, after = self.next_tag(offset)
        return after if tag == wanted else -FdtError.BADOFFSET

    def _fits(self, offset: int, size: int) -> bool:
        return offset >= 0 and offset + size <= self._struct_end

    # Bytes.

    def string(self, address: int) -> bytes:
        """The bytes at `address` up to a NUL."""
        length = self.find_nul(address, _STRING_MAX)
        if length < 0:
            raise BootsimError(f"a string at {address:#x} has no end in {_STRING_MAX:#x} bytes")
        return self.read(address, length)

    def find_nul(self, address: int, room: int) -> int:
        """How many bytes are before the first NUL, -1 if it is not among `room` bytes."""
        at, end = address, address + room
        while at < end:
            part = min(end - at, _PAGE - at % _PAGE)
            found = self.read(at, part).find(b"\0")
            if found >= 0:
                return at + found - address
            at += part
        return -1

    def word(self, address: int) -> int:
        value: int = _WORD.unpack(self.read(address, 4))[0]
        return value

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes; whole pages are read, as a page can be read or cannot."""
        start = address % _PAGE
        if start + size <= _PAGE:
            number = address // _PAGE
            page = self._pages.get(number)
            if page is None:
                page = self._pages[number] = self._memory.read(number * _PAGE & _U32, _PAGE)
            return page[start : start + size]
        first = _PAGE - start
        rest = range(first, size, _PAGE)
        pieces = [self.read(address + at, min(_PAGE, size - at)) for at in rest]
        return b"".join([self.read(address, first), *pieces])
