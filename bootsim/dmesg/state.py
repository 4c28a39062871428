"""memblock under replay: the tables, the trace, and what is found on the way."""

from __future__ import annotations

from dataclasses import replace

from bootsim.dmesg.findings import Finding, FindingKind
from bootsim.dmesg.replayed import Taken
from bootsim.dmesg.spans import difference, union
from bootsim.kernel.memblock import (
    NUMA_NO_NODE,
    Memblock,
    MemblockFeatures,
    MemblockFlags,
    MemblockType,
    Region,
)
from bootsim.machine.memory import Range
from bootsim.trace import Event, MemblockFailure, MemblockRange, Trace, Use

INIT_MEMBLOCK_REGIONS = 128  # include/linux/memblock.h; some architectures have more
_FUNCTIONS = {
    "memblock_add": "add",
    "memblock_add_node": "add_node",
    "memblock_remove": "remove",
    "memblock_reserve": "reserve",
    "memblock_free": "free",
    "memblock_phys_free": "free",
    "memblock_free_early": "free",
    "memblock_physmem_add": "physmem_add",
    "memblock_mark_hotplug": "mark_hotplug",
    "memblock_mark_mirror": "mark_mirror",
    "memblock_mark_nomap": "mark_nomap",
    # Gives pages to the page allocator, and leaves the tables as they are.
    "memblock_free_late": "free_late",
}
_MARKS = {
    MemblockFlags.HOTPLUG: "memblock_mark_hotplug",
    MemblockFlags.MIRROR: "memblock_mark_mirror",
    MemblockFlags.NOMAP: "memblock_mark_nomap",
}


def action_of(event: MemblockRange) -> str | None:
    """What `event` does to the tables, by a word; None for a function that is not known."""
    return _FUNCTIONS.get(event.function.lstrip("_"))


def new_memblock(features: MemblockFeatures, regions: int) -> Memblock:
    """An empty memblock whose arrays hold `regions`, so that they need not grow in RAM.

    On ARM they are full, as Linux's are, when they have 128; the log tells of doubling. (Other
    architectures have more.)
    """
    room = max(INIT_MEMBLOCK_REGIONS, regions)
    memblock = Memblock.standalone(
        features=replace(
            features,
            init_regions=room,
            init_physmem_regions=room if features.physmem else features.init_physmem_regions,
            mirrored_kernelcore=features.mirror_needs_kernelcore,
        )
    )
    if features.phys_addr_bits == 32:
        memblock.memory.max = memblock.reserved.max = INIT_MEMBLOCK_REGIONS
    return memblock


def apply(memblock: Memblock, event: MemblockRange) -> int | None:
    """Do what `event` says: 0, a negative errno, or None if its function is not known.

    Ranges past the end of addresses are cut.
    """
    limit = memblock.phys_addr_max
    base = min(event.base, limit)
    size = min(event.size, limit - base)
    match action_of(event):
        case "add":
            return memblock.add(base, size)
        case "add_node":
            return memblock.add_node(base, size, event.nid, event.flags)
        case "remove":
            return memblock.remove(base, size)
        case "reserve" if event.flags or event.nid != NUMA_NO_NODE:
            return memblock.add_range("reserved", base, size, event.nid, event.flags)
        case "reserve":
            return memblock.reserve(base, size)
        case "free":
            return memblock.phys_free(base, size)
        case "physmem_add" if memblock.features.physmem:
            return memblock.physmem_add(base, size)
        case "mark_hotplug":
            return memblock.mark_hotplug(base, size)
        case "mark_mirror":
            return memblock.mark_mirror(base, size)
        case "mark_nomap":
            return memblock.mark_nomap(base, size)
        case None:
            return None
    return 0


def grow(memblock: Memblock, table: MemblockType, regions: int) -> None:
    """Double `table`'s room until it holds `regions`, as far as there is RAM for it."""
    room = table.max
    while room < regions:
        room *= 2
    table.max = min(room, memblock.features.init_regions)


def spans(regions: list[Region]) -> list[Range]:
    """Where `regions` are."""
    return union(Range(region.base, region.size) for region in regions)


class State:
    """A memblock, and the events that made it what it is.

    `line` is the log's line that is being replayed, 0 before the first.
    """

    def __init__(self, memblock: Memblock) -> None:
        self.memblock = memblock
        self.trace = Trace()
        self.lines: list[int] = []
        self.findings: list[Finding] = []
        self.taken: list[Taken] = []
        self._places: dict[int, int] = {}  # of the last in `taken` at an address
        self.line = 0
        self.ram: list[Range] = []

    def found(self, kind: FindingKind, text: str) -> None:
        """Something was found at this line."""
        self.findings.append(Finding(self.line, kind, text))

    def emit(self, event: Event) -> None:
        self.trace.emit(event)
        self.lines.append(self.line)

    def run(self, event: MemblockRange) -> bool:
        """Emit `event` and do what it says; False if Linux cannot do it either: a table is full."""
        self.emit(event)
        if action_of(event) in ("add", "add_node"):
            self.ram.append(Range(event.base, event.size))
        error = apply(self.memblock, event)
        if not error:
            return True
        function, caller = event.function, event.caller
        self.emit(MemblockFailure(function, event.base, event.size, error, caller))
        return False

    def infer(self, function: str, span: Range, caller: str, *, nid: int = NUMA_NO_NODE) -> None:
        """Do what no line tells of; it came to pass, so there was room for it."""
        tables = (self.memblock.memory, self.memblock.reserved)
        rooms = [table.max for table in tables]
        for table in tables:
            table.max = self.memblock.features.init_regions
        self.run(MemblockRange(function, span.base, span.size, 0, nid, caller, False))
        for table, room in zip(tables, rooms, strict=True):
            table.max = room
            grow(self.memblock, table, table.cnt)

    def mark(self, span: Range, flags: int) -> list[str]:
        """Give memory in `span` the flags `flags`, unlogged; the functions that do it."""
        functions = [function for flag, function in _MARKS.items() if flags & flag]
        for function in functions:
            self.infer(function, span, "?")
        return functions

    def take(
        self, span: Range, what: str, caller: str = "", *, checked: bool | None = None
    ) -> None:
        """`span` is reserved for `what`."""
        self._places[span.base] = len(self.taken)
        self.taken.append(Taken(self.line, span.base, span.size, what, caller, checked))
        if span.size:
            self.emit(Use(span.base, span.size, what))

    def taken_at(self, base: int | None) -> Taken | None:
        """What was taken last at address `base`, or last of all."""
        if base is None:
            return self.taken[-1] if self.taken else None
        index = self._places.get(base)
        return None if index is None else self.taken[index]

    def name(self, taken: Taken, what: str) -> None:
        """What was taken has a more telling name than it had."""
        self.emit(Use(taken.base, taken.size, what))
        self.taken[self._places[taken.base]] = replace(taken, what=what)

    def memory(self) -> list[Range]:
        return spans(list(self.memblock.memory))

    def reserved(self) -> list[Range]:
        return spans(list(self.memblock.reserved))

    def usable(self) -> list[Range]:
        """Memory that is not NOMAP, region by region."""
        nomap = MemblockFlags.NOMAP
        return [Range(r.base, r.size) for r in self.memblock.memory if not r.flags & nomap]

    def free(self) -> list[Range]:
        """Memory that is neither reserved nor NOMAP."""
        return difference(self.usable(), self.reserved())
