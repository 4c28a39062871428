"""Changing a table one region at a time, in Linux's own order.

Linux: memblock_add_range(), memblock_isolate_range(), memblock_remove_region() and
memblock_merge_regions() in mm/memblock.c. This gives Linux's result for any table, also for one
with regions out of order, overlapping or left unmerged: after a driver has written into it, after
memblock_trim_memory() has wrapped an address, after memblock_cap_memory_range(). It looks at every
region; for canonical tables memblock_ranges knows shorter ways to the same result.
"""

from __future__ import annotations

from collections.abc import Callable

from bootsim.errors import KernelPanic
from bootsim.kernel.memblock_features import ENOMEM
from bootsim.kernel.memblock_type import MemblockType, Region

# Double the table's array, away from the range (base, size): memblock_double_array().
Grow = Callable[[MemblockType, int, int], int]


def add_range(table: MemblockType, base: int, end: int, flags: int, nid: int, grow: Grow) -> int:
    """memblock_add_range() on a table that has regions: 0 or -ENOMEM."""
    missing = len(_missing(table, base, end))
    while len(table) + missing > table.max:
        if grow(table, base, end - base) < 0:
            return -ENOMEM
    pieces = _missing(table, base, end)
    for inserted, (index, start, stop) in enumerate(pieces):
        table.insert_region(index + inserted, Region(start, stop - start, flags, nid))
    if pieces:
        merge_regions(table)
    return 0


def _missing(table: MemblockType, base: int, end: int) -> list[tuple[int, int, int]]:
    """The parts of [base, end) that no region covers: the index to insert at, start, end."""
    pieces = []
    index = 0
    for index, region in enumerate(table):
        region_end = region.end & table.address_max
        if region.base >= end:
            break
        if region_end <= base:
            continue
        if region.base > base:
            pieces.append((index, base, region.base))
        base = min(region_end, end)
    else:
        index = table.n
    if base < end:
        pieces.append((index, base, end))
    return pieces


def merge_regions(table: MemblockType) -> None:
    """memblock_merge_regions(): join neighbours of equal flags and node, over the whole table.

    Raises KernelPanic where Linux stops: at regions that overlap.
    """
    index = 0
    if not table.cnt:
        raise KernelPanic(f"memblock_merge_regions: memblock.{table.label}.cnt is 0")
    while index < table.cnt - 1:
        this, following = table.region(index), table.region(index + 1)
        end = this.end & table.address_max
        if end == following.base and this[2:] == following[2:]:
            size = (this.size + following.size) & table.address_max
            table.put(index, this._replace(size=size))
            table.delete(index + 1)
            continue
        if end > following.base:
            raise KernelPanic(
                "kernel BUG at mm/memblock.c! BUG_ON(this->base + this->size > next->base): "
                f"memblock.{table.label}[{index}] {this}, [{index + 1}] {following}"
            )
        index += 1


def isolate_range(table: MemblockType, base: int, end: int, grow: Grow) -> tuple[int, int, int]:
    """memblock_isolate_range(): split regions so that none crosses `base` or `end`.

    Gives the error, and the indices [start, stop) of the regions inside.
    """
    start = stop = 0
    if base >= end:
        return 0, start, stop
    while len(table) + 2 > table.max:
        if grow(table, base, end - base) < 0:
            return -ENOMEM, start, stop
    index = 0
    while index < table.cnt:
        region = table.region(index)
        region_end = region.end & table.address_max
        if region.base >= end:
            break
        if region_end <= base:
            index += 1
        elif region.base < base:
            _split(table, index, base)
            index += 1
        elif region_end > end:
            _split(table, index, end)
        else:
            if not stop:
                start = index
            index += 1
            stop = index
    return 0, start, stop


def _split(table: MemblockType, index: int, at: int) -> None:
    region = table.region(index)
    below = at - region.base
    table.put(index, region._replace(base=at, size=(region.size - below) & table.address_max))
    table.total_size = (table.total_size - below) & table.address_max
    table.insert_region(index, region._replace(size=below))


def remove_region(table: MemblockType, index: int, no_node: int) -> bool:
    """memblock_remove_region(); whether total_size is right, so 0, where no region is left.

    The dummy region of an emptied table is of node `no_node`.
    """
    table.total_size = (table.total_size - table.region(index).size) & table.address_max
    table.delete(index)
    if table.cnt:
        return True
    table.cnt = 1
    table.put(0, Region(0, 0, 0, no_node))
    return table.total_size == 0
