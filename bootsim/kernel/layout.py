"""struct memblock and its parts as they lie in RAM.

Linux: include/linux/memblock.h, compiled for ARM EABI: little endian, `unsigned long` and pointers
of 32 bits, 64-bit members aligned to 8 bytes (AAPCS, 4.1). `phys_addr_t` has 32 bits, or 64 with
CONFIG_ARM_LPAE.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Literal

Structure = ctypes.LittleEndianStructure


@dataclass(frozen=True, slots=True)
class MemblockLayout:
    """The C types of one kernel build, and how a region's members are told apart in an array.

    An array of regions, seen as cells of `phys_addr_t` (memoryview format `address_format`), has
    the bases at [0::address_stride] and the sizes at [1::address_stride]; seen as 32-bit words,
    the flags at [flags_word::word_stride] and the node ids right behind them.
    """

    region: type[Structure]
    type_: type[Structure]
    memblock: type[Structure]
    numa: bool
    address_bits: int
    address_format: Literal["I", "Q"]
    address_stride: int
    flags_word: int
    word_stride: int

    @property
    def region_size(self) -> int:
        """sizeof(struct memblock_region), in bytes."""
        return ctypes.sizeof(self.region)

    @property
    def type_size(self) -> int:
        """sizeof(struct memblock_type), in bytes."""
        return ctypes.sizeof(self.type_)


def memblock_layout(
    *, phys_addr_bits: int = 32, numa: bool = False, physmem_member: bool = False
) -> MemblockLayout:
    """The structures of a kernel with these options.

    `numa` (CONFIG_NUMA; CONFIG_HAVE_MEMBLOCK_NODE_MAP in 5.0) gives a region its node id.
    `physmem_member` makes `physmem` the last member of struct memblock, as in Linux 5.0 with
    CONFIG_HAVE_MEMBLOCK_PHYS_MAP; later it is a variable of its own.
    """
    phys_addr_t = {32: ctypes.c_uint32, 64: ctypes.c_uint64}[phys_addr_bits]
    node = [("nid", ctypes.c_int32)] if numa else []

    class memblock_region(Structure):  # noqa: N801 - the kernel's name
        _fields_ = [
            ("base", phys_addr_t),
            ("size", phys_addr_t),
            ("flags", ctypes.c_uint32),
            *node,
        ]

    class memblock_type(Structure):  # noqa: N801
        _fields_ = [
            ("cnt", ctypes.c_uint32),
            ("max", ctypes.c_uint32),
            ("total_size", phys_addr_t),
            ("regions", ctypes.c_uint32),  # struct memblock_region *
            ("name", ctypes.c_uint32),  # char *
        ]

    types = ["memory", "reserved", *(["physmem"] if physmem_member else [])]

    class memblock(Structure):  # noqa: N801
        _fields_ = [
            ("bottom_up", ctypes.c_bool),
            ("current_limit", phys_addr_t),
            *((name, memblock_type) for name in types),
        ]

    size = ctypes.sizeof(memblock_region)
    return MemblockLayout(
        region=memblock_region,
        type_=memblock_type,
        memblock=memblock,
        address_bits=phys_addr_bits,
        address_format="Q" if phys_addr_bits == 64 else "I",
        numa=numa,
        address_stride=size * 8 // phys_addr_bits,
        flags_word=memblock_region.flags.offset // 4,
        word_stride=size // 4,
    )
