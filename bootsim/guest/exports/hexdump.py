"""Hexadecimal, for guest code: lib/hexdump.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.guest.exports import Export
from bootsim.guest.exports.callback import Deadline
from bootsim.guest.exports.printk import log
from bootsim.kernel.hexdump import hex_dump_line, hex_to_bin, rowsize_of
from bootsim.kernel.vsprintf import vsprintf

if TYPE_CHECKING:
    from bootsim.guest.guest import Guest

_EINVAL = 22
_U32 = 0xFFFFFFFF
_DUMP_PREFIX_ADDRESS, _DUMP_PREFIX_OFFSET = 1, 2  # include/linux/printk.h


def _hex_to_bin(_guest: Guest, digit: int) -> int:
    return hex_to_bin(digit)


def _hex2bin(guest: Guest, dst: int, src: int, count: int) -> int:
    """Bytes before a wrong digit are written."""
    digits = guest.memory.string(src, 2 * count)
    values = [hex_to_bin(digit) for digit in digits]
    good = next((at for at, value in enumerate(values) if value < 0), len(values)) // 2
    guest.memory.write(dst, bytes.fromhex(digits[: 2 * good].decode("ascii")))
    return 0 if good == count else -_EINVAL


def _bin2hex(guest: Guest, dst: int, src: int, count: int) -> int:
    guest.memory.write(dst, _read(guest, src, count).hex().encode())
    return dst + 2 * count


def _read(guest: Guest, buf: int, size: int) -> bytes:
    """Of nothing, no address is bad."""
    return guest.memory.read(buf, size) if size else b""


def _hex_dump_to_buffer(
    guest: Guest,
    buf: int,
    size: int,
    rowsize: int,
    groupsize: int,
    linebuf: int,
    linebuflen: int,
    ascii_: bool,
) -> int:
    data = _read(guest, buf, min(size, rowsize_of(rowsize)))
    line, room = hex_dump_line(data, rowsize, groupsize, ascii_)
    if not linebuflen:
        return room
    guest.memory.write(linebuf, line[: linebuflen - 1].encode() + b"\0")
    return len(line) if len(line) < linebuflen else room


def _print_hex_dump(
    guest: Guest,
    level: int,
    prefix_str: int,
    prefix_type: int,
    rowsize: int,
    groupsize: int,
    buf: int,
    size: int,
    ascii_: bool,
) -> None:
    deadline = Deadline(guest)
    rowsize = rowsize_of(rowsize)
    for offset in range(0, size, rowsize):
        deadline.check()
        at = buf + offset & _U32
        data = guest.memory.read(at, min(rowsize, size - offset))
        line, _ = hex_dump_line(data, rowsize, groupsize, ascii_)
        words, fmt = [level, prefix_str], b"%s%s"
        if prefix_type == _DUMP_PREFIX_ADDRESS:
            words, fmt = [*words, at], b"%s%s%p: "
        elif prefix_type == _DUMP_PREFIX_OFFSET:
            words, fmt = [*words, offset], b"%s%s%.8x: "
        prefix = vsprintf(fmt, _Words(words), guest.formats, guest.vsprintf)
        log(guest, prefix + line.encode() + b"\n")


class _Words:
    """Arguments for a format of our own."""

    def __init__(self, words: list[int]) -> None:
        self._words = iter(words)

    def word(self) -> int:
        return next(self._words)

    def long_long(self) -> int:
        low = self.word()
        return low | self.word() << 32


EXPORTS = (
    Export("int hex_to_bin(char digit)", _hex_to_bin),
    Export("int hex2bin(u8 *dst, const char *src, size_t count)", _hex2bin),
    Export("char *bin2hex(char *dst, const void *src, size_t count)", _bin2hex),
    Export(
        "int hex_dump_to_buffer(const void *buf, size_t len, int rowsize, int groupsize,"
        " char *linebuf, size_t linebuflen, bool ascii)",
        _hex_dump_to_buffer,
    ),
    Export(
        "void print_hex_dump(const char *level, const char *prefix_str, int prefix_type,"
        " int rowsize, int groupsize, const void *buf, size_t len, bool ascii)",
        _print_hex_dump,
    ),
)
