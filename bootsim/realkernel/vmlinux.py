"""vmlinux: the linked kernel, an ELF file -> what `objcopy -O binary` makes of it, and its symbols.

Source: Tool Interface Standard, ELF 1.2; names as in its structures. guest/elf.py reads the files
that drivers come in, which are smaller by some thousands.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from bootsim.errors import BootsimError
from bootsim.realkernel.payload import UNPACKED_MAX
from bootsim.realkernel.symbols import Symbols

ELF_MAGIC = b"\x7fELF"

_EHDR = Struct("<16sHHIIIIIHHHHHH")
_PHDR = Struct("<8I")
_SHDR = Struct("<10I")
_SYM = Struct("<IIIBBH")
_ELFCLASS32, _ELFDATA2LSB, _ELFDATA2MSB = 1, 1, 2
_ET_EXEC = 2
_EM_ARM = 40
# elf.h; the CPUs whose kernels one meets
_MACHINES = {
    3: "x86",
    8: "MIPS",
    20: "PowerPC",
    21: "PowerPC",
    22: "s390",
    42: "SuperH",
    62: "x86-64",
    183: "arm64",
    243: "RISC-V",
    258: "LoongArch",
}
_PT_LOAD = 1
_SHT_SYMTAB, _SHT_NOBITS = 2, 8
_SHF_WRITE, _SHF_EXECINSTR = 1, 4
_STB_LOCAL, _STB_GLOBAL, _STB_WEAK = 0, 1, 2
_STT_OBJECT, _STT_FUNC, _STT_SECTION, _STT_FILE = 1, 2, 3, 4
_SHN_UNDEF, _SHN_LORESERVE, _SHN_ABS = 0, 0xFF00, 0xFFF1
_SYMBOLS_MAX = 1 << 20
_NAME_MAX = 1 << 12  # bytes; Rust's are long
_GRAPHIC = bytes(range(0x21, 0x7F))


class _Segment(NamedTuple):
    """Elf32_Phdr."""

    type: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    flags: int
    align: int


class _Section(NamedTuple):
    """Elf32_Shdr."""

    name: int
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    addralign: int
    entsize: int


class Vmlinux:
    """A vmlinux for ARM. Raises BootsimError, in one line, for what is none, or is damaged."""

    def __init__(self, data: memoryview, name: str) -> None:
        self._data = data
        self._name = name
        if len(data) < _EHDR.size:
            raise self._error(f"it ends after {len(data)} bytes, in its ELF header")
        ident, kind, machine, _, _, segments, sections, *_rest = _EHDR.unpack_from(data)
        _, _, segment_size, segment_count, section_size, section_count, _ = _rest
        order = ident[5]
        if order == _ELFDATA2MSB:
            machine = machine >> 8 | (machine & 0xFF) << 8
        if machine != _EM_ARM or ident[4] != _ELFCLASS32:
            cpu = _MACHINES.get(machine, f"machine {machine}")
            raise self._error(f"a kernel for another CPU: {cpu}, expected ARM (32 bits)")
        if order != _ELFDATA2LSB:
            raise self._error("a big-endian kernel: bootsim runs little-endian ones")
        if kind != _ET_EXEC:
            raise self._error(f"an ELF file of type {kind}: expected a linked vmlinux (type 2)")
        self._segments = [
            _Segment(*fields)
            for fields in self._table(_PHDR, segments, segment_count, segment_size)
        ]
        self._sections = [
            _Section(*fields)
            for fields in self._table(_SHDR, sections, section_count, section_size)
        ]

    def symbols(self) -> Symbols:
        """Those in .symtab, as nm lists them."""
        table = next((s for s in self._sections if s.type == _SHT_SYMTAB), None)
        if table is None or table.link >= len(self._sections):
            raise self._error("it has no symbols (stripped): use the one that the build leaves")
        strings = bytes(self._content(self._sections[table.link]))
        entries = self._content(table)
        addresses: list[int] = []
        kinds = bytearray()
        names: list[bytes] = []
        count = len(entries) // _SYM.size
        if count > _SYMBOLS_MAX:
            raise self._error(f"{count} symbols: expected at most {_SYMBOLS_MAX}")
        for at, value, _, info, _, index in _SYM.iter_unpack(entries[: count * _SYM.size]):
            type_ = info & 0xF
            if index == _SHN_UNDEF or type_ in (_STT_SECTION, _STT_FILE):
                continue
            if index == _SHN_ABS and info >> 4 == _STB_LOCAL:
                continue  # numbers out of assembly sources; System.map is without them too
            end = strings.find(b"\0", at, at + _NAME_MAX)
            if end < 0:
                raise self._error(f"damaged: no symbol's name at {at:#x} of {len(strings):#x}")
            name = strings[at:end]
            if not name or name[:1] == b"$" or name.translate(None, _GRAPHIC):
                continue  # $a, $d, $t: ARM's mapping symbols
            addresses.append(value & ~1 if type_ == _STT_FUNC else value)  # Thumb's bit
            kinds.append(self._kind(type_, info >> 4, index))
            names.append(name)
        if not names:
            raise self._error("it has no symbols")
        return Symbols.pack(addresses, bytes(kinds), names)

    def image(self, text: int) -> bytes:
        """What is to be loaded, from address `text` (_text) on: each segment at its p_paddr.

        Those differ from where it runs for the exception vectors alone, which are copied there.
        """
        loads = [s for s in self._segments if s.type == _PT_LOAD and s.filesz]
        for load in loads:
            if load.offset + load.filesz > len(self._data):
                raise self._error(
                    f"truncated: a segment ends at {load.offset + load.filesz:#x}, the file at"
                    f" {len(self._data):#x}"
                )
        if sum(load.filesz for load in loads) > len(self._data):
            raise self._error("damaged: its segments overlap")
        size = max((load.paddr + load.filesz for load in loads), default=text) - text
        if not 0 < size <= UNPACKED_MAX:
            raise self._error(f"{size} bytes from _text ({text:#x}) on are to be loaded")
        code = bytearray(size)
        for load in loads:
            start = load.paddr - text
            content = self._data[load.offset : load.offset + load.filesz]
            if start < 0:  # the file's own headers, before _text
                content = content[-start:]
                start = 0
            code[start : start + len(content)] = content
        return bytes(code)

    def _kind(self, type_: int, binding: int, index: int) -> int:
        """nm's letter for a symbol in section `index`."""
        if binding == _STB_WEAK:
            return ord("V" if type_ == _STT_OBJECT else "W")
        if index >= _SHN_LORESERVE:
            letter = "a"
        elif index >= len(self._sections):
            raise self._error(f"a symbol lies in section {index} of {len(self._sections)}")
        else:
            section = self._sections[index]
            if section.flags & _SHF_EXECINSTR:
                letter = "t"
            elif section.type == _SHT_NOBITS:
                letter = "b"
            else:
                letter = "d" if section.flags & _SHF_WRITE else "r"
        return ord(letter.upper() if binding == _STB_GLOBAL else letter)

    def _table(self, entry: Struct, at: int, count: int, size: int) -> list[tuple[int, ...]]:
        """`count` headers of `size` bytes from `at` on."""
        if count and size != entry.size:
            raise self._error(f"headers of {size} bytes: expected {entry.size}")
        if at + count * size > len(self._data):
            raise self._error(
                f"truncated: its headers end at {at + count * size:#x}, the file at"
                f" {len(self._data):#x}"
            )
        return [entry.unpack_from(self._data, at + number * size) for number in range(count)]

    def _content(self, section: _Section) -> memoryview:
        content = self._data[section.offset : section.offset + section.size]
        if len(content) < section.size:
            raise self._error(
                f"truncated: a section ends at {section.offset + section.size:#x}, the file at"
                f" {len(self._data):#x}"
            )
        return content

    def _error(self, words: str) -> BootsimError:
        return BootsimError(f"{self._name}: {words}")
