"""Zones and free lists of real kernels: against their own log, memblock and symbol tables."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.errors import BootsimError
from bootsim.kernel.memblock import Memblock
from bootsim.kernel.memory import PAGE_SHIFT, pfn_down, pfn_up
from bootsim.kernel.mm_debug import PageState
from bootsim.kernel.mm_types import PageAllocError, PageFlag
from bootsim.kernel.mmzone import PfnRange
from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.image import load_kernel_image
from bootsim.realkernel.readback import find_memblock
from bootsim.realkernel.ringbuffer import find_log, read_log
from bootsim.realkernel.zone_layout import NodeLayout
from bootsim.realkernel.zones import RealNode, find_zones
from bootsim.views.zones import buddyinfo, format_buddyinfo, zoneinfo
from tests.conftest import REAL_BOOTS
from tests.kernel_extracts import EXTRACTS, Extract, load_extract
from tests.real_boots import MEMORY_LINE, real_boots
from tests.requirements import need_kernel


def node_of(extract: Extract) -> RealNode:
    node = find_zones(extract.memory, extract.linear, extract.image)
    assert node is not None
    return node


def free_of_memblock(memblock: Memblock) -> list[PfnRange]:
    """The whole pages that are memory and not reserved: what memblock_free_all() hands over."""
    free = []
    for region in memblock.memory:
        at = region.base
        for taken in memblock.reserved:
            if taken.base < region.end and at < taken.end:
                free.append(PfnRange(pfn_up(at), pfn_down(taken.base)))
                at = taken.end
        free.append(PfnRange(pfn_up(at), pfn_down(region.end)))
    return [pfns for pfns in free if pfns.start < pfns.end]


@pytest.mark.parametrize("name", EXTRACTS)
def test_the_buddy_allocator_has_what_memblock_had(name: str) -> None:
    extract = load_extract(name)
    node = node_of(extract)
    memblock = find_memblock(extract.memory, extract.linear, extract.image)
    assert memblock is not None
    assert node.free_ranges() == free_of_memblock(memblock)
    assert node.nr_free_pages() == sum(1 << block.order for block in node.free_blocks())
    if extract.system_map:
        assert node.layout.pgdat == extract.system_map["contig_page_data"]


@pytest.mark.parametrize("name", EXTRACTS)
def test_zones_are_those_of_the_log(name: str) -> None:
    extract = load_extract(name)
    node = node_of(extract)
    texts = [r.text for r in read_log(extract.memory, extract.linear, find_log(extract.image))]
    ranges = {
        match[1]: match[2]
        for text in texts
        if (match := re.match(r"  (\w+) +(?:\[mem (\S+)\]|empty)", text))
    }
    assert len(ranges) >= 1
    for zone in node.zones:
        span = f"{zone.start_pfn << 12:#018x}-{(zone.end_pfn << 12) - 1:#018x}"
        assert ranges.get(zone.name) == (span if zone.populated else None)
    handed = [match for text in texts if (match := re.match(r"Memory: (\d+)K/(\d+)K", text))]
    if handed:
        free, total = map(int, handed[0].groups())
        assert node.nr_free_pages() == free >> 2
        assert sum(zone.struct.present_pages for zone in node.zones) == total >> 2
    else:
        # Since 6.9 the line comes after kmem_cache_init().
        assert extract.image.version > (6, 1)


@pytest.mark.parametrize("name", EXTRACTS)
def test_views_take_it_for_the_models(name: str) -> None:
    node = node_of(load_extract(name))
    lines = format_buddyinfo(buddyinfo(node))  # type: ignore[arg-type]
    assert len(lines) == 1
    assert re.fullmatch(r"Node 0, zone +(DMA|Normal) ( +\d+ )+", lines[0])
    zones = zoneinfo(node)  # type: ignore[arg-type]
    assert [zone["zone"] for zone in zones][-1] == "Movable"
    for zone in zones:
        assert zone["free"] <= zone["managed"] <= zone["present"] <= zone["spanned"]


# The options that these kernels were built with (tests/data/realkernel_ram/README.md).
LAYOUTS: dict[str, Callable[[NodeLayout], object]] = {
    "debian-5.10-armmp": lambda x: (x.page_size, x.orders, x.migrate_types) == (36, 12, 6),
    "debian-6.12-armmp": lambda x: (x.page_size, x.orders, x.migrate_types) == (36, 12, 6),
    "vexpress-6.1-2g": lambda x: (x.page_size, x.orders, x.migrate_types) == (32, 11, 4),
    "vexpress-6.1-3g-opt": lambda x: (x.page_size, x.orders, x.migrate_types) == (36, 10, 6),
}


@pytest.mark.parametrize("name", EXTRACTS)
def test_layout_follows_the_options(name: str) -> None:
    layout = node_of(load_extract(name)).layout
    assert LAYOUTS[name](layout)


def test_a_page() -> None:
    extract = load_extract("debian-5.10-armmp")
    present = [(0x60000, 0x63000)]
    node = find_zones(extract.memory, extract.linear, extract.image, present=present)
    assert node is not None
    block = next(iter(node.free_blocks()))
    free = node.page(block.pfn)
    assert (free.state, free.block, free.order) == (PageState.FREE, block, block.order)
    assert free.struct.private == block.order
    image = node.page(0x60300)
    assert (image.state, image.flags) == (PageState.RESERVED, PageFlag.RESERVED)
    assert image.struct.refcount == 1
    assert image.address == node.layout.mem_map + 0x300 * 36
    with pytest.raises(PageAllocError, match="in no zone"):
        node.page(0x63000)
    newer = node_of(load_extract("debian-6.12-armmp"))
    with pytest.raises(BootsimError, match=r"page flags of Linux 6\.12 are not known"):
        newer.page(0x60300)


def test_none_before_free_area_init() -> None:
    extract = load_extract(EXTRACTS[0])
    layout = node_of(extract).layout
    extract.memory.zero(extract.linear.virt_to_phys(layout.pgdat), 4 * layout.zone_size)
    assert find_zones(extract.memory, extract.linear, extract.image) is None


def test_what_is_not_understood_is_said() -> None:
    extract = load_extract("vexpress-6.1-2g")
    node = node_of(extract)
    layout, memory = node.layout, extract.memory
    mem_map = node.mem_map
    alone = [e for e in range(mem_map.count) if mem_map.next[e] == mem_map.page_virt(e) + 4]
    for entry in alone:
        mem_map.next[entry] = 0
    with pytest.raises(BootsimError, match="the size of a struct page cannot be made out"):
        node_of(extract)
    for entry in alone:
        mem_map.next[entry] = mem_map.page_virt(entry) + 4
    areas = extract.linear.virt_to_phys(layout.pgdat + layout.free_area_offset)
    heads = memory.read(areas, 16)
    memory.zero(areas, 16)
    with pytest.raises(BootsimError, match=r"their free_area\[\] cannot be made out"):
        node_of(extract)
    memory.write(areas, heads)
    # As with CONFIG_SPARSEMEM: no node_mem_map between nr_zones and node_start_pfn.
    behind = extract.linear.virt_to_phys(layout.pgdat + 2 * layout.zone_size)
    words = memory.words(behind, 0x400)
    words[words.tolist().index(layout.mem_map)] = 1
    with pytest.raises(BootsimError, match="the memory map is not flat"):
        node_of(extract)


def pages_with_links(extract: Extract, node: RealNode) -> tuple[int, int]:
    """The entries of two blocks on one list, the second behind the first."""
    blocks = [block for block in node.free_blocks() if node.zones[0].nr_free[block.order] > 1]
    first, second = blocks[0], blocks[1]
    assert first.order == second.order
    return first.pfn - node.start_pfn, second.pfn - node.start_pfn


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda m, a, b: m.next.__setitem__(b, m.next[a]), "prev of"),  # a cycle
        (lambda m, a, b: m.next.__setitem__(a, 0xDEADBEEF), "is not the lru of a struct page"),
        (lambda m, a, b: m.next.__setitem__(a, m.next[a] + 4), "is not the lru of a struct page"),
        (lambda m, a, b: m.private.__setitem__(b, 77), "is no free block of this order"),
        (lambda m, a, b: m.prev.__setitem__(b, 0), "prev of"),
    ],
)
def test_a_damaged_free_list(damage: Callable[..., None], message: str) -> None:
    extract = load_extract("vexpress-6.1-2g")
    node = node_of(extract)
    damage(node.mem_map, *pages_with_links(extract, node))
    with pytest.raises(PageAllocError, match=message):
        list(node.free_blocks())


def test_a_count_that_is_not_the_lists() -> None:
    node = node_of(load_extract("vexpress-6.1-2g"))
    node.zones[0].nr_free[3] += 1
    with pytest.raises(PageAllocError, match=r"order 3: it holds \d+ blocks, but nr_free is \d+"):
        list(node.free_blocks())


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([name for name in EXTRACTS if name.startswith("vexpress")]),
    st.lists(
        st.tuples(
            st.sampled_from(("pgdat", "mem_map")), st.integers(0, 0x1400), st.binary(max_size=6)
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_damage_is_none_or_an_error(name: str, writes: list[tuple[str, int, bytes]]) -> None:
    extract = load_extract(name)
    layout = node_of(extract).layout
    for place, offset, content in writes:
        virt = getattr(layout, place) + offset
        extract.memory.write(extract.linear.virt_to_phys(virt), content)
    try:
        node = find_zones(extract.memory, extract.linear, extract.image)
        if node is not None:
            free = sum(end - start for start, end in node.free_ranges())
            assert free == node.nr_free_pages() <= node.end_pfn - node.start_pfn
    except BootsimError:
        pass


def test_debians_kernel_on_recorded_boards() -> None:
    """Memory line, regions and free pages of boots that were recorded, run again."""
    image = load_kernel_image(need_kernel())
    grid = [case for case in real_boots(REAL_BOOTS / "vexpress-grid") if case.fate == MEMORY_LINE]
    for case in grid[::40]:
        boot = RealBoot(
            image,
            dtb=case.dtb,
            dtb_addr=case.record["dtb_load_addr"],
            phys_offset=case.record["phys_offset"],
            machine_ram=case.record["ram"],
        )
        boot.run()
        log = [record.text for record in boot.log_records()]
        assert log[-1] == case.record["memory_line"], case.name
        assert "\n".join(log).split("\n") == case.record["log"], case.name
        node = find_zones(boot.memory, boot.linear, image)
        assert node is not None
        assert node.free_ranges() == free_of_memblock(boot.memblock), case.name
        for zone in node.zones:
            span = case.record["zones"].get(zone.name)
            assert zone.populated == (span is not None)
            if span is not None:
                pages = (zone.start_pfn << PAGE_SHIFT, (zone.end_pfn << PAGE_SHIFT) - 1)
                assert list(pages) == span, case.name
