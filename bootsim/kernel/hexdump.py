"""Bytes as the kernel dumps them: lib/hexdump.c."""

from __future__ import annotations

_GROUP_MAX = 8  # bytes


def rowsize_of(rowsize: int) -> int:
    """Bytes in a row: 16 or 32."""
    return rowsize if rowsize in (16, 32) else 16


def hex_dump_line(data: bytes, rowsize: int, groupsize: int, ascii_: bool) -> tuple[str, int]:
    """A row for `data`, little-endian groups of `groupsize` bytes, and how long it might get.

    Where the buffer is too small hex_dump_to_buffer() returns that length, which is the text's,
    except for no bytes at all.
    """
    rowsize = rowsize_of(rowsize)
    data = data[:rowsize]
    if groupsize not in (1, 2, 4, _GROUP_MAX) or len(data) % groupsize:
        groupsize = 1
    column = rowsize * 2 + rowsize // groupsize + 1
    groups = [data[at : at + groupsize][::-1].hex() for at in range(0, len(data), groupsize)]
    text = " ".join(groups)
    room = column + len(data) if ascii_ else (groupsize * 2 + 1) * len(groups) - 1
    if ascii_ and data:
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in data)
        text = f"{text:{column}}{letters}"
    return text, room


def hex_to_bin(digit: int) -> int:
    """The value of a hexadecimal digit's character, -1 for another."""
    return int(chr(digit), 16) if chr(digit) in "0123456789abcdefABCDEF" else -1
