"""Memory as guest code sees it, for the functions that Python serves to it."""

from __future__ import annotations

import struct

from bootsim.errors import BootsimError, MachineFault
from bootsim.machine import faults, mmu
from bootsim.machine.cpu import Cpu

_PAGE = 1 << 12
_STRING_MAX = 1 << 20  # bytes; no string of early boot comes near
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


class GuestMemory:
    """Reads and writes at virtual addresses, refused where the MMU would refuse them.

    Each method raises MachineFault, a data abort of the kernel function that the guest called,
    for an address that the guest itself could not access so.
    """

    def __init__(self, cpu: Cpu) -> None:
        self._cpu = cpu
        self._ram = cpu.memory
        # By page and access: the descriptors that were walked, what they held, and the page's
        # physical address. Compared at each use, as the guest and the kernel change page tables.
        self._walked: dict[tuple[int, bool], tuple[memoryview, int, memoryview, int, int]] = {}
        self._table = 0
        self._on = False
        self.refresh()

    def refresh(self) -> None:
        """Look at TTBR0 and SCTLR anew."""
        self._on, table = self._cpu.mmu_on, self._cpu.ttbr0
        if table != self._table:
            self._table = table
            self._walked.clear()

    def phys(self, virt: int, *, write: bool = False) -> int:
        """The physical address behind `virt`."""
        if not self._on:
            return virt
        key = virt >> 12, write
        found = self._walked.get(key)
        if found is None or found[0][0] != found[1] or found[2][0] != found[3]:
            found = self._walked[key] = self._walk(virt, "write" if write else "read")
        return found[4] | virt & 0xFFF

    def _walk(self, virt: int, access: str) -> tuple[memoryview, int, memoryview, int, int]:
        cpu = self._cpu
        why = faults.refusal(cpu, virt, access, privileged=cpu.privileged)
        if why is not None:
            raise faults.fault(cpu, f"data abort: {why}", virt, access)
        found = mmu.walk(self._ram, cpu.ttbr0, virt, ttbcr=cpu.ttbcr)
        first, last = found.descriptors[0], found.descriptors[-1]
        return (
            *(self._ram.words(first.address, 1), first.word),
            *(self._ram.words(last.address, 1), last.word),
            found.phys & -_PAGE,
        )

    def _ranges(self, virt: int, size: int, *, write: bool) -> list[tuple[int, int]]:
        """The physical ranges of `size` bytes at `virt`, page by page."""
        ranges: list[tuple[int, int]] = []
        while size > 0:
            part = min(size, _PAGE - virt % _PAGE)
            phys = self.phys(virt & 0xFFFFFFFF, write=write)
            if ranges and sum(ranges[-1]) == phys:
                ranges[-1] = ranges[-1][0], ranges[-1][1] + part
            else:
                ranges.append((phys, part))
            virt += part
            size -= part
        return ranges

    def _absent(self, virt: int, access: str, error: BootsimError) -> BootsimError:
        return faults.fault(self._cpu, f"no RAM at this physical address: {error}", virt, access)

    def read(self, virt: int, size: int) -> bytes:
        """`size` bytes at `virt`."""
        try:
            if virt % _PAGE + size <= _PAGE:
                return self._ram.read(self.phys(virt), size)
            return b"".join(self._ram.read(*part) for part in self._ranges(virt, size, write=False))
        except BootsimError as error:
            if isinstance(error, MachineFault):
                raise
            raise self._absent(virt, "read", error) from None

    def write(self, virt: int, data: bytes) -> None:
        """Write `data` at `virt`; code there is translated anew."""
        try:
            offset = 0
            for phys, size in self._ranges(virt, len(data), write=True):
                self._ram.write(phys, data[offset : offset + size])
                offset += size
        except BootsimError as error:
            if isinstance(error, MachineFault):
                raise
            raise self._absent(virt, "write", error) from None

    def fill(self, virt: int, byte: int, size: int) -> None:
        """memset()."""
        try:
            for phys, part in self._ranges(virt, size, write=True):
                self._ram.fill(phys, part, byte)
        except BootsimError as error:
            if isinstance(error, MachineFault):
                raise
            raise self._absent(virt, "write", error) from None

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
            virt, left = virt + part & 0xFFFFFFFF, left - part
        if limit is None:
            raise faults.fault(
                self._cpu, f"a string without an end in {_STRING_MAX:#x} bytes", virt
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
        self.write(virt, _U32.pack(value & 0xFFFFFFFF))

    def put_u64(self, virt: int, value: int) -> None:
        self.write(virt, _U64.pack(value & 0xFFFFFFFFFFFFFFFF))
