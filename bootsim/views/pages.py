"""What became of each page at the handover: the buddy allocator has it, or why it has not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import groupby, pairwise

from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE
from bootsim.numbers import listed
from bootsim.views import size_text
from bootsim.views.account import Account, Kind, Piece
from bootsim.views.booted import BootedKernel

_NAMED = 4  # owners of a page that are told; the rest is counted


class Fate(Enum):
    """What became of a page, and why, in general."""

    GIVEN = "handed over"
    RESERVED = "kept"
    CMA = "handed over later"
    TAKEN = "taken since"
    NOMAP = "not mapped"
    NONE = "not memory"

    @property
    def reason(self) -> str:
        """Why pages come to this, the functions named as in Linux."""
        return _REASONS[self]


_REASONS = {
    Fate.GIVEN: "free: memblock.reserved has nothing of them (memblock_free_all)",
    Fate.RESERVED: "memblock.reserved has all of them or a part",
    Fate.CMA: "CMA areas: the buddy allocator's later on, for movable pages"
    " (cma_init_reserved_areas)",
    Fate.TAKEN: "the buddy allocator had them, and has given them to someone",
    Fate.NOMAP: "no-map: not in the linear map, and never the buddy allocator's",
    Fate.NONE: "not in memblock.memory at the end, or in no zone",
}
# A page with bytes of several kinds is what the first of these is.
_FATES = {
    Kind.RESERVED: Fate.RESERVED,
    Kind.NOMAP: Fate.NOMAP,
    Kind.CMA: Fate.CMA,
    Kind.TAKEN: Fate.TAKEN,
    Kind.FREE: Fate.GIVEN,
    Kind.PARTIAL: Fate.RESERVED,
    Kind.NO_PAGE: Fate.NONE,
    Kind.LOST: Fate.NONE,
}


@dataclass(frozen=True, slots=True)
class Pages:
    """The page frames [pfn, end_pfn), of one zone and with one fate.

    `owner` tells whose they are, "" where they are free; `spare` bytes at their ends are no one's,
    and lost with the page.
    """

    pfn: int
    end_pfn: int
    zone: str  # "" where they are in none
    fate: Fate
    owner: str
    spare: int

    @property
    def count(self) -> int:
        return self.end_pfn - self.pfn

    @property
    def why(self) -> str:
        """Whose they are, in words."""
        if not self.owner:
            return "free"
        return self.owner + (f"; {size_text(self.spare)} of it free" if self.spare else "")


def pages(boot: BootedKernel, told: Account) -> list[Pages]:
    """Every page of the boot's account `told`, in runs, ascending."""
    zones = [(z.name, z.start_pfn, z.end_pfn) for z in boot.buddy.zones if z.populated]
    edges = sorted({edge for _, *ends in zones for edge in ends})
    runs: list[Pages] = []
    cut = (part for piece in told.pieces for part in _cut(piece, edges))
    for (pfn, end_pfn), parts in groupby(cut, key=lambda part: part[:2]):
        zone = next((name for name, start, end in zones if start <= pfn < end), "")
        run = Pages(pfn, end_pfn, zone, *_fate([piece for *_, piece in parts], pfn, end_pfn))
        last = runs[-1] if runs else None
        if last and last.end_pfn == pfn and _same(last) == _same(run):
            runs.pop()
            run = replace(run, pfn=last.pfn, spare=last.spare + run.spare)
        runs.append(run)
    return runs


def _same(run: Pages) -> tuple[object, ...]:
    return run.zone, run.fate, run.owner


def _cut(piece: Piece, edges: Iterable[int]) -> Iterator[tuple[int, int, Piece]]:
    """The page frames of `piece`: those that it has but a part of apart, and those of each zone."""
    first, last = piece.base >> PAGE_SHIFT, (piece.end - 1) >> PAGE_SHIFT
    ends = {first, last + 1}
    if piece.base % PAGE_SIZE:
        ends.add(first + 1)
    if piece.end % PAGE_SIZE:
        ends.add(last)
    ends.update(edge for edge in edges if first < edge <= last)
    for pfn, end_pfn in pairwise(sorted(ends)):
        yield pfn, end_pfn, piece


def _fate(parts: list[Piece], pfn: int, end_pfn: int) -> tuple[Fate, str, int]:
    """What page frames with these pieces are, whose, and how many bytes of them are no one's."""
    kinds = {piece.kind for piece in parts}
    first = next(kind for kind in _FATES if kind in kinds)
    fate = _FATES[first]
    if fate == Fate.GIVEN:
        return fate, "", 0
    owners = list(dict.fromkeys(piece.owner for piece in parts if piece.kind == first))
    base, end = pfn << PAGE_SHIFT, end_pfn << PAGE_SHIFT
    spare = sum(
        min(piece.end, end) - max(piece.base, base) for piece in parts if piece.kind == Kind.PARTIAL
    )
    return fate, listed(owners, _NAMED), spare
