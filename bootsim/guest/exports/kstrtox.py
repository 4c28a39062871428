"""Numbers out of text, for guest code: lib/kstrtox.c, lib/vsprintf.c."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bootsim.guest.exports import Export
from bootsim.kernel.kstrtox import (
    kstrtobool,
    kstrtoll,
    kstrtoull,
    simple_strtoll,
    simple_strtoull,
)

if TYPE_CHECKING:
    from bootsim.guest.guest import Guest

_EINVAL, _ERANGE = 22, 34  # include/uapi/asm-generic/errno-base.h


def _kstrto(bits: int, *, signed: bool) -> Callable[[Guest, int, int, int], int]:
    """A function of the kstrto*() family for numbers of so many bits."""
    read = kstrtoll if signed else kstrtoull
    low, high = (-1 << bits - 1, 1 << bits - 1) if signed else (0, 1 << bits)

    def serve(guest: Guest, s: int, base: int, res: int) -> int:
        value = read(guest.memory.string(s), base)
        if value is None:
            return -_EINVAL
        if not low <= value < high:
            return -_ERANGE
        guest.memory.write(res, (value & (1 << bits) - 1).to_bytes(bits // 8, "little"))
        return 0

    return serve


def _kstrtobool(*, words: bool) -> Callable[[Guest, int, int], int]:
    def serve(guest: Guest, s: int, res: int) -> int:
        value = kstrtobool(guest.memory.string(s, 2), words=words) if s else None
        if value is None:
            return -_EINVAL
        guest.memory.write(res, bytes([value]))
        return 0

    return serve


def _simple_strto(
    read: Callable[[bytes, int], tuple[int, int]],
) -> Callable[[Guest, int, int, int], int]:
    def serve(guest: Guest, s: int, endp: int, base: int) -> int:
        value, end = read(guest.memory.string(s), base)
        if endp:
            guest.memory.put_u32(endp, s + end)
        return value

    return serve


_RES = "const char *s, unsigned int base"
_FAMILY = (
    ("kstrtoull", "unsigned long long", 64, False),
    ("kstrtoll", "long long", 64, True),
    ("_kstrtoul", "unsigned long", 32, False),
    ("_kstrtol", "long", 32, True),
    ("kstrtouint", "unsigned int", 32, False),
    ("kstrtoint", "int", 32, True),
    ("kstrtou16", "u16", 16, False),
    ("kstrtos16", "s16", 16, True),
    ("kstrtou8", "u8", 8, False),
    ("kstrtos8", "s8", 8, True),
)
_ENDP = "const char *s, char **endp, unsigned int base"

EXPORTS = (
    *(
        Export(f"int {name}({_RES}, {type_} *res)", _kstrto(bits, signed=signed))
        for name, type_, bits, signed in _FAMILY
    ),
    Export("int kstrtobool(const char *s, bool *res)", _kstrtobool(words=False), "5.0"),
    Export("int kstrtobool(const char *s, bool *res)", _kstrtobool(words=True), "6.1"),
    Export(f"unsigned long simple_strtoul({_ENDP})", _simple_strto(simple_strtoull)),
    Export(f"long simple_strtol({_ENDP})", _simple_strto(simple_strtoll)),
    Export(f"unsigned long long simple_strtoull({_ENDP})", _simple_strto(simple_strtoull)),
    Export(f"long long simple_strtoll({_ENDP})", _simple_strto(simple_strtoll)),
)
