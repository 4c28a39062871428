"""RAM as it was at each event of a boot: memblock's tables and owners, derived from the trace.

A memblock of its own does again what the events say that the boot's has done; nothing is recorded
while a boot runs. Where events are missing (of a real kernel, a function that its compiler has
inlined), the end differs from the boot's own tables, and the history says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bootsim.dmesg.state import apply, grow, new_memblock
from bootsim.kernel.memblock_features import MemblockFeatures
from bootsim.kernel.memblock_type import Region
from bootsim.kernel.memory import PAGE_SHIFT
from bootsim.machine.memory import Range
from bootsim.sources import Tables
from bootsim.trace import (
    Event,
    MemblockFailure,
    MemblockRange,
    MemblockResize,
    PageAlloc,
    PageFree,
    Stage,
    Trace,
    Use,
)
from bootsim.views.owners import Owned, Ownership


@dataclass(frozen=True, slots=True)
class Moment:
    """What was so after the events [first, last], and before the next.

    Pages that come or go one after the other share a moment. `rooms` are how many regions fit in
    the tables of memory and reserved. `stage` is the function that is at work; "" at the end.
    """

    first: int
    last: int
    stage: str
    tables: Tables
    rooms: tuple[int, int]
    pieces: tuple[Owned, ...]


@dataclass(frozen=True, slots=True)
class History:
    """A boot, moment by moment.

    `unseen`: regions that the replay came to and that the boot's own tables had not at the end, and
    the other way round, if there are; the last moment shows the boot's own.
    """

    moments: tuple[Moment, ...]
    unseen: tuple[Region, ...]


def history(
    trace: Trace,
    banks: Iterable[Range],
    features: MemblockFeatures,
    *,
    final: Tables | None = None,
    given: Iterable[tuple[int, int]] = (),
    known: Iterable[Use] = (),
) -> History:
    """The history of a boot on a machine with RAM in `banks`.

    `final` are memblock's tables where the boot stopped. `given` are ranges of pfns that the page
    allocator had then, for boots whose trace has no PageFree. `known` are names of what the trace
    does not name, or only after who asked for it.
    """
    failed, known = _failures(trace), tuple(known)
    most = 2 * sum(isinstance(event, MemblockRange) for event in trace) + 2
    memblock = new_memblock(features, most)
    owners = Ownership(banks)
    tables, pieces = Tables.of(memblock), tuple(owners.pieces((), ()))
    rooms = memblock.memory.max, memblock.reserved.max
    for table in (memblock.memory, memblock.reserved):
        grow(memblock, table, most)  # where there was no room, the trace says so
    moments: list[Moment] = []
    for first, last, stage in _steps(trace):
        changed = False
        for number in range(first, last + 1):
            event = trace[number]
            changed |= owners.see(event)
            for use in known:
                if _keeps(event, use):
                    owners.see(use)
            if isinstance(event, MemblockRange) and number not in failed:
                apply(memblock, event)
            elif isinstance(event, MemblockResize):
                memory, reserved = rooms
                rooms = (event.max, reserved) if event.name == "memory" else (memory, event.max)
        if changed:
            tables = Tables.of(memblock)
            pieces = tuple(owners.pieces(tables.memory, tables.reserved))
        moments.append(Moment(first, last, stage, tables, rooms, pieces))
    unseen = _difference(tables, final)
    given = tuple(given)
    if moments and (unseen or given):
        for pfn, end_pfn in given:
            owners.give(pfn << PAGE_SHIFT, end_pfn << PAGE_SHIFT)
        at_end = final or tables
        pieces = tuple(owners.pieces(at_end.memory, at_end.reserved))
        moments[-1] = replace(moments[-1], tables=at_end, pieces=pieces)
    return History(tuple(moments), unseen)


def _steps(trace: Trace) -> Iterator[tuple[int, int, str]]:
    """(first event, last event, stage at work): each event, and pages in a row together."""
    stages = iter([event.name for event in trace if isinstance(event, Stage)])
    stage = next(stages, "")
    first = 0
    for number, event in enumerate(trace):
        following: Event | None = trace[number + 1] if number + 1 < len(trace) else None
        if isinstance(event, PageFree | PageAlloc) and type(following) is type(event):
            continue
        yield first, number, stage
        first = number + 1
        if isinstance(event, Stage):
            stage = next(stages, "")


def _failures(trace: Trace) -> set[int]:
    """The numbers of memblock's events that came to nothing."""
    failed: set[int] = set()
    asked: list[tuple[int, MemblockRange]] = []
    for number, event in enumerate(trace):
        if isinstance(event, MemblockRange):
            asked.append((number, event))
        elif isinstance(event, MemblockFailure):
            wanted = event.function, event.base, event.size
            failed.update(
                [n for n, e in reversed(asked) if (e.function, e.base, e.size) == wanted][:1]
            )
    return failed


def _keeps(event: Event, use: Use) -> bool:
    """Whether `event` reserves, or names after who asked for it, what `use` names better."""
    match event:
        case Use(base, size) | MemblockRange(function="memblock_reserve", base=base, size=size):
            return base <= use.base and use.base + use.size <= base + size
    return False


def _difference(seen: Tables, final: Tables | None) -> tuple[Region, ...]:
    if final is None:
        return ()
    both = [{*map(_key, t.memory), *map(_key, t.reserved)} for t in (seen, final)]
    return tuple(Region(base, size, flags, 0) for base, size, flags in sorted(both[0] ^ both[1]))


def _key(region: Region) -> tuple[int, int, int]:
    return region.base, region.size, int(region.flags)
