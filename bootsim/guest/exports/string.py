"""Strings and memory, for guest code: lib/string.c, lib/string_helpers.c, arch/arm/lib/."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bootsim.guest.exports import Export

if TYPE_CHECKING:
    from bootsim.guest.guest import Guest

_SIZE_MAX = 0xFFFFFFFF
_E2BIG = 7
_U32 = 0xFFFFFFFF
_CELLS = 1 << 18  # what is done in one piece, so that a large request takes no large memory


def _memset(guest: Guest, s: int, c: int, count: int) -> int:
    guest.memory.fill(s, c & 0xFF, count)
    return s


def _memzero(guest: Guest, s: int, count: int) -> None:
    guest.memory.fill(s, 0, count)


def _aeabi_memset(guest: Guest, s: int, count: int, c: int) -> None:
    guest.memory.fill(s, c & 0xFF, count)


def _memset_cells(width: int) -> Callable[[Guest, int, int, int], int]:
    """memset16() and memset32(): `count` cells of `width` bytes."""

    def serve(guest: Guest, s: int, value: int, count: int) -> int:
        cell = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
        for start in range(0, count, _CELLS):
            part = cell * min(_CELLS, count - start)
            guest.memory.write(s + start * width & _U32, part)
        return s

    return serve


def _memcpy(guest: Guest, dest: int, src: int, count: int) -> int:
    guest.memory.copy(dest, src, count)
    return dest


def _aeabi_memcpy(guest: Guest, dest: int, src: int, count: int) -> None:
    _memcpy(guest, dest, src, count)


def _memcmp(guest: Guest, a: int, b: int, count: int) -> int:
    for start in range(0, count, _CELLS):
        part = min(_CELLS, count - start)
        x, y = guest.memory.read(a + start & _U32, part), guest.memory.read(b + start & _U32, part)
        if x != y:
            return _difference(x, y)
    return 0


def _difference(a: bytes, b: bytes) -> int:
    """The difference of the first two bytes that differ, else of the first that only one has."""
    for x, y in zip(a, b, strict=False):
        if x != y:
            return x - y
    return 0


def _memchr(guest: Guest, s: int, c: int, count: int) -> int:
    for piece in guest.memory.pieces(s, count):
        at = piece.find(c & 0xFF)
        if at >= 0:
            return s + at
        s += len(piece)
    return 0


def _memchr_inv(guest: Guest, s: int, c: int, count: int) -> int:
    for piece in guest.memory.pieces(s, count):
        rest = piece.lstrip(bytes([c & 0xFF]))
        if rest:
            return s + len(piece) - len(rest)
        s += len(piece)
    return 0


def _memscan(guest: Guest, s: int, c: int, count: int) -> int:
    return _memchr(guest, s, c, count) or s + count


def _found(base: int, index: int) -> int:
    return base + index if index >= 0 else 0


def _strlen(guest: Guest, s: int) -> int:
    return len(guest.memory.string(s))


def _strnlen(guest: Guest, s: int, count: int) -> int:
    return len(guest.memory.string(s, count))


def _strcpy(guest: Guest, dest: int, src: int) -> int:
    guest.memory.write(dest, guest.memory.string(src) + b"\0")
    return dest


def _stpcpy(guest: Guest, dest: int, src: int) -> int:
    text = guest.memory.string(src)
    guest.memory.write(dest, text + b"\0")
    return dest + len(text)


def _strncpy(guest: Guest, dest: int, src: int, count: int) -> int:
    text = guest.memory.string(src, count)
    guest.memory.write(dest, text)
    guest.memory.fill(dest + len(text) & _U32, 0, count - len(text))
    return dest


def _strlcpy(guest: Guest, dest: int, src: int, size: int) -> int:
    text = guest.memory.string(src)
    if size:
        guest.memory.write(dest, text[: size - 1] + b"\0")
    return len(text)


def _strscpy(guest: Guest, dest: int, src: int, count: int) -> int:
    if not 0 < count <= _SIZE_MAX >> 1:
        return -_E2BIG
    text = guest.memory.string(src, count)
    guest.memory.write(dest, text[: count - 1] + b"\0")
    return len(text) if len(text) < count else -_E2BIG


def _strcat(guest: Guest, dest: int, src: int) -> int:
    end = dest + _strlen(guest, dest)
    _strcpy(guest, end, src)
    return dest


def _strncat(guest: Guest, dest: int, src: int, count: int) -> int:
    if count:
        end = dest + _strlen(guest, dest)
        guest.memory.write(end, guest.memory.string(src, count) + b"\0")
    return dest


def _strlcat(guest: Guest, dest: int, src: int, size: int) -> int:
    length = _strlen(guest, dest)
    return length + _strlcpy(guest, dest + length, src, max(size - length, 0))


def _strcmp(guest: Guest, a: int, b: int) -> int:
    x, y = guest.memory.string(a) + b"\0", guest.memory.string(b) + b"\0"
    return (x > y) - (x < y)


def _strncmp(guest: Guest, a: int, b: int, count: int) -> int:
    x, y = guest.memory.string(a, count), guest.memory.string(b, count)
    return (x > y) - (x < y)


def _lower(text: bytes) -> bytes:
    return text.lower()


def _strcasecmp(guest: Guest, a: int, b: int) -> int:
    x, y = _lower(guest.memory.string(a)) + b"\0", _lower(guest.memory.string(b)) + b"\0"
    return _difference(x, y)


def _strncasecmp(guest: Guest, a: int, b: int, count: int) -> int:
    x, y = _lower(guest.memory.string(a, count)), _lower(guest.memory.string(b, count))
    return _difference(x + b"\0", y + b"\0")


def _strchr(guest: Guest, s: int, c: int) -> int:
    return _found(s, (guest.memory.string(s) + b"\0").find(c & 0xFF))


def _strchrnul(guest: Guest, s: int, c: int) -> int:
    text = guest.memory.string(s)
    at = text.find(c & 0xFF)
    return s + (at if at >= 0 else len(text))


def _strrchr(guest: Guest, s: int, c: int) -> int:
    return _found(s, (guest.memory.string(s) + b"\0").rfind(c & 0xFF))


def _strnchr(guest: Guest, s: int, count: int, c: int) -> int:
    text = guest.memory.string(s, count)
    return _found(s, (text + b"\0" * (len(text) < count)).find(c & 0xFF))


def _strstr(guest: Guest, a: int, b: int) -> int:
    return _found(a, guest.memory.string(a).find(guest.memory.string(b)))


def _strnstr(guest: Guest, a: int, b: int, count: int) -> int:
    return _found(a, guest.memory.string(a, count).find(guest.memory.string(b)))


def _strspn(guest: Guest, s: int, accept: int) -> int:
    text = guest.memory.string(s)
    return len(text) - len(text.lstrip(guest.memory.string(accept)))


def _strcspn(guest: Guest, s: int, reject: int) -> int:
    text, letters = guest.memory.string(s), guest.memory.string(reject)
    return next((at for at, letter in enumerate(text) if letter in letters), len(text))


def _strpbrk(guest: Guest, s: int, accept: int) -> int:
    text, letters = guest.memory.string(s), guest.memory.string(accept)
    return _found(s, next((at for at, letter in enumerate(text) if letter in letters), -1))


def _strsep(guest: Guest, s: int, ct: int) -> int:
    begin = guest.memory.u32(s)
    if not begin:
        return 0
    end = _strpbrk(guest, begin, ct)
    if end:
        guest.memory.write(end, b"\0")
        end += 1
    guest.memory.put_u32(s, end)
    return begin


def _skip_spaces(guest: Guest, s: int) -> int:
    text = guest.memory.string(s)
    return s + len(text) - len(text.lstrip(_SPACES))


def _strim(guest: Guest, s: int) -> int:
    text = guest.memory.string(s)
    guest.memory.write(s + len(text.rstrip(_SPACES)), b"\0")
    return _skip_spaces(guest, s)


_SPACES = b" \t\n\v\f\r\xa0"  # isspace(), include/linux/ctype.h

EXPORTS = (
    Export("void *memset(void *s, int c, size_t count)", _memset),
    Export("void __memzero(void *s, size_t count)", _memzero),
    Export("void *memset16(u16 *s, u16 v, size_t count)", _memset_cells(2)),
    Export("void *memset32(u32 *s, u32 v, size_t count)", _memset_cells(4)),
    Export(
        "void *__memset32(u32 *s, u32 v, size_t count)",
        lambda guest, s, v, count: _memset_cells(4)(guest, s, v, count // 4),
    ),
    Export("void *memcpy(void *dest, const void *src, size_t count)", _memcpy),
    Export("void *memmove(void *dest, const void *src, size_t count)", _memcpy),
    Export("int memcmp(const void *a, const void *b, size_t count)", _memcmp),
    Export("int bcmp(const void *a, const void *b, size_t count)", _memcmp),
    Export("void *memchr(const void *s, int c, size_t count)", _memchr),
    Export("void *memchr_inv(const void *s, int c, size_t count)", _memchr_inv),
    Export("void *memscan(void *s, int c, size_t count)", _memscan),
    Export("size_t strlen(const char *s)", _strlen),
    Export("size_t strnlen(const char *s, size_t count)", _strnlen),
    Export("char *strcpy(char *dest, const char *src)", _strcpy),
    Export("char *stpcpy(char *dest, const char *src)", _stpcpy),
    Export("char *strncpy(char *dest, const char *src, size_t count)", _strncpy),
    Export("size_t strlcpy(char *dest, const char *src, size_t size)", _strlcpy),
    Export("ssize_t strscpy(char *dest, const char *src, size_t count)", _strscpy),
    Export("char *strcat(char *dest, const char *src)", _strcat),
    Export("char *strncat(char *dest, const char *src, size_t count)", _strncat),
    Export("size_t strlcat(char *dest, const char *src, size_t size)", _strlcat),
    Export("int strcmp(const char *a, const char *b)", _strcmp),
    Export("int strncmp(const char *a, const char *b, size_t count)", _strncmp),
    Export("int strcasecmp(const char *a, const char *b)", _strcasecmp),
    Export("int strncasecmp(const char *a, const char *b, size_t count)", _strncasecmp),
    Export("char *strchr(const char *s, int c)", _strchr),
    Export("char *strchrnul(const char *s, int c)", _strchrnul),
    Export("char *strrchr(const char *s, int c)", _strrchr),
    Export("char *strnchr(const char *s, size_t count, int c)", _strnchr),
    Export("char *strstr(const char *a, const char *b)", _strstr),
    Export("char *strnstr(const char *a, const char *b, size_t count)", _strnstr),
    Export("size_t strspn(const char *s, const char *accept)", _strspn),
    Export("size_t strcspn(const char *s, const char *reject)", _strcspn),
    Export("char *strpbrk(const char *s, const char *accept)", _strpbrk),
    Export("char *strsep(char **s, const char *ct)", _strsep),
    Export("char *skip_spaces(const char *s)", _skip_spaces),
    Export("char *strim(char *s)", _strim),
    *(
        Export(f"void __aeabi_{name}{align}(void *dest, const void *src, size_t n)", _aeabi_memcpy)
        for name in ("memcpy", "memmove")
        for align in ("", "4", "8")
    ),
    *(
        Export(f"void __aeabi_memset{align}(void *s, size_t n, int c)", _aeabi_memset)
        for align in ("", "4", "8")
    ),
    *(
        Export(f"void __aeabi_memclr{align}(void *s, size_t n)", _memzero)
        for align in ("", "4", "8")
    ),
)
