"""What a guest that could not go on did, and where: for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import BootsimError, MachineFault
from bootsim.machine.disasm import disassemble

if TYPE_CHECKING:
    from bootsim.guest.guest import Guest

_AROUND = 4  # instructions shown before and after the one at fault
_FRAMES_MAX = 32
_CPSR_THUMB = 1 << 5


class GuestFault(MachineFault):
    """A MachineFault of guest code, with its symbol and its source line; `details` has the rest."""

    def __init__(self, fault: MachineFault, place: str, details: tuple[str, ...]) -> None:
        super().__init__(
            fault.cause,
            pc=fault.pc,
            mode=fault.mode,
            address=fault.address,
            access=fault.access,
            instruction=fault.instruction,
            registers=fault.registers,
            cpsr=fault.cpsr,
            place=place,
        )
        self.details = details


def guest_fault(guest: Guest, fault: MachineFault) -> GuestFault:
    """`fault` in the words of who wrote the guest's code."""
    place = _place(guest, fault.pc)
    return GuestFault(fault, place, where(guest, fault.registers, fault.cpsr, fault.pc))


def where(
    guest: Guest, registers: tuple[int, ...], cpsr: int, pc: int | None = None
) -> tuple[str, ...]:
    """Registers, the code around `pc` and the backtrace, a line each."""
    pc = registers[15] if pc is None else pc
    return (
        *_register_lines(registers, cpsr),
        *_code_lines(guest, pc, thumb=bool(cpsr & _CPSR_THUMB)),
        *_backtrace_lines(guest, pc, registers),
    )


def _place(guest: Guest, address: int, *, after_call: bool = False) -> str:
    """`name+0x12/0x34 (file.c:56)`, with what of it is known."""
    symbol = guest.symbol_at(address)
    if symbol is None:
        return ""
    line = guest.source_line(address - 1 if after_call else address)
    place = f"{symbol.name}+{address - symbol.address:#x}/{symbol.size:#x}"
    return f"{place} ({line})" if line else place


def _register_lines(registers: tuple[int, ...], cpsr: int) -> list[str]:
    names = [*(f"r{number}" for number in range(11)), "fp", "ip", "sp", "lr", "pc"]
    cells = [f"{name:>3} {value:08x}" for name, value in zip(names, registers, strict=False)]
    cells.append(f"psr {cpsr:08x}")
    return [f"  {'  '.join(cells[start : start + 6])}" for start in range(0, len(cells), 6)]


def _code_lines(guest: Guest, pc: int, *, thumb: bool) -> list[str]:
    if thumb:
        return []
    lines = []
    for address in range(pc - 4 * _AROUND, pc + 4 * _AROUND + 4, 4):
        try:
            code = guest.cpu.read(address, 4)
        except BootsimError:
            continue
        mark = "=>" if address == pc else "  "
        text = disassemble(code, address, thumb=False) or "?"
        lines.append(f"  {mark} {address:08x}: {int.from_bytes(code, 'little'):08x}  {text}")
    return lines


def _backtrace_lines(guest: Guest, pc: int, registers: tuple[int, ...]) -> list[str]:
    lines = []
    for number, address in enumerate(guest.unwind(pc, registers)):
        if number >= _FRAMES_MAX:
            lines.append("  ...")
            break
        place = _place(guest, address, after_call=number > 0)
        lines.append(f"  #{number} {address:08x} {place}".rstrip())
    return lines
