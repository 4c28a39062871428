"""struct memblock_type in RAM: one kind of memory and its array of regions.

RAM is the truth: Python keeps views of the array, never a copy of a region. Every access starts
with `sync()`, which notices what others wrote (a driver, the guest, the kernel's own code) since
the last one.

A table that holds its regions in order, apart, with neighbours merged, as memblock itself leaves
it, is *canonical*. Linux walks the whole array in each operation; in a canonical table the result
is the same if only the regions around the place are looked at, so they are found by bisection and
moved by one slice assignment. Whether a table is canonical is known from RAM itself: up to
WATCHED regions the array is compared with what was left there, and looked through again when it
differs. Longer tables, which no boot has, are watched by their header alone: who writes into
their regions behind memblock's back calls `forget()`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import add
from typing import NamedTuple, overload

from bootsim.errors import BootsimError
from bootsim.kernel.layout import MemblockLayout
from bootsim.kernel.memory import LinearMap
from bootsim.machine.memory import PhysMemory

WATCHED = 1024
_ULONG_MAX = 0xFFFFFFFF
_NAME_MAX = 32


class Region(NamedTuple):
    """One struct memblock_region: base and size in bytes; nid is 0 without NUMA."""

    base: int
    size: int
    flags: int = 0
    nid: int = 0

    @property
    def end(self) -> int:
        """The address behind the last byte."""
        return self.base + self.size

    def __str__(self) -> str:
        if not self.size:
            return f"[{self.base:#010x}, empty]"
        return f"[{self.base:#010x}-{self.end - 1:#010x}]"


class MemblockType(Sequence[Region]):
    """A struct memblock_type at physical address `addr`, and a sequence of its regions.

    `cnt`, `max`, `total_size` and `regions` (a virtual address) read and write RAM. What cannot be
    followed there (cnt beyond max, an array outside RAM) raises BootsimError.
    """

    def __init__(
        self, memory: PhysMemory, addr: int, layout: MemblockLayout, linear: LinearMap, label: str
    ) -> None:
        self.memory = memory
        self.addr = addr
        self.label = label
        self.region_size = layout.region_size
        self.address_max = (1 << layout.address_bits) - 1
        self._layout = layout
        self._linear = linear
        self._numa = layout.numa
        self._head = memory.view(addr, layout.type_size)
        words, fields = self._head.cast("I"), layout.type_
        self._cnt = words[fields.cnt.offset // 4 :]
        self._max = words[fields.max.offset // 4 :]
        self._regions = words[fields.regions.offset // 4 :]
        self._name = words[fields.name.offset // 4 :]
        total = fields.total_size
        self._total = self._head[total.offset : total.offset + total.size].cast(
            layout.address_format
        )
        self._seen_head = b""
        self._seen = b""
        self._array_at = (0, 0)
        self.n = self.room = 0
        self.canonical = False
        # (size, low, top): a search found each gap that ends at a region's base in (low, top] to
        # be smaller than size. True until a region shrinks or goes: adding only splits gaps.
        self.scanned = (0, 0, 0)
        self.array = self.bases = self.sizes = self.flags = self.nids = self._head[:0]
        self._live = self._head[:0]

    # What a driver sees: the members of the C structure.

    @property
    def cnt(self) -> int:
        """Number of regions; an empty table has one dummy region of size 0."""
        value: int = self._cnt[0]
        return value

    @cnt.setter
    def cnt(self, value: int) -> None:
        self._cnt[0] = self._unsigned("cnt", value, _ULONG_MAX)

    @property
    def max(self) -> int:
        """Number of regions that the array has room for."""
        value: int = self._max[0]
        return value

    @max.setter
    def max(self, value: int) -> None:
        self._max[0] = self._unsigned("max", value, _ULONG_MAX)

    @property
    def total_size(self) -> int:
        """Bytes in all regions, as Linux keeps count of them."""
        value: int = self._total[0]
        return value

    @total_size.setter
    def total_size(self, value: int) -> None:
        self._total[0] = self._unsigned("total_size", value, self.address_max)

    @property
    def regions(self) -> int:
        """Virtual address of the array."""
        value: int = self._regions[0]
        return value

    @regions.setter
    def regions(self, value: int) -> None:
        self._regions[0] = self._unsigned("regions", value, _ULONG_MAX)

    @property
    def name(self) -> str:
        """The name that the log shows; raises BootsimError if the pointer leads out of RAM.

        A null pointer (a machine whose memory has no place for the strings) reads as the name of
        the C member.
        """
        if not self._name[0]:
            return self.label
        phys = self._linear.virt_to_phys(self._name[0])
        if not self.memory.contains(phys):
            raise BootsimError(
                f"memblock.{self.label}.name is {self._name[0]:#010x}: expected a string in RAM"
            )
        bank = self.memory.bank(phys)
        text = self.memory.read(phys, min(_NAME_MAX, bank.end - phys))
        return text.split(b"\0", 1)[0].decode("latin-1")

    def set_name(self, virt: int) -> None:
        """Point `name` at the string at virtual address `virt`."""
        self._name[0] = virt

    def _unsigned(self, field: str, value: int, limit: int) -> int:
        if not isinstance(value, int) or not 0 <= value <= limit:
            raise BootsimError(
                f"memblock.{self.label}.{field} = {value!r}: expected 0 to {limit:#x}"
            )
        return value

    # The regions as a sequence.

    def __len__(self) -> int:
        self.sync()
        return self.n

    @overload
    def __getitem__(self, index: int) -> Region: ...
    @overload
    def __getitem__(self, index: slice) -> list[Region]: ...
    def __getitem__(self, index: int | slice) -> Region | list[Region]:
        self.sync()
        if isinstance(index, slice):
            return [self.region(i) for i in range(*index.indices(self.n))]
        if not -self.n <= index < self.n:
            raise IndexError(f"memblock.{self.label} has {self.n} regions, no [{index}]")
        return self.region(index % self.n)

    def __iter__(self) -> Iterator[Region]:
        # Follows a table that grows or moves meanwhile, as Linux's loops do.
        index = 0
        while True:
            if self._head.tobytes() != self._seen_head:
                self._load()
            if index >= self.n:
                return
            yield self.region(index)
            index += 1

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Sequence) and not isinstance(other, str):
            return list(self) == list(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<memblock.{self.label}: {', '.join(str(region) for region in self)}>"

    def region(self, index: int) -> Region:
        """Region `index` of the array, which `sync()` has been asked about."""
        nid = self.nids[index] if self._numa else 0
        return Region(self.bases[index], self.sizes[index], self.flags[index], nid)

    # Knowing the table.

    def sync(self) -> bool:
        """Follow what is in RAM; whether the table is canonical.

        Afterwards `n` is cnt, `room` is max, and the views `bases`, `sizes`, `flags` and `nids`
        show the array.
        """
        if self._head.tobytes() != self._seen_head or self._live.tobytes() != self._seen:
            self._load()
        return self.canonical

    def forget(self) -> None:
        """Someone may have written into the regions: look at all of them at the next use."""
        self._seen_head = b""

    def _load(self) -> None:
        cnt, max_ = self.cnt, self.max
        if max_ == 0 or cnt > max_:
            raise BootsimError(
                f"memblock.{self.label} is corrupt: cnt {cnt}, max {max_}: expected cnt <= max"
            )
        if self._array_at != (self.regions, max_):
            self._map_array()
        self.n, self.room = cnt, max_
        self.scanned = (0, 0, 0)
        self.canonical = self._is_canonical()
        self._remember()

    def _map_array(self) -> None:
        phys, size = self._linear.virt_to_phys(self.regions), self.max * self.region_size
        if not self.memory.contains(phys, size) or phys % 4:
            raise BootsimError(
                f"memblock.{self.label} is corrupt: its array of {self.max} regions at virtual "
                f"{self.regions:#010x} (physical {phys:#010x}) is not in RAM"
            )
        layout = self._layout
        self.array = self.memory.view(phys, size)
        cells, words = self.array.cast(layout.address_format), self.array.cast("I")
        self.bases = cells[0 :: layout.address_stride]
        self.sizes = cells[1 :: layout.address_stride]
        self.flags = words[layout.flags_word :: layout.word_stride]
        if self._numa:
            self.nids = self.array.cast("i")[layout.flags_word + 1 :: layout.word_stride]
        self._array_at = (self.regions, self.max)
        self._live = self.array[:0]

    def _remember(self) -> None:
        watched = self.n * self.region_size if self.n <= WATCHED else 0
        if len(self._live) != watched:
            self._live = self.array[:watched]
        self._seen_head = self._head.tobytes()
        self._seen = self._live.tobytes()

    def _is_canonical(self) -> bool:
        n = self.n
        bases, sizes = self.bases[:n].tolist(), self.sizes[:n].tolist()
        if n <= 1:
            return (
                n == 1
                and bases[0] + sizes[0] <= self.address_max
                and bool(sizes[0] or not bases[0])
            )
        ends = list(map(add, bases, sizes))
        if ends[-1] > self.address_max or not all(sizes):
            return False
        for i in range(1, n):
            if ends[i - 1] > bases[i]:
                return False
            if ends[i - 1] == bases[i] and self._is_like(i, *self.region(i - 1)[2:]):
                return False
        return True

    def _is_like(self, index: int, flags: int, nid: int) -> bool:
        return self.flags[index] == flags and (not self._numa or self.nids[index] == nid)

    # Changing a canonical table. The caller has synced; the result is canonical again.

    def overlapping(self, base: int, end: int) -> tuple[int, int]:
        """Indices [lo, hi) of the regions that overlap [base, end), not empty; lo == hi: none,
        and a region there would be inserted at lo."""
        hi = bisect_left(self.bases, end, 0, self.n)
        if not hi or self.bases[hi - 1] + self.sizes[hi - 1] <= base:
            return hi, hi
        lo = bisect_right(self.bases, base, 0, hi)
        if lo and self.bases[lo - 1] + self.sizes[lo - 1] > base:
            lo -= 1
        return lo, hi

    # The two changes that nearly all operations come down to, and the general one.

    def add_apart(self, base: int, size: int, flags: int, nid: int) -> bool:
        """Add a region that overlaps none, or let it grow its like neighbours; whether it did.

        It did not, and nothing is changed, if something overlaps, or if the array is full (Linux
        wants room before it merges) or has but the dummy region.
        """
        bases, sizes, n = self.bases, self.sizes, self.n
        end = base + size
        at = bisect_left(bases, end, 0, n)
        left = right = False
        if n >= self.room or not sizes[0]:
            return False
        if at:
            left_end = bases[at - 1] + sizes[at - 1]
            if left_end > base:
                return False
            left = left_end == base and self._is_like(at - 1, flags, nid)
        if at < n and bases[at] == end:
            right = self._is_like(at, flags, nid)
        if left:
            if right:
                sizes[at - 1] += size + sizes[at]
                self._move(at + 1, at)
            else:
                sizes[at - 1] += size
        elif right:
            bases[at] = base
            sizes[at] += size
        else:
            self._move(at, at + 1)
            self._write(at, base, size, flags, nid)
        self._total[0] = (self._total[0] + size) & self.address_max
        self._remember()
        return True

    def cut(self, base: int, end: int) -> bool:
        """Take [base, end) out if that splits no region and concerns one at most; whether it did.

        It did not, and nothing is changed, if more is to be done or no region would be left.
        """
        bases, sizes, n = self.bases, self.sizes, self.n
        at = bisect_left(bases, end, 0, n) - 1
        if at < 0:
            return True
        left = bases[at]
        right = left + sizes[at]
        if right <= base:
            return True
        if left < base:
            if right > end:
                return False
            sizes[at] = base - left
            gone = right - base
        elif at and bases[at - 1] + sizes[at - 1] > base:
            return False
        elif right > end:
            bases[at] = end
            sizes[at] = right - end
            gone = end - left
        elif n > 1:
            self._move(at + 1, at)
            gone = right - left
        else:
            return False
        self._total[0] = (self._total[0] - gone) & self.address_max
        self.scanned = (0, 0, 0)
        self._remember()
        return True

    def replace(self, lo: int, hi: int, rows: Iterable[Region], *, grown: int, merge: bool) -> None:
        """Put `rows` in the place of regions [lo, hi); `grown` bytes are added to total_size.

        With `merge`, rows merge with each other and with the regions on both sides.
        """
        if merge:
            rows = self._merged(lo, hi, rows)
            lo, hi = max(lo - 1, 0), min(hi + 1, self.n)
        rows = list(rows)
        self._move(hi, lo + len(rows))
        for index, row in enumerate(rows, lo):
            self._write(index, *row)
        self._total[0] = (self._total[0] + grown) & self.address_max
        if grown <= 0:
            self.scanned = (0, 0, 0)
        self._remember()

    def clear(self, nid: int) -> None:
        """Leave the one dummy region that an emptied table has, of node `nid`."""
        self._cnt[0] = self.n = 1
        self._write(0, 0, 0, 0, nid)
        self.scanned = (0, 0, 0)
        self._remember()

    def set_first(self, base: int, size: int, flags: int, nid: int) -> None:
        """Turn the dummy region of an empty table into the first real one."""
        self._write(0, base, size, flags, nid)
        self._total[0] = size
        self.forget()

    def _merged(self, lo: int, hi: int, rows: Iterable[Region]) -> list[Region]:
        merged: list[Region] = []
        left = [self.region(lo - 1)] if lo else []
        right = [self.region(hi)] if hi < self.n else []
        for row in (*left, *rows, *right):
            if merged and merged[-1].end == row.base and merged[-1][2:] == row[2:]:
                merged[-1] = merged[-1]._replace(size=merged[-1].size + row.size)
            else:
                merged.append(row)
        return merged

    def _move(self, source: int, target: int) -> None:
        """Move the regions from `source` to the end so that they begin at `target`."""
        if source == target:
            return
        size, n, array = self.region_size, self.n, self.array
        count = n + target - source
        if source < n:
            array[target * size : count * size] = array[source * size : n * size]
        self._cnt[0] = self.n = count

    def _write(self, index: int, base: int, size: int, flags: int, nid: int) -> None:
        self.bases[index] = base
        self.sizes[index] = size
        self.flags[index] = flags
        if self._numa:
            self.nids[index] = nid

    # Changing any table, as mm/memblock.c does it, one region at a time.

    def put(self, index: int, region: Region) -> None:
        """Overwrite region `index`."""
        self._write(index, *region)
        self.forget()

    def insert_region(self, index: int, region: Region) -> None:
        """memblock_insert_region(): insert at `index`; the array has room."""
        self.n = self.cnt
        self._move(index, index + 1)
        self._write(index, *region)
        self._total[0] = (self._total[0] + region.size) & self.address_max
        self.forget()

    def delete(self, index: int) -> None:
        """Close the gap that taking out region `index` leaves; total_size stays."""
        self.n = self.cnt
        self._move(index + 1, index)
        self.forget()
