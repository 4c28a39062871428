"""Parameters and options, for guest code: lib/cmdline.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.guest.exports import Api, Export
from bootsim.kernel.kstrtox import simple_strtoll, simple_strtoull

if TYPE_CHECKING:
    from bootsim.guest.guest import Guest

_SPACES = b" \t\n\v\f\r\xa0"  # isspace(), include/linux/ctype.h
_SUFFIXES = b"kmgtpe"  # each 10 bits more than the one before


class _Option(NamedTuple):
    """What get_option() found: how it ended, the number if it read one, where it stopped."""

    found: int  # 0 nothing, 1 a number, 2 one with a comma behind it, 3 one with a hyphen
    value: int | None
    end: int


def _option(text: bytes, at: int, api: Api) -> _Option:
    """The number at `at`. Up to 5.11 a minus sign alone was one, 0."""
    if at >= len(text):
        return _Option(0, None, at)
    value, end = simple_strtoll(text, 0, at)
    if end == at or (api != "5.0" and text[at:end] == b"-"):
        return _Option(0, value, end)
    follower = text[end : end + 1]
    if follower == b",":
        return _Option(2, value, end + 1)
    return _Option(3 if follower == b"-" else 1, value, end)


def _get_option_5_0(guest: Guest, string: int, pint: int) -> int:
    return _get_option(guest, string, pint, "5.0")


def _get_option_6_1(guest: Guest, string: int, pint: int) -> int:
    return _get_option(guest, string, pint, "6.1")


def _get_option(guest: Guest, string: int, pint: int, api: Api) -> int:
    memory = guest.memory
    start = memory.u32(string)
    option = _option(memory.string(start) if start else b"", 0, api)
    if option.value is not None:
        memory.put_u32(string, start + option.end)
        if pint or api == "5.0":
            memory.put_u32(pint, option.value)
    return option.found


def _get_options_5_0(guest: Guest, string: int, nints: int, ints: int) -> int:
    return _get_options(guest, string, nints, ints, "5.0")


def _get_options_6_1(guest: Guest, string: int, nints: int, ints: int) -> int:
    return _get_options(guest, string, nints, ints, "6.1")


def _get_options(guest: Guest, string: int, nints: int, ints: int, api: Api) -> int:
    """Numbers and ranges into `ints`, their count first; with no room (6.1) only the count."""
    memory, text = guest.memory, guest.memory.string(string)
    counts_only = nints == 0 and api != "5.0"
    at, number = 0, 1
    while number < nints or counts_only:
        place = ints if counts_only else ints + 4 * number
        option = _option(text, at, api)
        at = option.end
        if option.value is not None:
            memory.put_u32(place, option.value)
        if not option.found:
            break
        if option.found == 3:
            at += 1
            first, last = _int(option.value or 0), _int(simple_strtoll(text, 0, at)[0])
            room = 0 if counts_only else nints - number
            for offset in range(min(room, last - first)):
                memory.put_u32(place + 4 * offset, first + offset)
            count = _int(last - first)
            if count < 0:
                break
            number = _int(number + count - 1)  # the last one is read again as a number
        number += 1
        if option.found == 1:
            break
    memory.put_u32(ints, number - 1)
    return string + at


def _int(value: int) -> int:
    return (value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000


def _memparse(guest: Guest, text: int, retptr: int) -> int:
    words = guest.memory.string(text)
    value, end = simple_strtoull(words, 0)
    suffix = words[end : end + 1].lower()
    if suffix and suffix in _SUFFIXES:
        value <<= 10 * (_SUFFIXES.index(suffix) + 1)
        end += 1
    if retptr:
        guest.memory.put_u32(retptr, text + end)
    return value


def _parse_option_str(guest: Guest, string: int, option: int) -> bool:
    """Whether `option` is in a list with commas; where it only begins an entry, Linux compares
    what is behind it too."""
    text, wanted = guest.memory.string(string), guest.memory.string(option)
    at = 0
    while at < len(text):
        if text.startswith(wanted, at):
            at += len(wanted)
            if text[at : at + 1] in (b"", b","):
                return True
        at = (text.find(b",", at) + 1) or len(text)
    return False


def _next_arg(guest: Guest, args: int, param: int, val: int) -> int:
    """Split off the first parameter, in place; returns where the next one begins."""
    memory = guest.memory
    quoted = memory.read(args, 1) == b'"'
    args += quoted
    text = memory.string(args)
    end, equals = _argument(text, in_quote=quoted)
    ends: list[int] = []  # what becomes NUL
    memory.put_u32(param, args)
    value = 0
    if equals:
        ends.append(equals)
        value = equals + 1
        # As in C the quote may be that before the value, seen as the one after it.
        if text[value : value + 1] == b'"':
            value += 1
            if text[end - 1] == ord('"'):
                ends.append(end - 1)
    memory.put_u32(val, args + value if value else 0)
    if quoted and end > 0 and text[end - 1] == ord('"'):
        ends.append(end - 1)
    if end < len(text):
        ends.append(end)
    for place in ends:
        memory.write(args + place, b"\0")
    rest = text[end + 1 :]
    return args + min(end + 1, len(text)) + len(rest) - len(rest.lstrip(_SPACES))


def _argument(text: bytes, *, in_quote: bool) -> tuple[int, int]:
    """Where the parameter at the start of `text` ends, and its `=`, 0 for none."""
    equals = 0
    for at, letter in enumerate(text):
        if letter in _SPACES and not in_quote:
            return at, equals
        if letter == ord("=") and not equals:
            equals = at
        if letter == ord('"'):
            in_quote = not in_quote
    return len(text), equals


_INTS = "char *get_options(const char *str, int nints, int *ints)"

EXPORTS = (
    Export("int get_option(char **str, int *pint)", _get_option_5_0, "5.0"),
    Export("int get_option(char **str, int *pint)", _get_option_6_1, "6.1"),
    Export(_INTS, _get_options_5_0, "5.0"),
    Export(_INTS, _get_options_6_1, "6.1"),
    Export("unsigned long long memparse(const char *text, char **retptr)", _memparse),
    Export("bool parse_option_str(const char *str, const char *option)", _parse_option_str),
    Export("char *next_arg(char *args, char **param, char **val)", _next_arg),
)
