"""Guest code as it lies in memory, and which symbol an address belongs to.

Source of the rules: System V ABI, Symbol Table; kernel/kallsyms.c.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bootsim.guest.elf import ObjectFile


class PlacedSymbol(NamedTuple):
    """A named function or object and the memory that it has: addresses in bytes, virtual.

    `is_local` is also a weak one in whose place another is used.
    """

    address: int
    size: int
    name: str
    is_function: bool
    is_local: bool
    thumb: bool = False
    file: str = ""

    @property
    def end(self) -> int:
        return self.address + self.size


@dataclass(slots=True)
class Module:
    """Object files as they lie in memory from `base` to `end`.

    `undefined` has the first of the symbols that nobody defines; `entry` is what a linked file
    itself gives as its entry.
    """

    base: int
    end: int = 0
    objects: list[ObjectFile] = field(default_factory=list)
    pieces: list[tuple[int, bytearray]] = field(default_factory=list)  # address, content
    symbols: list[PlacedSymbol] = field(default_factory=list)  # ascending
    tables: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # section: addr, size
    places: dict[tuple[int, int], int] = field(default_factory=dict)  # file, section: address
    undefined: list[tuple[str, str]] = field(default_factory=list)  # symbol, who refers to it
    called: set[str] = field(default_factory=set)  # own functions that own code refers to
    entry: int = 0
    _changes: list[int] = field(default_factory=list)  # where another symbol's memory begins
    _owners: list[PlacedSymbol | None] = field(default_factory=list)  # whose that is

    def symbol(self, name: str) -> PlacedSymbol | None:
        """The symbol called `name`: a global one, or else the first local one."""
        found = [symbol for symbol in self.symbols if symbol.name == name]
        return min(found, key=lambda symbol: symbol.is_local) if found else None

    def symbol_at(self, address: int) -> PlacedSymbol | None:
        """The symbol whose memory holds `address`, the innermost if there are several."""
        index = bisect_right(self._changes, address) - 1
        return self._owners[index] if index >= 0 else None

    def owners(self, start: int, end: int) -> Iterator[tuple[int, int, PlacedSymbol]]:
        """The stretches of this range that belong to one symbol each, ascending."""
        first = max(bisect_right(self._changes, start) - 1, 0)
        for index in range(first, bisect_left(self._changes, end)):
            owner = self._owners[index]
            following = [*self._changes[index + 1 : index + 2], end]
            if owner is not None:
                yield max(self._changes[index], start), min(following), owner

    def place_symbols(self, symbols: Iterable[PlacedSymbol]) -> None:
        """Take `symbols`. One without a size, as assembly has them, reaches to what comes next,
        unless it is a label inside of another."""
        found = sorted(symbols, key=_innermost_last)
        self._changes, self._owners = _owners(found)
        ends = (address + len(content) for address, content in self.pieces)
        borders = sorted({*(symbol.address for symbol in found), *ends})
        for index, symbol in enumerate(found):
            if not symbol.size and self.symbol_at(symbol.address) is None:
                at = symbol.address
                found[index] = symbol._replace(size=_after(at, borders, default=at) - at)
        self.symbols = sorted(found, key=_innermost_last)
        self._changes, self._owners = _owners(self.symbols)


def _innermost_last(symbol: PlacedSymbol) -> tuple[int, int, bool, bool, str]:
    """Of names for the same memory, the one to be known by comes last (kernel/kallsyms.c)."""
    return (
        *(symbol.address, -symbol.size, symbol.is_function, not symbol.is_local),
        symbol.name,
    )


def _after(address: int, ascending: Sequence[int], default: int) -> int:
    """The first of `ascending` behind `address`."""
    index = bisect_right(ascending, address)
    return ascending[index] if index < len(ascending) else default


def _owners(symbols: list[PlacedSymbol]) -> tuple[list[int], list[PlacedSymbol | None]]:
    """Where whose memory begins, for `symbols` in the order of _innermost_last."""
    changes: list[int] = []
    owners: list[PlacedSymbol | None] = []
    around: list[PlacedSymbol] = []  # that hold the current address, the innermost last

    def note(address: int, owner: PlacedSymbol | None) -> None:
        if changes and changes[-1] == address:
            owners[-1] = owner
        else:
            changes.append(address)
            owners.append(owner)

    def leave(address: int) -> None:
        while around and around[-1].end <= address:
            end = around.pop().end
            while around and around[-1].end <= end:
                around.pop()
            note(end, around[-1] if around else None)

    for symbol in symbols:
        if symbol.size:
            leave(symbol.address)
            around.append(symbol)
            note(symbol.address, symbol)
    leave(1 << 64)
    return changes, owners
