"""Page allocators for tests: a machine with RAM, a kernel's layout, and a memblock that is a ruler.

Memory for the memory map is taken from the top of the first bank downwards, or where a test says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bootsim.kernel.memory import PAGE_SIZE, LinearMap
from bootsim.kernel.mmzone import PageLayout, ZoneSpan
from bootsim.kernel.page_alloc import PageAllocator
from bootsim.machine.memory import PhysMemory, Range
from bootsim.trace import Trace

RAM = 0x60000000
PAGE_OFFSET = 0x80000000


@dataclass
class Machine:
    """What an allocator works on, and what it said: `log` holds printk lines and requests."""

    memory: PhysMemory
    allocator: PageAllocator
    trace: Trace
    log: list[str] = field(default_factory=list)
    requests: list[tuple[str, int]] = field(default_factory=list)
    taken: list[Range] = field(default_factory=list)


def machine(
    banks: Sequence[tuple[int, int]],
    layout: PageLayout,
    spans: Sequence[ZoneSpan],
    *,
    places: Sequence[int] | None = None,
    fill: int = 0,
    until: int | None = None,
) -> Machine:
    """A machine with its node set up; requests are served at `places`, in order, if given."""
    memory = PhysMemory(banks, fill=fill)
    trace = Trace(until=until)
    box = Machine(
        memory,
        PageAllocator(
            memory,
            LinearMap(banks[0][0], PAGE_OFFSET),
            trace,
            layout,
            lambda level, text: box.log.append(text),
        ),
        trace,
    )
    top = sum(banks[0])
    given = iter(places or ())

    def alloc(size: int, nid: int, caller: str) -> int:
        nonlocal top
        top = (top - size) & -PAGE_SIZE
        base = next(given) if places else top
        box.requests.append((caller, size))
        box.log.append(f"{caller}: {size} bytes")
        box.taken.append(Range(base, size))
        memory.zero(base, size)
        return base

    box.allocator.free_area_init_node(0, spans, alloc)
    return box


def small(pages: int = 4096, *, version: str = "5.0", until: int | None = None) -> Machine:
    """A machine of one zone whose first `pages` pages are for the allocator, and not handed over.

    The node's data and the memory map lie in a second bank, which no zone has.
    """
    area = RAM + 0x10000000
    make = {"5.0": PageLayout.linux_5_0, "6.1": PageLayout.linux_6_1}[version]
    first = RAM // PAGE_SIZE
    return machine(
        [(RAM, pages * PAGE_SIZE), (area, 0x400000)],
        make(area),
        [ZoneSpan("Normal", first, first + pages)],
        places=[area + 0x10000, area + 0x8000],
        until=until,
    )


def hand_over(allocator: PageAllocator, start: int, end: int) -> None:
    """Hand pfns [start, end) over in the largest aligned blocks, as __free_pages_memory() does."""
    while start < end:
        order = min(allocator.max_order - 1, (start & -start).bit_length() - 1 if start else 99)
        while start + (1 << order) > end:
            order -= 1
        allocator.free_pages_core(start, order)
        start += 1 << order
