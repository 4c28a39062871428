"""Where the RAM went: from what the device tree has to what the buddy allocator got, to the byte.

Each byte of the tree's memory gets one fate, and so the steps add up: by the boot's own tables and
free lists where they tell (memblock.memory, memblock.reserved, the zones, the free blocks), and by
its events for the reason why. What the kernel says in its "Memory:" line (mm/page_alloc.c,
mem_init_print_info()) is held against that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import Any

from bootsim.dmesg.spans import intersection, union
from bootsim.dmesg.words import function_of
from bootsim.errors import BootsimError
from bootsim.kernel.memblock_features import MemblockFlags
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE, round_down, round_up
from bootsim.machine.memory import ADDRESS_LIMIT, Range
from bootsim.trace import HANDOVER, MemblockRange, PageAlloc, PageFree, Printk, Use
from bootsim.views.booted import BootedKernel
from bootsim.views.categories import CMA
from bootsim.views.owners import Layer, Ownership, State, unnamed

_MEMORY_LINE = re.compile(
    r"Memory: (\d+)K/(\d+)K available \(.*, (\d+)K init, .*, (\d+)K reserved,"
    r" (\d+)K cma-reserved[,)]"
)
# Why memory went that was there, by who removed it.
_REMOVED = {
    "early_mem": "not in what mem= on the command line allows",
    "adjust_lowmem_bounds": "above lowmem, and this kernel has no HIGHMEM",
}
_ADDED = {
    "arm_add_memory": "not in the tree: mem= on the command line has it",
    "early_init_dt_check_for_usable_mem_range": "not in the tree's memory: from"
    " linux,usable-memory-range",
}
FREE = "free, in the buddy allocator"
NOT_RESERVED = "not reserved: free for memblock to allocate"
_LAST_BYTE = "the last byte below 4 GiB, which memblock cannot have (memblock_cap_size)"
_CAPPED = "capped without a word (memblock_cap_memory_range, linux,usable-memory-range)"
_NEVER_ADDED = "left out by the tree (linux,usable-memory), or no room in memblock.memory"


class Kind(Enum):
    """What a step of the waterfall is, in the order of the steps."""

    REPEATED = "repeated"  # what they list once more
    ADDED = "added"  # RAM that Linux takes and the tree does not have
    LOST = "lost"  # it never came to memblock.memory, or left it
    NO_PAGE = "no page"  # memblock has it, no zone has a page of it
    NOMAP = "nomap"
    RESERVED = "reserved"
    PARTIAL = "partial page"  # free bytes in pages that hold something reserved, too
    CMA = "cma"  # reserved, and the buddy allocator's later on
    TAKEN = "taken"  # pages that someone has got from the buddy allocator since
    FREE = "free"


PRESENT = (Kind.NOMAP, Kind.RESERVED, Kind.PARTIAL, Kind.CMA, Kind.TAKEN, Kind.FREE)


@dataclass(frozen=True, slots=True)
class Piece:
    """[base, end) in bytes, the same fate for all of it: whose it is, or why it is not there."""

    base: int
    end: int
    kind: Kind
    owner: str

    @property
    def size(self) -> int:
        return self.end - self.base


@dataclass(frozen=True, slots=True)
class Said:
    """What the kernel says in its "Memory:" line, in KiB."""

    available: int
    total: int
    reserved: int
    cma: int
    init: int = field(default=0, compare=False)  # of the kernel, given back later


@dataclass(frozen=True, slots=True)
class Account:
    """Where each byte went.

    `tree` is what the tree's memory nodes list, one after the other, of which `repeated` is there
    before; `added` is what Linux takes and the tree does not have. `pieces` are all bytes of both,
    in address order. `said` is None where the kernel has no "Memory:" line. `stage` is the one that
    the boot stands after; before the handover memblock alone knows what is free.
    """

    tree: tuple[Range, ...]
    repeated: tuple[Piece, ...]
    added: tuple[Piece, ...]
    pieces: tuple[Piece, ...]
    said: Said | None
    stage: str = HANDOVER

    @property
    def handed_over(self) -> bool:
        """Whether the buddy allocator has what is free."""
        return self.stage == HANDOVER

    def size(self, *kinds: Kind) -> int:
        """The bytes of all pieces of these kinds."""
        return sum(piece.size for piece in self.pieces if piece.kind in kinds)

    @property
    def total(self) -> int:
        """Bytes in the tree's memory nodes, those in two of them twice."""
        return sum(bank.size for bank in self.tree)

    @property
    def most(self) -> int:
        """The most that there is at any step, bytes."""
        return self.total + sum(piece.size for piece in self.added)

    @property
    def present(self) -> int:
        """Bytes that have a page in a zone: the total of the "Memory:" line."""
        return self.size(*PRESENT)

    @property
    def free(self) -> int:
        """Bytes on the free lists."""
        return self.size(Kind.FREE)

    @property
    def counted(self) -> Said:
        """The numbers of the "Memory:" line as they follow from the pieces."""
        cma = self.size(Kind.CMA)
        reserved = self.present - self.free - cma
        return Said(*(size >> 10 for size in (self.free, self.present, reserved, cma)))


def account(boot: BootedKernel, tree: Iterable[Range]) -> Account:
    """The account of a boot at its handover, or as memblock has it where the boot stands, or died.

    `tree` are the ranges that the device tree's memory nodes list, also those that Linux passes
    over. Raises BootsimError for a boot that has not come to have memory in memblock.
    """
    stage = boot.trace.stage
    if stage is None or not any(region.size for region in boot.memblock.memory):
        raise BootsimError(
            f"the boot stands {'at its start' if stage is None else f'after {stage}'}: memblock has"
            " no memory yet that there could be an account of"
        )
    banks = tuple(bank for bank in tree if bank.size)
    layers = _Layers(boot, banks)
    repeated = (
        Piece(span.base, span.end, Kind.REPEATED, "in the tree more than once")
        for number, bank in enumerate(banks)
        for span in intersection([bank], banks[:number])
    )
    said = None
    for event in boot.trace:
        if isinstance(event, Printk) and (match := _MEMORY_LINE.match(event.text)):
            available, total, init, reserved, cma = map(int, match.groups())
            said = Said(available, total, reserved, cma, init)
    pieces = _merged(layers.added()), _merged(layers.pieces())
    return Account(banks, tuple(repeated), *pieces, said, stage)


class _Layers:
    """What is known of each byte, from the boot's tables and from its events."""

    def __init__(self, boot: BootedKernel, tree: Iterable[Range]) -> None:
        self._phys_offset = boot.linear.phys_offset
        self._tree, self._fate, self._adder = Layer(), Layer(), Layer()
        self._owner, self._cma, self._nomap = Layer(), Layer(), Layer()
        self._memory, self._reserved, self._touched = Layer(), Layer(), Layer()
        self._present, self._free, self._mem_map = Layer(), Layer(), Layer()
        for bank in tree:
            self._tree.paint(bank.base, bank.end, "tree")
        self._see_events(boot)
        self._see_owners(boot)
        self._see_tables(boot)
        self._handed_over = boot.trace.stage == HANDOVER
        if self._handed_over:
            self._see_zones(boot)
        else:
            self._see_memblock(boot)

    def _see_events(self, boot: BootedKernel) -> None:
        for event in boot.trace:
            if isinstance(event, Use) and event.what.startswith(CMA.owners):
                self._cma.paint(event.base, event.base + event.size, "cma")
            elif not isinstance(event, MemblockRange):
                continue
            elif event.function.startswith("memblock_add"):
                base, end = event.base, event.base + event.size
                self._fate.paint(base, end, _IN)
                self._adder.paint(base, end, function_of(event.caller))
            elif event.function == "memblock_remove":
                base, end = event.base, event.base + event.size
                for low, high in pairwise(self._fate.edges_in(base, end)):
                    if self._fate.at(low) == _IN:
                        self._fate.paint(low, high, function_of(event.caller))
            elif event.function in ("memblock_mark_nomap", "memblock_clear_nomap"):
                marked = "nomap" if event.function == "memblock_mark_nomap" else ""
                self._nomap.paint(event.base, event.base + event.size, marked)

    def _see_owners(self, boot: BootedKernel) -> None:
        memory, reserved = boot.memblock.memory, boot.memblock.reserved
        # Linux may take for memory what the machine does not have.
        owners = Ownership(union([*_ranges(boot.memory.banks), *_ranges(memory)]))
        for event in (*boot.trace, *unnamed(boot)):
            if not isinstance(event, PageFree | PageAlloc):
                owners.see(event)
        for piece in owners.pieces(memory, reserved):
            if piece.state != State.FREE:
                self._owner.paint(piece.base, piece.end, piece.owner)

    def _see_tables(self, boot: BootedKernel) -> None:
        for region in boot.memblock.memory:
            nomap = bool(region.flags & MemblockFlags.NOMAP)
            self._memory.paint(region.base, region.end, "nomap" if nomap else "memory")
            if nomap:
                self._touch(region.base, region.end)
        for region in boot.memblock.reserved:
            self._reserved.paint(region.base, region.end, "reserved")
            if region.size:
                self._touch(region.base, region.end)

    def _touch(self, base: int, end: int) -> None:
        self._touched.paint(round_down(base, PAGE_SIZE), round_up(end, PAGE_SIZE), "touched")

    def _see_memblock(self, boot: BootedKernel) -> None:
        """What is free before there are zones: all that is memory and not reserved."""
        for region in boot.memblock.memory:
            self._present.paint(region.base, region.end, "present")
            if not region.flags & MemblockFlags.NOMAP:
                self._free.paint(region.base, region.end, "free")
        for region in boot.memblock.reserved:
            self._free.paint(region.base, region.end, "")

    def _see_zones(self, boot: BootedKernel) -> None:
        buddy = boot.buddy
        spans = [(zone.start_pfn, zone.end_pfn) for zone in buddy.zones if zone.populated]
        for start, end, _ in boot.memblock.for_each_mem_pfn_range():
            for first, last in spans:
                low, high = max(start, first), min(end, last)
                if low < high:
                    self._present.paint(low << PAGE_SHIFT, high << PAGE_SHIFT, "present")
        for block in sorted(buddy.free_blocks(), key=lambda block: block.pfn):
            base = block.pfn << PAGE_SHIFT
            self._free.paint(base, base + (PAGE_SIZE << block.order), "free")
        # The memory map has an entry for each page between the first and the last, RAM or not.
        mem_map = buddy.mem_map
        first, last = mem_map.start_pfn, mem_map.start_pfn + mem_map.count
        for low, high in pairwise(self._present.edges_in(first << PAGE_SHIFT, last << PAGE_SHIFT)):
            if not self._present.at(low):
                start, end = (
                    mem_map.phys + ((at >> PAGE_SHIFT) - first) * mem_map.page_size
                    for at in (low, high)
                )
                self._mem_map.paint(start, end, "memory map of what is no RAM")

    def _all(self) -> tuple[Layer, ...]:
        return (
            *(self._tree, self._fate, self._adder, self._owner, self._cma, self._nomap),
            self._memory,
            *(self._reserved, self._touched, self._present, self._free, self._mem_map),
        )

    def pieces(self) -> Iterator[Piece]:
        """Every byte that the tree has or memblock has taken for memory."""
        edges = {edge for layer in self._all() for edge in layer.edges}
        edges.update((self._phys_offset, ADDRESS_LIMIT))
        for bank_edge in self._tree.edges:
            edges.update((round_down(bank_edge, PAGE_SIZE), round_up(bank_edge, PAGE_SIZE)))
        for base, end in pairwise(sorted(edges)):
            if self._tree.at(base) or self._memory.at(base):
                yield Piece(base, end, *self._step(base, end))

    def added(self) -> Iterator[Piece]:
        """What memblock has taken for memory and the tree does not have."""
        edges = {e for layer in (self._tree, self._adder, self._memory) for e in layer.edges}
        for base, end in pairwise(sorted(edges)):
            if self._memory.at(base) and not self._tree.at(base):
                by = self._adder.at(base)
                yield Piece(
                    base, end, Kind.ADDED, _ADDED.get(by, f"not in the tree: added by {by}()")
                )

    def _step(self, base: int, end: int) -> tuple[Kind, str]:
        if not self._memory.at(base):
            return Kind.LOST, self._why_lost(base, end)
        if not self._present.at(base):
            return Kind.NO_PAGE, "in pages that are not all memory, or in no zone"
        if self._free.at(base):
            return Kind.FREE, FREE if self._handed_over else NOT_RESERVED
        owner = self._owner.at(base) or "reserved"
        if self._memory.at(base) == "nomap":
            return Kind.NOMAP, owner
        if self._reserved.at(base):
            if self._cma.at(base):
                return Kind.CMA, owner
            return Kind.RESERVED, self._mem_map.at(base) or owner
        if self._touched.at(base):
            return Kind.PARTIAL, "the rest of pages that are reserved in part"
        return Kind.TAKEN, "taken from the buddy allocator since"

    def _why_lost(self, base: int, end: int) -> str:
        fate = self._fate.at(base)
        if fate == _IN:
            return _LAST_BYTE if base == ADDRESS_LIMIT - 1 else _CAPPED
        if fate == "adjust_lowmem_bounds" and self._nomap.at(base):
            return f"{self._owner.at(base)}, not mapped, and above lowmem"
        if fate in _REMOVED:
            return _REMOVED[fate]
        if fate:
            removed, owner = f"removed by {fate}()", self._owner.at(base)
            return owner if removed in owner else f"{owner}, {removed}"
        if base >= ADDRESS_LIMIT:
            return "above 4 GiB, and this kernel has no LPAE"
        if end <= self._phys_offset:
            return f"below PHYS_OFFSET, {self._phys_offset:#010x}"
        if base % PAGE_SIZE or end % PAGE_SIZE:
            return "in pages that are not all RAM"
        return _NEVER_ADDED


_IN = "memory"


def _ranges(regions: Iterable[Any]) -> list[Range]:
    return [Range(region.base, region.size) for region in regions]


def _merged(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """`pieces`, those that touch and have one fate made one."""
    merged: list[Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if last and (last.end, last.kind, last.owner) == (piece.base, piece.kind, piece.owner):
            piece = Piece(merged.pop().base, piece.end, piece.kind, piece.owner)
        merged.append(piece)
    return tuple(merged)
