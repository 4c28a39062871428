"""Where there is room for what is wanted in one piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bootsim.check.examine import Examined, Tables
from bootsim.check.spans import total, within
from bootsim.kernel.cma import cma_min_alignment
from bootsim.kernel.memory import round_down, round_up
from bootsim.machine.memory import Range

ANYWHERE = Range(0, 0xFFFFFFFF)


def most(boot: Examined, tables: Tables, hole: Range, unit: int) -> int:
    """How much of `hole`, in multiples of `unit`, can be given away: Linux needs room for itself.

    That is twice what it reserved after `tables`, as it wants some of that in one piece.
    """
    limit = boot.lowmem.end
    if hole.base >= limit:
        return hole.size
    need = 2 * (total(boot.end.reserved) - total(tables.reserved))
    left = total(tables.free(0, limit)) - hole.size
    return max(hole.size - round_up(max(need - left, 0), unit), 0)


def zones(boot: Examined, ranges: Sequence[Range] = (ANYWHERE,)) -> list[Range]:
    """`ranges` cut where lowmem ends: no CMA area may be on both sides."""
    limit = boot.lowmem.end
    return [*within(ranges, 0, limit), *within(ranges, limit, ANYWHERE.end)]


def largest_cma(boot: Examined, tables: Tables, ranges: Sequence[Range] = (ANYWHERE,)) -> Range:
    """The largest CMA area that `ranges` have room for."""
    align = cma_min_alignment(boot.kernel)
    return tables.largest_hole(zones(boot, ranges), align, align)


def nearest_cma(boot: Examined, tables: Tables, base: int, size: int) -> int | None:
    """The free place for a CMA area of `size` bytes that is nearest to `base`."""
    align = cma_min_alignment(boot.kernel)

    def places() -> Iterator[int]:
        for zone in zones(boot):
            for hole in tables.holes(zone, align, align):
                if hole.size >= size:
                    yield min(max(round_down(base, align), hole.base), hole.end - size)

    return min(places(), key=lambda place: abs(place - base), default=None)
