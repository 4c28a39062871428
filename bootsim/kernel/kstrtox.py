"""Numbers out of text: lib/kstrtox.c, and simple_strtoull() of lib/vsprintf.c."""

from __future__ import annotations

from typing import NamedTuple

_U64 = (1 << 64) - 1
_OVERFLOW_POSSIBLE = 1 << 60  # below it, and in bases up to 16, one more digit fits
_HEX_DIGITS = frozenset(bytes([digit]) for digit in b"0123456789abcdefABCDEF")
_DIGIT_VALUE = {digit[0]: int(digit, 16) for digit in _HEX_DIGITS}


class Digits(NamedTuple):
    """Digits read: their value modulo 2**64, where they end, how many, and whether too many."""

    value: int
    end: int
    length: int
    overflow: bool


def fixup_radix(text: bytes, at: int, base: int) -> tuple[int, int]:
    """The base that the text says for base 0, and where its digits begin
    (_parse_integer_fixup_radix)."""
    hexadecimal = text[at : at + 2].lower() == b"0x"
    if not base:
        if hexadecimal and text[at + 2 : at + 3] in _HEX_DIGITS:
            base = 16
        else:
            base = 8 if text[at : at + 1] == b"0" else 10
    return base, at + 2 * (base == 16 and hexadecimal)


def parse_integer(text: bytes, at: int, base: int, limit: int | None = None) -> Digits:
    """At most `limit` digits of `base`, up to 16, from `at` on (_parse_integer_limit)."""
    end = len(text) if limit is None else min(len(text), at + limit)
    start, value, overflow = at, 0, False
    while at < end:
        digit = _DIGIT_VALUE.get(text[at])
        if digit is None or digit >= base:
            break
        if value >= _OVERFLOW_POSSIBLE and value > (_U64 - digit) // base:
            overflow = True
        value = value * base + digit & _U64
        at += 1
    return Digits(value, at, at - start, overflow)


def kstrtoull(text: bytes, base: int) -> int | None:
    """A whole number: None if it is not one, 2**64 or more if it is too much."""
    return _kstrtoull(text[text.startswith(b"+") :], base)


def _kstrtoull(text: bytes, base: int) -> int | None:
    base, at = fixup_radix(text, 0, base)
    digits = parse_integer(text, at, base)
    if digits.overflow:
        return _U64 + 1
    if not digits.length or text[digits.end :] not in (b"", b"\n"):
        return None
    return digits.value


def kstrtoll(text: bytes, base: int) -> int | None:
    """Likewise, with a sign."""
    if not text.startswith(b"-"):
        return kstrtoull(text, base)
    value = _kstrtoull(text[1:], base)
    return None if value is None else -value


def kstrtobool(text: bytes, *, words: bool) -> bool | None:
    """What the first letters say, None if nothing. `words`: t and f too (5.19)."""
    start = text[:1].lower()
    if start == b"o":
        return {b"on": True, b"of": False}.get(text[:2].lower())
    if not words and start in (b"t", b"f"):
        return None
    return {b"y": True, b"t": True, b"1": True, b"n": False, b"f": False, b"0": False}.get(start)


def simple_strtoull(
    text: bytes, base: int, at: int = 0, limit: int | None = None
) -> tuple[int, int]:
    """The number at `at` modulo 2**64, and where it ends, before `at + limit`."""
    start = at
    base, at = fixup_radix(text, at, base)
    if limit is not None:
        if limit <= at - start:
            return 0, start + limit
        limit -= at - start
    digits = parse_integer(text, at, base, limit)
    return digits.value, digits.end


def simple_strtoll(
    text: bytes, base: int, at: int = 0, limit: int | None = None
) -> tuple[int, int]:
    """Likewise, with a sign; the value is still unsigned, modulo 2**64."""
    if text[at : at + 1] == b"-" and limit != 0:
        value, end = simple_strtoull(text, base, at + 1, None if limit is None else limit - 1)
        return -value & _U64, end
    return simple_strtoull(text, base, at, limit)
