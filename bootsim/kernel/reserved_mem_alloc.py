"""Room for the regions below /reserved-memory that say only how large they are to be.

Linux: drivers/of/of_reserved_mem.c (__reserved_mem_alloc_size).
"""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.kernel.cma import cma_min_alignment, note_for_remap
from bootsim.kernel.fdt import U32_MASK, read_cells, reg_entries
from bootsim.kernel.kernel import Kernel, ReservedMem
from bootsim.kernel.libfdt import FdtNode
from bootsim.trace import Refusal

ENOMEM, EINVAL = 12, 22
MEMBLOCK_ALLOC_ANYWHERE = 0xFFFFFFFF  # include/linux/memblock.h
SMP_CACHE_BYTES = 64  # arch/arm/include/asm/cache.h with ARM_L1_CACHE_SHIFT 6
PREFIX = "OF: reserved mem: "


def reserved_mem_alloc_size(kernel: Kernel, region: ReservedMem) -> int:
    """Find room for a node with `size`; 0 or a negative errno."""
    node = region.node
    size_cells, address_cells = (
        4 * kernel.vars.dt_root_size_cells,
        4 * kernel.vars.dt_root_addr_cells,
    )
    value = node.props.get("size")
    if value is None:
        return -EINVAL
    if len(value) != size_cells:
        kernel.refuse(Refusal("property-length", 0, len(value), node.path, "size", -EINVAL))
        kernel.pr_err(f"{PREFIX}invalid size property in '{node.name}' node.")
        return -EINVAL
    size = _32_bits(kernel, node, "size", read_cells(value))
    align = 0
    value = node.props.get("alignment")
    if value is not None:
        if len(value) != address_cells:
            refusal = Refusal("property-length", 0, len(value), node.path, "alignment", -EINVAL)
            kernel.refuse(refusal)
            kernel.pr_err(f"{PREFIX}invalid alignment property in '{node.name}' node.")
            return -EINVAL
        align = _32_bits(kernel, node, "alignment", read_cells(value))
    if (
        kernel.profile.config.max_cma_areas
        and node.is_compatible("shared-dma-pool")
        and "reusable" in node.props
        and "no-map" not in node.props
    ):
        align = max(align, cma_min_alignment(kernel))
    base, tried = 0, []
    ranges = node.props.get("alloc-ranges")
    if ranges is None:
        tried.append((0, 0))
        base = _alloc_reserved_memory(kernel, size, align, 0, 0, nomap=region.nomap)
    elif len(ranges) % (address_cells + size_cells):
        kernel.refuse(
            Refusal("property-length", 0, len(ranges), node.path, "alloc-ranges", -EINVAL)
        )
        kernel.pr_err(f"{PREFIX}invalid alloc-ranges property in '{node.name}', skipping node.")
        return -EINVAL
    else:
        for start, end in _alloc_ranges(kernel, node, ranges):
            tried.append((start, end))
            base = _alloc_reserved_memory(kernel, size, align, start, end, nomap=region.nomap)
            if base:
                break
    if base == 0:
        for start, end in tried:
            refusal = Refusal(
                *("no-room", 0, size, node.path, "", -ENOMEM),
                start=start,
                end=end or MEMBLOCK_ALLOC_ANYWHERE,
                align=align or SMP_CACHE_BYTES,
            )
            kernel.refuse(refusal)
        _say_no_room(kernel, node, size)
        return -ENOMEM
    region.base, region.size = base, size
    note_for_remap(kernel, node, base, size)
    return 0


def says_less(kernel: Kernel) -> bool:
    """Whether a region that is not to be had is news, not an error: up to 5.10."""
    return kernel.profile.features.reserved_mem_log in ("5.0", "5.10")


def _alloc_ranges(kernel: Kernel, node: FdtNode, ranges: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of each entry of alloc-ranges, as a phys_addr_t without LPAE holds them."""
    for start, length in reg_entries(kernel, ranges):
        if start + length > U32_MASK + 1:
            kernel.refuse(Refusal("beyond-32-bits", start, length, node.path, "alloc-ranges"))
        yield start & U32_MASK, start + length & U32_MASK


def _32_bits(kernel: Kernel, node: FdtNode, name: str, number: int) -> int:
    """What a phys_addr_t without LPAE holds of property `name`."""
    if number > U32_MASK:
        kernel.refuse(Refusal("beyond-32-bits", 0, number, node.path, name))
    return number & U32_MASK


def _say_no_room(kernel: Kernel, node: FdtNode, size: int) -> None:
    text = f"{PREFIX}failed to allocate memory for node '{node.name}'"
    if says_less(kernel):
        kernel.pr_info(text)
    else:
        kernel.pr_err(f"{text}: size {size >> 20} MiB")


def _alloc_reserved_memory(
    kernel: Kernel, size: int, align: int, start: int, end: int, *, nomap: bool
) -> int:
    """early_init_dt_alloc_reserved_memory_arch: the base in bytes, 0 where there is no room.

    The feature `alloc_ranges` says whether the search is from 0 on, and what is found below `start`
    is given back.
    """
    memblock, features = kernel.memblock, kernel.profile.features
    caller = "early_init_dt_alloc_reserved_memory_arch"
    align, end = align or SMP_CACHE_BYTES, end or MEMBLOCK_ALLOC_ANYWHERE
    if features.alloc_ranges == "start-and-end":
        base = memblock.phys_alloc_range(size, align, start, end, caller=caller)
        if base and nomap and memblock.mark_nomap(base, size, caller=caller):
            memblock.phys_free(base, size, caller=caller)
        return base
    if features.alloc_ranges == "find":
        base = memblock.find_in_range(start, end, size, align)
        if base and nomap:
            memblock.remove(base, size, caller=caller)
        elif base:
            memblock.reserve(base, size, caller=caller)
        return base
    base = memblock.alloc_base_nopanic(size, align, end)
    if not base:
        return 0
    if base < start:
        memblock.phys_free(base, size, caller=caller)
        return 0
    if nomap and features.nomap == "remove":
        memblock.remove(base, size, caller="fdt_init_reserved_mem")  # by a tail call
    elif nomap:
        memblock.mark_nomap(base, size, caller="__reserved_mem_alloc_size")
    return base
