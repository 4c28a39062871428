"""Devices on the bus: what the emulated CPU reads and writes outside RAM."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Protocol

from bootsim.errors import BootsimError


class DeviceError(BootsimError):
    """An access that a device has no register for."""


class Device(Protocol):
    """What the CPU needs of a device; offsets are in bytes from its base, sizes 1, 2 or 4 bytes."""

    name: str

    def read(self, offset: int, size: int) -> int:
        """The value that a load sees; raises DeviceError."""
        ...

    def write(self, offset: int, size: int, value: int) -> None:
        """Take a store; raises DeviceError."""
        ...


class Register(IntEnum):
    """PL011 registers by offset: ARM DDI 0183G, table 3-1."""

    DR = 0x000
    RSR_ECR = 0x004
    FR = 0x018
    ILPR = 0x020
    IBRD = 0x024
    FBRD = 0x028
    LCR_H = 0x02C
    CR = 0x030
    IFLS = 0x034
    IMSC = 0x038
    RIS = 0x03C
    MIS = 0x040
    ICR = 0x044
    DMACR = 0x048


class Flag(IntFlag):
    """UARTFR, ARM DDI 0183G, 3.3.3."""

    BUSY = 1 << 3
    RXFE = 1 << 4
    TXFF = 1 << 5
    TXFE = 1 << 7


TXINTR = 1 << 5  # in IMSC, RIS, MIS and ICR: ARM DDI 0183G, 3.3.10 to 3.3.13

# Registers that keep what is written: their width in bits and value at reset, table 3-1.
_STORED = {
    Register.ILPR: (8, 0x00),
    Register.IBRD: (16, 0x0000),
    Register.FBRD: (6, 0x00),
    Register.LCR_H: (8, 0x00),
    Register.CR: (16, 0x0300),
    Register.IFLS: (6, 0x12),
    Register.IMSC: (11, 0x000),
    Register.DMACR: (3, 0x00),
}

# UARTPeriphID0-3 and UARTPCellID0-3, a byte each: part 0x011 by ARM (0x41), revision 1.
_IDENTIFICATION = bytes.fromhex("11101400 0df005b1")
_IDENTIFICATION_OFFSET = 0xFE0


class PL011:
    """ARM PrimeCell UART (PL011), ARM DDI 0183G: the transmitter, with nothing on the other end.

    Each byte that the guest writes to UARTDR is sent at once, whatever the line settings, so the
    transmit FIFO is always empty; nothing is ever received.
    """

    name = "PL011"

    def __init__(self) -> None:
        self._stored = {register: reset for register, (_, reset) in _STORED.items()}
        self._raw_interrupts = 0
        self._sent = bytearray()

    @property
    def output(self) -> bytes:
        """All bytes that were sent."""
        return bytes(self._sent)

    @property
    def text(self) -> str:
        """What was sent, as text with "\\n" at line ends; bytes outside ASCII as U+FFFD."""
        return self._sent.decode("ascii", "replace").replace("\r\n", "\n")

    def read(self, offset: int, size: int) -> int:
        """The register at `offset`; the upper bytes of a load wider than the register are zero."""
        index = offset - _IDENTIFICATION_OFFSET
        if index >= 0 and index % 4 == 0:
            return _IDENTIFICATION[index // 4]
        return self._read(self._register(offset)) & (1 << 8 * size) - 1

    def _read(self, register: Register) -> int:
        match register:
            case Register.FR:
                return Flag.TXFE | Flag.RXFE
            case Register.RIS:
                return self._raw_interrupts
            case Register.MIS:
                return self._raw_interrupts & self._stored[Register.IMSC]
            case Register.DR | Register.RSR_ECR | Register.ICR:
                return 0  # nothing received, no error; ICR is write-only
            case _:
                return self._stored[register]

    def write(self, offset: int, size: int, value: int) -> None:
        """Writes to read-only registers are ignored, as the hardware does."""
        if offset >= _IDENTIFICATION_OFFSET and offset % 4 == 0:
            return
        register = self._register(offset)
        match register:
            case Register.DR:
                self._sent.append(value & 0xFF)
                self._raw_interrupts |= TXINTR  # the FIFO is below its level again
            case Register.ICR:
                self._raw_interrupts &= ~value
            case _ if register in _STORED:
                self._stored[register] = value & (1 << _STORED[register][0]) - 1

    def _register(self, offset: int) -> Register:
        try:
            return Register(offset)
        except ValueError:
            raise DeviceError(f"{self.name} has no register at offset {offset:#05x}") from None
