"""The machine: RAM, one CPU, a console."""

from __future__ import annotations

from collections.abc import Iterable

from bootsim.machine.cpu import Cpu
from bootsim.machine.devices import PL011
from bootsim.machine.memory import PhysMemory

_PL011_SIZE = 0x1000  # ARM DDI 0183G, 3.1: registers and identification fill one 4 KiB block


class Machine:
    """What exists before any kernel runs."""

    def __init__(
        self, banks: Iterable[tuple[int, int]], *, uart_base: int | None = None, fill: int = 0
    ) -> None:
        """RAM `banks` of (base, size) bytes, each byte `fill`; a PL011 at physical `uart_base`.

        Raises BootsimError where that cannot be.
        """
        self.memory = PhysMemory(banks, fill=fill)
        self.uart = PL011()
        self.uart_base = uart_base
        devices = [] if uart_base is None else [(uart_base, _PL011_SIZE, self.uart)]
        self.cpu = Cpu(self.memory, devices)
