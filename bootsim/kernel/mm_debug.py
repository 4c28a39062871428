"""What struct pages and free lists say about each page frame.

Linux has mm/debug.c (dump_page); page_states() has no counterpart there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from bootsim.kernel.free_list import FreeBlock, FreeLists
from bootsim.kernel.mm_init import Node
from bootsim.kernel.mm_types import (
    PAGE_FLAGS_CHECK_AT_PREP,
    PG_RESERVED,
    PageAllocError,
    PageFlag,
    StructPage,
)


class PageState(IntEnum):
    """Who holds a page frame. HOLE: it is not RAM."""

    HOLE = 0
    FREE = 1
    RESERVED = 2
    ALLOCATED = 3


@dataclass(frozen=True, slots=True)
class PageInfo:
    """One page frame as its struct page describes it.

    `address` is the virtual address of `struct`, which is the RAM itself. `block` is the free block
    that the page is in; `order` is set for the first page of one alone (PageBuddy).
    """

    pfn: int
    address: int
    struct: StructPage
    state: PageState
    flags: PageFlag
    zone: str
    node: int
    order: int | None
    block: FreeBlock | None


def page_info(node: Node, lists: FreeLists, pfn: int) -> PageInfo:
    """Describe `pfn`; raises PageAllocError where it has no struct page."""
    mem_map = node.mem_map
    entry = node.page_entry(pfn)
    zone = node.page_zone(entry)
    block = lists.enclosing_block(zone, entry)
    flags = mem_map.flags[entry]
    if not any(start <= pfn < end for start, end in node.present):
        state = PageState.HOLE
    elif block:
        state = PageState.FREE
    else:
        state = PageState.RESERVED if flags & PG_RESERVED else PageState.ALLOCATED
    return PageInfo(
        pfn=pfn,
        address=mem_map.page_virt(entry),
        struct=mem_map.struct(entry),
        state=state,
        flags=PageFlag(flags & PAGE_FLAGS_CHECK_AT_PREP),
        zone=zone.name,
        node=node.nid,
        order=block.order if block and block.pfn == pfn else None,
        block=block,
    )


# Marks that page_states() puts together and then translates.
_TAKEN, _FREE, _RESERVED = 1, 2, 4
_RESERVED_BIT = bytes(_RESERVED if byte & PG_RESERVED >> 8 else 0 for byte in range(256))
_STATE_OF = {
    _TAKEN: PageState.ALLOCATED,
    _FREE: PageState.FREE,
    _TAKEN | _RESERVED: PageState.RESERVED,
}
_PAGE_STATES = bytes(_STATE_OF.get(mark, PageState.HOLE) for mark in range(256))


def page_states(node: Node, lists: FreeLists) -> bytes:
    """One PageState a pfn, from node.start_pfn to node.end_pfn: free by the lists, else by flags.

    Raises PageAllocError where a page is in two free blocks, free and reserved, or free and no RAM.
    """
    mem_map = node.mem_map
    states = bytearray(node.end_pfn - node.start_pfn)
    for start, end in node.present:
        states[start - node.start_pfn : end - node.start_pfn] = bytes([_TAKEN]) * (end - start)
    for zone in node.zones:
        for block in lists.blocks(zone):
            first, count = block.pfn - node.start_pfn, 1 << block.order
            if first < 0 or states[first : first + count] != bytes([_TAKEN]) * count:
                raise PageAllocError(
                    f"the free block of order {block.order} at pfn {block.pfn:#x} overlaps another"
                    " or leaves RAM"
                )
            states[first : first + count] = bytes([_FREE]) * count
    # PG_reserved is in the second byte of page->flags.
    offset = (node.start_pfn - mem_map.start_pfn) * mem_map.page_size + 1
    flags = mem_map.words.cast("B")[offset :: mem_map.page_size][: len(states)].tobytes()
    reserved = int.from_bytes(flags.translate(_RESERVED_BIT), "little")
    marks = (int.from_bytes(states, "little") | reserved).to_bytes(len(states), "little")
    both = marks.find(_FREE | _RESERVED)
    if both >= 0:
        raise PageAllocError(f"pfn {node.start_pfn + both:#x} is free and reserved")
    return marks.translate(_PAGE_STATES)
