"""Physical memory: RAM banks as host buffers that the emulated CPU shares byte for byte.

Each bank is one private anonymous mapping, backed lazily by the host, so that a bank costs what is
touched of it. Python reads and writes the very bytes the guest does; nothing is copied.
"""

from __future__ import annotations

import mmap
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from bootsim.errors import BootsimError, MemoryAccessError

PAGE_SIZE = 4096
ADDRESS_LIMIT = 1 << 32

# Below this a slice assignment beats the system call.
_ZERO_BY_HOST_PAGES = 16 * PAGE_SIZE
# The host frees anonymous pages at once, and they read zero again, only on Linux (madvise(2)).
_HOST_ZEROES_DISCARDED_PAGES = sys.platform == "linux"


class Range(NamedTuple):
    """A half-open range of addresses, in bytes."""

    base: int
    size: int

    @property
    def end(self) -> int:
        return self.base + self.size

    def __str__(self) -> str:
        return f"[{self.base:#010x}-{self.end - 1:#010x}]"


@dataclass(frozen=True, slots=True)
class Bank:
    """One RAM bank: its place in the physical address space and the host mapping behind it."""

    base: int
    size: int
    mapping: mmap.mmap
    view: memoryview

    @property
    def end(self) -> int:
        return self.base + self.size


class PhysMemory:
    """The machine's RAM, addressed by physical address (bytes)."""

    def __init__(self, banks: Iterable[tuple[int, int]], *, fill: int = 0) -> None:
        """Map `banks`, (base, size) pairs in bytes, with each byte `fill` at power-on.

        Banks that touch become one, so that an access may cross from one into the next.
        Raises BootsimError for a bank that is empty, not page-aligned, past 4 GiB, or that
        overlaps another.
        """
        if not 0 <= fill <= 0xFF:
            raise BootsimError(f"RAM fill {fill:#x} is not a byte")
        ranges = sorted(Range(*bank) for bank in banks)
        for bank in ranges:
            if bank.size <= 0:
                raise BootsimError(f"RAM bank at {bank.base:#x} has size {bank.size:#x}")
            if bank.base % PAGE_SIZE or bank.size % PAGE_SIZE:
                raise BootsimError(f"RAM bank {bank} is not aligned to {PAGE_SIZE} bytes")
            if bank.base < 0 or bank.end > ADDRESS_LIMIT:
                raise BootsimError(f"RAM bank {bank} passes 4 GiB")
        for low, high in pairwise(ranges):
            if low.end > high.base:
                raise BootsimError(f"RAM banks {low} and {high} overlap")
        self.banks = tuple(self._map(run, fill) for run in _contiguous(ranges))
        self._bases = [bank.base for bank in self.banks]
        self.bad_cells: list[tuple[int, int]] = []  # (address, mask of bits in the byte there)

    @staticmethod
    def _map(bank: Range, fill: int) -> Bank:
        mapping = mmap.mmap(-1, bank.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory = Bank(bank.base, bank.size, mapping, memoryview(mapping))
        if fill:
            _fill(memory.view, fill)
        return memory

    @property
    def size(self) -> int:
        """Bytes of RAM in all banks."""
        return sum(bank.size for bank in self.banks)

    def bank(self, addr: int, size: int = 1) -> Bank:
        """The bank that holds all of `size` bytes at `addr`, or MemoryAccessError."""
        index = bisect_right(self._bases, addr) - 1
        if index >= 0 and size >= 0:
            bank = self.banks[index]
            if addr < (end := bank.base + bank.size) and addr + size <= end:
                return bank
        raise MemoryAccessError(
            f"no RAM at {addr:#010x}, size {size:#x}: the banks are "
            + ", ".join(str(Range(bank.base, bank.size)) for bank in self.banks)
        )

    def contains(self, addr: int, size: int = 1) -> bool:
        """Whether one bank holds all of `size` bytes at `addr`."""
        try:
            self.bank(addr, size)
        except MemoryAccessError:
            return False
        return True

    def view(self, addr: int, size: int) -> memoryview:
        """The RAM itself, writable, as bytes."""
        bank = self.bank(addr, size)
        offset = addr - bank.base
        return bank.view[offset : offset + size]

    def words(self, addr: int, count: int) -> memoryview:
        """The RAM itself as `count` native-endian (little) 32-bit words; `addr` is word-aligned."""
        if addr % 4:
            raise MemoryAccessError(f"words at {addr:#010x}: not aligned to 4 bytes")
        return self.view(addr, 4 * count).cast("I")

    def read(self, addr: int, size: int) -> bytes:
        return bytes(self.view(addr, size))

    def write(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        self.view(addr, len(data))[:] = data

    def read_u32(self, addr: int) -> int:
        return int.from_bytes(self.view(addr, 4), "little")

    def write_u32(self, addr: int, value: int) -> None:
        self.view(addr, 4)[:] = value.to_bytes(4, "little")

    def fill(self, addr: int, size: int, byte: int) -> None:
        """Set `size` bytes at `addr` to `byte`."""
        if byte:
            _fill(self.view(addr, size), byte)
        else:
            self.zero(addr, size)

    def zero(self, addr: int, size: int) -> None:
        """Zero `size` bytes at `addr`; whole host pages are given back to the host instead."""
        bank = self.bank(addr, size)
        start = addr - bank.base
        end = start + size
        if size >= _ZERO_BY_HOST_PAGES and _HOST_ZEROES_DISCARDED_PAGES:
            first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
            last = end // mmap.PAGESIZE * mmap.PAGESIZE
            bank.mapping.madvise(mmap.MADV_DONTNEED, first, last - first)
            bank.view[start:first] = bytes(first - start)
            bank.view[last:end] = bytes(end - last)
        else:
            _fill(bank.view[start:end], 0)

    def settle(self, addr: int, size: int) -> None:
        """Let the faulty cells in [addr, addr + size) flip the bits that they do not hold."""
        for cell, mask in self.bad_cells:
            if addr <= cell < addr + size:
                self.view(cell, 1)[0] ^= mask

    def __iter__(self) -> Iterator[Bank]:
        return iter(self.banks)


def _contiguous(ranges: list[Range]) -> list[Range]:
    """Sorted, disjoint `ranges` with those that touch joined."""
    joined: list[Range] = []
    for bank in ranges:
        if joined and joined[-1].end == bank.base:
            joined[-1] = Range(joined[-1].base, joined[-1].size + bank.size)
        else:
            joined.append(bank)
    return joined


def _fill(view: memoryview, byte: int) -> None:
    """Fill in pieces, so that filling a large bank needs no second buffer of its size."""
    piece = bytes([byte]) * min(len(view), 1 << 20)
    for offset in range(0, len(view), 1 << 20):
        part = view[offset : offset + (1 << 20)]
        part[:] = piece[: len(part)]
