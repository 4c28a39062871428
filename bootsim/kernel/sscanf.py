"""The kernel's scanf: what text holds by a format. Linux: lib/vsprintf.c, vsscanf()."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bootsim.kernel.kstrtox import fixup_radix, simple_strtoll, simple_strtoull

_SPACES = frozenset(b" \t\n\v\f\r\xa0")  # isspace(), include/linux/ctype.h
_DIGITS = {8: b"01234567", 10: b"0123456789", 0: b"0123456789", 16: b"0123456789abcdefABCDEF"}
_BASES = {"o": 8, "x": 16, "X": 16, "i": 0, "d": 10, "u": 10}
_SIZES = {"H": 1, "h": 2, "l": 4, "L": 8, "z": 4, "": 4}  # bytes
_SHRT_MAX = 0x7FFF


class Stored(NamedTuple):
    """Bytes for the next of the arguments; `counts` if the function's result counts them."""

    data: bytes
    counts: bool = True


class _Spec(NamedTuple):
    """A conversion without its letter: width, -1 if there is none, and size."""

    width: int
    qualifier: str


def vsscanf(text: bytes, fmt: bytes, *, limits_digits: bool) -> Iterator[Stored]:
    """What each conversion of `fmt` finds in `text`, as long as they match.

    `limits_digits`: a width limits the digits that are read (5.13); before, all were read, and
    those beyond the width divided away again.
    """
    at = position = 0
    while position < len(fmt):
        if fmt[position] in _SPACES:
            position = _skip_spaces(fmt, position + 1)
            at = _skip_spaces(text, at)
        letter = fmt[position : position + 1]
        if letter == b"%":
            step = _conversion(text, at, fmt, position + 1, limits_digits)
            if step is None:
                return
            stored, at, position = step
            if stored is not None:
                yield stored
        elif letter and text[at : at + 1] == letter:
            position, at = position + 1, at + 1
        else:
            return


def _conversion(
    text: bytes, at: int, fmt: bytes, position: int, limits_digits: bool
) -> tuple[Stored | None, int, int] | None:
    """One conversion: what it stores, where it ends in text and format; None ends it all."""
    if fmt[position : position + 1] == b"*":
        return _skip_conversion(text, at, fmt, position)
    spec, position = _spec(fmt, position)
    if spec is None or position >= len(fmt):
        return None
    kind = chr(fmt[position])
    position += 1
    if kind == "n":
        return Stored(at.to_bytes(4, "little"), counts=False), at, position
    if at >= len(text):
        return None
    if kind == "%":
        return (None, at + 1, position) if text[at] == ord("%") else None
    if kind in _BASES:
        number = _number(text, _skip_spaces(text, at), kind, spec, limits_digits)
        return None if number is None else (Stored(number[0]), number[1], position)
    return _text(text, at, kind, spec.width, fmt, position)


def _skip_spaces(text: bytes, at: int) -> int:
    while at < len(text) and text[at] in _SPACES:
        at += 1
    return at


def _skip_conversion(
    text: bytes, at: int, fmt: bytes, position: int
) -> tuple[None, int, int] | None:
    """`%*`: the conversion and what it would take, each up to white space."""
    if at >= len(text):
        return None
    while position < len(fmt) and fmt[position] not in _SPACES and fmt[position] != ord("%"):
        if fmt[position] == ord("["):
            return None
        position += 1
    while at < len(text) and text[at] not in _SPACES:
        at += 1
    return None, at, position


def _spec(fmt: bytes, position: int) -> tuple[_Spec | None, int]:
    width = -1
    if fmt[position : position + 1].isdigit():
        width = 0
        while fmt[position : position + 1].isdigit():
            width = width * 10 + fmt[position] - ord("0") & 0xFFFF
            position += 1
        if not 0 < width <= _SHRT_MAX:
            return None, position
    qualifier = fmt[position : position + 1].decode("latin-1")
    if qualifier not in ("h", "l", "L", "z"):
        return _Spec(width, ""), position
    position += 1
    if qualifier in ("h", "l") and fmt[position : position + 1] == qualifier.encode():
        qualifier = qualifier.upper()
        position += 1
    return _Spec(width, qualifier), position


def _number(
    text: bytes, at: int, kind: str, spec: _Spec, limits_digits: bool
) -> tuple[bytes, int] | None:
    """An integer as it is stored, and where it ends."""
    base, signed = _BASES[kind], kind in ("d", "i")
    first = at
    if signed and text[at : at + 1] == b"-":
        if spec.width == 1 and limits_digits:
            return None
        first += 1
    if first >= len(text) or text[first] not in _DIGITS[base]:
        return None
    read = simple_strtoll if signed else simple_strtoull
    if limits_digits:
        value, end = read(text, base, at, None if spec.width < 0 else spec.width)
    else:
        value, end = read(text, base, at)
        value, end = _cut(text, at, end, value, base, signed, spec)
    size = _SIZES[spec.qualifier]
    return (value & (1 << 8 * size) - 1).to_bytes(size, "little"), end


def _cut(
    text: bytes, at: int, end: int, value: int, base: int, signed: bool, spec: _Spec
) -> tuple[int, int]:
    """The number without its digits beyond the width; unless it is long long it had 32 bits."""
    bits = 64 if spec.qualifier == "L" else 32
    value &= (1 << bits) - 1
    negative = signed and value >> bits - 1
    magnitude = (1 << bits) - value if negative else value
    if 0 < spec.width < end - at:
        base, _ = fixup_radix(text, at, base)
        while end - at > spec.width and magnitude:
            magnitude //= base
            end -= 1
        end = min(end, at + spec.width)
    return -magnitude if negative else magnitude, end


def _text(
    text: bytes, at: int, kind: str, width: int, fmt: bytes, position: int
) -> tuple[Stored, int, int] | None:
    """What %c, %s and %[ take, where that ends, and where the format goes on."""
    if kind == "c":
        end = min(at + max(width, 1), len(text))
        return Stored(text[at:end]), end, position
    if kind == "s":
        at = end = _skip_spaces(text, at)
        limit = at + (_SHRT_MAX if width < 0 else width)
        while end < min(limit, len(text)) and text[end] not in _SPACES:
            end += 1
        return Stored(text[at:end] + b"\0"), end, position
    if kind != "[" or width < 0:
        return None
    negate = fmt[position : position + 1] == b"^"
    position += negate
    close = fmt.find(b"]", position)
    if close <= position:
        return None
    letters = fmt[position:close]
    end = at
    while end < min(at + width, len(text)) and (text[end] in letters) != negate:
        end += 1
    if end == at:
        return None
    return Stored(text[at:end] + b"\0"), end, close + 1
