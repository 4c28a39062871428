"""memblock's words in a kernel's log, read back: one line gives one event.

The inverse of bootsim.kernel.memblock_log, for every wording of Linux 4.0 to 6.x: mm/memblock.c
and, to 4.19, mm/bootmem.c's successors in it. What changed over the versions:

- ranges: "%#016llx" and "flags 0x0" to 4.13, "%pa" since; the caller by %pF to 5.2, then %pS, or a
  bare address where there is no kallsyms;
- names: "   memblock_free:" to 5.7, "memblock_free:" to 5.15, "memblock_phys_free:" since;
  memblock_virt_alloc_* to 4.19, memblock_alloc_* since; `__memblock_reserve: ... nid=0 flags=0`
  from 6.15;
- the array's doubling: "%#010llx" to 4.17, "%pa" since.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bootsim.kernel.memblock import NUMA_NO_NODE, Region
from bootsim.kernel.printk import KERN_INFO
from bootsim.trace import Event, MemblockAlloc, MemblockRange, MemblockResize, Printk

# Above this no phys_addr_t is.
_U64_MAX = (1 << 64) - 1

_HEX = r"0x([0-9a-f]{1,16})"
_SPAN = rf"\[{_HEX}-{_HEX}\]"
_RANGE = re.compile(
    rf"(?<!\w)(_*memblock_\w+): {_SPAN}(?: nid=(-?\d{{1,10}}) flags=([0-9a-f]{{1,8}})"
    rf"|(?: with)? flags {_HEX})?(?: nid=(-?\d{{1,10}}))?(?: (\S.*?))?\s*$"
)
_ALLOC = re.compile(
    rf"(?<!\w)(_*memblock_\w+): (\d{{1,20}}) bytes align={_HEX}(?: nid=(-?\d{{1,10}}))? "
    rf"from={_HEX} max_addr={_HEX}(?: (\S.*?))?\s*$"
)
_RESIZE = re.compile(
    rf"memblock: (memory|reserved) (?:array )?is doubled to (\d{{1,9}}) at {_SPAN}"
)
_LIKE_MEMBLOCK = re.compile(r"memblock_\w+: (?:\[|\d+ byte)|memblock: \w+ (?:array )?is doubled")

_DUMP_TITLE = re.compile(r"MEMBLOCK configuration:")
_DUMP_SIZE = re.compile(rf"memory size = {_HEX} reserved size = {_HEX}")
_DUMP_COUNT = re.compile(rf"\b(memory|reserved|physmem)\.cnt  ?= {_HEX}")
_DUMP_REGION = re.compile(
    rf"\b(memory|reserved|physmem)\[0x([0-9a-f]{{1,8}})\]\s*{_SPAN}, {_HEX} bytes"
    rf"(?: on node (-?\d{{1,10}}))?(?: flags: (?:0x)?([0-9a-f]{{1,8}}))?\s*$"
)
_OFFSET = re.compile(r"(?:\.(?:constprop|isra|part|cold|llvm)\.?\d*)*(?:\+0x[0-9a-f]+/0x[0-9a-f]+)")
# Who calls memblock_reserve() on what an allocator has found, over the versions.
_ALLOCATORS = ("memblock_alloc", "memblock_virt_alloc", "memblock_phys_alloc", "memblock_find")


@dataclass(frozen=True, slots=True)
class DumpSizes:
    """The totals at the head of a MEMBLOCK configuration, in bytes."""

    memory: int
    reserved: int


@dataclass(frozen=True, slots=True)
class DumpCount:
    """How many regions `table` has."""

    table: str
    count: int


@dataclass(frozen=True, slots=True)
class DumpRegion:
    """Region `index` of `table`."""

    table: str
    index: int
    region: Region


@dataclass(frozen=True, slots=True)
class DumpTitle:
    """The line that a MEMBLOCK configuration begins with."""


DumpPart = DumpTitle | DumpSizes | DumpCount | DumpRegion


@dataclass(slots=True)
class Dump:
    """A MEMBLOCK configuration (memblock_dump_all()) that lines `first` to `last` of a log show.

    `regions` and `counts` are by table name; what a line that is lost had is not there.
    """

    first: int
    last: int
    sizes: DumpSizes | None = None
    counts: dict[str, int] = field(default_factory=dict)
    regions: dict[str, dict[int, Region]] = field(default_factory=dict)

    def add(self, part: DumpPart, line: int) -> bool:
        """Take in `part`; False if it cannot belong here: another configuration begins."""
        if isinstance(part, DumpTitle):
            return False
        if isinstance(part, DumpSizes):
            if self.sizes or self.counts or self.regions:
                return False
            self.sizes = part
        elif isinstance(part, DumpCount):
            if part.table in self.counts:
                return False
            self.counts[part.table] = part.count
        else:
            table = self.regions.setdefault(part.table, {})
            if part.index in table:
                return False
            table[part.index] = part.region
        self.last = line
        return True

    def table(self, name: str) -> list[Region]:
        """The regions of table `name` that are there; an emptied table's dummy is left out."""
        regions = self.regions.get(name, {})
        return [regions[index] for index in sorted(regions) if regions[index].size]

    def missing(self, name: str) -> list[int]:
        """The indices of table `name` whose lines are lost, as far as counts and indices tell."""
        regions = self.regions.get(name, {})
        count = max([self.counts.get(name, 0), *(index + 1 for index in regions)])
        return [index for index in range(min(count, len(regions) + 4096)) if index not in regions]

    def complete(self, name: str) -> bool:
        """Whether all of table `name` is there: as many as it counts, or all of its total size."""
        if self.missing(name):
            return False
        return name in self.counts or self.total_size(name) == self.told_size(name)

    def total_size(self, name: str) -> int:
        """The sum of the sizes of table `name`'s regions that are there, in bytes."""
        return sum(region.size for region in self.table(name))

    def told_size(self, name: str) -> int | None:
        """The size that the configuration's head gives table `name`, None if that line is lost."""
        if self.sizes is None or name == "physmem":
            return None
        return self.sizes.memory if name == "memory" else self.sizes.reserved


def parse_line(text: str, level: int = KERN_INFO) -> Event | None:
    """The event that one line of a log tells of, without its prefix; None for an empty line.

    What is not memblock's, or is damaged, is a Printk of `level`. Noise before memblock's words is
    passed over. A `caller` keeps its offset. What the wording lacks is flags 0, node NUMA_NO_NODE.
    """
    if "memblock" in text:
        event = _range(text) or _alloc(text) or _resize(text)
        if event is not None:
            return event
    return Printk(level, text) if text else None


def is_damaged(text: str) -> bool:
    """Whether `text`, of which parse_line() makes a Printk, began as a line of memblock's."""
    return _LIKE_MEMBLOCK.search(text) is not None


def parse_dump_line(text: str) -> DumpPart | None:
    """What a line of a MEMBLOCK configuration says, None for any other or a damaged one."""
    if "MEMBLOCK" in text and _DUMP_TITLE.search(text):
        return DumpTitle()
    if "memory" not in text and "reserved" not in text and "physmem" not in text:
        return None
    if match := _DUMP_REGION.search(text):
        table, index, first, last, size, nid, flags = match.groups()
        base, length = int(first, 16), int(size, 16)
        if int(last, 16) != (base + length - 1) & _U64_MAX and length:
            return None
        node = NUMA_NO_NODE if nid is None else int(nid)
        return DumpRegion(table, int(index, 16), Region(base, length, int(flags or "0", 16), node))
    if match := _DUMP_COUNT.search(text):
        return DumpCount(match[1], int(match[2], 16))
    if match := _DUMP_SIZE.search(text):
        return DumpSizes(int(match[1], 16), int(match[2], 16))
    return None


def function_of(caller: str) -> str:
    """The function in `caller`, without the offset and what the compiler put behind its name."""
    return _OFFSET.sub("", caller.split(" ", 1)[0])


def reserves_for_an_allocator(caller: str) -> bool:
    """Whether memblock_reserve()'s `caller` is one of memblock's own allocators."""
    return function_of(caller).lstrip("_").startswith(_ALLOCATORS)


def _size(first: str, last: str) -> int | None:
    """The bytes from `first` to `last`, None if that is no range; 0 is printed as [n-n-1]."""
    size = int(last, 16) + 1 - int(first, 16)
    return size if size >= 0 else None


def _range(text: str) -> MemblockRange | None:
    match = _RANGE.search(text)
    if match is None:
        return None
    function, first, last, nid, flags, old_flags, old_nid, caller = match.groups()
    size = _size(first, last)
    if size is None:
        return None
    node = int(nid or old_nid or NUMA_NO_NODE)
    attributes = int(flags or old_flags or "0", 16)
    return MemblockRange(function, int(first, 16), size, attributes, node, caller or "?", True)


def _alloc(text: str) -> MemblockAlloc | None:
    match = _ALLOC.search(text)
    if match is None:
        return None
    function, size, align, nid, min_addr, max_addr, caller = match.groups()
    if int(size) > _U64_MAX:
        return None
    numbers = (int(size), int(align, 16), int(min_addr, 16), int(max_addr, 16))
    return MemblockAlloc(function, *numbers, int(nid or NUMA_NO_NODE), caller or "?", True)


def _resize(text: str) -> MemblockResize | None:
    match = _RESIZE.search(text)
    if match is None:
        return None
    name, room, first, last = match.groups()
    size = _size(first, last)
    if not size:
        return None
    return MemblockResize(name, int(room), int(first, 16), size, True)
