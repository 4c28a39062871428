"""Gaps between the regions of a canonical table: where an allocation can lie.

Linux walks every gap from one end. Here the walk begins, by bisection, at the end of the range
that is asked for, and a long walk in vain is remembered in the table (`MemblockType.scanned`), so
that the next request of that size or more begins where this one ended.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from bootsim.kernel.memblock_type import MemblockType

_WORTH_REMEMBERING = 16  # gaps looked at in vain


def highest_gap(table: MemblockType, low: int, top: int, size: int, mask: int) -> int:
    """Highest address, ANDed with `mask`, of `size` bytes of [low, top) in no region; or 0.

    `low` is not 0. Looks at the gaps from the top down until one fits.
    """
    bases, sizes = table.bases, table.sizes
    hi = bisect_left(bases, top, 0, table.n)
    end = bases[hi - 1] + sizes[hi - 1] if hi else 0
    floor = end if end > low else low
    if top - floor >= size and (found := (top - size) & mask) >= floor:
        return found
    if end <= low:
        return 0
    highest = top = bases[hi - 1]
    known_size, known_low, known_top = table.scanned
    if known_low < top <= known_top and known_size <= size:
        hi = bisect_right(bases, known_low, 0, hi)
        if not hi:
            return 0
        highest, top = known_top, bases[hi - 1]
    lo = max(bisect_right(bases, low, 0, hi) - 1, 0)
    found = lowest = 0
    for base, length in zip(bases[lo : hi - 1][::-1], sizes[lo : hi - 1][::-1], strict=True):
        end = base + length
        if top - end >= size:
            lowest = lowest or top
            floor = max(end, low)
            if top - floor >= size and (found := (top - size) & mask) >= floor:
                break
            found = 0
        top = base
    else:
        lowest = lowest or top
        if top - low >= size and bases[lo] > low and (found := (top - size) & mask) < low:
            found = 0
    if hi - lo > _WORTH_REMEMBERING:
        table.scanned = (size, lowest, highest)
    return found


def lowest_gap(table: MemblockType, low: int, top: int, size: int, align: int) -> int | None:
    """Lowest multiple of `align` in [low, top) with `size` bytes in no region, or None.

    0 when rounding up to `align` passes the end of the address space.
    """
    bases, sizes = table.bases, table.sizes
    lo = bisect_right(bases, low, 0, table.n)
    floor = max(low, bases[lo - 1] + sizes[lo - 1]) if lo else low
    hi = bisect_left(bases, top, lo, table.n)
    for base, length in zip(bases[lo:hi], sizes[lo:hi], strict=True):
        if base - floor >= size:
            found = ((floor - 1) | (align - 1)) + 1
            if found > table.address_max:
                return 0
            if base - found >= size:
                return found
        floor = base + length
    if top - floor >= size:
        found = ((floor - 1) | (align - 1)) + 1
        if found > table.address_max:
            return 0
        if top - found >= size:
            return found
    return None
