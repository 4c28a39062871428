"""Formats of the kernel's printf: parsing, numbers, strings.

Linux: lib/vsprintf.c (format_decode(), number(), string(), struct printf_spec), for a 32-bit
little-endian machine.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from bootsim.kernel.errname import MAX_ERRNO
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.kernel.vsprintf_features import Context, VsprintfFeatures

POINTER_WIDTH = 8  # 2 * sizeof(void *)
ERROR_POINTERS = (1 << 32) - MAX_ERRNO  # IS_ERR_VALUE(), include/linux/err.h
FIELD_WIDTH_MAX = (1 << 23) - 1  # lib/vsprintf.c
PRECISION_MAX = (1 << 15) - 1
_U64 = (1 << 64) - 1

# Bytes that the kernel's isalnum() and isalpha() take (lib/ctype.c): ASCII and Latin-1.
_LATIN1_LETTERS = rb"\xc0-\xd6\xd8-\xf6\xf8-\xff"

# Flags of a conversion, with the kernel's values (plain numbers: operators of IntFlag are slow).
SIGN = 1  # signed number
LEFT = 2
PLUS = 4
SPACE = 8
ZEROPAD = 16
SMALL = 32  # lower-case hexadecimal
SPECIAL = 64  # 0x or 0 in front
_FLAG_LETTERS = MappingProxyType(
    dict(zip(b"-+ #0", (LEFT, PLUS, SPACE, SPECIAL, ZEROPAD), strict=True))
)


class Spec(NamedTuple):
    """struct printf_spec: how one value is shown; width and precision are -1 when not given."""

    flags: int = 0
    width: int = -1
    precision: int = -1
    base: int = 10


class Kind(IntEnum):
    """What a conversion takes and shows."""

    NUMBER = 0
    STRING = 1
    POINTER = 2
    CHAR = 3
    PERCENT = 4
    INVALID = 5  # ends the formatting, with a WARN
    END = 6  # the format ends after a `*`


class Conversion(NamedTuple):
    """One conversion of a format.

    A `*` as width or precision is `star_width` or `star_precision`. Numbers have `bits` of 64
    (a long long), 32, 16 or 8, and are sign-extended if `signed`. `letter` is the conversion's
    last character (or none at the end of the format), `extension` what follows %p.
    """

    kind: Kind
    spec: Spec
    star_width: bool
    star_precision: bool
    bits: int
    signed: bool
    letter: bytes
    extension: bytes


_CONVERSION = re.compile(
    rb"%([-+ #0]*)(\*|[0-9]+)?(?:\.(\*|[0-9]*))?(hh|h|ll|[lLzt])?(?:p([0-9A-Za-z"
    + _LATIN1_LETTERS
    + rb"]*)|(.)|)",
    re.DOTALL,
)
_KINDS = MappingProxyType({b"s": Kind.STRING, b"c": Kind.CHAR, b"%": Kind.PERCENT})
_BASES = MappingProxyType({b"d": 10, b"i": 10, b"u": 10, b"x": 16, b"X": 16, b"o": 8})
_BITS = MappingProxyType({b"hh": 8, b"h": 16, b"ll": 64, b"L": 64})


@lru_cache(maxsize=512)
def parse(fmt: bytes) -> tuple[tuple[bytes, Conversion | None], ...]:
    """The pieces of a format: literal text, and the conversion after it (None at the end)."""
    fmt = fmt.partition(b"\0")[0]
    pieces: list[tuple[bytes, Conversion | None]] = []
    position = 0
    for match in _CONVERSION.finditer(fmt):
        conversion = _conversion(match)
        pieces.append((fmt[position : match.start()], conversion))
        position = match.end()
        if conversion.kind >= Kind.INVALID:
            break
    else:
        if position < len(fmt):
            pieces.append((fmt[position:], None))
    return tuple(pieces)


def _conversion(match: re.Match[bytes]) -> Conversion:
    flag_letters, width, precision, qualifier, extension, letter = match.groups()
    flags = 0
    for flag_letter in flag_letters:
        flags |= _FLAG_LETTERS[flag_letter]
    base = 10
    if extension is not None:
        kind, letter = Kind.POINTER, b"p"
    elif letter in _BASES:
        kind, base = Kind.NUMBER, _BASES[letter]
        flags |= {b"d": SIGN, b"i": SIGN, b"x": SMALL}.get(letter, 0)
    elif letter is None and match[0].endswith(b"*"):
        kind = Kind.END
    else:
        kind = _KINDS.get(letter, Kind.INVALID)
    return Conversion(
        kind=kind,
        spec=Spec(
            flags,
            -1 if width in {None, b"*"} else _bitfield(width, 24),
            -1 if precision in {None, b"*", b""} else max(_bitfield(precision, 16), 0),
            base,
        ),
        star_width=width == b"*",
        star_precision=precision == b"*",
        bits=_BITS.get(qualifier, 32),
        signed=bool(flags & SIGN) or qualifier == b"t",
        letter=letter or b"",
        extension=extension or b"",
    )


def _bitfield(digits: bytes, bits: int) -> int:
    """A decimal number as a signed bit-field of struct printf_spec keeps it."""
    # 10**24 is a multiple of 2**24: digits above the last 24 do not reach the field.
    return signed(int(digits[-24:]), bits)


def signed(value: int, bits: int) -> int:
    """The low `bits` of `value` as a two's complement number."""
    half = 1 << (bits - 1)
    return (value & (half - 1)) - (value & half)


def number(value: int, spec: Spec) -> bytes:
    """number(): `value` in base 8, 10 or 16.

    A negative value without SIGN is shown as the unsigned long long that C makes of it. Unlike in
    C99, zero with precision 0 is one digit, and zero padding holds beside a precision.
    """
    flags, width, precision, base = spec
    prefix = b""
    if flags & SIGN:
        prefix = b"-" if value < 0 else b"+" if flags & PLUS else b" " if flags & SPACE else b""
        value = abs(value)
    elif value < 0:
        value &= _U64
    if base == 10:
        digits = b"%d" % value
    elif base == 16:
        digits = b"%x" % value if flags & SMALL else b"%X" % value
        if flags & SPECIAL:
            prefix += b"0x" if flags & SMALL else b"0X"
    else:
        digits = b"%o" % value
        if flags & SPECIAL and value:
            prefix += b"0"
    if len(digits) < precision:
        digits = digits.rjust(precision, b"0")
    if flags & ZEROPAD and not flags & LEFT:
        digits = digits.rjust(width - len(prefix), b"0")
    return widen(prefix + digits, spec)


def special_hex_number(value: int, size: int) -> bytes:
    """special_hex_number(): an address of `size` bytes, with 0x and every digit."""
    return b"0x%0*x" % (2 * size, value)


def text(value: bytes, spec: Spec) -> bytes:
    """string_nocheck(): `value` up to its first NUL, cut to the precision, padded to the width."""
    value = value.partition(b"\0")[0]
    return widen(value if spec.precision < 0 else value[: spec.precision], spec)


def widen(value: bytes, spec: Spec) -> bytes:
    """widen_string(): `value` with spaces up to the width."""
    if len(value) >= spec.width:
        return value
    return value.ljust(spec.width) if spec.flags & LEFT else value.rjust(spec.width)


def string(address: int, spec: Spec, context: Context) -> bytes:
    """%s: the text at `address`, or words for an address that is none."""
    bad = check_pointer(address, spec, context.features)
    if bad is not None:
        return bad
    if spec.precision == 0:  # nothing is read
        return widen(b"", spec)
    limit = None if spec.precision < 0 else spec.precision
    return widen(context.memory.string(address, limit), spec)


def check_pointer(address: int, spec: Spec, features: VsprintfFeatures) -> bytes | None:
    """The words for a pointer that %s does not follow, None for one that it does."""
    if features.checks_pointers:
        if address == 0:
            return error_string(b"(null)", spec)
        if address < PAGE_SIZE or address >= ERROR_POINTERS:
            return error_string(b"(efault)", spec)
    elif address < PAGE_SIZE:
        return text(b"(null)", spec)
    return None


def error_string(words: bytes, spec: Spec) -> bytes:
    """error_string(): at most as long as a pointer unless a precision is given."""
    if spec.precision == -1:
        spec = spec._replace(precision=POINTER_WIDTH)
    return text(words, spec)
