"""How fast zones are set up, 1 GiB is handed over, and pages are taken and given back."""

from __future__ import annotations

from typing import Any

from bootsim.kernel.mmzone import PageLayout, ZoneSpan
from tests.buddy import RAM, Machine, hand_over, machine, small

FIRST, PAGES = RAM >> 12, 1 << 18
# What the BiscuitOS boot has reserved: page tables, kernel, driver, initrd, memory map, CMA (pfns).
RESERVED = [
    (0x60004, 0x60008),
    (0x60100, 0x60B91),
    (0x64000, 0x64100),
    (0x68000, 0x69D03),
    (0x9E7F2, 0x9EFF2),
    (0x9F000, 0xA0000),
]


def booted() -> Machine:
    layout = PageLayout.linux_5_0(RAM + 0xB03000)
    return machine([(RAM, PAGES << 12)], layout, [ZoneSpan("Normal", FIRST, FIRST + PAGES)])


def handover(box: Machine) -> None:
    """Reserve, then hand over what is between: 275 blocks."""
    for start, end in RESERVED:
        box.allocator.reserve_bootmem_region(start << 12, end << 12)
    ends = [FIRST, *(end for _, end in RESERVED)]
    starts = [*(start for start, _ in RESERVED), FIRST + PAGES]
    for start, end in zip(ends, starts, strict=True):
        hand_over(box.allocator, start, end)


def test_free_area_init_node(benchmark: Any) -> None:
    """Zones and 262144 struct pages of 32 bytes."""
    box = benchmark(booted)
    assert box.allocator.node.struct.node_present_pages == PAGES


def test_handover_of_1_gib(benchmark: Any) -> None:
    box = benchmark.pedantic(handover, setup=lambda: ((booted(),), {}), rounds=10)
    assert box is None


def test_alloc_and_free_order_0(benchmark: Any) -> None:
    """A thousand pages taken, then given back."""
    box = small(4096)
    hand_over(box.allocator, FIRST, FIRST + 4096)

    def run() -> None:
        pages = [box.allocator.alloc_pages(0) for _ in range(1000)]
        for pfn in pages:
            assert pfn is not None
            box.allocator.free_pages(pfn, 0)
        box.trace.events.clear()

    benchmark(run)
    assert box.allocator.nr_free_pages() == 4096


def test_page_states_of_1_gib(benchmark: Any) -> None:
    box = booted()
    handover(box)
    states = benchmark(box.allocator.page_states)
    assert states.count(1) == box.allocator.nr_free_pages()
