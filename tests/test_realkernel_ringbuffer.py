"""The log of a kernel out of its RAM: real kernels' and, packed by hand, what they seldom have."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.errors import BootsimError
from bootsim.kernel.memory import LinearMap
from bootsim.machine.memory import PhysMemory
from bootsim.realkernel.image import KernelImage, load_kernel_image
from bootsim.realkernel.log_buf import LogBufLocation, find_log_buf
from bootsim.realkernel.ringbuffer import (
    LogRecord,
    RingLocation,
    find_log,
    read_log,
    records_so_far,
)
from bootsim.realkernel.symbols import Symbols
from tests.kernel_extracts import EXTRACTS, load_extract, made_image
from tests.requirements import need_kernel

TEXT, PHYS = 0xC0008000, 0x60008000
LINEAR = LinearMap(0x60000000, 0xC0000000)
MASK32, MASK_ID = 0xFFFFFFFF, 0x3FFFFFFF

# Real kernels.


@pytest.mark.parametrize("name", EXTRACTS)
def test_a_real_log(name: str) -> None:
    extract = load_extract(name)
    location = find_log(extract.image)
    assert isinstance(location, RingLocation)
    if extract.system_map:
        assert location.prb == extract.system_map["prb"]
    records = read_log(extract.memory, extract.linear, location)
    texts = [record.text for record in records]
    assert texts[0] == "Booting Linux on physical CPU 0x0"
    version = ".".join(map(str, extract.image.version))
    assert texts[1].startswith(f"Linux version {version}.")
    # Each reservation is logged, and MEMBLOCK configuration says of how many regions.
    assert any(re.fullmatch(r" reserved\.cnt  = 0x\w+", text) for text in texts)
    assert [record.seq for record in records] == list(range(len(records)))
    assert records_so_far(extract.memory, extract.linear, location) == len(records)
    assert all(record.complete and record.facility == 0 for record in records)
    assert {record.level for record in records} <= {2, 3, 4, 5, 6, 7}
    later = read_log(extract.memory, extract.linear, location, first=30)
    assert later == records[30:]


@pytest.mark.parametrize("name", EXTRACTS)
def test_log_buf_is_found_in_the_code_that_reads_it(name: str) -> None:
    extract = load_extract(name)
    found = find_log_buf(extract.image)
    if extract.system_map:
        assert found.log_buf == extract.system_map["log_buf"]
        assert found.log_buf_len == extract.system_map["log_buf_len"]
    size = extract.memory.read_u32(extract.linear.virt_to_phys(found.log_buf_len))
    assert size in (1 << 16, 1 << 17, 1 << 18)
    # Its first bytes are those of the first record: an ID, and the text.
    start = extract.linear.virt_to_phys(
        extract.memory.read_u32(extract.linear.virt_to_phys(found.log_buf))
    )
    assert extract.memory.read(start + 4, 13) == b"Booting Linux"


def test_debians_image_says_where() -> None:
    image = load_kernel_image(need_kernel())
    location = find_log(image)
    assert isinstance(location, RingLocation)
    assert location.text_ring_offset == 24


# A ring buffer as kernel/printk/printk_ringbuffer.c fills it. Small: 128 descriptors.

COUNT_BITS, SIZE_BITS = 7, 12
RING, PRB, LITERAL = 0x200, 0x240, 0x20
DESCS, INFOS, DATA = 0x1000, 0x2000, 0x6000
SIZE = 0x8000


class Ring:
    """Writes records as a kernel does; `fits_exactly` may a block end where the buffer ends."""

    def __init__(self, *, six_words: bool = True, fits_exactly: bool = False) -> None:
        self.memory = PhysMemory([(0x60000000, 0x100000)])
        self.six_words = six_words
        self.fits_exactly = fits_exactly
        self.count, self.size = 1 << COUNT_BITS, 1 << SIZE_BITS
        self.head_id = self.tail_id = -(self.count + 1) & MASK_ID
        self.head = self.tail = -self.size & MASK32
        self.records: list[dict[str, Any]] = []
        self.blocks: list[tuple[int, int]] = []  # (begin, next) of each record that is held
        code = bytearray(SIZE)
        code[RING : RING + 64] = self.header().ljust(64, b"\0")
        code[PRB : PRB + 4] = code[LITERAL : LITERAL + 4] = struct.pack("<I", TEXT + RING)
        last = self.count - 1
        struct.pack_into("<III", code, DESCS + 12 * last, 3 << 30 | self.head_id, 1, 1)
        struct.pack_into("<q", code, INFOS, -self.count)
        self.image = made_image(code, text=TEXT, end=TEXT + SIZE, version=(6, 1))
        self.memory.write(PHYS, code)

    def header(self) -> bytes:
        ids = [COUNT_BITS, TEXT + DESCS, TEXT + INFOS, self.head_id, self.tail_id]
        ids += [self.head_id] if self.six_words else []
        text = [SIZE_BITS, TEXT + DATA, self.head, self.tail, 0]
        return struct.pack(f"<{len(ids + text)}I", *ids, *text)

    def block(self, size: int) -> tuple[int, int, int]:
        """Room for a block of `size` bytes: begin, next, and the offset of the block."""
        size += 4 + (-size % 4)
        begin, end = self.head, self.head + size
        behind = end - 1 if self.fits_exactly else end
        if begin // self.size != behind // self.size:
            end = (begin // self.size + 1) * self.size + size
            return begin, end & MASK32, 0
        return begin, end & MASK32, begin % self.size

    def write(self, text: bytes, state: int = 2, *, lpos: int | None = None, **fields: int) -> None:
        """A record in `state`; `lpos` for one without a block (1: no room, 3: no text)."""
        seq = len(self.records)
        id_ = self.head_id + 1 & MASK_ID
        begin, end, offset = self.block(len(text)) if lpos is None else (lpos, lpos, 0)
        # Make room: forget the oldest until a descriptor and the bytes are free.
        while len(self.blocks) == self.count or (
            lpos is None and self.blocks and end - self.tail & MASK32 > self.size
        ):
            self.tail_id = self.tail_id + 1 & MASK_ID
            self.blocks.pop(0)
            held = [b for b in self.blocks if not b[0] & 1]
            self.tail = held[0][0] if held else self.head
        if not self.records:
            self.tail_id = id_
        self.blocks.append((begin, end))
        info = {"ts": 1000 * seq, "len": len(text), "facility": 0, "flags": 2, "level": 6}
        info |= {"caller": 0, **fields}
        index = id_ % self.count
        at = PHYS + INFOS + 88 * index
        packed = info["level"] << 5 | info["flags"]
        kept = (info["len"], info["facility"], packed, info["caller"])
        self.memory.write(at, struct.pack("<QQHBBI64x", seq, info["ts"], *kept))
        self.memory.write(
            PHYS + DESCS + 12 * index, struct.pack("<III", state << 30 | id_, begin, end)
        )
        if lpos is None:
            self.memory.write(PHYS + DATA + offset, struct.pack("<I", id_) + text)
            self.head = end
        self.head_id = id_
        self.memory.write(PHYS + RING, self.header())
        self.records.append(info | {"seq": seq, "text": text})

    def read(self, first: int = 0) -> list[LogRecord]:
        return read_log(self.memory, LINEAR, find_log(self.image), first=first)

    @property
    def oldest(self) -> int:
        return len(self.records) - len(self.blocks)


@pytest.mark.parametrize("six_words", [False, True])
def test_an_empty_log(six_words: bool) -> None:
    ring = Ring(six_words=six_words)
    assert ring.read() == []
    assert records_so_far(ring.memory, LINEAR, find_log(ring.image)) == 0


def test_the_nearest_pointer_is_prb() -> None:
    ring = Ring()
    location = find_log(ring.image)
    assert isinstance(location, RingLocation)
    assert location.prb == TEXT + PRB


def test_fields_and_bytes_that_are_not_utf8() -> None:
    ring = Ring()
    ring.write("größer\nzweite".encode(), facility=3, flags=10, level=4, caller=0x80000001)
    ring.write(b"\xff\x00z")
    assert ring.read() == [
        LogRecord(0, 0, 4, 3, 10, "größer\nzweite", 0x80000001),
        LogRecord(1, 1000, 6, 0, 2, "\\xff\0z"),
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(0, 300), min_size=1, max_size=400),
    st.integers(0, 450),
)
def test_wrapped_logs(six_words: bool, fits_exactly: bool, lengths: list[int], first: int) -> None:
    ring = Ring(six_words=six_words, fits_exactly=fits_exactly)
    for number, length in enumerate(lengths):
        ring.write((b"%d " % number * 200)[:length])
    found = ring.read(first)
    wanted = ring.records[max(ring.oldest, first) :]
    assert [(r.seq, r.text.encode()) for r in found] == [(r["seq"], r["text"]) for r in wanted]
    assert records_so_far(ring.memory, LINEAR, find_log(ring.image)) == len(lengths)


def test_a_block_that_ends_where_the_buffer_ends() -> None:
    for fits_exactly in (False, True):
        ring = Ring(fits_exactly=fits_exactly)
        for number in range(200):
            ring.write(b"%060d" % number)  # 64 bytes with the ID: a part of 4096
        assert [int(record.text) for record in ring.read()] == list(range(ring.oldest, 200))


def test_records_without_text() -> None:
    ring = Ring()
    ring.write(b"one")
    ring.write(b"", lpos=1)  # there was no room
    ring.write(b"", lpos=3)
    ring.write(b"four")
    assert [(r.seq, r.text) for r in ring.read()] == [(0, "one"), (2, ""), (3, "four")]


def test_what_the_kernel_died_of() -> None:
    """A record reserved and not committed: what of its text has arrived is shown."""
    ring = Ring()
    ring.write(b"fine", state=1)
    ring.write(b"Unable to handle k\0\0\0\0\0\0", state=0, len=0, ts=0, level=0)
    ring.write(b"", state=0, lpos=3, len=0)
    records = ring.read()
    assert [(r.text, r.complete) for r in records] == [
        ("fine", True),
        ("Unable to handle k", False),
        ("", False),
    ]
    assert records_so_far(ring.memory, LINEAR, find_log(ring.image)) == 3


def test_a_block_of_another_record_is_not_shown() -> None:
    ring = Ring()
    ring.write(b"first")
    ring.write(b"second")
    ring.memory.write_u32(PHYS + DATA, 0x1234)  # the ID before "first"
    assert [record.text for record in ring.read()] == ["second"]


def test_the_larger_buffer_of_log_buf_len() -> None:
    """setup_log_buf() has made another ring buffer: prb tells."""
    ring, other = Ring(), Ring()
    ring.write(b"early")
    for text in (b"early", b"late"):
        other.write(text)
    # The other one lies 0x10000 on; the pointers in it do, too.
    shift = 0x10000
    content = bytearray(other.memory.read(PHYS, SIZE))
    header = list(struct.unpack_from("<11I", content, RING))
    for pointer in (1, 2, 7):
        header[pointer] += shift
    struct.pack_into("<11I", content, RING, *header)
    ring.memory.write(PHYS + shift, content)
    ring.memory.write_u32(PHYS + PRB, TEXT + shift + RING)
    assert [record.text for record in ring.read()] == ["early", "late"]
    assert records_so_far(ring.memory, LINEAR, find_log(ring.image)) == 2


@pytest.mark.parametrize(
    ("word", "value", "message"),
    [
        (0, 31, "count_bits 31"),
        (0, 0, "count_bits 0"),
        (6, 40, "size_bits 40"),
        (3, 5, "apart"),
        (1, 0x10, "no RAM"),
        (2, 0xC00FFFF0, "no RAM"),
        (7, 0xFFFFFFFF, "no RAM"),
    ],
)
def test_a_damaged_ring(word: int, value: int, message: str) -> None:
    ring = Ring()
    ring.write(b"text")
    ring.memory.write_u32(PHYS + RING + 4 * word, value)
    with pytest.raises(BootsimError, match=message):
        ring.read()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from((RING, PRB, DESCS, INFOS, DATA)),
            st.integers(0, 90),
            st.binary(min_size=1, max_size=8),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_damage_is_an_error_or_left_out(writes: list[tuple[int, int, bytes]]) -> None:
    ring = Ring()
    for number in range(150):
        ring.write(b"record %d" % number)
    for place, offset, content in writes:
        ring.memory.write(PHYS + place + offset, content)
    try:
        assert len(ring.read()) <= 1 << COUNT_BITS
        records_so_far(ring.memory, LINEAR, find_log(ring.image))
    except BootsimError:
        pass


def test_an_image_without_a_log() -> None:
    image = made_image(bytes(0x1000), text=TEXT, end=TEXT + 0x2000, version=(6, 1))
    with pytest.raises(BootsimError, match=r"kernel 6\.1: its image has no struct printk_ringbuf"):
        find_log(image)
    old = dataclasses.replace(image, version=(4, 19))
    with pytest.raises(BootsimError, match="no symbol log_buf"):
        find_log(old)


# Before 5.10: struct printk_log in log_buf.

LOG_BUF, LOG_BUF_LEN, BUFFER = 0x400, 0x404, 0x1000
FIRST_SEQ, FIRST_IDX, NEXT_SEQ, NEXT_IDX = 0x410, 0x418, 0x420, 0x428
BUFFER_SIZE = 4096


class LogBuf:
    """Writes records as printk of 4.19 does (log_store), of 5.4 with `caller_id`."""

    def __init__(self, *, caller_id: bool = False, symbols: bool = True) -> None:
        self.memory = PhysMemory([(0x60000000, 0x100000)])
        self.header = 20 if caller_id else 16
        self.first_seq = self.first_idx = self.next_seq = self.next_idx = 0
        self.texts: list[bytes] = []
        code = bytearray(SIZE)
        struct.pack_into("<II", code, LOG_BUF, TEXT + BUFFER, BUFFER_SIZE)
        names = {
            "log_buf": LOG_BUF,
            "log_buf_len": LOG_BUF_LEN,
            "log_first_seq": FIRST_SEQ,
            "log_first_idx": FIRST_IDX,
            "log_next_seq": NEXT_SEQ,
        }
        if not symbols:
            # log_buf_addr_get(): movw r3; movt r3; ldr r0, [r3]; bx lr. The other: by a literal.
            names = {"log_buf_addr_get": 0x100, "log_buf_len_get": 0x120}
            movw_movt = (0xE3083400, 0xE34C3000)  # r3 = 0xc0008400
            struct.pack_into("<4I", code, 0x100, *movw_movt, 0xE5930000, 0xE12FFF1E)
            ldr = (0xE59F3004, 0xE5930000, 0xE12FFF1E, TEXT + LOG_BUF_LEN)
            struct.pack_into("<4I", code, 0x120, *ldr)
        version = (5, 4) if caller_id else (4, 19)
        self.image = made_image(
            code,
            text=TEXT,
            end=TEXT + SIZE,
            version=version,
            symbols={name: TEXT + offset for name, offset in names.items()},
        )
        self.memory.write(PHYS, code)

    def write(
        self, text: bytes, dictionary: bytes = b"", *, level: int = 6, caller: int = 0
    ) -> None:
        size = self.header + len(text) + len(dictionary)
        size += -size % 4
        while not self.room(size):
            self.first_idx = self.after(self.first_idx)
            self.first_seq += 1
        if self.next_idx + size + self.header > BUFFER_SIZE:
            # No room before the end: an empty header says so.
            self.memory.write(PHYS + BUFFER + self.next_idx, bytes(self.header))
            self.next_idx = 0
        head = (1000 * self.next_seq, size, len(text), len(dictionary), 0, level << 5 | 2)
        content = struct.pack("<QHHHBB", *head)
        content += struct.pack("<I", caller) if self.header == 20 else b""
        content += text + dictionary
        self.memory.write(PHYS + BUFFER + self.next_idx, content)
        self.next_idx += size
        self.next_seq += 1
        self.texts.append(text)
        for place, value in ((FIRST_SEQ, self.first_seq), (NEXT_SEQ, self.next_seq)):
            self.memory.write(PHYS + place, struct.pack("<Q", value))
        self.memory.write_u32(PHYS + FIRST_IDX, self.first_idx)
        self.memory.write_u32(PHYS + NEXT_IDX, self.next_idx)

    def room(self, size: int) -> bool:
        """logbuf_has_space(): with room for the header that says where it wraps."""
        if self.first_seq == self.next_seq:
            return True
        if self.next_idx > self.first_idx:
            free = max(BUFFER_SIZE - self.next_idx, self.first_idx)
        else:
            free = self.first_idx - self.next_idx
        return free >= size + self.header

    def after(self, index: int) -> int:
        """log_next(): the record behind the one at `index`."""
        (length,) = struct.unpack("<H", self.memory.read(PHYS + BUFFER + index + 8, 2))
        if not length:
            (length,) = struct.unpack("<H", self.memory.read(PHYS + BUFFER + 8, 2))
            return int(length)
        return index + int(length)

    def read(self, first: int = 0) -> list[LogRecord]:
        return read_log(self.memory, LINEAR, find_log(self.image), first=first)


@pytest.mark.parametrize("caller_id", [False, True])
@pytest.mark.parametrize("symbols", [False, True])
def test_an_old_log(caller_id: bool, symbols: bool) -> None:
    log = LogBuf(caller_id=caller_id, symbols=symbols)
    location = find_log(log.image)
    assert isinstance(location, LogBufLocation)
    assert log.read() == []
    log.write(b"Booting Linux on physical CPU 0x0", caller=7)
    log.write(b"a device", b"SUBSYSTEM=pci\0DEVICE=+pci:0000:00:01.0", level=3, caller=8)
    log.write(b"")
    caller = 7 if caller_id else 0
    assert log.read()[0] == LogRecord(0, 0, 6, 0, 2, "Booting Linux on physical CPU 0x0", caller)
    assert [(r.seq, r.level, r.text) for r in log.read(1)] == [(1, 3, "a device"), (2, 6, "")]
    assert records_so_far(log.memory, LINEAR, location) == 3


@settings(max_examples=40, deadline=None)
@given(st.booleans(), st.lists(st.integers(0, 200), min_size=1, max_size=120), st.integers(0, 130))
def test_an_old_log_that_has_wrapped(caller_id: bool, lengths: list[int], first: int) -> None:
    log = LogBuf(caller_id=caller_id)
    for number, length in enumerate(lengths):
        log.write((b"%d " % number * 200)[:length])
    found = log.read(first)
    wanted = range(max(log.first_seq, first), log.next_seq)
    assert [record.seq for record in found] == list(wanted)
    assert [record.text.encode() for record in found] == [log.texts[seq] for seq in wanted]


@settings(max_examples=150, deadline=None)
@given(
    st.booleans(),
    st.lists(
        st.tuples(
            st.sampled_from((LOG_BUF, FIRST_SEQ, BUFFER, BUFFER + 0x100)),
            st.integers(0, 40),
            st.binary(min_size=1, max_size=8),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_damage_to_an_old_log(symbols: bool, writes: list[tuple[int, int, bytes]]) -> None:
    log = LogBuf(symbols=symbols)
    for number in range(100):
        log.write(b"record %d" % number)
    for place, offset, content in writes:
        log.memory.write(PHYS + place + offset, content)
    with contextlib.suppress(BootsimError):
        assert len(log.read()) <= BUFFER_SIZE // 16


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, MASK32), min_size=1, max_size=16))
def test_code_that_returns_no_variable(code: list[int]) -> None:
    """log_buf_addr_get() of any instructions: a place in the image's 32 bits, or an error."""
    content = struct.pack(f"<{len(code)}I", *code)
    symbols = {"log_buf_addr_get": TEXT, "log_buf_len_get": TEXT}
    image = made_image(content, text=TEXT, end=TEXT + 0x100, version=(4, 19), symbols=symbols)
    try:
        assert find_log_buf(image).log_buf >= 0
    except BootsimError as error:
        assert "expected a System.map" in str(error)


def test_a_symbol_that_is_wrong_is_not_believed() -> None:
    ring = Ring()
    image: KernelImage = dataclasses.replace(
        ring.image, symbols=Symbols.pack([TEXT + 4], b"d", [b"printk_rb_static"])
    )
    with pytest.raises(BootsimError):
        find_log(image)
