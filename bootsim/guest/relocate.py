"""Relocations of ARM and Thumb code, applied as a module loader applies them.

Source: ELF for the ARM Architecture (IHI 0044F), 4.6.1; Linux: apply_relocate() in
arch/arm/kernel/module.c. S is the symbol's address, A the addend, P the place, T 1 if the symbol is
a Thumb function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

_U32 = 0xFFFFFFFF


class RelocationError(Exception):
    """What a place cannot hold; the message says why."""


class Target(NamedTuple):
    """What a relocation refers to.

    `thumb_entry` is where Thumb code may branch to a function in ARM code, if that has such an
    entry. A branch to what is no function (`is_function`) stays in the state that it is in.
    `absent` is a weak symbol that nobody defines.
    """

    address: int
    thumb: bool
    thumb_entry: int | None = None
    is_function: bool = True
    absent: bool = False


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _absolute(word: int, s: Target, p: int, a: int | None) -> int:
    addend = word if a is None else a
    return (s.address + addend | s.thumb) & _U32


def _relative(word: int, s: Target, p: int, a: int | None) -> int:
    addend = word if a is None else a
    return ((s.address + addend | s.thumb) - p) & _U32


def _prel31(word: int, s: Target, p: int, a: int | None) -> int:
    addend = _signed(word, 31) if a is None else a
    return word & 1 << 31 | (((s.address + addend | s.thumb) - p) & 0x7FFFFFFF)


def _arm_branch(word: int, s: Target, p: int, a: int | None) -> int:
    is_blx = word >> 25 == 0b1111101
    addend = _signed(word, 24) << 2 | (word >> 23 & 2) * is_blx if a is None else a
    offset = _signed(s.address + addend - p, 32)
    _check_reach(offset, 1 << 25)
    if s.thumb if s.is_function else is_blx:
        if word >> 24 != 0xEB and not is_blx:  # only BL without a condition can become BLX
            raise RelocationError("a branch from ARM to Thumb code, which needs a call")
        return 0xFA000000 | (offset & 2) << 23 | offset >> 2 & 0xFFFFFF
    if is_blx:
        word = 0xEB000000
    return word & 0xFF000000 | offset >> 2 & 0xFFFFFF


def _mov(half: int, *, relative: bool) -> Callable[[int, Target, int, int | None], int]:
    def apply(word: int, s: Target, p: int, a: int | None) -> int:
        addend = _signed(word >> 4 & 0xF000 | word & 0xFFF, 16) if a is None else a
        value = s.address + addend
        if not half:
            value |= s.thumb
        value = (value - p * relative) >> 16 * half
        return word & 0xFFF0F000 | (value & 0xF000) << 4 | value & 0xFFF

    return apply


def _thumb_branch(word: int, s: Target, p: int, a: int | None) -> int:
    upper, lower = word & 0xFFFF, word >> 16
    if a is None:
        sign = upper >> 10 & 1
        i1, i2 = 1 ^ (lower >> 13 & 1) ^ sign, 1 ^ (lower >> 11 & 1) ^ sign
        bits = sign << 24 | i1 << 23 | i2 << 22 | (upper & 0x3FF) << 12 | (lower & 0x7FF) << 1
        a = _signed(bits, 25)
    is_call = bool(lower & 0x4000)
    if is_call:
        to_thumb = s.thumb if s.is_function else bool(lower & 0x1000)
        address = s.address
        if to_thumb:
            lower |= 0x1000  # BL
        else:
            lower &= ~0x1000  # BLX, which counts from a whole word
            p &= ~3
    else:
        address = _from_thumb(s)
    offset = _signed(address + a - p, 32)
    _check_reach(offset, 1 << 24)
    sign = offset >> 24 & 1
    j1, j2 = 1 ^ (offset >> 23 & 1) ^ sign, 1 ^ (offset >> 22 & 1) ^ sign
    upper = upper & 0xF800 | sign << 10 | offset >> 12 & 0x3FF
    lower = lower & 0xD000 | j1 << 13 | j2 << 11 | offset >> 1 & 0x7FF
    if is_call and not to_thumb:
        lower &= ~1
    return upper | lower << 16


def _thumb_branch_if(word: int, s: Target, p: int, a: int | None) -> int:
    upper, lower = word & 0xFFFF, word >> 16
    if a is None:
        sign, j1, j2 = upper >> 10 & 1, lower >> 13 & 1, lower >> 11 & 1
        bits = sign << 20 | j2 << 19 | j1 << 18 | (upper & 0x3F) << 12 | (lower & 0x7FF) << 1
        a = _signed(bits, 21)
    offset = _signed(_from_thumb(s) + a - p, 32)
    _check_reach(offset, 1 << 20)
    upper = upper & 0xFBC0 | (offset >> 20 & 1) << 10 | offset >> 12 & 0x3F
    lower = lower & 0xD000 | (offset >> 18 & 1) << 13 | (offset >> 19 & 1) << 11
    return upper | (lower | offset >> 1 & 0x7FF) << 16


def _from_thumb(s: Target) -> int:
    """Where Thumb code can branch to `s` without a call."""
    if s.thumb or not s.is_function:
        return s.address
    if s.thumb_entry is None:
        raise RelocationError("a branch from Thumb to ARM code, which needs a call")
    return s.thumb_entry


def _thumb_mov(half: int, *, relative: bool) -> Callable[[int, Target, int, int | None], int]:
    def apply(word: int, s: Target, p: int, a: int | None) -> int:
        upper, lower = word & 0xFFFF, word >> 16
        if a is None:
            bits = (upper & 0xF) << 12 | (upper >> 10 & 1) << 11 | (lower >> 12 & 7) << 8
            a = _signed(bits | lower & 0xFF, 16)
        value = s.address + a
        if not half:
            value |= s.thumb
        value = (value - p * relative) >> 16 * half
        upper = upper & 0xFBF0 | value >> 12 & 0xF | (value >> 11 & 1) << 10
        lower = lower & 0x8F00 | (value >> 8 & 7) << 12 | value & 0xFF
        return upper | lower << 16

    return apply


def _check_reach(offset: int, limit: int) -> None:
    if not -limit <= offset < limit:
        raise RelocationError(f"{offset:#x} bytes away, further than a branch reaches")


def _got_entry(word: int, s: Target, p: int, a: int | None) -> int:
    """The dynamic linker's own: what the place holds does not count."""
    return _absolute(0, s, p, a)


# Types that leave their place as it is: R_ARM_NONE, R_ARM_V4BX.
NOTHING = frozenset((0, 40))
R_ARM_RELATIVE = 23

_TYPES: dict[int, Callable[[int, Target, int, int | None], int]] = {
    1: _arm_branch,  # R_ARM_PC24
    2: _absolute,  # R_ARM_ABS32
    3: _relative,  # R_ARM_REL32
    10: _thumb_branch,  # R_ARM_THM_CALL
    21: _got_entry,  # R_ARM_GLOB_DAT
    22: _got_entry,  # R_ARM_JUMP_SLOT
    R_ARM_RELATIVE: _absolute,  # with S where the file was loaded
    27: _arm_branch,  # R_ARM_PLT32
    28: _arm_branch,  # R_ARM_CALL
    29: _arm_branch,  # R_ARM_JUMP24
    30: _thumb_branch,  # R_ARM_THM_JUMP24
    38: _absolute,  # R_ARM_TARGET1
    42: _prel31,  # R_ARM_PREL31
    43: _mov(0, relative=False),  # R_ARM_MOVW_ABS_NC
    44: _mov(1, relative=False),  # R_ARM_MOVT_ABS
    45: _mov(0, relative=True),  # R_ARM_MOVW_PREL_NC
    46: _mov(1, relative=True),  # R_ARM_MOVT_PREL
    47: _thumb_mov(0, relative=False),  # R_ARM_THM_MOVW_ABS_NC
    48: _thumb_mov(1, relative=False),  # R_ARM_THM_MOVT_ABS
    49: _thumb_mov(0, relative=True),  # R_ARM_THM_MOVW_PREL_NC
    50: _thumb_mov(1, relative=True),  # R_ARM_THM_MOVT_PREL
    51: _thumb_branch_if,  # R_ARM_THM_JUMP19
}
_ARM_BRANCHES = frozenset((1, 27, 28, 29))
_THUMB_BRANCHES = frozenset((10, 30, 51))
_RELATIVE = frozenset((3, 42, 45, 46, 49, 50))

# Others that compilers make, and what makes them.
_REFUSED = {
    **dict.fromkeys((24, 25, 26, 96), "position-independent code: compile with -fno-pic"),
    **dict.fromkeys(
        (9, 31, 61, 62, 63), "code for a static base: compile with -fno-ropi -fno-rwpi"
    ),
    **dict.fromkeys((104, 105, 106, 107, 108), "thread-local data, which no kernel has"),
}


def apply_relocate(type_: int, word: int, s: Target, p: int, a: int | None = None) -> int:
    """The word `word` at address `p`, patched by a relocation of `type_` that refers to `s`.

    Raises RelocationError where it cannot be.
    """
    if type_ not in _TYPES:
        raise RelocationError(
            f"relocation type {type_}: {_REFUSED.get(type_, 'none that a module loader knows')}"
        )
    return _TYPES[type_](word, _stand_in(type_, p) if s.absent else s, p, a)


def _stand_in(type_: int, p: int) -> Target:
    """What stands for a weak symbol that nobody defines (4.5.1.1 of IHI 0044F, weak references): a
    branch goes to the next instruction, a distance is 0, an address is 0."""
    if type_ in _ARM_BRANCHES or type_ in _THUMB_BRANCHES:
        return Target(p + 4, thumb=type_ in _THUMB_BRANCHES)
    return Target(p if type_ in _RELATIVE else 0, thumb=False)
