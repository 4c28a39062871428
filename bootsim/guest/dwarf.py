"""Debug information of guest code: source lines, and how to find who called.

pyelftools reads it, on first use: only reports ask. The symbols of an object file are moved to
where its code has come to, so that its debug sections, relocated, tell addresses in memory.

A report must come whatever the debug information holds, so that what is damaged, huge or takes
long is as good as none.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import PurePath
from types import FrameType
from typing import Any

from bootsim.guest.elf import FileKind, ObjectFile, printable
from bootsim.guest.module import Module

_SP, _LR, _PC = 13, 14, 15
_STACK_STEP_MAX = 1 << 20  # bytes of one frame

_SECONDS_MAX = 1.0  # for all of a module; a driver's takes some 10 ms
_SIZE_MAX = 16 << 20  # bytes of debug sections
_COMPRESSED_MAX = _SIZE_MAX >> 10  # which zlib makes at most 1032 times as large
_FDE_MAX = 1 << 10  # bytes that tell about one function's frames
_SHF_COMPRESSED = 1 << 11
_LIBRARY = f"{os.sep}elftools{os.sep}"  # in the path of each of its files

ReadWord = Callable[[int], int | None]


class DebugInfo:
    """What the debug sections of one module say; nothing where there are none, or no sound ones."""

    def __init__(self, module: Module) -> None:
        self._lines: list[tuple[int, str]] = []  # from this address on; "" behind a sequence
        self._frames: list[_Frame] = []
        for number, object_ in enumerate(module.objects):
            try:
                with _time_limit(_SECONDS_MAX):
                    self._read(object_, module, number)
            except Exception:  # pyelftools has no base class for what it raises
                continue
        self._lines.sort(key=lambda line: (line[0], line[1] != ""))
        self._frames.sort(key=lambda frame: frame.start)

    def _read(self, object_: ObjectFile, module: Module, number: int) -> None:
        dwarf = _dwarf(object_, module, number)
        if dwarf is not None:
            shift = 0 if object_.kind is FileKind.REL else module.places[number, 0]
            self._lines += [(address + shift, line) for address, line in _lines(dwarf)]
            self._frames += _frames(dwarf, shift)

    def line(self, address: int) -> str:
        """`file.c:12`, or nothing."""
        index = bisect_right(self._lines, address, key=lambda line: line[0]) - 1
        return self._lines[index][1] if index >= 0 else ""

    def caller(
        self, address: int, registers: dict[int, int], read: ReadWord
    ) -> dict[int, int] | None:
        """The registers as who called the function at `address` has them; None if unknown."""
        index = bisect_right(self._frames, address, key=lambda frame: frame.start) - 1
        if index < 0 or address >= self._frames[index].end:
            return None
        return self._frames[index].step(address, registers, read)


def helpers(module: Module) -> set[str]:
    """The functions that take parameters, or whose code the compiler put into others'."""
    found: set[str] = set()
    for number, object_ in enumerate(module.objects):
        try:
            with _time_limit(_SECONDS_MAX):
                dwarf = _dwarf(object_, module, number)
                if dwarf is not None:
                    found.update(_helpers(dwarf))
        except Exception:  # as above
            continue
    return found


def _helpers(dwarf: Any) -> Iterator[str]:
    for unit in dwarf.iter_CUs():
        for entry in unit.iter_DIEs():
            origin = entry
            if "DW_AT_abstract_origin" in entry.attributes:
                origin = entry.get_DIE_from_attribute("DW_AT_abstract_origin")
            name = origin.attributes.get("DW_AT_name")
            inlined = entry.tag == "DW_TAG_inlined_subroutine"
            takes = entry.tag == "DW_TAG_subprogram" and any(
                child.tag == "DW_TAG_formal_parameter" for child in entry.iter_children()
            )
            if name is not None and (inlined or takes):
                yield printable(name.value)


class _Frame:
    """How to find the caller of the code from `start` to `end`."""

    def __init__(self, fde: Any, shift: int) -> None:
        self.start = int(fde["initial_location"]) + shift
        self.end = self.start + int(fde["address_range"])
        self._fde = fde
        self._shift = shift
        self._rows: list[dict[Any, Any]] | None = None

    def step(
        self, address: int, registers: dict[int, int], read: ReadWord
    ) -> dict[int, int] | None:
        """The registers one frame up."""
        row = self._row(address - self._shift)
        rule = row.get("cfa")
        if rule is None or rule.reg not in registers:
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

    def _row(self, address: int) -> dict[Any, Any]:
        """What holds at `address`."""
        if self._rows is None:
            self._rows = _rows(self._fde)
        found: dict[Any, Any] = {}
        for row in self._rows:
            if row["pc"] <= address:
                found = row
        return found


def _rows(fde: Any) -> list[dict[Any, Any]]:
    if max(fde.header["length"], fde.cie.header["length"]) > _FDE_MAX:
        return []
    try:
        with _time_limit(_SECONDS_MAX):
            return list(fde.get_decoded().table)
    except Exception:
        return []


def _dwarf(object_: ObjectFile, module: Module, number: int) -> Any:
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415 - 40 ms

    data = bytearray(object_.content)
    elf: Any = ELFFile(BytesIO(bytes(data)))
    if not elf.has_dwarf_info() or not _is_small(elf):
        return None
    if object_.kind is FileKind.REL:
        _move_symbols(elf, data, module, number)
        elf = ELFFile(BytesIO(bytes(data)))
    return elf.get_dwarf_info()


def _is_small(elf: Any) -> bool:
    """Whether its debug sections stay within bounds, unpacked too."""
    size = packed = 0
    for section in elf.iter_sections():
        if section.name.startswith((".debug", ".zdebug")):
            size += section["sh_size"]
            if section["sh_flags"] & _SHF_COMPRESSED or section.name.startswith(".z"):
                packed += section["sh_size"]
    return size <= _SIZE_MAX and packed <= _COMPRESSED_MAX


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
        first = 0 if program["version"] >= 5 else 1  # DWARF 5, 6.2.4
        names = [PurePath(printable(entry.name)).name for entry in program["file_entry"]]
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if state.end_sequence:
                yield state.address, ""
            elif state.line and 0 <= state.file - first < len(names):  # else the compiler's own
                yield state.address, f"{names[state.file - first]}:{state.line}"


def _frames(dwarf: Any, shift: int) -> Iterator[_Frame]:
    from elftools.dwarf.callframe import FDE  # noqa: PLC0415

    if dwarf.has_CFI():
        for entry in dwarf.CFI_entries():
            if isinstance(entry, FDE):
                yield _Frame(entry, shift)


class _TookLongError(Exception):
    """The time limit has passed."""


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Have pyelftools raise an exception once it has run for longer, in whatever loop it is.

    Only in its own functions: where the garbage collector calls something meanwhile, an exception
    is dropped, and Python calls no profile function again that raised one.
    """
    deadline = time.monotonic() + seconds
    previous = sys.getprofile()

    def check(frame: FrameType, _event: str, _argument: Any) -> None:
        if time.monotonic() > deadline and _LIBRARY in frame.f_code.co_filename:
            raise _TookLongError

    sys.setprofile(check)
    try:
        yield
    finally:
        sys.setprofile(previous)
