"""Command line parsing: parameters, sizes, early parameters.

Linux: kernel/params.c (parse_args), lib/cmdline.c (next_arg, memparse).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from bootsim.errors import KernelPanic

_SUFFIX_SHIFT = {"k": 10, "m": 20, "g": 30, "t": 40, "p": 50, "e": 60}
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")
U64_MASK = (1 << 64) - 1


def memparse(text: str) -> tuple[int, str]:
    """A size in bytes with an optional suffix K to E, and what follows it in `text`.

    lib/cmdline.c memparse(): hexadecimal with 0x, octal with a leading 0; no number reads as 0.
    """
    match = _NUMBER.match(text)
    if match is None:
        return 0, text
    digits = match.group()
    if digits[:2].lower() == "0x":
        value = int(digits, 16)
    else:
        value = int(digits, 8 if digits[0] == "0" else 10)
    rest = text[match.end() :]
    shift = _SUFFIX_SHIFT.get(rest[:1].lower())
    if shift is not None:
        value <<= shift
        rest = rest[1:]
    return value & U64_MASK, rest


def null_parameter(name: str) -> KernelPanic:
    """What becomes of a parameter without `=` whose handler gives its value to memparse()."""
    return KernelPanic(f"{name} without a value: Linux reads through a null pointer and dies")


def next_args(command_line: str) -> Iterator[tuple[str, str | None]]:
    """Each parameter with its value, None where it has no `=` (lib/cmdline.c next_arg).

    Double quotes keep spaces together and are taken off around a whole value or parameter.
    """
    position, length = 0, len(command_line)
    while position < length:
        if command_line[position].isspace():
            position += 1
            continue
        quoted = in_quote = command_line[position] == '"'
        position += quoted
        start, equals = position, 0
        while position < length and (in_quote or not command_line[position].isspace()):
            if command_line[position] == "=" and not equals:
                equals = position - start
            if command_line[position] == '"':
                in_quote = not in_quote
            position += 1
        parameter = command_line[start:position]
        if quoted:
            parameter = parameter.removesuffix('"')
        if not equals:
            yield parameter, None
            continue
        value = parameter[equals + 1 :]
        if value.startswith('"'):
            value = value[1:].removesuffix('"')
        yield parameter[:equals], value


def parameq(a: str, b: str) -> bool:
    """Whether two parameter names are the same: dash and underscore are (kernel/params.c)."""
    return a.replace("-", "_") == b.replace("-", "_")


def parse_early_options(
    command_line: str,
    handlers: Sequence[tuple[str, Callable[[str | None], int]]],
    malformed: Callable[[str], None],
) -> list[str]:
    """Call the handlers of each early parameter in order; returns the names that have none.

    A handler gets the value and returns an errno; another value than 0 is reported to `malformed`
    (init/main.c do_early_param). `console` counts as `earlycon` too. What follows `--` is init's.
    """
    others: list[str] = []
    for name, value in next_args(command_line):
        if name == "--" and value is None:
            break
        mine = [handler for known, handler in handlers if parameq(known, name)]
        if name == "console":
            mine += [handler for known, handler in handlers if known == "earlycon"]
        if not mine:
            others.append(name)
        for handler in mine:
            if handler(value) != 0:
                malformed(name)
    return others
