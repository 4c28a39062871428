"""The log's ring buffer as it lies in RAM: descriptors, what is known of each record, and the text.

Linux: kernel/printk/printk_ringbuffer.h and .c, since 5.10. A record has an ID, which its
descriptor repeats together with a state; descriptor and info of ID n are number n modulo their
count. Text lies in blocks, each behind its ID, between two logical positions (lpos), which are
taken modulo the size of the text. Compiled for 32 bits: an ID has 30, a logical position 32.
"""

from __future__ import annotations

import ctypes
from enum import IntEnum

DESC_FLAGS_SHIFT = 30  # DESC_SV_BITS - 2
DESC_ID_MASK = (1 << DESC_FLAGS_SHIFT) - 1
LPOS_MASK = 0xFFFFFFFF
BLOCK_ID_SIZE = 4  # struct prb_data_block: the ID, then the text
LPOS_DATALESS = 1  # an odd `begin`: there is no block, as the text is empty (NO_LPOS), or
FAILED_LPOS = 1  # as there was no room for one

PRINTK_INFO_SUBSYSTEM_LEN = 16  # include/linux/dev_printk.h
PRINTK_INFO_DEVICE_LEN = 48


class DescState(IntEnum):
    """enum desc_state."""

    RESERVED = 0
    COMMITTED = 1
    FINALIZED = 2
    REUSABLE = 3


class DevPrintkInfo(ctypes.LittleEndianStructure):
    """struct dev_printk_info, include/linux/dev_printk.h."""

    _fields_ = [
        ("subsystem", ctypes.c_char * PRINTK_INFO_SUBSYSTEM_LEN),
        ("device", ctypes.c_char * PRINTK_INFO_DEVICE_LEN),
    ]


class PrintkInfo(ctypes.LittleEndianStructure):
    """struct printk_info."""

    seq: int
    ts_nsec: int
    text_len: int
    facility: int
    flags: int
    level: int
    caller_id: int
    _fields_ = [
        ("seq", ctypes.c_uint64),
        ("ts_nsec", ctypes.c_uint64),
        ("text_len", ctypes.c_uint16),
        ("facility", ctypes.c_uint8),
        ("flags", ctypes.c_uint8, 5),
        ("level", ctypes.c_uint8, 3),
        ("caller_id", ctypes.c_uint32),
        ("dev_info", DevPrintkInfo),
    ]


class PrbDesc(ctypes.LittleEndianStructure):
    """struct prb_desc, with its struct prb_data_blk_lpos."""

    state_var: int
    begin: int
    next: int
    _fields_ = [
        ("state_var", ctypes.c_uint32),
        ("begin", ctypes.c_uint32),
        ("next", ctypes.c_uint32),
    ]


class PrbDescRing(ctypes.LittleEndianStructure):
    """What every version's struct prb_desc_ring begins with; 5.18 added a word."""

    count_bits: int
    descs: int
    infos: int
    head_id: int
    tail_id: int
    _fields_ = [
        ("count_bits", ctypes.c_uint32),
        ("descs", ctypes.c_uint32),
        ("infos", ctypes.c_uint32),
        ("head_id", ctypes.c_uint32),
        ("tail_id", ctypes.c_uint32),
    ]


class PrbDataRing(ctypes.LittleEndianStructure):
    """struct prb_data_ring."""

    size_bits: int
    data: int
    head_lpos: int
    tail_lpos: int
    _fields_ = [
        ("size_bits", ctypes.c_uint32),
        ("data", ctypes.c_uint32),
        ("head_lpos", ctypes.c_uint32),
        ("tail_lpos", ctypes.c_uint32),
    ]


def desc0_id(count_bits: int) -> int:
    """The ID before that of the first record (DESC0_ID)."""
    return -((1 << count_bits) + 1) & DESC_ID_MASK


def blk0_lpos(size_bits: int) -> int:
    """The logical position at which the first block begins (BLK0_LPOS)."""
    return -(1 << size_bits) & LPOS_MASK
