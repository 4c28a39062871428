"""The log of a real kernel, read out of the RAM that it wrote it to: no console is needed.

Linux: kernel/printk/. Since 5.10 the log is a struct printk_ringbuffer, read here; what was before
is in log_buf. A kernel's own table of symbols seldom names the data, but an image holds the ring
buffer as the compiler initialised it, and nothing else looks like it.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from bootsim.errors import BootsimError
from bootsim.kernel.memory import LinearMap
from bootsim.kernel.printk_ringbuffer import (
    BLOCK_ID_SIZE,
    DESC_FLAGS_SHIFT,
    DESC_ID_MASK,
    FAILED_LPOS,
    LPOS_DATALESS,
    LPOS_MASK,
    DescState,
    PrbDataRing,
    PrbDesc,
    PrbDescRing,
    PrintkInfo,
    blk0_lpos,
    desc0_id,
)
from bootsim.machine.memory import PhysMemory
from bootsim.realkernel import log_buf
from bootsim.realkernel.contents import WORD, data, find
from bootsim.realkernel.image import KernelImage
from bootsim.realkernel.log_buf import LogBufLocation
from bootsim.realkernel.log_record import LogRecord, log_text

__all__ = ["LogLocation", "LogRecord", "RingLocation", "find_log", "read_log", "records_so_far"]

# CONFIG_LOG_BUF_SHIFT is 12 to 25, by default 17, and a descriptor stands for 32 bytes of text
# (init/Kconfig, PRB_AVGBITS): the usual numbers first.
_COUNT_BITS = (12, 13, 11, 9, 10, 14, 15, 7, 8, *range(16, 21))
_COUNT_BITS_MAX, _SIZE_BITS_MAX = 26, 31  # LOG_BUF_LEN_MAX
_HEAD_ID_OFFSET = 3 * WORD  # in struct prb_desc_ring
# Where struct printk_ringbuffer has its text_data_ring: behind a word that came with 5.18, or not.
_TEXT_RING_OFFSETS = (ctypes.sizeof(PrbDescRing) + WORD, ctypes.sizeof(PrbDescRing))


@dataclass(frozen=True, slots=True)
class RingLocation:
    """Where a kernel since 5.10 keeps its log; addresses are virtual.

    `prb` is the pointer to the ring buffer in use: printk_rb_static, or printk_rb_dynamic after
    log_buf_len= has had its effect.
    """

    prb: int
    text_ring_offset: int


LogLocation = RingLocation | LogBufLocation


def find_log(image: KernelImage) -> LogLocation:
    """Where the kernel in `image` will keep its log; raises BootsimError if that cannot be told."""
    location = _find_ring(image)
    if location is not None:
        return location
    if image.version < (5, 10):
        return log_buf.find_log_buf(image)
    version = ".".join(map(str, image.version))
    raise BootsimError(f"kernel {version}: its image has no struct printk_ringbuffer")


def read_log(
    memory: PhysMemory, linear: LinearMap, location: LogLocation, *, first: int = 0
) -> list[LogRecord]:
    """The records from sequence number `first` on that are still there, oldest first.

    As for the kernel's own readers, a record that does not check out (overwritten, or without room
    for its text) is left out. Raises BootsimError where the buffer as a whole is damaged.
    """
    if isinstance(location, LogBufLocation):
        return log_buf.read_log_buf(memory, linear, location, first)
    return list(_Ring(memory, linear, location).records(first))


def records_so_far(memory: PhysMemory, linear: LinearMap, location: LogLocation) -> int:
    """How many records were begun since the kernel started; a few microseconds.

    A kernel before 5.10 without symbols takes longer: see log_buf.
    """
    if isinstance(location, LogBufLocation):
        return log_buf.records_so_far(memory, linear, location)
    ring = linear.virt_to_phys(memory.read_u32(linear.virt_to_phys(location.prb)))
    count_bits = memory.read_u32(ring) & 0x1F
    return memory.read_u32(ring + _HEAD_ID_OFFSET) - desc0_id(count_bits) & DESC_ID_MASK


def _find_ring(image: KernelImage) -> RingLocation | None:
    """printk_rb_static as the compiler made it, and the words that point to it."""
    symbol = image.symbols.get("printk_rb_static")
    for offset in _ring_offsets(image) if symbol is None else [symbol - image.text]:
        text_ring_offset = _text_ring_offset(image, offset)
        if text_ring_offset is not None:
            prb = image.symbols.get("prb") or _pointer_to(image, image.text + offset)
            if prb is not None:
                return RingLocation(prb, text_ring_offset)
    return None


def _ring_offsets(image: KernelImage) -> Iterator[int]:
    """Where the image has what struct prb_desc_ring may begin with: no record, head is tail."""
    for count_bits in _COUNT_BITS:
        ids = desc0_id(count_bits).to_bytes(WORD, "little") * 2
        for at in find(image.code, ids, align=WORD, start=data(image)):
            yield at - _HEAD_ID_OFFSET


def _text_ring_offset(image: KernelImage, offset: int) -> int | None:
    """Where in the empty struct printk_ringbuffer at `offset` the text's ring is, None: no such."""
    if offset < 0 or offset + 64 > len(image.code):
        return None
    ring = PrbDescRing.from_buffer_copy(image.code, offset)
    first = desc0_id(ring.count_bits & 0x1F)
    if ring.count_bits not in _COUNT_BITS or ring.head_id != first or ring.tail_id != first:
        return None
    for text_offset in _TEXT_RING_OFFSETS:
        text = PrbDataRing.from_buffer_copy(image.code, offset + text_offset)
        if ring.count_bits <= text.size_bits <= _SIZE_BITS_MAX:
            empty = blk0_lpos(text.size_bits)
            places = (ring.descs, ring.infos, text.data)
            if text.head_lpos == text.tail_lpos == empty and all(
                image.text <= place < image.end and place % 4 == 0 for place in places
            ):
                return text_offset
    return None


def _pointer_to(image: KernelImage, virt: int) -> int | None:
    """The variable of `image` that points to `virt`, of several the nearest.

    One file's data lie together; the others are literals of code, elsewhere.
    """
    found = find(image.code, virt.to_bytes(WORD, "little"), align=WORD, start=data(image))
    return min((image.text + at for at in found), key=lambda at: abs(at - virt), default=None)


class _Ring:
    """A struct printk_ringbuffer in RAM, laid open; raises BootsimError where it is damaged."""

    def __init__(self, memory: PhysMemory, linear: LinearMap, location: RingLocation) -> None:
        self._memory = memory
        self._linear = linear
        virt = memory.read_u32(linear.virt_to_phys(location.prb))
        ring = PrbDescRing.from_buffer_copy(self._bytes(virt, ctypes.sizeof(PrbDescRing)))
        text = PrbDataRing.from_buffer_copy(
            self._bytes(virt + location.text_ring_offset, ctypes.sizeof(PrbDataRing))
        )
        if not 1 <= ring.count_bits <= _COUNT_BITS_MAX:
            raise BootsimError(f"printk_ringbuffer at {virt:#010x}: count_bits {ring.count_bits}")
        if not 2 <= text.size_bits <= _SIZE_BITS_MAX:
            raise BootsimError(f"printk_ringbuffer at {virt:#010x}: size_bits {text.size_bits}")
        count = 1 << ring.count_bits
        held = (ring.head_id - ring.tail_id & DESC_ID_MASK) + 1
        if held > count:
            raise BootsimError(
                f"printk_ringbuffer at {virt:#010x}: head_id {ring.head_id:#x}, tail_id"
                f" {ring.tail_id:#x}: expected {count} apart at the most"
            )
        self._head_id = ring.head_id
        self._count = count
        # Number of records begun: the first one's ID follows that of the initial head.
        self._begun = ring.head_id - desc0_id(ring.count_bits) & DESC_ID_MASK
        self._oldest = max(self._begun - held, 0)
        self._descs = (PrbDesc * count).from_buffer(
            self._bytes(ring.descs, count * ctypes.sizeof(PrbDesc))
        )
        self._infos = (PrintkInfo * count).from_buffer(
            self._bytes(ring.infos, count * ctypes.sizeof(PrintkInfo))
        )
        self._size = 1 << text.size_bits
        self._data = self._bytes(text.data, self._size)

    def _bytes(self, virt: int, size: int) -> memoryview:
        return self._memory.view(self._linear.virt_to_phys(virt), size)

    def records(self, first: int) -> Iterator[LogRecord]:
        """The records from number `first` on that check out."""
        for seq in range(max(first, self._oldest), self._begun):
            id_ = self._head_id - (self._begun - 1 - seq) & DESC_ID_MASK
            record = self._record(seq, id_)
            if record is not None:
                yield record

    def _record(self, seq: int, id_: int) -> LogRecord | None:
        desc, info = self._descs[id_ % self._count], self._infos[id_ % self._count]
        state = DescState(desc.state_var >> DESC_FLAGS_SHIFT)
        if desc.state_var & DESC_ID_MASK != id_ or state is DescState.REUSABLE or info.seq != seq:
            return None
        complete = state is not DescState.RESERVED
        raw = self._text(desc, id_)
        if raw is None and complete:
            return None
        text = bytes(raw or b"")
        # The length is the last that the writer sets.
        text = text[: info.text_len] if complete or info.text_len else text.split(b"\0", 1)[0]
        return LogRecord(
            seq=seq,
            ts_nsec=info.ts_nsec,
            level=info.level,
            facility=info.facility,
            flags=info.flags,
            text=log_text(text),
            caller_id=info.caller_id,
            complete=complete,
        )

    def _text(self, desc: PrbDesc, id_: int) -> memoryview | None:
        """What the data block of a descriptor holds, None if there is no such block (get_data)."""
        begin, end = desc.begin, desc.next
        if begin & LPOS_DATALESS:
            return None if begin == end == FAILED_LPOS else self._data[:0]
        start, size = begin % self._size, end - begin & LPOS_MASK
        if start + size > self._size:
            # A block that would pass the end lies, as a whole, at the start.
            start, size = 0, end % self._size
        if begin % 4 or end % 4 or not BLOCK_ID_SIZE <= size <= self._size:
            return None
        block = self._data[start : start + size]
        if struct.unpack_from("<I", block)[0] != id_:
            return None
        return block[BLOCK_ID_SIZE:]
