"""How addresses of devices become physical ones.

Linux: drivers/of/address.c, __of_translate_address().
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bootsim.machine.memory import ADDRESS_LIMIT, Range

_OF_MAX_ADDR_CELLS = 4  # drivers/of/address.c


@dataclass(frozen=True, slots=True)
class Bus:
    """How addresses below a node become those above it: (below, above, size) windows.

    `windows` is None where ranges is missing or damaged: nothing below has an address above.
    `parent` is the bus above, None for the root.
    """

    address_cells: int
    size_cells: int
    windows: tuple[tuple[int, int, int], ...] | None
    parent: Bus | None

    @classmethod
    def of(cls, properties: Mapping[str, bytes], parent: Bus | None) -> Bus:
        """That of a node with `properties`; `parent` is that of the node above, None of the root.

        Cells are those of the bus above where the node says none.
        """
        cells = properties.get("#address-cells")
        sizes = properties.get("#size-cells")
        address_cells = (
            int.from_bytes(cells, "big") if cells else parent.address_cells if parent else 1
        )
        size_cells = int.from_bytes(sizes, "big") if sizes else parent.size_cells if parent else 1
        ranges = properties.get("ranges")
        windows: tuple[tuple[int, int, int], ...] | None = None
        if ranges == b"":
            windows = ((0, 0, ADDRESS_LIMIT),)
        elif ranges and parent:
            layout = (address_cells, parent.address_cells, size_cells)
            entry = 4 * sum(layout)
            if max(layout) <= _OF_MAX_ADDR_CELLS and min(layout) > 0 and len(ranges) % entry == 0:
                starts = range(0, len(ranges), entry)
                windows = tuple(
                    (below, above, size)
                    for below, above, size in (numbers(ranges[at:], *layout) for at in starts)
                )
        return cls(address_cells, size_cells, windows, parent)

    def first(self, reg: bytes) -> int | None:
        """The physical address of a device's first registers, None where it has none."""
        if not 0 < self.address_cells <= _OF_MAX_ADDR_CELLS or len(reg) < 4 * self.address_cells:
            return None
        return self._physical(numbers(reg, self.address_cells)[0])

    def registers(self, reg: bytes) -> Iterator[Range]:
        """The physical addresses of all of a device's registers, as far as they have any."""
        layout = (self.address_cells, self.size_cells)
        if min(layout) < 1 or max(layout) > _OF_MAX_ADDR_CELLS:
            return
        for at in range(0, len(reg) - 4 * sum(layout) + 1, 4 * sum(layout)):
            address, size = numbers(reg[at:], *layout)
            physical = self._physical(address)
            if physical is not None:
                yield Range(physical, size)

    def _physical(self, address: int) -> int | None:
        bus, found = self, address
        while bus.parent is not None:
            for below, above, size in bus.windows or ():
                if below <= found < below + size:
                    found += above - below
                    break
            else:
                return None
            bus = bus.parent
        return found if found < ADDRESS_LIMIT else None


def numbers(value: bytes, *cells: int) -> list[int]:
    """The numbers at the front of `value`, one of that many cells each."""
    found = []
    for count in cells:
        found.append(int.from_bytes(value[: 4 * count], "big"))
        value = value[4 * count :]
    return found
