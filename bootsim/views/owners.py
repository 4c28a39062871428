"""Who owns which piece of RAM: by the names that the kernel gave, else by who reserved it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

from bootsim.errors import BootsimError
from bootsim.kernel.memblock_features import MemblockFlags
from bootsim.kernel.memblock_type import Region
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE, PMD_SIZE
from bootsim.machine import mmu
from bootsim.machine.memory import Range
from bootsim.trace import (
    HANDOVER,
    KERNEL_IMAGE,
    PG_DIR,
    Event,
    MemblockRange,
    PageAlloc,
    PageFree,
    Use,
)
from bootsim.views.booted import BootedKernel

FREE = "free"
NOT_MEMORY = "not memory"
MEM_MAP = "memory map (struct page)"
_FREES = frozenset({"memblock_free", "memblock_phys_free"})


class State(IntEnum):
    """What RAM is to Linux."""

    FREE = 0
    RESERVED = 1
    NOMAP = 2  # memory that is not mapped: not Linux's
    ABSENT = 3  # in a bank, and not among memblock's memory: not yet, or no more
    GIVEN = 4  # with the page allocator


@dataclass(frozen=True, slots=True)
class Owned:
    """[base, end) in bytes and who owns it; `reserved` tells whether memblock keeps it."""

    base: int
    end: int
    owner: str
    state: State

    @property
    def size(self) -> int:
        return self.end - self.base

    @property
    def reserved(self) -> bool:
        return self.state == State.RESERVED


class Ownership:
    """Who owns what, kept up as the events of a boot come."""

    def __init__(self, banks: Iterable[Range]) -> None:
        """`banks` are the machine's RAM."""
        self._banks = sorted(banks, key=lambda bank: bank.base)
        self._named = Layer()  # what the kernel has named
        self._requested = Layer()  # and what has no name yet, by who asked
        self._given = Layer()

    def see(self, event: Event) -> bool:
        """`event` has happened; whether it can have changed an owner."""
        if isinstance(event, Use):
            self._named.paint(event.base, event.base + event.size, event.what)
        elif isinstance(event, MemblockRange):
            self._see_range(event)
        elif isinstance(event, PageFree | PageAlloc):
            base, end = event.pfn << PAGE_SHIFT, event.pfn + (1 << event.order) << PAGE_SHIFT
            self._given.paint(base, end, "given" if isinstance(event, PageFree) else "")
        else:
            return False
        return True

    def give(self, base: int, end: int) -> None:
        """[base, end) is with the page allocator."""
        self._given.paint(base, end, "given")

    def _see_range(self, event: MemblockRange) -> None:
        base, end = event.base, event.base + event.size
        if event.function in _FREES:
            self._named.paint(base, end, "")
            self._requested.paint(base, end, "")
        elif event.function == "memblock_reserve":
            self._requested.paint(base, end, f"reserved by {event.caller}()")
        elif event.function == "memblock_remove":
            self._requested.paint(base, end, f"removed by {event.caller}()")
        elif event.function == "memblock_mark_nomap":
            self._requested.paint(base, end, f"marked no-map by {event.caller}()")

    def pieces(self, memory: Iterable[Region], reserved: Iterable[Region]) -> list[Owned]:
        """All RAM in address order, cut where the owner changes; memblock's tables are as given."""
        known, kept = Layer(), Layer()
        for region in memory:
            nomap = region.flags & MemblockFlags.NOMAP
            known.paint(region.base, region.base + region.size, "nomap" if nomap else "memory")
        for region in reserved:
            kept.paint(region.base, region.base + region.size, "reserved")
        layers = (self._named, self._requested, self._given, known, kept)
        edges = {edge for layer in layers for edge in layer.edges}
        pieces: list[Owned] = []
        for bank in self._banks:
            inside = sorted({bank.base, bank.end, *(e for e in edges if bank.base < e < bank.end)})
            for base, end in pairwise(inside):
                state = _state(kept.at(base), known.at(base), self._given.at(base))
                owner = self._owner(base, state)
                last = pieces[-1] if pieces else None
                if last and (last.end, last.owner, last.state) == (base, owner, state):
                    base = pieces.pop().base
                pieces.append(Owned(base, end, owner, state))
        return pieces

    def _owner(self, base: int, state: State) -> str:
        if state in (State.FREE, State.GIVEN):
            return FREE
        default = NOT_MEMORY if state == State.ABSENT else "reserved"
        return self._named.at(base) or self._requested.at(base) or default


class Layer:
    """A value for each address, "" at first: the last that was painted there.

    `edges` are where values begin, ascending, the first one 0.
    """

    def __init__(self) -> None:
        self.edges = [0]
        self._values = [""]

    def paint(self, base: int, end: int, value: str) -> None:
        if base >= end:
            return
        after = self.at(end)
        first, last = bisect_left(self.edges, base), bisect_right(self.edges, end)
        self.edges[first:last] = [base, end]
        self._values[first:last] = [value, after]

    def edges_in(self, base: int, end: int) -> list[int]:
        """`base`, `end`, and where the value changes between them."""
        inside = self.edges[bisect_right(self.edges, base) : bisect_left(self.edges, end)]
        return [base, *inside, end]

    def at(self, address: int) -> str:
        return self._values[bisect_right(self.edges, address) - 1]


def ram_of(boot: BootedKernel) -> list[Range]:
    """The machine's RAM, bank by bank."""
    return [Range(bank.base, bank.size) for bank in boot.memory.banks]


def unnamed(boot: BootedKernel) -> list[Use]:
    """What the boot has, and no event of a real kernel names: its memory map and its page tables.

    Who asks memblock for them (mm/page_alloc.c, free_area_init(); arch/arm/mm/mmu.c, early_alloc())
    asks for other things, too. Empty where the boot has not come to its handover.
    """
    if boot.trace.stage != HANDOVER:
        return []
    tables = list(_page_tables(boot))
    try:
        mem_map = boot.buddy.mem_map
    except BootsimError:
        return tables
    return [*tables, Use(mem_map.phys, mem_map.count * mem_map.page_size, MEM_MAP)]


def _page_tables(boot: BootedKernel) -> Iterator[Use]:
    """The pages that the first page table leads to, but those in the kernel's own image.

    Linux has two tables, of 1 MiB each, in a page (arch/arm/include/asm/pgtable-2level.h).
    """
    uses = [event for event in boot.trace if isinstance(event, Use)]
    first = next((use for use in uses if use.what == PG_DIR), None)
    if first is None:
        return
    image = [Range(use.base, use.size) for use in uses if use.what == KERNEL_IMAGE]
    pages = {
        base & -PAGE_SIZE: virt & -PMD_SIZE
        for virt, base in mmu.page_tables(boot.memory, first.base)
        if not any(span.base <= base < span.end for span in image)
    }
    for page, virt in pages.items():
        yield Use(page, PAGE_SIZE, f"page table for {virt:#010x}")


def ownership(boot: BootedKernel) -> list[Owned]:
    """All RAM of the machine in address order, cut where the owner changes.

    What is free is free, whoever has it: pages that were given away are not told apart.
    """
    owners = Ownership(ram_of(boot))
    for event in (*boot.trace, *unnamed(boot)):
        if not isinstance(event, PageFree | PageAlloc):
            owners.see(event)
    return owners.pieces(boot.memblock.memory, boot.memblock.reserved)


def owners_of(boot: BootedKernel, base: int, end: int) -> list[str]:
    """The owners of what lies in [base, end), each once, in address order."""
    names = (p.owner for p in ownership(boot) if p.base < end and base < p.end)
    return list(dict.fromkeys(names))


def _state(kept: str, known: str, given: str) -> State:
    if given:
        return State.GIVEN
    if not known:
        return State.ABSENT
    if known == "nomap":
        return State.NOMAP
    return State.RESERVED if kept else State.FREE
