"""Instructions, for reports: their text, and the memory that they would touch.

The emulator tells that a data access faulted but not where: the address is worked out here from the
instruction and the registers (ARM ARM DDI 0406C, A8.5). capstone is loaded on first use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_MULTIPLE = re.compile(r"v?(ldm|stm|push|pop|rfe|srs)")
_DECREMENT = re.compile(r"(ldm|stm|rfe|srs)d|v(ldm|stm)db")
# Loads and stores of one or two registers: the width of one, in bytes.
_WIDTHS = (
    (re.compile(r"(ldr|str|ldrex|strex|swp)b"), 1),
    (re.compile(r"ldrs?b"), 1),
    (re.compile(r"(ldr|str|ldrex|strex)h|ldrs?h"), 2),
    (re.compile(r"(ldr|str|ldrex|strex)d"), 8),
)


@dataclass(frozen=True, slots=True)
class Access:
    """`size` bytes at virtual `address` that an instruction reads or writes."""

    address: int
    size: int
    kind: str  # "read" or "write"
    unprivileged: bool  # ldrt and its kind: checked as user code would be


def disassemble(code: bytes, pc: int, *, thumb: bool) -> str | None:
    """The text of the instruction whose bytes `code` starts with; None if there is no such one."""
    for instruction in _decoder(thumb=thumb).disasm(code, pc, 1):
        return f"{instruction.mnemonic} {instruction.op_str}".strip()
    return None


def accesses(code: bytes, pc: int, registers: Sequence[int], *, thumb: bool) -> list[Access]:
    """What the instruction at `pc` accesses, ascending, with `registers` r0 to r15 before it runs.

    Empty where that is not known.
    """
    decoder = _decoder(thumb=thumb)
    decoder.detail = True
    values = list(registers)
    values[15] = (pc + 4 & ~3) if thumb else pc + 8  # what the instruction reads pc as
    for instruction in decoder.disasm(code, pc, 1):
        name = instruction.mnemonic
        unprivileged = re.match(r"(ldr|str)(s?[bh])?t", name) is not None
        if _MULTIPLE.match(name):
            found = list(_multiple(instruction, values))
        else:
            found = list(_single(instruction, values))
        return [Access(address, size, kind, unprivileged) for address, size, kind in found]
    return []


def _single(instruction: Any, values: list[int]) -> Iterator[tuple[int, int, str]]:
    from capstone import arm  # noqa: PLC0415

    name = instruction.mnemonic
    size = next((width for pattern, width in _WIDTHS if pattern.match(name)), 4)
    for operand in instruction.operands:
        if operand.type != arm.ARM_OP_MEM:
            continue
        memory = operand.mem
        address = values[_number(instruction, memory.base)] + memory.disp
        if memory.index:
            index = values[_number(instruction, memory.index)]
            offset = _shifted(index, operand.shift.type, operand.shift.value)
            address += -offset if operand.subtracted or memory.scale < 0 else offset
        address &= 0xFFFFFFFF
        if not name.startswith(("st", "vst")):
            yield address, size, "read"
        if name.startswith(("st", "vst", "swp")):
            yield address, size, "write"


def _multiple(instruction: Any, values: list[int]) -> Iterator[tuple[int, int, str]]:
    """One access a register, ascending."""
    name = instruction.mnemonic
    numbers = [operand.reg for operand in instruction.operands]
    if "push" in name or "pop" in name:
        base, listed = 13, numbers
    else:
        base, listed = _number(instruction, numbers[0]), numbers[1:]
    names = [instruction.reg_name(number) for number in listed]
    if not names or name.startswith(("rfe", "srs")):
        names = ["pc", "cpsr"]
    width = 8 if names[0].startswith("d") else 4
    size = width * len(names)
    start = values[base]
    if "push" in name or _DECREMENT.match(name):
        start -= size
        if re.match(r"(ldm|stm)da|(rfe|srs)da", name):
            start += 4
    elif re.match(r"(ldm|stm|rfe|srs)ib", name):
        start += 4
    kind = "write" if "push" in name or name.startswith(("st", "vst", "srs")) else "read"
    for index in range(len(names)):
        yield start + width * index & 0xFFFFFFFF, width, kind


def _number(instruction: Any, register: int) -> int:
    """0 to 15 for capstone's id of a core register."""
    name = instruction.reg_name(register)
    aliases = {"sb": 9, "sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14, "pc": 15}
    return aliases[name] if name in aliases else int(name[1:])


def _shifted(value: int, kind: int, amount: int) -> int:
    from capstone import arm  # noqa: PLC0415

    if kind == arm.ARM_SFT_LSL:
        return value << amount & 0xFFFFFFFF
    if kind == arm.ARM_SFT_LSR:
        return value >> amount
    if kind == arm.ARM_SFT_ASR:
        signed = value - (value >> 31 << 32)
        return signed >> amount & 0xFFFFFFFF
    if kind == arm.ARM_SFT_ROR:
        return (value >> amount | value << 32 - amount) & 0xFFFFFFFF
    return value


def _decoder(*, thumb: bool) -> Any:
    import capstone as capstone_package  # noqa: PLC0415

    capstone: Any = capstone_package  # not annotated
    mode = capstone.CS_MODE_THUMB if thumb else capstone.CS_MODE_ARM
    return capstone.Cs(capstone.CS_ARCH_ARM, mode)
