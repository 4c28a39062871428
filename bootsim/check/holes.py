"""Where there is room for what is wanted in one piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bootsim.check.cells import Cells
from bootsim.check.examine import Examined, Tables
from bootsim.kernel.cma import cma_min_alignment
from bootsim.kernel.memory import round_down, round_up
from bootsim.machine.memory import Range

ANYWHERE = Range(0, 0xFFFFFFFF)


def cells_of(boot: Examined) -> Cells:
    """How numbers are to be written in the tree of `boot`."""
    return Cells(boot.kernel.vars.dt_root_addr_cells, boot.kernel.vars.dt_root_size_cells)


def lowmem(boot: Examined) -> Range:
    """What the linear map has, up to the end of lowmem."""
    start = boot.kernel.phys_offset
    return Range(start, boot.kernel.vars.arm_lowmem_limit - start)


def largest(tables: Tables, ranges: Iterable[Range], align: int, unit: int) -> Range:
    """The largest free piece in one of `ranges`; empty where there is none."""
    holes = (tables.largest_hole(part.base, part.end, align, unit) for part in ranges)
    return max(holes, key=lambda hole: hole.size, default=Range(0, 0))


def most(boot: Examined, tables: Tables, hole: Range, unit: int) -> int:
    """How much of `hole`, in multiples of `unit`, can be given away: Linux needs room for itself.

    That is twice what it reserved after `tables`, as it wants some of that in one piece.
    """
    limit = boot.kernel.vars.arm_lowmem_limit
    if hole.base >= limit:
        return hole.size
    need = 2 * (sum(r.size for r in boot.end.reserved) - sum(r.size for r in tables.reserved))
    left = sum(free.size for free in tables.free(0, limit)) - hole.size
    return max(hole.size - round_up(max(need - left, 0), unit), 0)


def zones(boot: Examined, ranges: Sequence[Range] = (ANYWHERE,)) -> list[Range]:
    """`ranges` cut where lowmem ends: no CMA area may be on both sides."""
    limit = boot.kernel.vars.arm_lowmem_limit
    low = [Range(part.base, min(part.end, limit) - part.base) for part in ranges]
    high = [Range(max(part.base, limit), part.end - max(part.base, limit)) for part in ranges]
    return [part for part in (*low, *high) if part.size > 0]


def largest_cma(boot: Examined, tables: Tables, ranges: Sequence[Range] = (ANYWHERE,)) -> Range:
    """The largest CMA area that `ranges` have room for."""
    align = cma_min_alignment(boot.kernel)
    return largest(tables, zones(boot, ranges), align, align)


def nearest_cma(boot: Examined, tables: Tables, base: int, size: int) -> int | None:
    """The free place for a CMA area of `size` bytes that is nearest to `base`."""
    align = cma_min_alignment(boot.kernel)

    def places() -> Iterator[int]:
        for zone in zones(boot):
            for hole in tables.holes(zone.base, zone.end, align, align):
                if hole.size >= size:
                    yield min(max(round_down(base, align), hole.base), hole.end - size)

    return min(places(), key=lambda place: abs(place - base), default=None)
