"""Debug information of guest code: source lines, and how to find who called.

pyelftools reads it, on first use: only reports ask. The symbols of an object file are moved to
where its code has come to, so that its debug sections, relocated, tell addresses in memory.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import PurePath
from typing import Any

from bootsim.guest.elf import FileKind, ObjectFile
from bootsim.guest.module import Module

_SP, _LR, _PC = 13, 14, 15
_STACK_STEP_MAX = 1 << 20  # bytes of one frame

ReadWord = Callable[[int], int | None]


class DebugInfo:
    """What the debug sections of one module say; nothing where there are none, or no sound ones."""

    def __init__(self, module: Module) -> None:
        self._lines: list[tuple[int, str]] = []  # from this address on; "" behind a sequence
        self._frames: list[tuple[int, int, Any]] = []  # from, to, FDE
        for number, object_ in enumerate(module.objects):
            try:
                dwarf = _dwarf(object_, module, number)
                if dwarf is not None:
                    self._lines += _lines(dwarf)
                    self._frames += _frames(dwarf)
            except Exception:  # noqa: BLE001, S112, PERF203 - a report does without
                continue
        self._lines.sort(key=lambda line: line[0])

    def line(self, address: int) -> str:
        """`file.c:12`, or nothing."""
        index = bisect_right(self._lines, address, key=lambda line: line[0]) - 1
        return self._lines[index][1] if index >= 0 else ""

    def caller(
        self, address: int, registers: dict[int, int], read: ReadWord
    ) -> dict[int, int] | None:
        """The registers as who called the function at `address` has them; None if unknown."""
        for start, end, fde in self._frames:
            if start <= address < end:
                return _step(fde, address, registers, read)
        return None


def _dwarf(object_: ObjectFile, module: Module, number: int) -> Any:
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415 - 40 ms

    data = bytearray(object_.content())
    if object_.kind is FileKind.REL:
        _move_symbols(ELFFile(BytesIO(bytes(data))), data, module, number)
    elf: Any = ELFFile(BytesIO(bytes(data)))
    return elf.get_dwarf_info() if elf.has_dwarf_info() else None


def _move_symbols(elf: Any, data: bytearray, module: Module, number: int) -> None:
    """Add to each symbol's value, in the file's bytes, where its section has come to."""
    table = elf.get_section_by_name(".symtab")
    for index, symbol in enumerate(table.iter_symbols()):
        place = module.places.get((number, symbol["st_shndx"]))
        if place is not None:
            at = table["sh_offset"] + index * table["sh_entsize"] + 4  # st_value
            struct.pack_into("<I", data, at, symbol["st_value"] + place & 0xFFFFFFFF)


def _lines(dwarf: Any) -> Iterator[tuple[int, str]]:
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        files = program["file_entry"]
        first = 0 if program["version"] >= 5 else 1  # noqa: PLR2004 - DWARF 5, 6.2.4
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if state.end_sequence:
                yield state.address, ""
                continue
            name = files[state.file - first].name
            yield state.address, f"{PurePath(name.decode('utf-8', 'replace')).name}:{state.line}"


def _frames(dwarf: Any) -> Iterator[tuple[int, int, Any]]:
    from elftools.dwarf.callframe import FDE  # noqa: PLC0415

    if dwarf.has_CFI():
        for entry in dwarf.CFI_entries():
            if isinstance(entry, FDE):
                start = entry["initial_location"]
                yield start, start + entry["address_range"], entry


def _step(
    fde: Any, address: int, registers: dict[int, int], read: ReadWord
) -> dict[int, int] | None:
    row: dict[Any, Any] = {}
    for candidate in fde.get_decoded().table:
        if candidate["pc"] <= address:
            row = candidate
    rule = row.get("cfa")
    if rule is None or rule.reg is None or rule.reg not in registers:
        return None
    cfa = registers[rule.reg] + rule.offset & 0xFFFFFFFF
    if not 0 <= cfa - registers[_SP] <= _STACK_STEP_MAX:
        return None
    above = dict(registers)
    for number in range(_PC):
        saved = row.get(number)
        if saved is not None and saved.type == "OFFSET":
            value = read(cfa + saved.arg & 0xFFFFFFFF)
            if value is None:
                return None
            above[number] = value
    above[_SP], above[_PC] = cfa, above[_LR]
    return above
