"""Memory as guest code sees it, for the functions that Python serves to it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

from bootsim.errors import MemoryAccessError
from bootsim.machine import faults, mmu
from bootsim.machine.cpu import Cpu

_PAGE = 1 << 12
_SECTION = 1 << 20
_STRING_MAX = 1 << 20  # bytes; no string of early boot comes near
_U32_MASK = 0xFFFFFFFF
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")

# A descriptor in RAM and what it held, twice as a walk reads two; then where it leads.
_Walked = tuple[memoryview, int, memoryview, int, int]


class GuestMemory:
    """Reads and writes at virtual addresses, refused where the MMU would refuse them.

    Each method raises MachineFault, a data abort of the kernel function that the guest called,
    for an address that the guest itself could not access so.
    """

    def __init__(self, cpu: Cpu) -> None:
        self._cpu = cpu
        self._ram = cpu.memory
        # Walks that were made, by megabyte and by page, each with whether it was for writing.
        # Their descriptors are compared at each use: the guest and the kernel change page tables.
        self._sections: dict[tuple[int, bool], _Walked] = {}
        self._pages: dict[tuple[int, bool], _Walked] = {}
        self._table = 0
        self._on = False
        self.code = range(0)  # where code may have run: it is translated anew when written to
        self.refresh()

    def refresh(self) -> None:
        """Look at TTBR0 and SCTLR anew."""
        self._on, table = self._cpu.mmu_on, self._cpu.ttbr0
        if table != self._table:
            self._table = table
            self._sections.clear()
            self._pages.clear()

    def phys(self, virt: int, *, write: bool = False) -> int:
        """The physical address behind `virt`."""
        return self._translate(virt, write)[0]

    def _translate(self, virt: int, write: bool) -> tuple[int, int]:
        """The physical address behind `virt`, and how many bytes lie behind one another there."""
        if not self._on:
            return virt, _U32_MASK + 1 - virt
        for walked, size in ((self._sections, _SECTION), (self._pages, _PAGE)):
            found = walked.get((virt // size, write))
            if found is not None and found[0][0] == found[1] and found[2][0] == found[3]:
                return found[4] + virt % size, size - virt % size
        return self._walk(virt, write)

    def _walk(self, virt: int, write: bool) -> tuple[int, int]:
        cpu, access = self._cpu, "write" if write else "read"
        why = faults.refusal(cpu, virt, access, privileged=cpu.privileged)
        if why is not None:
            raise faults.fault(cpu, f"data abort: {why}", virt, access)
        found = mmu.walk(self._ram, cpu.ttbr0, virt, ttbcr=cpu.ttbcr)
        first, last = found.descriptors[0], found.descriptors[-1]
        whole = found.size >= _SECTION
        walked, size = (self._sections, _SECTION) if whole else (self._pages, _PAGE)
        walked[virt // size, write] = (
            *(self._ram.words(first.address, 1), first.word),
            *(self._ram.words(last.address, 1), last.word),
            found.phys - virt % size,
        )
        return found.phys, size - virt % size

    def _ranges(self, virt: int, size: int, *, write: bool) -> Iterator[tuple[int, int]]:
        """The physical ranges of `size` bytes at `virt`, a megabyte at most each."""
        while size > 0:
            phys, contiguous = self._translate(virt, write)
            part = min(size, contiguous, _SECTION)
            if not self._ram.contains(phys, part):
                part = min(part, _PAGE - phys % _PAGE)
                if not self._ram.contains(phys, part):
                    raise faults.fault(
                        self._cpu, "no RAM at this physical address", phys, ("read", "write")[write]
                    )
            yield phys, part
            virt, size = virt + part & _U32_MASK, size - part

    def read(self, virt: int, size: int) -> bytes:
        """`size` bytes at `virt`."""
        if virt % _PAGE + size <= _PAGE:  # the most common by far
            with suppress(MemoryAccessError):
                return self._ram.read(self._translate(virt, False)[0], size)
        return b"".join(self.pieces(virt, size))

    def pieces(self, virt: int, size: int) -> Iterator[bytes]:
        """`size` bytes at `virt`, in pieces of a megabyte at most."""
        for phys, part in self._ranges(virt, size, write=False):
            yield self._ram.read(phys, part)

    def write(self, virt: int, data: bytes) -> None:
        """Write `data` at `virt`."""
        size = len(data)
        offset = 0
        if 0 < size <= _PAGE - virt % _PAGE:
            with suppress(MemoryAccessError):
                self._ram.write(self._translate(virt, True)[0], data)
                offset = size
        for phys, part in self._ranges(virt + offset, size - offset, write=True):
            self._ram.write(phys, data[offset : offset + part])
            offset += part
        if virt < self.code.stop and virt + size > self.code.start:
            self._invalidate(virt, size)

    def fill(self, virt: int, byte: int, size: int) -> None:
        """memset(): set `size` bytes at `virt` to `byte`."""
        for phys, part in self._ranges(virt, size, write=True):
            self._ram.fill(phys, part, byte)
        self._invalidate(virt, size)

    def _invalidate(self, virt: int, size: int) -> None:
        start, end = max(virt, self.code.start), min(virt + size, self.code.stop)
        if start < end:
            self._cpu.invalidate_code(start, end - start)

    def copy(self, dest: int, src: int, size: int) -> None:
        """memmove(): `size` bytes from `src` to `dest`, which may overlap."""
        starts = range(0, size, _SECTION)
        # Towards higher addresses the end must go first, as what lies there is overwritten.
        for start in reversed(starts) if src < dest < src + size else starts:
            part = min(_SECTION, size - start)
            self.write(dest + start & _U32_MASK, self.read(src + start & _U32_MASK, part))

    def string(self, virt: int, limit: int | None = None) -> bytes:
        """The bytes at `virt` up to a NUL, at most `limit` of them; a MachineFault without one."""
        left = _STRING_MAX if limit is None else limit
        pieces = []
        while left > 0:
            part = min(left, _PAGE - virt % _PAGE)
            piece = self.read(virt, part)
            end = piece.find(b"\0")
            if end >= 0:
                pieces.append(piece[:end])
                return b"".join(pieces)
            pieces.append(piece)
            virt, left = virt + part & _U32_MASK, left - part
        if limit is None:
            raise faults.fault(
                self._cpu, f"a string without an end in {_STRING_MAX:#x} bytes", virt, "read"
            )
        return b"".join(pieces)

    def u32(self, virt: int) -> int:
        """The word at `virt`, unsigned."""
        value: int = _U32.unpack(self.read(virt, 4))[0]
        return value

    def u64(self, virt: int) -> int:
        """The 64-bit word at `virt`, unsigned."""
        value: int = _U64.unpack(self.read(virt, 8))[0]
        return value

    def put_u32(self, virt: int, value: int) -> None:
        self.write(virt, _U32.pack(value & _U32_MASK))

    def put_u64(self, virt: int, value: int) -> None:
        self.write(virt, _U64.pack(value & 0xFFFFFFFFFFFFFFFF))
