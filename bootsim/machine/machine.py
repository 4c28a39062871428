"""The machine: RAM, one CPU, a console."""

from __future__ import annotations

from collections.abc import Iterable

from bootsim.errors import BootsimError
from bootsim.machine.absent import AbsentHardware
from bootsim.machine.cpu import Cpu, PlacedDevice
from bootsim.machine.devices import PL011
from bootsim.machine.memory import PhysMemory, Range

_PL011_SIZE = 0x1000  # ARM DDI 0183G, 3.1: registers and identification fill one 4 KiB block


class Machine:
    """What exists before any kernel runs."""

    def __init__(
        self,
        banks: Iterable[tuple[int, int]],
        *,
        uart_base: int | None = None,
        fill: int = 0,
        absent: AbsentHardware | None = None,
    ) -> None:
        """RAM `banks` of (base, size) bytes, each byte `fill`; a PL011 at physical `uart_base`.

        `absent` takes what is read and written elsewhere; without it that is a fault. Raises
        BootsimError where the machine cannot be.
        """
        self.memory = PhysMemory(banks, fill=fill)
        self.uart = PL011()
        self.uart_base = uart_base
        devices: list[PlacedDevice] = []
        if uart_base is not None:
            devices.append((uart_base, _PL011_SIZE, self.uart))
        if absent is not None:
            taken = [Range(bank.base, bank.size) for bank in self.memory]
            devices += absent.gaps([*taken, *(Range(base, size) for base, size, _ in devices)])
        self.cpu = Cpu(self.memory, devices)

    def read(self, address: int, size: int, *, virtual: bool = False) -> bytes:
        """`size` bytes at physical `address`; `virtual` goes through the guest's page tables.

        Raises MemoryAccessError or TranslationFault where there is nothing.
        """
        if not 0 <= address <= 0xFFFFFFFF:
            raise BootsimError(f"address {address:#x} has more than 32 bits")
        return self.cpu.read(address, size) if virtual else self.memory.read(address, size)
