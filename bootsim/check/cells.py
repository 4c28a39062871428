"""Numbers as the cells of a property: how Linux reads them, and how they are to be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from bootsim.kernel.fdt import read_cells
from bootsim.kernel.libfdt import Fdt, FdtNode
from bootsim.machine.memory import Range

# Physical addresses of any 32-bit ARM, with LPAE, have 40 bits (ARM ARM DDI 0406C, B3.1).
PHYSICAL = 1 << 40
_U32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Cells:
    """How many cells an address and a size have."""

    address: int
    size: int

    @classmethod
    def of_root(cls, fdt: Fdt) -> Cells:
        """Those of the root, with which Linux reads memory and /reserved-memory."""
        values = (fdt.root.props.get(f"#{what}-cells") for what in ("address", "size"))
        return cls(*(1 if value is None else int.from_bytes(value[:4], "big") for value in values))

    def __str__(self) -> str:
        return f"#address-cells {self.address} and #size-cells {self.size}"

    @property
    def entry(self) -> int:
        """The bytes of an address and a size."""
        return 4 * (self.address + self.size)

    def read(self, value: bytes) -> list[Range]:
        """The whole entries of `value`."""
        at = 4 * self.address
        entries = range(0, len(value) - self.entry + 1, self.entry) if self.entry else ()
        return [
            Range(read_cells(value[n : n + at]), read_cells(value[n + at : n + self.entry]))
            for n in entries
        ]

    def bytes(self, entries: Iterable[Range]) -> bytes:
        """`entries` as the value of a property."""
        return b"".join(
            base.to_bytes(4 * self.address, "big") + size.to_bytes(4 * self.size, "big")
            for base, size in entries
        )

    def write(self, entries: Iterable[Range]) -> str:
        """`entries` in DTS, with the angle brackets."""
        words: list[str] = []
        for base, size in entries:
            words += [*_words(base, self.address), *_words(size, self.size)]
        return f"<{' '.join(words)}>"

    def write_size(self, size: int) -> str:
        """A size alone in DTS."""
        return f"<{' '.join(_words(size, self.size))}>"

    def write_address(self, number: int) -> str:
        """What has the cells of an address in DTS, as an alignment has."""
        return f"<{' '.join(_words(number, self.address))}>"


def _words(number: int, count: int) -> Iterator[str]:
    return (f"{number >> 32 * shift & _U32:#x}" for shift in reversed(range(min(count, 16))))


_ALL = (Cells(1, 1), Cells(2, 1), Cells(1, 2), Cells(2, 2))


def meant(node: FdtNode, value: bytes, root: Cells) -> tuple[Cells, list[Range]] | None:
    """The cells that whoever wrote `value`, a reg of `node`, had in mind, and what it says then.

    With the root's own it says something else where its numbers have the upper cell last. None
    where what it says as it is is as good as anything.
    """
    if sound(node, value, root):
        return None
    for cells in _ALL:
        entries = cells.read(value)
        if cells != root and sound(node, value, cells) and all(entry.size for entry in entries):
            return cells, entries
    swapped = [Range(_upper(base), _upper(size)) for base, size in root.read(value)]
    if unit_address(node) is not None and sound(node, root.bytes(swapped), root):
        return root, swapped
    return None


def sound(node: FdtNode, value: bytes, cells: Cells) -> bool:
    """Whether `value` makes sense: whole entries that can be, apart, where the name says."""
    entries = cells.read(value)
    if not cells.address or not cells.size or len(value) % cells.entry or not entries:
        return False
    if any(entry.end > PHYSICAL for entry in entries):
        return False
    placed = sorted(entry for entry in entries if entry.size)
    if any(a.end > b.base for a, b in pairwise(placed)):
        return False
    address = unit_address(node)
    return address is None or address == entries[0].base


def _upper(number: int) -> int:
    """The upper cell of a number that has nothing in the lower one."""
    return number >> 32 if number > _U32 and not number & _U32 else number


def unit_address(node: FdtNode) -> int | None:
    """The address in the node's name, None where there is none."""
    try:
        return int(node.name.split("@", 1)[1], 16)
    except (IndexError, ValueError):
        return None
