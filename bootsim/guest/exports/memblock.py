"""memblock's functions, for guest code: mm/memblock.c and what include/linux/memblock.h inlines."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bootsim.guest.exports import Api, Export
from bootsim.kernel.memblock import Memblock, MemblockType
from bootsim.kernel.memblock_iter import ITERATION_END

if TYPE_CHECKING:
    from bootsim.guest.guest import Guest


def _method(
    prototype: str, method: Callable[..., Any], api: Api | None = None, *, caller: bool = False
) -> Export:
    """A function that is a method of Memblock, with the same arguments."""
    if caller:
        return Export(
            prototype,
            lambda guest, *arguments, caller: method(guest.memblock, *arguments, caller=caller),
            api,
            asks_caller=True,
        )
    return Export(prototype, lambda guest, *arguments: method(guest.memblock, *arguments), api)


def _emits(prototype: str, method: Callable[..., Any], api: Api | None = None) -> Export:
    """The same for one that makes an event, which names its caller."""
    return _method(prototype, method, api, caller=True)


def _step(method: Callable[..., tuple[int, int, int, int]]) -> Callable[..., None]:
    """__next_mem_range() or its reverse: what is found goes where the pointers say."""

    def serve(
        guest: Guest,
        idx: int,
        nid: int,
        flags: int,
        type_a: MemblockType,
        type_b: MemblockType | None,
        out_start: int,
        out_end: int,
        out_nid: int,
    ) -> None:
        memory = guest.memory
        following, start, end, node = method(
            guest.memblock, memory.u64(idx), nid, flags, type_a, type_b
        )
        if following != ITERATION_END:
            if out_start:
                guest.put_phys_addr(out_start, start)
            if out_end:
                guest.put_phys_addr(out_end, end)
            if out_nid:
                memory.put_u32(out_nid, node)
        memory.put_u64(idx, following)

    return serve


def _next_reserved_mem_region(guest: Guest, idx: int, out_start: int, out_end: int) -> None:
    memory = guest.memory
    found = guest.memblock.next_reserved_mem_region(memory.u64(idx))
    if found is None:
        memory.put_u64(idx, ITERATION_END)
        return
    following, start, end = found
    if out_start:
        guest.put_phys_addr(out_start, start)
    if out_end:
        guest.put_phys_addr(out_end, end)
    memory.put_u64(idx, following)


def _next_mem_pfn_range(
    guest: Guest, idx: int, nid: int, out_start_pfn: int, out_end_pfn: int, out_nid: int
) -> None:
    memory = guest.memory
    found = guest.memblock.next_mem_pfn_range(_signed(memory.u32(idx)), nid)
    if found is None:
        memory.put_u32(idx, -1)
        return
    for place, value in zip((idx, out_start_pfn, out_end_pfn, out_nid), found, strict=True):
        if place:
            memory.put_u32(place, value)


def _search_pfn_nid(guest: Guest, pfn: int, start_pfn: int, end_pfn: int) -> int:
    nid, first, end = guest.memblock.search_pfn_nid(pfn)
    if first is not None and end is not None:
        guest.memory.put_u32(start_pfn, first)
        guest.memory.put_u32(end_pfn, end)
    return nid


def _free(guest: Guest, pointer: int, size: int, *, caller: str) -> None:
    """memblock_free() of Linux 5.16 and later, which takes a pointer."""
    if pointer:
        phys = guest.memblock.linear.virt_to_phys(pointer)
        guest.memblock.phys_free(phys, size, caller=caller)


def _free_late(guest: Guest, base: int, size: int, *, caller: str) -> None:
    guest.memblock.free_late(base, size, guest.kernel.buddy, caller=caller)


def _dump_all(guest: Guest) -> None:
    for line in guest.memblock.dump_lines():
        guest.kernel.pr_info(line)


def _dump_all_if_debug(guest: Guest) -> None:
    if guest.memblock.memblock_debug:
        _dump_all(guest)


def _signed(value: int) -> int:
    return (value ^ 0x80000000) - 0x80000000


_RANGE = "phys_addr_t base, phys_addr_t size"
_SPAN = (
    "u64 *idx, int nid, enum memblock_flags flags, struct memblock_type *type_a, "
    "struct memblock_type *type_b, phys_addr_t *out_start, phys_addr_t *out_end, int *out_nid"
)
_TRY_NID = (
    "phys_addr_t size, phys_addr_t align, phys_addr_t min_addr, phys_addr_t max_addr, int nid"
)
_WINDOW = "phys_addr_t size, phys_addr_t align, phys_addr_t start, phys_addr_t end"

EXPORTS = (
    # Memory and reserved memory.
    _emits(f"int memblock_add({_RANGE})", Memblock.add),
    _emits(f"int memblock_add_node({_RANGE}, int nid)", Memblock.add_node, "5.0"),
    _emits(
        f"int memblock_add_node({_RANGE}, int nid, enum memblock_flags flags)",
        Memblock.add_node,
        "6.1",
    ),
    _method(
        f"int memblock_add_range(struct memblock_type *type, {_RANGE}, int nid,"
        " enum memblock_flags flags)",
        Memblock.add_range,
        "5.0",
    ),
    _emits(f"int memblock_remove({_RANGE})", Memblock.remove),
    _emits(f"int memblock_reserve({_RANGE})", Memblock.reserve),
    _emits(f"int memblock_free({_RANGE})", Memblock.phys_free, "5.0"),
    _emits(f"int memblock_phys_free({_RANGE})", Memblock.phys_free, "6.1"),
    Export("void memblock_free(void *ptr, size_t size)", _free, "6.1", asks_caller=True),
    _emits(f"void __memblock_free_early({_RANGE})", Memblock.phys_free, "5.0"),
    Export(f"void __memblock_free_late({_RANGE})", _free_late, "5.0", asks_caller=True),
    Export(f"void memblock_free_late({_RANGE})", _free_late, "6.1", asks_caller=True),
    _method("void memblock_trim_memory(phys_addr_t align)", Memblock.trim_memory),
    _method("void memblock_enforce_memory_limit(phys_addr_t limit)", Memblock.enforce_memory_limit),
    _method(f"void memblock_cap_memory_range({_RANGE})", Memblock.cap_memory_range),
    _method("void memblock_mem_limit_remove_map(phys_addr_t limit)", Memblock.mem_limit_remove_map),
    _method("void memblock_allow_resize(void)", Memblock.allow_resize),
    # Marks and nodes.
    _emits(f"int memblock_mark_hotplug({_RANGE})", Memblock.mark_hotplug),
    _emits(f"int memblock_clear_hotplug({_RANGE})", Memblock.clear_hotplug),
    _emits(f"int memblock_mark_mirror({_RANGE})", Memblock.mark_mirror),
    _emits(f"int memblock_mark_nomap({_RANGE})", Memblock.mark_nomap),
    _emits(f"int memblock_clear_nomap({_RANGE})", Memblock.clear_nomap),
    _emits(
        f"int memblock_set_node({_RANGE}, struct memblock_type *type, int nid)", Memblock.set_node
    ),
    # Allocating: physical addresses.
    _emits(
        "phys_addr_t memblock_phys_alloc(phys_addr_t size, phys_addr_t align)",
        Memblock.phys_alloc,
        "5.0",
    ),
    _emits(f"phys_addr_t memblock_phys_alloc_range({_WINDOW})", Memblock.phys_alloc_range, "6.1"),
    _emits(
        "phys_addr_t memblock_phys_alloc_try_nid(phys_addr_t size, phys_addr_t align, int nid)",
        Memblock.phys_alloc_try_nid,
    ),
    _method(
        "phys_addr_t memblock_phys_alloc_nid(phys_addr_t size, phys_addr_t align, int nid)",
        Memblock.phys_alloc_nid,
        "5.0",
    ),
    _method(
        f"phys_addr_t memblock_alloc_range_nid({_WINDOW}, int nid, bool exact_nid)",
        Memblock.alloc_range_nid,
        "6.1",
    ),
    _method(
        f"phys_addr_t memblock_alloc_range({_WINDOW}, enum memblock_flags flags)",
        Memblock.alloc_range,
        "5.0",
    ),
    _method(
        "phys_addr_t memblock_alloc_base_nid(phys_addr_t size, phys_addr_t align,"
        " phys_addr_t max_addr, int nid, enum memblock_flags flags)",
        Memblock.alloc_base_nid,
        "5.0",
    ),
    _method(
        "phys_addr_t memblock_alloc_base(phys_addr_t size, phys_addr_t align,"
        " phys_addr_t max_addr)",
        Memblock.alloc_base,
        "5.0",
    ),
    _method(
        "phys_addr_t __memblock_alloc_base(phys_addr_t size, phys_addr_t align,"
        " phys_addr_t max_addr)",
        Memblock.alloc_base_nopanic,
        "5.0",
    ),
    _method(
        f"phys_addr_t memblock_find_in_range_node({_WINDOW}, int nid, enum memblock_flags flags)",
        Memblock.find_in_range_node,
        "5.0",
    ),
    _method(
        "phys_addr_t memblock_find_in_range(phys_addr_t start, phys_addr_t end, phys_addr_t size,"
        " phys_addr_t align)",
        Memblock.find_in_range,
        "5.0",
    ),
    _method(
        "enum memblock_flags choose_memblock_flags(void)", Memblock.choose_memblock_flags, "5.0"
    ),
    # Allocating: virtual addresses.
    _emits(f"void *memblock_alloc_try_nid({_TRY_NID})", Memblock.alloc_try_nid),
    _emits(f"void *memblock_alloc_try_nid_raw({_TRY_NID})", Memblock.alloc_try_nid_raw),
    _emits(
        f"void *memblock_alloc_try_nid_nopanic({_TRY_NID})", Memblock.alloc_try_nid_nopanic, "5.0"
    ),
    _emits(f"void *memblock_alloc_exact_nid_raw({_TRY_NID})", Memblock.alloc_exact_nid_raw, "6.1"),
    # Iterators.
    Export(f"void __next_mem_range({_SPAN})", _step(Memblock.next_mem_range)),
    Export(f"void __next_mem_range_rev({_SPAN})", _step(Memblock.next_mem_range_rev)),
    Export(
        "void __next_reserved_mem_region(u64 *idx, phys_addr_t *out_start, phys_addr_t *out_end)",
        _next_reserved_mem_region,
        "5.0",
    ),
    Export(
        "void __next_mem_pfn_range(int *idx, int nid, unsigned long *out_start_pfn,"
        " unsigned long *out_end_pfn, int *out_nid)",
        _next_mem_pfn_range,
    ),
    # Questions.
    _method("void memblock_set_current_limit(phys_addr_t limit)", Memblock.set_current_limit),
    _method("phys_addr_t memblock_get_current_limit(void)", Memblock.get_current_limit),
    _method("phys_addr_t memblock_phys_mem_size(void)", Memblock.phys_mem_size),
    _method("phys_addr_t memblock_reserved_size(void)", Memblock.reserved_size),
    _method("phys_addr_t memblock_mem_size(unsigned long limit_pfn)", Memblock.mem_size, "5.0"),
    _method("phys_addr_t memblock_start_of_DRAM(void)", Memblock.start_of_DRAM),
    _method("phys_addr_t memblock_end_of_DRAM(void)", Memblock.end_of_DRAM),
    _method("bool memblock_is_memory(phys_addr_t addr)", Memblock.is_memory),
    _method("bool memblock_is_map_memory(phys_addr_t addr)", Memblock.is_map_memory),
    _method("bool memblock_is_reserved(phys_addr_t addr)", Memblock.is_reserved),
    _method(f"bool memblock_is_region_memory({_RANGE})", Memblock.is_region_memory),
    _method(
        "unsigned long memblock_addrs_overlap(phys_addr_t base1, phys_addr_t size1,"
        " phys_addr_t base2, phys_addr_t size2)",
        Memblock.addrs_overlap,
        "6.1",
    ),
    _method(f"bool memblock_is_region_reserved({_RANGE})", Memblock.is_region_reserved),
    _method(
        f"bool memblock_overlaps_region(struct memblock_type *type, {_RANGE})",
        Memblock.overlaps_region,
    ),
    Export(
        "int memblock_search_pfn_nid(unsigned long pfn, unsigned long *start_pfn,"
        " unsigned long *end_pfn)",
        _search_pfn_nid,
    ),
    # The log.
    Export("void __memblock_dump_all(void)", _dump_all, "5.0"),
    Export("void memblock_dump_all(void)", _dump_all_if_debug, "6.1"),
)
