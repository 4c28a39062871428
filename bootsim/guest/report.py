"""What a guest that could not go on did, and where: for people."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from bootsim.errors import BootsimError, MachineFault
from bootsim.guest.module import PlacedSymbol
from bootsim.machine.disasm import disassemble

if TYPE_CHECKING:
    from bootsim.guest.guest import Guest

_AROUND = 4  # instructions shown before and after the one at fault
_BACKTRACE_LINES = 32
_FRAMES_MAX = 4096  # more do not fit on a kernel's stack
_PERIOD_MAX = 8  # functions that call each other in a circle
_FOLD = 4  # so often the same frames are too often to be shown
_CPSR_THUMB = 1 << 5
# Bits 15 to 11 of the first half-word of a Thumb instruction with 32 bits (A6.1).
_THUMB_32 = frozenset((0b11101, 0b11110, 0b11111))
_THUMB_32_BL = 0b11110


class GuestFault(MachineFault):
    """A MachineFault of guest code, with its symbol and its source line; `details` has the rest."""


def guest_fault(guest: Guest, fault: MachineFault) -> GuestFault:
    """`fault` in the words of who wrote the guest's code."""
    place = _place(guest, fault.pc)
    details = where(guest, fault.registers, fault.cpsr, fault.pc)
    return GuestFault.of(fault, place=place, details=details)


def where(
    guest: Guest, registers: tuple[int, ...], cpsr: int, pc: int | None = None
) -> tuple[str, ...]:
    """Registers, the code around `pc` and the backtrace, a line each.

    In a function that Python serves there is no code to see: that of its caller is shown.
    """
    pc = registers[15] if pc is None else pc
    thumb = bool(cpsr & _CPSR_THUMB)
    code = pc
    if guest.symbols.function_at(pc):
        lr = registers[14]
        thumb = bool(lr & 1)
        code = _instruction_before(guest, lr & ~1, thumb=thumb)
    return (
        *_register_lines(registers, cpsr),
        *_code_lines(guest, code, thumb=thumb),
        *_backtrace_lines(guest, pc, registers),
    )


def called_back(guest: Guest, registers: tuple[int, ...]) -> tuple[str, ...]:
    """The backtrace of a call, with `registers`, of a kernel function that called the guest."""
    return ("  called back by", *_backtrace_lines(guest, registers[15], registers))


# Names.


def _place(guest: Guest, address: int, *, after_call: bool = False) -> str:
    """`name+0x12/0x34 (file.c:56)`, with what of it is known."""
    code = address - after_call  # the call may be its function's last instruction
    symbol = guest.kallsyms.symbol_at(code)
    if symbol is None:
        return ""
    line = guest.kallsyms.source_line(code)
    return f"{_offset(symbol, address)} ({line})" if line else _offset(symbol, address)


def _offset(symbol: PlacedSymbol, address: int) -> str:
    return f"{symbol.name}+{address - symbol.address:#x}/{symbol.size:#x}"


# Registers.


def _register_lines(registers: tuple[int, ...], cpsr: int) -> list[str]:
    names = [*(f"r{number}" for number in range(11)), "fp", "ip", "sp", "lr", "pc"]
    cells = [f"{name:>3} {value:08x}" for name, value in zip(names, registers, strict=True)]
    cells.append(f"psr {cpsr:08x}")
    return [f"  {'  '.join(cells[start : start + 6])}" for start in range(0, len(cells), 6)]


# Code.


def _code_lines(guest: Guest, pc: int, *, thumb: bool) -> list[str]:
    """The instructions around `pc`, as far as the function goes that it lies in."""
    places = _instructions(guest, pc, thumb=thumb)
    if pc not in places:
        return []
    here = places.index(pc)
    lines = []
    for address in places[max(here - _AROUND, 0) : here + _AROUND + 1]:
        code = _code(guest, address, thumb=thumb)
        mark = "=>" if address == pc else "  "
        text = disassemble(code, address, thumb=thumb) or "?"
        lines.append(f"  {mark} {address:08x}: {_encoding(code, thumb=thumb)}  {text}")
    return lines


def _instructions(guest: Guest, pc: int, *, thumb: bool) -> list[int]:
    """Addresses of instructions from some before `pc` to some behind it.

    Thumb instructions differ in length: those before `pc` are found from their function's start.
    """
    symbol = guest.kallsyms.symbol_at(pc)
    before, behind = pc - 4 * _AROUND, pc + 4 * (_AROUND + 1)
    if symbol is not None:
        before, behind = max(before, symbol.address), min(behind, symbol.end)
    if thumb:
        before = symbol.address if symbol is not None else pc
    places: list[int] = []
    at = before
    while at < max(behind, pc + 1):
        size = len(_code(guest, at, thumb=thumb))
        if at < pc < at + max(size, 2):  # out of step: there is data between
            places, size = [], pc - at
        elif size:
            places.append(at)
        at += size or (2 if thumb else 4)
        if thumb and len(places) > 2 * _AROUND and places[-1] < pc:
            del places[0]
    return places


def _instruction_before(guest: Guest, address: int, *, thumb: bool) -> int:
    """Where the call is that returns to `address`: of Thumb code, `bl` has 4 bytes, `blx` of a
    register 2."""
    if thumb:
        half = _read(guest, address - 4, 2)
        return address - 4 if half and half[1] >> 3 == _THUMB_32_BL else address - 2
    return address - 4


def _code(guest: Guest, address: int, *, thumb: bool) -> bytes:
    """The bytes of the instruction at `address`; none where there is no memory."""
    if not thumb:
        return _read(guest, address, 4)
    first = _read(guest, address, 2)
    wide = first and first[1] >> 3 in _THUMB_32
    return first + _read(guest, address + 2, 2) if wide else first


def _read(guest: Guest, address: int, size: int) -> bytes:
    try:
        return guest.cpu.read(address & 0xFFFFFFFF, size)
    except BootsimError:
        return b""


def _encoding(code: bytes, *, thumb: bool) -> str:
    """The bytes as manuals write them: a word, or one or two half-words."""
    size = 2 if thumb else 4
    parts = [code[at : at + size][::-1].hex() for at in range(0, len(code), size)]
    return f"{' '.join(parts):9}" if thumb else " ".join(parts)


# Backtrace.


def _backtrace_lines(guest: Guest, pc: int, registers: tuple[int, ...]) -> list[str]:
    frames = list(islice(guest.kallsyms.unwind(pc, registers), _FRAMES_MAX))
    lines: list[str] = []
    number = 0
    while number < len(frames):
        if len(lines) == _BACKTRACE_LINES:
            lines.append(f"     ... {len(frames) - number} more")
            break
        period, times = _repetition(frames, number)
        for frame in range(number, number + period):
            place = _place(guest, frames[frame], after_call=frame > 0)
            lines.append(f"  #{frame} {frames[frame]:08x} {place}".rstrip())
        if times > 1:
            names = (_name(guest, address) for address in frames[number : number + period])
            more = "at least " if len(frames) == _FRAMES_MAX else ""
            lines.append(f"     ... {more}{times - 1} more of {', '.join(names)}")
        number += period * times
    return lines


def _repetition(frames: Sequence[int], start: int) -> tuple[int, int]:
    """How many frames from `start` on come again right behind, and how often they are there."""
    for period in range(1, _PERIOD_MAX + 1):
        block = frames[start : start + period]
        times = 1
        while frames[start + times * period : start + (times + 1) * period] == block:
            times += 1
        if times >= _FOLD:
            return period, times
    return 1, 1


def _name(guest: Guest, address: int) -> str:
    symbol = guest.kallsyms.symbol_at(address - 1)
    return _offset(symbol, address) if symbol else f"{address:08x}"
