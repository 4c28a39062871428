"""The kernel's log buffer in RAM.

Linux: kernel/printk/printk.c before 5.10, `struct printk_log`: records of a 16-byte header and the
text, one after another in __log_buf, the oldest dropped when it is full. Before sched_clock runs,
as in all of early boot, time stamps are 0. Later kernels have another ring in its place
(printk_ringbuffer.c): the model keeps this one for them, too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from bootsim.errors import BootsimError
from bootsim.kernel.memory import round_up
from bootsim.machine.memory import PhysMemory

KERN_EMERG = 0
KERN_CRIT = 2
KERN_ERR = 3
KERN_WARNING = 4
KERN_NOTICE = 5
KERN_INFO = 6
KERN_DEBUG = 7

_HEADER = struct.Struct("<QHHHBB")  # ts_nsec, len, text_len, dict_len, facility, flags:5 level:3
_LOG_ALIGN = 4
_LOG_NEWLINE, _LOG_PREFIX = 2, 4  # a KERN_ level in the format sets the latter
_LOG_LINE_MAX = 1024 - 32  # LOG_LINE_MAX


_KERN_SOH = 1  # include/linux/kern_levels.h
_MESSAGE_LOGLEVEL_DEFAULT = KERN_WARNING  # CONFIG_MESSAGE_LOGLEVEL_DEFAULT


def split_prefix(text: bytes) -> tuple[int, bool, bytes]:
    """Level, whether it continues a line (KERN_CONT), and the text behind its KERN_ prefixes.

    The first level counts (printk_get_level and its caller).
    """
    level, continues = -1, False
    while len(text) > 1 and text[0] == _KERN_SOH and text[1:2] in b"01234567cd":
        letter, text = text[1:2], text[2:]
        if letter == b"c":
            continues = True
        elif letter != b"d" and level < 0:
            level = int(letter)
    return (_MESSAGE_LOGLEVEL_DEFAULT if level < 0 else level), continues, text


class LogBuffer:
    """__log_buf at physical address `at`, `size` bytes; its two indices are words in RAM too."""

    def __init__(
        self, memory: PhysMemory, *, at: int, size: int, first_idx: int, next_idx: int
    ) -> None:
        self._memory = memory
        self._buffer = memory.view(at, size)
        self._size = size
        self._first = memory.words(first_idx, 1)
        self._next = memory.words(next_idx, 1)

    def store(self, level: int, text: str) -> None:
        """Append one record, dropping the oldest ones that are in its way (log_store)."""
        data = text.encode("utf-8", "replace")[:_LOG_LINE_MAX]
        length = round_up(_HEADER.size + len(data), _LOG_ALIGN)
        self._make_free_space(length)
        index = self._next[0]
        if index > self._size:
            raise BootsimError(f"the log buffer in RAM is damaged: its end is {index:#x}")
        if index + length + _HEADER.size > self._size:
            self._buffer[index : index + _HEADER.size] = bytes(_HEADER.size)  # reader: wrap here
            index = 0
        header = _HEADER.pack(0, length, len(data), 0, 0, _LOG_NEWLINE | _LOG_PREFIX | level << 5)
        padding = bytes(length - _HEADER.size - len(data))
        self._buffer[index : index + length] = header + data + padding
        self._next[0] = index + length

    def move(self, at: int, size: int) -> int:
        """Go on in `size` bytes at physical address `at`, with the records at the offsets that they
        have here; how many bytes were left behind the last one (setup_log_buf)."""
        free = self._size - self._next[0]
        self._memory.write(at, bytes(self._buffer))
        self._buffer, self._size = self._memory.view(at, size), size
        return free

    def records(self) -> Iterator[tuple[int, str]]:
        """(level, text) of each record in the buffer, the oldest first."""
        index, end = self._first[0], self._next[0]
        wrapped = False
        while index != end:
            _, length, text_length, _, _, flags = _HEADER.unpack_from(self._buffer, index)
            if length == 0:
                if wrapped:
                    return  # overwritten from outside: no record ends the walk
                wrapped, index = True, 0
                continue
            start = index + _HEADER.size
            yield (
                flags >> 5,
                bytes(self._buffer[start : start + text_length]).decode("utf-8", "replace"),
            )
            index += length

    def _make_free_space(self, length: int) -> None:
        """log_make_free_space: drop records until `length` bytes and an end marker fit."""
        while not self._has_space(length):
            index = self._first[0]
            record = self._record_size(index)
            if record == 0:  # the end marker: the record at 0 goes (log_next)
                index, record = 0, self._record_size(0)
            if record == 0 or index == self._next[0]:
                raise BootsimError(f"the log buffer in RAM is damaged at offset {index:#x}")
            self._first[0] = index + record
            if self._first[0] == self._next[0]:
                self._first[0] = self._next[0] = 0

    def _record_size(self, index: int) -> int:
        if max(index, self._next[0]) + _HEADER.size > self._size:
            raise BootsimError(f"the log buffer in RAM is damaged: an index is {index:#x}")
        size: int = _HEADER.unpack_from(self._buffer, index)[1]
        return size

    def _has_space(self, length: int) -> bool:
        """logbuf_has_space: strictly more than `length` and a header are free in one piece."""
        first, end = self._first[0], self._next[0]
        unwrapped = end > first or end == first == 0
        free = max(self._size - end, first) if unwrapped else first - end
        return bool(free >= length + _HEADER.size)
