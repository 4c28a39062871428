"""What a kernel finds where the machine has neither RAM nor a device: zero, and no complaint.

Kernels poke at hardware long before the page allocator has its pages. Reads give 0, writes are
ignored, and both are counted, so that a boot can say which hardware it looked for in vain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bootsim.machine.devices import Device
from bootsim.machine.memory import ADDRESS_LIMIT, PAGE_SIZE, Range


class AbsentHardware:
    """The rest of the bus: `accesses` has, for each physical page, how many reads and writes came.

    The pages are in the order in which they were first met.
    """

    def __init__(self) -> None:
        self.accesses: dict[int, tuple[int, int]] = {}

    def gaps(self, taken: Iterable[Range]) -> list[tuple[int, int, Device]]:
        """(base, size, device) of all between `taken`, which are whole pages and do not overlap."""
        return [(base, size, _Gap(base, self)) for base, size in _between(taken)]

    def count(self, address: int, *, write: bool) -> None:
        """An access to physical `address` has come."""
        page = address // PAGE_SIZE * PAGE_SIZE
        reads, writes = self.accesses.get(page, (0, 0))
        self.accesses[page] = (reads, writes + 1) if write else (reads + 1, writes)


class _Gap:
    name = "absent hardware"

    def __init__(self, base: int, hardware: AbsentHardware) -> None:
        self._base = base
        self._hardware = hardware

    def read(self, offset: int, size: int) -> int:
        self._hardware.count(self._base + offset, write=False)
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        self._hardware.count(self._base + offset, write=True)


def _between(taken: Iterable[Range]) -> Iterator[Range]:
    at = 0
    for range_ in sorted(taken):
        if at < range_.base:
            yield Range(at, range_.base - at)
        at = range_.end
    if at < ADDRESS_LIMIT:
        yield Range(at, ADDRESS_LIMIT - at)
