"""C prototypes of the functions that Python serves to guest code, and how their values travel.

Source: AAPCS (IHI 0042F), 5.4 to 5.5: words in r0 to r3 and then on the stack, 64-bit values in a
pair that begins at an even register or an 8-byte boundary; results in r0, or r0 and r1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from bootsim.errors import BootsimError


class Kind(Enum):
    """How a C type travels."""

    VOID = "void"
    BOOL = "bool"
    U8 = "u8"
    U16 = "u16"
    U32 = "u32"
    S32 = "s32"
    U64 = "u64"
    S64 = "s64"
    POINTER = "pointer"
    MEMBLOCK_TYPE = "struct memblock_type *"
    VA_LIST = "va_list"

    @property
    def words(self) -> int:
        """32-bit words that a value takes."""
        return 2 if self in (Kind.U64, Kind.S64) else 1


_WORDS = {
    "void": Kind.VOID,
    "bool": Kind.BOOL,
    "char": Kind.U8,
    "u8": Kind.U8,
    "u16": Kind.U16,
    "int": Kind.S32,
    "long": Kind.S32,
    "unsigned": Kind.U32,
    "unsigned int": Kind.U32,
    "unsigned long": Kind.U32,
    "unsigned long long": Kind.U64,
    "long long": Kind.S64,
    "u32": Kind.U32,
    "s32": Kind.S32,
    "u64": Kind.U64,
    "s64": Kind.S64,
    "size_t": Kind.U32,
    "ssize_t": Kind.S32,
    "phys_addr_t": Kind.U32,
    "resource_size_t": Kind.U32,
    "gfp_t": Kind.U32,
    "va_list": Kind.VA_LIST,
}
_DECLARATOR = re.compile(r"(?P<type>.*?[\s*])(?P<name>\w+)(?:\[\])?$")
_FUNCTION = re.compile(r"(?P<result>.*?[\s*])(?P<name>\w+)\((?P<parameters>.*)\)$")
_FUNCTION_POINTER = re.compile(r"\(\*(?P<name>\w+)\)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name, and how it travels."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Prototype:
    """A function as C declares it; `variadic` if its parameters end with `...`."""

    text: str
    name: str
    result: Kind
    parameters: tuple[Parameter, ...]
    variadic: bool


@lru_cache(maxsize=1024)
def parse_prototype(text: str) -> Prototype:
    """Read `text`, a declaration on one line without its semicolon.

    Raises BootsimError for a type that is not known.
    """
    match = _FUNCTION.match(text)
    if match is None:
        raise BootsimError(f"'{text}' is no prototype")
    pieces = _split(match["parameters"])
    variadic = pieces[-1:] == ["..."]
    if variadic:
        pieces.pop()
    return Prototype(
        text=text,
        name=match["name"],
        result=_kind(match["result"], text),
        parameters=tuple(_parameter(piece, text) for piece in pieces if piece != "void"),
        variadic=variadic,
    )


def _split(parameters: str) -> list[str]:
    """At the commas that are in no parentheses of a function pointer's."""
    pieces, depth, start = [], 0, 0
    for position, letter in enumerate(parameters):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            pieces.append(parameters[start:position].strip())
            start = position + 1
    return [*pieces, parameters[start:].strip()]


def _parameter(text: str, function: str) -> Parameter:
    pointer = _FUNCTION_POINTER.search(text)
    if pointer:
        return Parameter(pointer["name"], Kind.POINTER)
    match = _DECLARATOR.match(text)
    if match is None:
        raise BootsimError(f"'{text}' in '{function}' is no parameter")
    type_ = match["type"] + ("*" if text.endswith("[]") else "")
    return Parameter(match["name"], _kind(type_, function))


def _kind(type_: str, function: str) -> Kind:
    words = " ".join(word for word in type_.split() if word not in ("const", "volatile"))
    if words.endswith("*"):
        return Kind.MEMBLOCK_TYPE if words == "struct memblock_type *" else Kind.POINTER
    if words.startswith("enum "):
        return Kind.U32
    if words not in _WORDS:
        raise BootsimError(f"type '{words}' in '{function}' is not known")
    return _WORDS[words]
