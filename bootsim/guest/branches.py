"""Where code branches to, read from its instructions.

In a linked file no relocation tells who calls whom any more. Source: ARM ARM DDI 0406C, A8.8.18
(B), A8.8.25 (BL, BLX).
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

_WORDS = Struct("<I")
_HALVES = Struct("<H")


def branch_targets(code: bytes, address: int, *, thumb: bool) -> Iterator[int]:
    """Where the calls and jumps in `code` at `address` go, as far as the instructions tell."""
    return _thumb_targets(code, address) if thumb else _arm_targets(code, address)


def _arm_targets(code: bytes, address: int) -> Iterator[int]:
    for number, (word,) in enumerate(_WORDS.iter_unpack(code[: len(code) & ~3])):
        if word >> 25 & 7 == 0b101:
            offset = ((word & 0xFFFFFF) ^ 0x800000) - 0x800000 << 2
            if word >> 28 == 0xF:  # BLX
                offset |= word >> 23 & 2
            yield address + 4 * number + 8 + offset & 0xFFFFFFFF


def _thumb_targets(code: bytes, address: int) -> Iterator[int]:
    halves = [half for (half,) in _HALVES.iter_unpack(code[: len(code) & ~1])]
    at = 0
    while at < len(halves) - 1:
        upper, lower = halves[at], halves[at + 1]
        pc = address + 2 * at + 4
        if upper >> 11 < 0b11101:  # 16 bits (A6.1)
            at += 1
            continue
        at += 2
        if upper >> 11 != 0b11110 or not lower & 0x8000:
            continue
        sign, j1, j2 = upper >> 10 & 1, lower >> 13 & 1, lower >> 11 & 1
        if lower & 0x5000:  # BL, BLX, B without a condition
            high = sign << 24 | (1 ^ j1 ^ sign) << 23 | (1 ^ j2 ^ sign) << 22
            offset = (high | (upper & 0x3FF) << 12 | (lower & 0x7FF) << 1) - (sign << 25)
            if lower & 0x5000 == 0x4000:  # BLX, which counts from a whole word
                pc &= ~3
        elif upper >> 7 & 7 != 0b111:  # B with a condition
            high = sign << 20 | j2 << 19 | j1 << 18
            offset = (high | (upper & 0x3F) << 12 | (lower & 0x7FF) << 1) - (sign << 21)
        else:
            continue
        yield pc + offset & 0xFFFFFFFF
