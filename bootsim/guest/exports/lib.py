"""The kernel's library, for guest code: lib/vsprintf.c (scanf), lib/string_helpers.c,
and what the modules beside this one hold."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from bootsim.guest.exports import Api, Export, cmdline, hexdump, kstrtox, sort
from bootsim.kernel.sscanf import vsscanf

if TYPE_CHECKING:
    from bootsim.guest.calling import Arguments
    from bootsim.guest.guest import Guest

_EINVAL = 22


def _sscanf_5_0(guest: Guest, buf: int, fmt: int, arguments: Arguments) -> int:
    return _sscanf(guest, buf, fmt, arguments, "5.0")


def _sscanf_6_1(guest: Guest, buf: int, fmt: int, arguments: Arguments) -> int:
    return _sscanf(guest, buf, fmt, arguments, "6.1")


def _sscanf(guest: Guest, buf: int, fmt: int, arguments: Arguments, api: Api) -> int:
    memory, stored = guest.memory, 0
    for item in vsscanf(memory.string(buf), memory.string(fmt), limits_digits=api != "5.0"):
        memory.write(arguments.word(), item.data)
        stored += item.counts
    return stored


def _match_string(guest: Guest, array: int, n: int, string: int) -> int:
    """The index of an equal string among `n`, or before the first null pointer."""
    memory, wanted = guest.memory, guest.memory.string(string)
    for index in count():
        if index >= n or not (item := memory.u32(array + 4 * index & 0xFFFFFFFF)):
            return -_EINVAL
        if memory.string(item) == wanted:
            return index
    raise AssertionError


def _sysfs_streq(guest: Guest, a: int, b: int) -> bool:
    """Whether two strings are equal but for a newline at the end of one."""
    one, other = guest.memory.string(a), guest.memory.string(b)
    return one == other or one == other + b"\n" or one + b"\n" == other


EXPORTS = (
    *kstrtox.EXPORTS,
    *cmdline.EXPORTS,
    *sort.EXPORTS,
    *hexdump.EXPORTS,
    Export("int sscanf(const char *buf, const char *fmt, ...)", _sscanf_5_0, "5.0"),
    Export("int sscanf(const char *buf, const char *fmt, ...)", _sscanf_6_1, "6.1"),
    Export("int vsscanf(const char *buf, const char *fmt, va_list args)", _sscanf_5_0, "5.0"),
    Export("int vsscanf(const char *buf, const char *fmt, va_list args)", _sscanf_6_1, "6.1"),
    Export(
        "int match_string(const char *const *array, size_t n, const char *string)", _match_string
    ),
    Export("bool sysfs_streq(const char *a, const char *b)", _sysfs_streq),
    # It comes up in mm_init(), right after what is modelled.
    Export("bool slab_is_available(void)", lambda _guest: False),
)
