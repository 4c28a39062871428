"""Object files put in their place: laid out, their symbols resolved, their code patched.

What Linux's linker does for built-in drivers and kernel/module.c for modules; addresses are
virtual.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bootsim.errors import BootsimError
from bootsim.guest.elf import (
    SHN_ABS,
    SHN_COMMON,
    SHN_UNDEF,
    FileKind,
    ObjectFile,
    Relocation,
    Section,
    Symbol,
)
from bootsim.guest.relocate import (
    NOTHING,
    R_ARM_RELATIVE,
    RelocationError,
    Target,
    apply_relocate,
)

# Unwinding tables of the ARM EABI: nobody reads them here (arch/arm/kernel/vmlinux.lds.S).
_DISCARDED = (".ARM.exidx", ".ARM.extab")

Resolve = Callable[[str], Target | None]


class PlacedSymbol(NamedTuple):
    """A named function or object and the memory that it has: addresses in bytes, virtual."""

    address: int
    size: int
    name: str
    is_function: bool
    is_local: bool
    thumb: bool = False
    file: str = ""


@dataclass(slots=True)
class Module:
    """Object files as they lie in memory from `base` to `end`."""

    base: int
    end: int = 0
    objects: list[ObjectFile] = field(default_factory=list)
    pieces: list[tuple[int, bytearray]] = field(default_factory=list)  # address, content
    symbols: list[PlacedSymbol] = field(default_factory=list)  # ascending
    tables: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # section: addr, size
    places: dict[tuple[int, int], int] = field(default_factory=dict)  # file, section: address
    undefined: list[tuple[str, str]] = field(default_factory=list)  # symbol, who refers to it
    called: set[str] = field(default_factory=set)  # own functions that own code refers to

    def symbol(self, name: str) -> PlacedSymbol | None:
        """The symbol called `name`: a global one, or else the first local one."""
        found = [symbol for symbol in self.symbols if symbol.name == name]
        return min(found, key=lambda symbol: symbol.is_local) if found else None

    def symbol_at(self, address: int) -> PlacedSymbol | None:
        """The symbol whose memory holds `address`."""
        index = bisect_right(self.symbols, address, key=lambda symbol: symbol.address) - 1
        while index >= 0 and self.symbols[index].address > address - (1 << 16):
            symbol = self.symbols[index]
            if address < symbol.address + max(symbol.size, 1):
                return symbol
            index -= 1
        return None


def link(objects: Sequence[ObjectFile], base: int, limit: int, resolve: Resolve) -> Module:
    """Relocatable files, one behind the other from `base` on and below `limit`.

    `resolve` knows the kernel's symbols. What nobody defines is listed in `undefined`. Raises
    BootsimError where they do not fit, define a symbol twice, or cannot be patched.
    """
    module = Module(base, objects=list(objects))
    at = base
    for number, object_ in enumerate(objects):
        for section in object_.sections:
            if section.name.startswith(_DISCARDED):
                continue
            at = -(-at // max(section.align, 4)) * max(section.align, 4)
            at = _put(module, number, section, at, limit, object_.name)
    globals_: dict[str, tuple[Target, Symbol, str]] = {}
    for number, object_ in enumerate(objects):
        for symbol in object_.symbols:
            if symbol.section == SHN_COMMON and symbol.name not in globals_:
                align = max(symbol.value, 4)
                section = Section(0, ".bss", 0, symbol.size, align, None)
                address = -(-at // align) * align
                at = _put(module, number, section, address, limit, object_.name, keep=False)
                globals_[symbol.name] = Target(address, thumb=False), symbol, object_.name
                module.symbols.append(
                    PlacedSymbol(address, symbol.size, symbol.name, False, False, False, object_.name)
                )
                continue
            placed = _place(module, number, symbol)
            if placed is None:
                continue
            if symbol.type in ("STT_FUNC", "STT_OBJECT", "STT_NOTYPE") and symbol.name:
                if not symbol.name.startswith(("$", ".L")):
                    module.symbols.append(_placed_symbol(placed, symbol, object_.name))
            if not symbol.is_local:
                _define(globals_, symbol, placed, object_.name)
    module.end = at
    module.symbols.sort()
    _relocate(module, globals_, resolve)
    return module


def _put(
    module: Module,
    number: int,
    section: Section,
    address: int,
    limit: int,
    name: str,
    *,
    keep: bool = True,
) -> int:
    """Give `section` its memory; where that ends."""
    if address + section.size > limit:
        raise BootsimError(
            f"{name}: {section.name} with {section.size:#x} bytes does not fit below {limit:#010x}"
        )
    module.pieces.append((address, bytearray(section.data or bytes(section.size))))
    if keep:
        module.places[number, section.index] = address
        module.tables.setdefault(section.name, []).append((address, section.size))
    return address + section.size


def _place(module: Module, number: int, symbol: Symbol) -> Target | None:
    """Where a symbol that its file defines has come to; None for others, and what was left out."""
    if symbol.section == SHN_ABS:
        return Target(symbol.value, thumb=False)
    if symbol.section in (SHN_UNDEF, SHN_COMMON) or (number, symbol.section) not in module.places:
        return None
    thumb = symbol.type == "STT_FUNC" and bool(symbol.value & 1)
    return Target(module.places[number, symbol.section] + (symbol.value & ~1 if thumb else symbol.value), thumb)


def _placed_symbol(placed: Target, symbol: Symbol, name: str) -> PlacedSymbol:
    is_function = symbol.type == "STT_FUNC"
    return PlacedSymbol(
        *(placed.address, symbol.size, symbol.name, is_function, symbol.is_local),
        *(placed.thumb, name),
    )


def _define(
    globals_: dict[str, tuple[Target, Symbol, str]], symbol: Symbol, placed: Target, name: str
) -> None:
    _, other, file = globals_.get(symbol.name, (None, None, ""))
    if other is not None and not other.is_weak and other.section != SHN_COMMON:
        if symbol.is_weak:
            return
        raise BootsimError(f"'{symbol.name}' is defined in {file} and in {name}")
    globals_[symbol.name] = placed, symbol, name


def _relocate(
    module: Module, globals_: dict[str, tuple[Target, Symbol, str]], resolve: Resolve
) -> None:
    contents = dict(module.pieces)
    for number, object_ in enumerate(module.objects):
        targets: dict[int, Target | None] = {}
        for section in object_.sections:
            address = module.places.get((number, section.index))
            if address is None:
                continue
            for relocation in section.relocations:
                if relocation.type in NOTHING:
                    continue
                if relocation.symbol not in targets:
                    targets[relocation.symbol] = _target(
                        module, number, object_.symbols[relocation.symbol], globals_, resolve
                    )
                target = targets[relocation.symbol]
                symbol = object_.symbols[relocation.symbol]
                place = address + relocation.offset
                user = module.symbol_at(place)
                if user is None or user.name != symbol.name:  # of its own address no one is called
                    module.called.add(symbol.name)
                if target is None:
                    where = f"{user.name}()" if user and user.is_function else section.name
                    if (symbol.name, where) not in module.undefined:
                        module.undefined.append((symbol.name, where))
                    continue
                _patch(contents[address], relocation, relocation.offset, place, target, symbol.name, object_.name)


def _target(
    module: Module,
    number: int,
    symbol: Symbol,
    globals_: dict[str, tuple[Target, Symbol, str]],
    resolve: Resolve,
) -> Target | None:
    if not symbol.is_local and symbol.name in globals_:
        return globals_[symbol.name][0]
    placed = _place(module, number, symbol)
    if placed is None and symbol.section == SHN_UNDEF:
        placed = resolve(symbol.name)
        if placed is None and symbol.is_weak:
            return Target(0, thumb=False)
    return placed


def _patch(
    content: bytearray,
    relocation: Relocation,
    offset: int,
    place: int,
    target: Target,
    symbol: str,
    name: str,
) -> None:
    word = int.from_bytes(content[offset : offset + 4], "little")
    try:
        word = apply_relocate(relocation.type, word, target, place, relocation.addend)
    except RelocationError as error:
        raise BootsimError(f"{name}: '{symbol}' at {place:#010x}: {error}") from error
    content[offset : offset + 4] = word.to_bytes(4, "little")


def load_program(program: ObjectFile, base: int, limit: int, resolve: Resolve) -> Module:
    """A linked file: a program at its own addresses (EXEC), which must lie from `base` to below
    `limit`, or one that can lie anywhere (DYN), at `base`.

    Raises BootsimError where it does not fit or cannot be patched.
    """
    low = min(segment.address for segment in program.sections)
    shift = 0 if program.kind is FileKind.EXEC else base - (low & -0x1000)
    module = Module(low + shift, objects=[program])
    for number, segment in enumerate(program.sections):
        address, end = segment.address + shift, segment.address + shift + segment.size
        if not base <= address <= end <= limit:
            raise BootsimError(
                f"{program.name}: {segment.name} at {address:#010x}-{end:#010x} lies outside of"
                f" {base:#010x}-{limit:#010x}, where guest code may be"
            )
        content = bytearray(segment.size)
        content[: len(segment.data or b"")] = segment.data or b""
        module.pieces.append((address, content))
        module.places[0, number] = shift
        module.end = max(module.end, end)
    for symbol in program.symbols:
        if symbol.section == SHN_UNDEF or symbol.type not in ("STT_FUNC", "STT_OBJECT"):
            continue
        thumb = symbol.type == "STT_FUNC" and bool(symbol.value & 1)
        placed = Target(symbol.value - thumb + shift & 0xFFFFFFFF, thumb)
        module.symbols.append(_placed_symbol(placed, symbol, program.name))
    module.symbols.sort()
    for relocation in program.relocations:
        _relocate_dynamic(module, program, relocation, shift, resolve)
    return module


def _relocate_dynamic(
    module: Module, program: ObjectFile, relocation: Relocation, shift: int, resolve: Resolve
) -> None:
    if relocation.type in NOTHING:
        return
    place = relocation.offset + shift
    for address, content in module.pieces:
        if address <= place and place + 4 <= address + len(content):
            break
    else:
        raise BootsimError(f"{program.name}: a relocation at {place:#010x}, outside of the program")
    symbol = program.dynamic_symbols[relocation.symbol] if program.dynamic_symbols else None
    if relocation.type == R_ARM_RELATIVE or symbol is None:
        target: Target | None = Target(shift, thumb=False)
    elif symbol.section != SHN_UNDEF:
        thumb = symbol.type == "STT_FUNC" and bool(symbol.value & 1)
        target = Target(symbol.value - thumb + shift, thumb)
    else:
        target = resolve(symbol.name)
        if target is None and symbol.is_weak:
            target = Target(0, thumb=False)
    name = symbol.name if symbol else "?"
    if target is None:
        module.undefined.append((name, program.name))
        return
    _patch(content, relocation, place - address, place, target, name, program.name)


def walk_symbols(modules: Iterable[Module]) -> Iterator[PlacedSymbol]:
    """The symbols of all `modules`."""
    for module in modules:
        yield from module.symbols
