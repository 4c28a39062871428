"""What a kernel finds where the machine has neither RAM nor a device: zero, and no complaint.

Kernels poke at hardware long before the page allocator has its pages. Reads give 0, writes are
ignored, and both are counted, so that a boot can say which hardware it looked for in vain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

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


class Registers(Protocol):
    """The CPU that reads or writes a register."""

    def set_register(self, number: int, value: int) -> None: ...


def absent_cp15(cpu: Registers, instruction: int) -> None:
    """Have MRC and MRRC read 0 from a CP15 register that is not there, MCR and MCRR write nothing.

    ARM ARM DDI 0406C, A8.8.107 and A8.8.108.
    """
    if not instruction & 1 << 20:
        return
    registers = [instruction >> 12 & 15]
    if instruction & 0x0F000000 == 0x0C000000:
        registers.append(instruction >> 16 & 15)
    for number in registers:
        if number != 15:  # MRC to the flags
            cpu.set_register(number, 0)


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
