"""ELF files for ARM: what of them a loader needs, checked.

Source: Tool Interface Standard, ELF 1.2, names as in its structures; ELF for the ARM Architecture
(IHI 0044F).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Any, NamedTuple

from bootsim.errors import BootsimError

ELF_MAGIC = b"\x7fELF"
SHN_UNDEF, SHN_ABS, SHN_COMMON = 0, 0xFFF1, 0xFFF2

_ELFCLASS32_ELFDATA2LSB = b"\x01\x01"
_EM_ARM = 40
_EHDR = Struct("<16sHHIIIIIHHHHHH")
_PHDR = Struct("<8I")
_SHDR = Struct("<10I")
_SYM = Struct("<IIIBBH")
_REL = Struct("<II")
_RELA = Struct("<IIi")
_PT_LOAD = 1
_SHT_NULL, _SHT_SYMTAB, _SHT_STRTAB, _SHT_RELA, _SHT_NOBITS, _SHT_REL, _SHT_DYNSYM = (
    *(0, 2, 3, 4),
    *(8, 9, 11),
)
_SHF_ALLOC = 2
_RELOCATION_TABLES = {_SHT_REL: _REL, _SHT_RELA: _RELA}
_TABLE_ENTRIES = {_SHT_SYMTAB: _SYM, _SHT_DYNSYM: _SYM, **_RELOCATION_TABLES}
_TYPES = dict(
    enumerate(("STT_NOTYPE", "STT_OBJECT", "STT_FUNC", "STT_SECTION", "STT_FILE", "STT_COMMON"))
)
_BINDINGS = dict(enumerate(("STB_LOCAL", "STB_GLOBAL", "STB_WEAK")))

# What no driver comes near.
_ALIGN_MAX = 1 << 16
_COUNT_MAX = 1 << 17  # symbols, and relocations
_NAME_MAX = 1 << 10
_WORD = 4


class FileKind(IntEnum):
    """e_type."""

    REL = 1
    EXEC = 2
    DYN = 3


class Relocation(NamedTuple):
    """One place to patch: offset in its section (or address, in a linked file), what to do there
    (R_ARM_...), and the index of a symbol. `addend` is None where it lies in the place itself."""

    offset: int
    type: int
    symbol: int
    addend: int | None


@dataclass(frozen=True, slots=True)
class Section:
    """A section that takes memory. `data` is None for one that begins zeroed (.bss)."""

    index: int
    name: str
    address: int
    size: int
    align: int
    data: bytes | None
    relocations: tuple[Relocation, ...] = ()


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol: its value lies in `section` (an index), or is SHN_UNDEF, SHN_ABS, SHN_COMMON."""

    name: str
    value: int
    size: int
    section: int
    type: str  # STT_FUNC, STT_OBJECT, ...
    binding: str  # STB_LOCAL, STB_GLOBAL, STB_WEAK

    @property
    def is_local(self) -> bool:
        return self.binding == "STB_LOCAL"

    @property
    def is_weak(self) -> bool:
        return self.binding == "STB_WEAK"


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """An object file: `name` for messages, what it has to put into memory, its symbols.

    `content` is the whole file, for its debug information. A linked file (EXEC, DYN) has its load
    segments as `sections`; relocations of a DYN are those for the dynamic linker, in `relocations`,
    and refer to `dynamic_symbols`.
    """

    name: str
    content: bytes
    kind: FileKind
    entry: int
    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: tuple[Relocation, ...] = ()
    dynamic_symbols: tuple[Symbol, ...] = ()


def printable(text: bytes) -> str:
    """`text` for a message of one line, whatever it holds."""
    decoded = text.decode("utf-8", "backslashreplace")
    if decoded.isprintable():
        return decoded
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in decoded)


def read_elf(data: bytes, name: str) -> ObjectFile:
    """The object file in `data`; `name` is for messages.

    Raises BootsimError for what is not a sound 32-bit little-endian ARM ELF file.
    """
    if not data.startswith(ELF_MAGIC):
        raise BootsimError(
            f"{name}: not an ELF file: it begins with {data[:4].hex(' ') or 'nothing'}"
        )
    return _Reader(data, name).object_file()


class _SegmentHeader(NamedTuple):
    """Elf32_Phdr; `filled` of its `size` bytes lie in the file."""

    type: int
    offset: int
    address: int
    physical: int
    filled: int
    size: int
    flags: int
    align: int


class _SectionHeader(NamedTuple):
    """Elf32_Shdr."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry_size: int


class _Reader:
    """One file: each method reads a part of it, and refuses what does not lie in it.

    What a damaged or hostile file can make it build is bounded by the file's size.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        ident, kind, machine, _, entry, *places = self._struct(_EHDR, 0, "ELF header")
        if ident[4:6] != _ELFCLASS32_ELFDATA2LSB:
            raise self._error("expected a 32-bit little-endian ELF file")
        if machine != _EM_ARM:
            raise self._error(f"expected code for ARM (machine 40), found machine {machine}")
        if kind not in iter(FileKind):
            raise self._error(f"expected an object or a program, found an ELF file of type {kind}")
        self._kind = FileKind(kind)
        self._entry: int = entry
        segments_at, sections_at, _, _, segment_size, segments, section_size, sections, names = (
            places
        )
        self._segments = [
            _SegmentHeader(*fields)
            for fields in self._table(_PHDR, segments_at, segments, segment_size, "segment")
        ]
        headers = [
            _SectionHeader(*fields)
            for fields in self._table(_SHDR, sections_at, sections, section_size, "section")
        ]
        self._headers = headers
        strings = self._strings(names) if sections else b""
        self._names = [self._string(strings, header.name) for header in headers]
        for number, header in enumerate(headers):
            self._check_section(number, header)
        relocations = sum(h.size // h.entry_size for h in headers if h.type in _RELOCATION_TABLES)
        if relocations > _COUNT_MAX:
            raise self._error(f"{relocations} relocations: expected at most {_COUNT_MAX}")

    def object_file(self) -> ObjectFile:
        data = self._data
        symbols = self._symbols(_SHT_SYMTAB)
        if self._kind is FileKind.REL:
            sections = self._sections(len(symbols))
            return ObjectFile(self._name, data, self._kind, 0, sections, symbols)
        segments = self._load_segments()
        if self._kind is FileKind.DYN and not self._headers:
            raise self._error("it has no section headers, which tell where to relocate it")
        dynamic = self._symbols(_SHT_DYNSYM)
        relocations = tuple(
            relocation
            for header in self._headers
            if header.type in _RELOCATION_TABLES and header.flags & _SHF_ALLOC
            for relocation in self._relocations(header, len(dynamic))
        )
        return ObjectFile(
            *(self._name, data, self._kind, self._entry, segments, symbols or dynamic),
            *(relocations, dynamic),
        )

    # Sections.

    def _check_section(self, number: int, header: _SectionHeader) -> None:
        if header.type in (_SHT_NULL, _SHT_NOBITS):
            return
        if header.offset + header.size > len(self._data):
            raise self._error(
                f"{self._section_name(number)} ends at {header.offset + header.size:#x}, the file"
                f" at {len(self._data):#x}"
            )
        align = header.align
        if header.flags & _SHF_ALLOC and (align & (align - 1) or align > _ALIGN_MAX):
            raise self._error(f"{self._section_name(number)} is to be aligned to {align:#x}")
        entry = _TABLE_ENTRIES.get(header.type)
        if entry is not None and (
            header.entry_size != entry.size
            or header.size % entry.size
            or header.size > entry.size * _COUNT_MAX
        ):
            raise self._error(
                f"{self._section_name(number)} has {header.size:#x} bytes in entries of"
                f" {header.entry_size}: expected at most {_COUNT_MAX} entries of {entry.size}"
            )

    def _sections(self, symbols: int) -> tuple[Section, ...]:
        """The sections of a relocatable file that take memory."""
        relocations: dict[int, list[Relocation]] = {}
        for header in self._headers:
            if header.type in _RELOCATION_TABLES:
                if header.info >= len(self._headers):
                    raise self._error(
                        f"relocations for section {header.info} of {len(self._headers)}"
                    )
                if self._headers[header.info].flags & _SHF_ALLOC:
                    found = self._relocations(header, symbols)
                    relocations.setdefault(header.info, []).extend(found)
        self._check_bulk(
            header.size
            for header in self._headers
            if header.flags & _SHF_ALLOC and header.type != _SHT_NOBITS
        )
        sections = [
            self._section(number, header, relocations.get(number, []))
            for number, header in enumerate(self._headers)
            if header.flags & _SHF_ALLOC
        ]
        return tuple(sections)

    def _section(
        self, number: int, header: _SectionHeader, relocations: list[Relocation]
    ) -> Section:
        filled = 0 if header.type == _SHT_NOBITS else header.size
        for relocation in relocations:
            if relocation.offset + _WORD > filled:
                raise self._error(
                    f"a relocation at {relocation.offset:#x} of {self._section_name(number)},"
                    f" which has {filled:#x} bytes"
                )
        return Section(
            index=number,
            name=self._names[number],
            address=header.address,
            size=header.size,
            align=max(header.align, 1),
            data=None if header.type == _SHT_NOBITS else self._content(header),
            relocations=tuple(relocations),
        )

    # Segments.

    def _load_segments(self) -> tuple[Section, ...]:
        loads = {
            number: header
            for number, header in enumerate(self._segments)
            if header.type == _PT_LOAD and header.size
        }
        if not loads:
            raise self._error("nothing in it is to be loaded")
        for number, header in loads.items():
            self._check_segment(number, header)
        self._check_bulk(header.filled for header in loads.values())
        return tuple(
            Section(
                index=number,
                name=f"segment {number}",
                address=header.address,
                size=header.size,
                align=max(header.align, 1),
                data=self._data[header.offset : header.offset + header.filled],
            )
            for number, header in loads.items()
        )

    def _check_segment(self, number: int, header: _SegmentHeader) -> None:
        if header.offset + header.filled > len(self._data) or header.filled > header.size:
            raise self._error(
                f"segment {number} has {header.filled:#x} bytes at {header.offset:#x} for"
                f" {header.size:#x} bytes of memory, in a file of {len(self._data):#x}"
            )
        if header.address + header.size > 1 << 32:
            raise self._error(f"segment {number} at {header.address:#x} passes 4 GiB")
        if header.align & (header.align - 1) or header.align > _ALIGN_MAX:
            raise self._error(f"segment {number} is to be aligned to {header.align:#x}")

    # Symbols and relocations.

    def _symbols(self, kind: int) -> tuple[Symbol, ...]:
        table = next((header for header in self._headers if header.type == kind), None)
        if table is None:
            return ()
        strings = self._strings(table.link)
        found = []
        for name, value, size, info, _, place in _SYM.iter_unpack(self._content(table)):
            text = self._string(strings, name)
            if place >= len(self._headers) and place not in (SHN_ABS, SHN_COMMON):
                raise self._error(
                    f"symbol {text!r} lies in section {place} of {len(self._headers)}"
                )
            type_ = _TYPES.get(info & 0xF, f"STT_{info & 0xF}")
            binding = _BINDINGS.get(info >> 4, f"STB_{info >> 4}")
            found.append(Symbol(text, value, size, place, type_, binding))
        return tuple(found)

    def _relocations(self, header: _SectionHeader, symbols: int) -> list[Relocation]:
        found = []
        for offset, info, *addend in _RELOCATION_TABLES[header.type].iter_unpack(
            self._content(header)
        ):
            if info >> 8 >= max(symbols, 1):
                raise self._error(f"a relocation with symbol {info >> 8} of {symbols}")
            explicit = addend[0] if addend else None
            found.append(Relocation(offset, info & 0xFF, info >> 8, explicit))
        return found

    # Bytes.

    def _struct(self, what: Struct, offset: int, name: str) -> tuple[Any, ...]:
        if offset + what.size > len(self._data):
            raise self._error(
                f"the {name} ends at {offset + what.size:#x}, the file at {len(self._data):#x}"
            )
        return what.unpack_from(self._data, offset)

    def _table(
        self, entry: Struct, offset: int, count: int, size: int, name: str
    ) -> list[tuple[Any, ...]]:
        """`count` headers of `size` bytes from `offset` on."""
        if not count:
            return []
        if size != entry.size:
            raise self._error(f"{name} headers of {size} bytes: expected {entry.size}")
        return [
            self._struct(entry, offset + size * number, f"{name} header {number} of {count}")
            for number in range(count)
        ]

    def _content(self, header: _SectionHeader) -> bytes:
        return self._data[header.offset : header.offset + header.size]

    def _strings(self, number: int) -> bytes:
        """The string table in section `number`."""
        if number >= len(self._headers) or self._headers[number].type != _SHT_STRTAB:
            raise self._error(f"section {number} is to hold names, and is no string table")
        header = self._headers[number]
        if header.offset + header.size > len(self._data):
            raise self._error(f"the names in section {number} lie outside of the file")
        return self._content(header)

    def _string(self, strings: bytes, offset: int) -> str:
        end = strings.find(b"\0", offset, offset + _NAME_MAX)
        if end < 0:
            raise self._error(f"a name at {offset:#x} of {len(strings):#x} bytes of names")
        return printable(strings[offset:end])

    def _section_name(self, number: int) -> str:
        return f"section {number} {self._names[number]!r}"

    def _check_bulk(self, sizes: Iterable[int]) -> None:
        """Sound files use no part twice; those that do could fill the memory with copies."""
        if sum(sizes) > len(self._data):
            raise self._error("sections or segments overlap in the file")

    def _error(self, words: str) -> BootsimError:
        return BootsimError(f"{self._name}: {words}")
