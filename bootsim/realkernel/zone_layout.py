"""How a real kernel lays out its node, zones and struct pages: made out in its RAM.

Linux: include/linux/mmzone.h (struct pglist_data, struct zone, struct free_area), include/linux/
mm_types.h (struct page), since 4.18. The layout depends on version and options, and an image does
not tell it. What each field must be does:

- a zone's `name` is one of the strings in zone_names[], and zones lie at equal distances;
- `zone_pgdat` of each zone is the address of the first;
- the page counts, which come shortly before the name, add up to those of the node;
- the head of a list points to itself, or to what points back;
- so does the `lru` of a struct page that is on no list.

Only what fits in every zone is believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from bootsim.errors import BootsimError
from bootsim.kernel.memory import LinearMap
from bootsim.kernel.mm_types import LRU_OFFSET
from bootsim.kernel.mmzone import ZONE_MOVABLE, ZONE_ORDER
from bootsim.machine.memory import PhysMemory
from bootsim.realkernel.contents import WORD, constants, find, string_is, word
from bootsim.realkernel.image import KernelImage

_ZONE_SIZES = range(0x100, 0x4000, WORD)  # bytes; Debian's 6.1 has 0x380
_NODE_TAIL = 0x1000  # bytes behind the zones that the node's own fields are looked for in
# Words between present_pages and name: present_early_pages and cma_pages may be there.
_WORDS_BEFORE_NAME = (0, 1, 2)
_FREE_AREA_WITHIN = 0x100  # bytes from a zone's name to its free_area[]
_MIGRATE_TYPES = range(3, 9)
_ORDERS = range(8, 18)
_NO_FREE_AREAS = 0, 0, 0
_PAGE_SIZES = range(32, 72, WORD)  # bytes of a struct page
_PAGES_WINDOW = 0x20000  # bytes of struct pages to tell their size by
_PAGES_ENOUGH = 16  # struct pages in there that are as they must be

ZoneCounts = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """Where contig_page_data is and what it consists of; addresses are virtual, offsets in bytes.

    `counts_offset` is that of zone_start_pfn, managed_pages, spanned_pages and present_pages in a
    zone, `free_area_offset` that of its free areas: `orders` of them, each with a list head for
    every one of `migrate_types`, and nr_free. mem_map[0] describes pfn `start_pfn`.
    """

    zone_names: tuple[str, ...]
    pgdat: int
    zone_size: int
    counts_offset: int
    free_area_offset: int
    migrate_types: int
    orders: int
    mem_map: int
    page_size: int
    start_pfn: int
    spanned_pages: int

    @property
    def free_area_size(self) -> int:
        """sizeof(struct free_area)."""
        return 2 * WORD * self.migrate_types + WORD


def node_layout(memory: PhysMemory, linear: LinearMap, image: KernelImage) -> NodeLayout | None:
    """The layout of the kernel out of `image` that runs in `memory`.

    None if it has no zones (yet: free_area_init() makes them). Raises BootsimError where it has,
    but not all about them can be made out.
    """
    reader = _Reader(memory, linear, image)
    for place, names in zone_names(image):
        for name_at, zone_size in reader.zones(tuple(names.values()), place):
            pgdat = reader.pgdat(name_at, zone_size, len(names))
            if pgdat is not None:
                layout = reader.node(tuple(names), pgdat, name_at - pgdat, zone_size)
                if layout is not None:
                    return layout
    return None


def zone_names(image: KernelImage) -> Iterator[tuple[int, dict[str, int]]]:
    """What may be zone_names[]: its address, and the names in order with those of the strings."""
    start = constants(image)
    for string in find(image.code, b"Normal\0", start=start):
        pointer = (image.text + string).to_bytes(WORD, "little")
        for at in find(image.code, pointer, align=WORD, start=start):
            place = image.text + at
            # ZONE_DMA may come before, ZONE_HIGHMEM between, ZONE_MOVABLE comes after.
            names = {
                name: pointed
                for neighbour in range(place - WORD, place + 3 * WORD, WORD)
                for name in ZONE_ORDER
                if (pointed := word(image, neighbour)) and string_is(image, pointed, name)
            }
            if ZONE_MOVABLE in names and list(names) == [n for n in ZONE_ORDER if n in names]:
                yield place, names


class _Reader:
    """RAM by virtual address, as the linear map has it, and what is looked for in it."""

    def __init__(self, memory: PhysMemory, linear: LinearMap, image: KernelImage) -> None:
        self._memory = memory
        self._linear = linear
        self._image = image

    def _words(self, virt: int, count: int) -> memoryview | None:
        """`count` words at `virt`, None where there is no RAM."""
        phys = self._linear.virt_to_phys(virt)
        if phys % WORD or not self._memory.contains(phys, count * WORD):
            return None
        return self._memory.words(phys, count)

    def zones(self, names: tuple[int, ...], behind: int) -> Iterator[tuple[int, int]]:
        """Where words at equal distances point to `names` in turn: (the first word, distance).

        Data lie `behind` what is constant (arch/arm/kernel/vmlinux.lds.S).
        """
        seconds = list(self._pointers_to(names[1], behind))
        for first in self._pointers_to(names[0], behind):
            for second in seconds:
                size = second - first
                if size in _ZONE_SIZES and all(
                    (words := self._words(first + index * size, 1)) and words[0] == name
                    for index, name in enumerate(names)
                ):
                    yield first, size

    def _pointers_to(self, virt: int, behind: int) -> Iterator[int]:
        """The words of the kernel's RAM, image and bss, from `behind` on that are `virt`."""
        start, size = self._linear.virt_to_phys(behind), self._image.end - behind
        if self._memory.contains(start, size):
            bank = self._memory.bank(start)
            low = start - bank.base
            pointer = virt.to_bytes(WORD, "little")
            for at in find(bank.mapping, pointer, align=WORD, start=low, end=low + size):
                yield self._linear.phys_to_virt(bank.base + at)

    def pgdat(self, name_at: int, zone_size: int, count: int) -> int | None:
        """Where node_zones[0] begins, of which the name is at `name_at`: as zone_pgdat says."""
        symbol = self._image.symbols.get("contig_page_data")
        names = [name_at + index * zone_size for index in range(count)]
        for back in range(WORD, zone_size, WORD):
            pointers = {words[0] if (words := self._words(name - back, 1)) else 0 for name in names}
            if len(pointers) == 1:
                pgdat = pointers.pop()
                if name_at - zone_size < pgdat <= name_at - back and symbol in (None, pgdat):
                    return pgdat
        return None

    def node(
        self, names: tuple[str, ...], pgdat: int, name_offset: int, zone_size: int
    ) -> NodeLayout | None:
        """The rest of the layout, None if the page counts do not add up."""
        zones = [pgdat + index * zone_size for index in range(len(names))]
        tail = self._words(pgdat + len(names) * zone_size, _NODE_TAIL // WORD)
        for words_between in _WORDS_BEFORE_NAME:
            counts_offset = name_offset - (4 + words_between) * WORD
            counts = [self._counts(zone + counts_offset) for zone in zones]
            if tail is None or None in counts:
                return None
            node = _node_fields(tail.tolist(), [count for count in counts if count])
            if node is None:
                continue
            mem_map, start_pfn, spanned_pages = node
            free_areas = {
                self._free_areas(zone + name_offset + WORD)
                for zone, count in zip(zones, counts, strict=True)
                if count and count[2]
            }
            if len(free_areas) != 1 or _NO_FREE_AREAS in free_areas:
                raise BootsimError(f"zones at {pgdat:#010x}: their free_area[] cannot be made out")
            start, migrate_types, orders = free_areas.pop()
            return NodeLayout(
                zone_names=names,
                pgdat=pgdat,
                zone_size=zone_size,
                counts_offset=counts_offset,
                free_area_offset=name_offset + WORD + start,
                migrate_types=migrate_types,
                orders=orders,
                mem_map=mem_map,
                page_size=self._page_size(mem_map, spanned_pages),
                start_pfn=start_pfn,
                spanned_pages=spanned_pages,
            )
        return None

    def _counts(self, virt: int) -> ZoneCounts | None:
        """zone_start_pfn, managed_pages, spanned_pages, present_pages of the zone's at `virt`."""
        words = self._words(virt, 4)
        if words is None:
            return None
        start, managed, spanned, present = words
        return start, managed, spanned, present

    def _free_areas(self, behind_name: int) -> tuple[int, int, int]:
        """free_area[] of a zone: bytes from `behind_name` to it, migrate types, orders.

        _NO_FREE_AREAS if it cannot be found.
        """
        for start in range(behind_name, behind_name + _FREE_AREA_WITHIN, WORD):
            types = self._list_heads(start)
            if not types:
                continue
            size = 2 * WORD * types + WORD
            orders = 0
            while orders < _ORDERS.stop and self._list_heads(start + orders * size) == types:
                orders += 1
            if types in _MIGRATE_TYPES and orders in _ORDERS:
                return start - behind_name, types, orders
            break
        return _NO_FREE_AREAS

    def _list_heads(self, virt: int) -> int:
        """How many list heads lie one behind the other from `virt` on."""
        count = 0
        while count < _MIGRATE_TYPES.stop and self._is_list_head(virt + 2 * WORD * count):
            count += 1
        return count

    def _is_list_head(self, virt: int) -> bool:
        """Whether a struct list_head is at `virt`: its neighbours point back to it."""
        head = self._words(virt, 2)
        if head is None:
            return False
        next_, prev = self._words(head[0], 2), self._words(head[1], 2)
        return next_ is not None and prev is not None and next_[1] == prev[0] == virt

    def _page_size(self, mem_map: int, spanned_pages: int) -> int:
        """The size of a struct page, by how far the lru of one is from that of the next."""
        window = min(_PAGES_WINDOW, spanned_pages * _PAGE_SIZES.start)
        words = self._words(mem_map, window // WORD)
        if words is None:
            raise BootsimError(f"mem_map at {mem_map:#010x}: it is not in RAM")
        seen: dict[int, int] = {}
        for size in _PAGE_SIZES:
            addresses = range(mem_map + LRU_OFFSET, mem_map + window - WORD, size)
            stride = slice(LRU_OFFSET // WORD, None, size // WORD)
            nexts, prevs = words[stride], words[LRU_OFFSET // WORD + 1 :: size // WORD]
            triples = zip(addresses, nexts, prevs, strict=False)
            seen[size] = sum(1 for address, n, p in triples if n == p == address)
        best, second = sorted(seen.values(), reverse=True)[:2]
        if best < _PAGES_ENOUGH or best == second:
            raise BootsimError(
                f"mem_map at {mem_map:#010x}: the size of a struct page cannot be made out"
            )
        return max(seen, key=lambda size: seen[size])


def _node_fields(tail: list[int], zones: list[ZoneCounts]) -> tuple[int, int, int] | None:
    """node_mem_map, node_start_pfn and node_spanned_pages out of what follows the node's zones.

    None unless the zones' page counts add up to the node's that are found there.
    """
    populated = [(index, zone) for index, zone in enumerate(zones) if zone[2]]
    if not populated or any(
        not managed <= present <= spanned for _, (_, managed, spanned, present) in populated
    ):
        return None
    spans = [(zone[0], zone[0] + zone[2]) for _, zone in populated]
    if any(low[1] > high[0] for low, high in pairwise(sorted(spans))):
        return None
    start, end = min(span[0] for span in spans), max(span[1] for span in spans)
    present = sum(zone[3] for _, zone in populated)
    fields = [start, present, end - start, 0]  # the last is node_id
    nr_zones = populated[-1][0] + 1
    for at in range(3, len(tail) - len(fields)):
        if tail[at : at + len(fields)] != fields:
            continue
        if tail[at - 1] == nr_zones:
            raise BootsimError("the memory map is not flat (CONFIG_SPARSEMEM)")
        # nr_zones, node_mem_map, and node_page_ext with CONFIG_PAGE_EXTENSION.
        for mem_map in (at - 1, at - 2):
            if tail[mem_map - 1] == nr_zones:
                return tail[mem_map], start, end - start
    return None
