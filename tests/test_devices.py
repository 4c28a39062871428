"""The PL011 against its manual, ARM DDI 0183G: table 3-1 and the registers' descriptions."""

from __future__ import annotations

import pytest

from bootsim.machine.devices import PL011, DeviceError

FR, RIS, MIS, ICR, IMSC = 0x018, 0x03C, 0x040, 0x044, 0x038


@pytest.mark.parametrize(
    ("offset", "reset"),
    [
        (0x018, 0x90),  # FR: transmit and receive FIFO empty
        (0x020, 0x00),  # ILPR
        (0x024, 0x0000),  # IBRD
        (0x028, 0x00),  # FBRD
        (0x02C, 0x00),  # LCR_H
        (0x030, 0x0300),  # CR: transmit and receive enabled, the UART off
        (0x034, 0x12),  # IFLS
        (0x038, 0x000),  # IMSC
        (0x048, 0x00),  # DMACR
    ],
)
def test_reset_values(offset: int, reset: int) -> None:
    assert PL011().read(offset, 4) == reset


def test_identification_is_what_amba_drivers_match() -> None:
    uart = PL011()
    peripheral = sum(uart.read(0xFE0 + 4 * n, 4) << 8 * n for n in range(4))
    cell = sum(uart.read(0xFF0 + 4 * n, 4) << 8 * n for n in range(4))
    assert peripheral & 0x000FFFFF == 0x00041011  # Linux, drivers/tty/serial/amba-pl011.c
    assert cell == 0xB105F00D  # AMBA_CID, include/linux/amba/bus.h


def test_output_is_kept_byte_for_byte() -> None:
    uart = PL011()
    for byte in b"a\xffb\r\n":
        uart.write(0x000, 4, 0xABCD0000 | byte)  # only bits 7:0 are data
    assert uart.output == b"a\xffb\r\n"
    assert uart.text == "a\ufffdb\n"
    assert uart.read(FR, 4) == 0x90  # ready for more


@pytest.mark.parametrize(
    ("offset", "written", "kept"),
    [
        (0x024, 0xFFFFFFFF, 0xFFFF),
        (0x028, 0xFF, 0x3F),
        (0x02C, 0x70, 0x70),
        (0x030, 0xF301, 0xF301),
        (0x034, 0xFF, 0x3F),
        (0x038, 0xFFFF, 0x7FF),
        (0x048, 0xF, 0x7),
        (0x018, 0, 0x90),  # read-only
        (0xFE0, 0, 0x11),  # read-only
        (0x004, 1, 0),  # ECR: clears errors
    ],
)
def test_writes_keep_the_bits_that_there_are(offset: int, written: int, kept: int) -> None:
    uart = PL011()
    uart.write(offset, 4, written)
    assert uart.read(offset, 4) == kept


def test_narrow_reads() -> None:
    assert PL011().read(0x030, 1) == 0x00
    assert PL011().read(0x030, 2) == 0x0300


def test_transmit_interrupt() -> None:
    uart = PL011()
    assert uart.read(RIS, 4) == 0
    uart.write(0x000, 1, ord("x"))
    assert (uart.read(RIS, 4), uart.read(MIS, 4)) == (0x20, 0)
    uart.write(IMSC, 4, 0x20)
    assert uart.read(MIS, 4) == 0x20
    uart.write(ICR, 4, 0x20)
    assert (uart.read(RIS, 4), uart.read(MIS, 4)) == (0, 0)
    assert uart.read(ICR, 4) == 0


@pytest.mark.parametrize("offset", [0x008, 0x010, 0x01C, 0x001, 0x04C, 0x080, 0xFDC, 0xFE1])
def test_reserved_offsets_are_errors(offset: int) -> None:
    with pytest.raises(DeviceError, match=f"no register at offset {offset:#05x}"):
        PL011().read(offset, 4)
    with pytest.raises(DeviceError, match=f"no register at offset {offset:#05x}"):
        PL011().write(offset, 4, 0)
