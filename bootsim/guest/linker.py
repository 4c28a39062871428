"""Object files put in their place: laid out, their symbols resolved, their code patched.

What Linux's linker does for built-in drivers and kernel/module.c for modules; addresses are
virtual. Rules of symbols: System V ABI, Symbol Table.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from bootsim.errors import BootsimError
from bootsim.guest.branches import branch_targets
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
from bootsim.guest.module import Module, PlacedSymbol
from bootsim.guest.relocate import (
    NOTHING,
    R_ARM_RELATIVE,
    RelocationError,
    Target,
    apply_relocate,
)

# Unwinding tables of the ARM EABI: nobody reads them here (arch/arm/kernel/vmlinux.lds.S).
_DISCARDED = (".ARM.exidx", ".ARM.extab")
_PAGE = 1 << 12
_UNDEFINED_MAX = 100  # as many as anyone wants to read
_ABSENT = Target(0, thumb=False, absent=True)

Resolve = Callable[[str], Target | None]


# Relocatable files.


def link(objects: Sequence[ObjectFile], base: int, limit: int, resolve: Resolve) -> Module:
    """Relocatable files, one behind the other from `base` on and below `limit`.

    `resolve` knows the kernel's symbols. What nobody defines is listed in `undefined`. Raises
    BootsimError where they do not fit, define a symbol twice, or cannot be patched.
    """
    linker = _Linker(objects, base, limit, resolve)
    linker.place_sections()
    linker.define_symbols()
    linker.relocate()
    return linker.module


class _Definition(NamedTuple):
    """A global symbol and who defines it."""

    symbol: Symbol
    target: Target
    file: str


class _Linker:
    """One link, step by step."""

    def __init__(
        self, objects: Sequence[ObjectFile], base: int, limit: int, resolve: Resolve
    ) -> None:
        self.module = Module(base, base, objects=list(objects))
        self._limit = limit
        self._resolve = resolve
        self._globals: dict[str, _Definition] = {}
        self._undefined: set[tuple[str, str]] = set()

    def place_sections(self) -> None:
        module = self.module
        for number, object_ in enumerate(module.objects):
            for section in object_.sections:
                if not section.name.startswith(_DISCARDED):
                    address = self._put(section, object_.name)
                    module.places[number, section.index] = address
                    module.tables.setdefault(section.name, []).append((address, section.size))

    def _put(self, section: Section, file: str) -> int:
        """Give `section` the memory behind what there is."""
        module = self.module
        align = max(section.align, 4)
        address = -(-module.end // align) * align
        if address + section.size > self._limit:
            raise BootsimError(
                f"{file}: {section.name} with {section.size:#x} bytes does not fit below"
                f" {self._limit:#010x}"
            )
        content = bytearray(section.size if section.data is None else section.data)
        module.pieces.append((address, content))
        module.end = address + section.size
        return address

    def define_symbols(self) -> None:
        symbols = []
        for number, object_ in enumerate(self.module.objects):
            for symbol in object_.symbols:
                target = self._target_in_file(number, symbol)
                if target is None:
                    continue
                if not symbol.is_local:
                    self._define(_Definition(symbol, target, object_.name))
                if symbol.section != SHN_ABS and _has_memory(symbol):
                    symbols.append(_placed_symbol(symbol, target, object_.name))
        symbols += self._place_common()
        self.module.place_symbols(map(self._local_if_unused, symbols))

    def _target_in_file(self, number: int, symbol: Symbol) -> Target | None:
        """Where a symbol that its file defines has come to; None if it does not, or that was left
        out."""
        if symbol.section == SHN_ABS:
            return Target(symbol.value, thumb=False, is_function=False)
        place = self.module.places.get((number, symbol.section))
        if symbol.section in (SHN_UNDEF, SHN_COMMON) or place is None:
            return None
        return _moved(symbol, place)

    def _define(self, new: _Definition) -> None:
        name = new.symbol.name
        known = self._globals.get(name)
        if known is None or (known.symbol.is_weak and not new.symbol.is_weak):
            self._globals[name] = new
        elif not new.symbol.is_weak:
            raise BootsimError(f"'{name}' is defined in {known.file} and in {new.file}")

    def _place_common(self) -> list[PlacedSymbol]:
        """Give each common symbol, an `int x;` of old C, that nobody defines its memory once."""
        largest: dict[str, tuple[Symbol, str]] = {}
        for object_ in self.module.objects:
            for symbol in object_.symbols:
                known = self._globals.get(symbol.name)
                if symbol.section != SHN_COMMON or (known and not known.symbol.is_weak):
                    continue
                other = largest.get(symbol.name, (symbol, ""))[0]
                merged = replace(
                    symbol,
                    size=max(symbol.size, other.size),
                    value=max(symbol.value, other.value),  # its alignment
                )
                largest[symbol.name] = merged, object_.name
        symbols = []
        for symbol, file in largest.values():
            address = self._put(Section(0, ".bss", 0, symbol.size, symbol.value, None), file)
            target = Target(address, thumb=False)
            self._globals[symbol.name] = _Definition(symbol, target, file)
            symbols.append(_placed_symbol(symbol, target, file))
        return symbols

    def _local_if_unused(self, symbol: PlacedSymbol) -> PlacedSymbol:
        used = self._globals.get(symbol.name)
        if symbol.is_local or used is None or used.target.address == symbol.address:
            return symbol
        return symbol._replace(is_local=True)

    def relocate(self) -> None:
        contents = dict(self.module.pieces)
        for number, object_ in enumerate(self.module.objects):
            targets: dict[int, Target | None] = {}
            for section in object_.sections:
                address = self.module.places.get((number, section.index))
                if address is None:
                    continue
                for relocation in section.relocations:
                    if relocation.type in NOTHING:
                        continue
                    index = relocation.symbol
                    symbol = object_.symbols[index] if index else None
                    if index not in targets:
                        targets[index] = self._target(number, symbol)
                    target, place = targets[index], address + relocation.offset
                    user = self.module.symbol_at(place)
                    if symbol and (user is None or user.name != symbol.name):
                        self.module.called.add(symbol.name)  # not by itself alone
                    if target is None:
                        where = f"{user.name}()" if user and user.is_function else section.name
                        self._miss(symbol.name if symbol else "", where)
                        continue
                    name = symbol.name if symbol else ""
                    _patch(contents[address], address, relocation, target, name, object_.name)

    def _target(self, number: int, symbol: Symbol | None) -> Target | None:
        if symbol is None:
            return Target(0, thumb=False)
        if not symbol.is_local and symbol.name in self._globals:
            return self._globals[symbol.name].target
        if symbol.section != SHN_UNDEF:
            return self._target_in_file(number, symbol)
        return self._resolve(symbol.name) or (_ABSENT if symbol.is_weak else None)

    def _miss(self, name: str, user: str) -> None:
        if (name, user) not in self._undefined and len(self._undefined) < _UNDEFINED_MAX:
            self._undefined.add((name, user))
            self.module.undefined.append((name, user))


# Linked files.


def load_program(program: ObjectFile, base: int, limit: int, resolve: Resolve) -> Module:
    """A linked file: a program at its own addresses (EXEC), which must lie from `base` to below
    `limit`, or one that can lie anywhere (DYN), at `base`.

    Raises BootsimError where it does not fit or cannot be patched.
    """
    low = min(segment.address for segment in program.sections)
    align = max(_PAGE, *(segment.align for segment in program.sections))
    shift = 0 if program.kind is FileKind.EXEC else -(-base // align) * align - low // align * align
    module = Module(low + shift, objects=[program])
    for number, segment in enumerate(program.sections):
        address, end = segment.address + shift, segment.address + shift + segment.size
        if not base <= address <= end <= limit:
            raise BootsimError(
                f"{program.name}: {segment.name} at {address:#010x}-{end:#010x} lies outside of"
                f" {base:#010x}-{limit:#010x}, where guest code may be"
            )
        if address < module.end:
            raise BootsimError(
                f"{program.name}: {segment.name} at {address:#010x} lies over another"
            )
        content = bytearray(segment.size)
        content[: len(segment.data or b"")] = segment.data or b""
        module.pieces.append((address, content))
        module.places[0, number] = shift
        module.end = end
    module.place_symbols(
        _placed_symbol(symbol, _moved(symbol, shift), program.name)
        for symbol in program.symbols
        if symbol.section not in (SHN_UNDEF, SHN_ABS) and _has_memory(symbol)
    )
    if program.entry:
        module.entry = program.entry + shift & 0xFFFFFFFF
    for relocation in program.relocations:
        _relocate_dynamic(module, program, relocation, shift, resolve)
    module.called.update(_called(module))
    return module


def _called(module: Module) -> Iterator[str]:
    """The functions that others' code branches to."""
    functions = {symbol.address: symbol.name for symbol in module.symbols if symbol.is_function}
    for start, content in module.pieces:
        for low, high, owner in module.owners(start, start + len(content)):
            if owner.is_function:
                code = bytes(content[low - start : high - start])
                for target in branch_targets(code, low, thumb=owner.thumb):
                    if functions.get(target, owner.name) != owner.name:
                        yield functions[target]


def _relocate_dynamic(
    module: Module, program: ObjectFile, relocation: Relocation, shift: int, resolve: Resolve
) -> None:
    if relocation.type in NOTHING:
        return
    place = relocation.offset + shift
    index = bisect_right(module.pieces, place, key=lambda piece: piece[0]) - 1
    address, content = module.pieces[max(index, 0)]
    if not address <= place <= address + len(content) - 4:
        raise BootsimError(f"{program.name}: a relocation at {place:#010x}, outside of the program")
    symbol = program.dynamic_symbols[relocation.symbol] if relocation.symbol else None
    name = symbol.name if symbol else ""
    target: Target | None
    if symbol is None:
        target = Target(shift if relocation.type == R_ARM_RELATIVE else 0, thumb=False)
    elif symbol.section == SHN_ABS:
        target = Target(symbol.value, thumb=False, is_function=False)
    elif symbol.section != SHN_UNDEF:
        target = _moved(symbol, shift)
    else:
        target = resolve(name) or (_ABSENT if symbol.is_weak else None)
    if target is not None:
        moved = relocation._replace(offset=place - address)
        _patch(content, address, moved, target, name, program.name)
    elif (name, program.name) not in module.undefined and len(module.undefined) < _UNDEFINED_MAX:
        module.undefined.append((name, program.name))


# What both have.


def _has_memory(symbol: Symbol) -> bool:
    """Whether it names a function or an object; mapping symbols ($a, $d) and labels do not."""
    return (
        symbol.type in ("STT_FUNC", "STT_OBJECT", "STT_NOTYPE", "STT_COMMON")
        and symbol.name != ""
        and not symbol.name.startswith(("$", ".L"))
    )


def _moved(symbol: Symbol, by: int) -> Target:
    """Its address without the bit that tells Thumb code, `by` bytes on."""
    is_function = symbol.type == "STT_FUNC"
    thumb = is_function and bool(symbol.value & 1)
    return Target(symbol.value - thumb + by & 0xFFFFFFFF, thumb, is_function=is_function)


def _placed_symbol(symbol: Symbol, target: Target, file: str) -> PlacedSymbol:
    return PlacedSymbol(
        *(target.address, symbol.size, symbol.name, target.is_function, symbol.is_local),
        *(target.thumb, file),
    )


def _patch(
    content: bytearray,
    address: int,
    relocation: Relocation,
    target: Target,
    symbol: str,
    file: str,
) -> None:
    """Apply `relocation` to the content of a section at `address`."""
    offset = relocation.offset
    place = address + offset
    word = int.from_bytes(content[offset : offset + 4], "little")
    try:
        word = apply_relocate(relocation.type, word, target, place, relocation.addend)
    except RelocationError as error:
        raise BootsimError(f"{file}: '{symbol}' at {place:#010x}: {error}") from error
    content[offset : offset + 4] = word.to_bytes(4, "little")
