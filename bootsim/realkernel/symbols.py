"""The symbols of a kernel: by name, by address; and System.map, which lists them.

A kernel has some 50,000, of which a boot asks for a few dozen: they stay packed, as they lie in the
cache, and what is asked for is found by bisection.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import gt

from bootsim.errors import BootsimError

_MAP_LINE = re.compile(rb"([0-9a-fA-F]{8}) ([A-Za-z?-]) ([!-~]+)(?:\t\[[!-~]*\])?\r?\n")
_NEAR_NAMES = 3
_LINE_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol; `kind` is nm's letter: T and t for global and local functions, D, R, B, ..."""

    address: int
    kind: str
    name: str


class Symbols:
    """Symbols, by address; those that share one lie as their table has them."""

    def __init__(
        self,
        addresses: array[int],
        kinds: bytes,
        starts: array[int],
        names: bytes,
        order: array[int],
    ) -> None:
        """What pack() makes: the name of symbol `i` lies at `starts[i]` of `names`, up to a
        newline; `order` is the symbols' numbers, sorted by name."""
        self.addresses = addresses
        self.kinds = kinds
        self.starts = starts
        self.names = names
        self.order = order
        end = self.get("_end")
        self._text = self.get("_text") or 0
        self._end = end
        self._text_end = self.get("_etext") if end is None else None

    @classmethod
    def pack(cls, addresses: Sequence[int], kinds: bytes, names: Sequence[bytes]) -> Symbols:
        """The symbols that have these addresses, kinds and names."""
        numbers = range(len(addresses))
        if any(map(gt, addresses, addresses[1:])):
            by_address = sorted(numbers, key=addresses.__getitem__)
            addresses = [addresses[number] for number in by_address]
            kinds = bytes(kinds[number] for number in by_address)
            names = [names[number] for number in by_address]
        starts = array("I")
        at = 0
        for name in names:
            starts.append(at)
            at += len(name) + 1
        order = array("I", sorted(numbers, key=names.__getitem__))
        return cls(array("I", addresses), kinds, starts, b"\n".join([*names, b""]), order)

    def __len__(self) -> int:
        return len(self.addresses)

    def __iter__(self) -> Iterator[Symbol]:
        names = self.names.decode("ascii").split("\n")
        for address, kind, name in zip(self.addresses, self.kinds, names, strict=False):
            yield Symbol(address, chr(kind), name)

    def __getitem__(self, number: int) -> Symbol:
        name = self._name(number).decode("ascii")
        return Symbol(self.addresses[number], chr(self.kinds[number]), name)

    # By name.

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def get(self, name: str) -> int | None:
        """The address of `name`, the lowest where several have it; None where nothing has."""
        return next(self._addresses_of(name), None)

    def address(self, name: str) -> int:
        """As get(), but raises BootsimError where nothing has that name."""
        found = self.get(name)
        if found is None:
            near = ", ".join(self._near(name))
            raise BootsimError(
                f"the kernel has no symbol {name!r}" + (f"; near it: {near}" if near else "")
            )
        return found

    def addresses_of(self, name: str) -> tuple[int, ...]:
        """Each address that has `name`: static functions of several files may share one."""
        return tuple(self._addresses_of(name))

    def _addresses_of(self, name: str) -> Iterator[int]:
        key = name.encode()
        for place in range(bisect_left(self.order, key, key=self._name), len(self.order)):
            number = self.order[place]
            if self._name(number) != key:
                return
            yield self.addresses[number]

    def _name(self, number: int) -> bytes:
        start = self.starts[number]
        return self.names[start : self.names.index(b"\n", start)]

    def _near(self, name: str) -> list[str]:
        import difflib  # noqa: PLC0415 - 3 ms

        names = self.names.decode("ascii").split("\n")
        return difflib.get_close_matches(name, names, _NEAR_NAMES)

    # By address.

    def at(self, address: int) -> Symbol | None:
        """The symbol that `address` lies in, the first of those that begin where it does."""
        number = self._number_at(address)
        return None if number is None else self[number]

    def function_at(self, address: int) -> str:
        """`name+0xoffset/0xsize`, or the address where nothing is known: sprint_symbol()."""
        number = self._number_at(address)
        if number is None:
            return f"{address:#x}"
        start, end = self._range(number)
        return f"{self[number].name}+{address - start:#x}/{end - start:#x}"

    def range_of(self, name: str) -> tuple[int, int]:
        """Where `name` begins and the next symbol does. Raises BootsimError as address() does."""
        return self._range(bisect_left(self.addresses, self.address(name)))

    def _range(self, number: int) -> tuple[int, int]:
        start = self.addresses[number]
        behind = bisect_right(self.addresses, start)
        return start, self.addresses[behind] if behind < len(self) else start

    def _number_at(self, address: int) -> int | None:
        """get_symbol_pos(), for what is_ksym_addr() takes for an address of the kernel.

        Tables without data (CONFIG_KALLSYMS_ALL is off) know nothing behind the two texts.
        """
        number = bisect_right(self.addresses, address) - 1
        if number < 0 or address < self._text or (self._end is not None and address >= self._end):
            return None
        start = self.addresses[number]
        if address > start and start in (self.addresses[-1], self._text_end):
            return None
        return bisect_left(self.addresses, start)


def parse_system_map(content: bytes, source: str) -> Symbols:
    """The symbols that System.map, or nm, lists; `source` is for messages.

    Raises BootsimError, with the line, for anything else.
    """
    if content and not content.endswith(b"\n"):
        content += b"\n"
    addresses: list[int] = []
    kinds = bytearray()
    names: list[bytes] = []
    at = 0
    for match in _MAP_LINE.finditer(content):
        if match.start() != at:
            break
        address, kind, name = match.groups()
        addresses.append(int(address, 16))
        kinds += kind
        names.append(name)
        at = match.end()
    if at < len(content) or not names:
        line = content[at : at + _LINE_SHOWN].split(b"\n")[0].decode("ascii", "backslashreplace")
        raise BootsimError(
            f"{source}:{len(names) + 1}: expected an address of 8 digits, a letter and a name, as"
            f" in `c0008000 T _text`; found {line!r}"
        )
    return Symbols.pack(addresses, bytes(kinds), names)
