"""struct memblock of a real kernel, read where that kernel has it.

Linux: mm/memblock.c, include/linux/memblock.h, from 4.11 on. A kernel's own table of symbols seldom
names data, but its image holds struct memblock as the compiler initialised it, and nothing else
looks like it: no limit, then two empty tables, which are called "memory" and "reserved".
"""

from __future__ import annotations

import ctypes
import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from bootsim.kernel.layout import MemblockLayout, memblock_layout
from bootsim.kernel.memblock import Memblock, MemblockAddresses, MemblockFeatures
from bootsim.kernel.memory import LinearMap
from bootsim.machine.memory import PhysMemory
from bootsim.realkernel.contents import data, string_is
from bootsim.realkernel.image import KernelImage

_ADDRESS_BITS = (32, 64)  # of phys_addr_t; 64 with CONFIG_ARM_LPAE
_TABLES = ("memory", "reserved")
_MOST_REGIONS = 1 << 16


@dataclass(frozen=True, slots=True)
class MemblockPlace:
    """Where an image has struct memblock and the arrays it begins with: virtual addresses.

    `names` are those of the strings "memory" and "reserved".
    """

    virt: int
    memory_regions: int
    reserved_regions: int
    names: tuple[int, int]
    layout: MemblockLayout


def memblock_place(image: KernelImage) -> MemblockPlace | None:
    """Find struct memblock in `image`, by symbol if that names it, or else by what it holds.

    None where nothing looks like it, or more than one thing.
    """
    symbol = image.symbols.get("memblock")
    found: list[MemblockPlace] = []
    for bits in _ADDRESS_BITS:
        layout = memblock_layout(phys_addr_bits=bits)
        offsets = _offsets(image, layout) if symbol is None else [symbol - image.text]
        found.extend(filter(None, (_place_at(image, layout, offset) for offset in offsets)))
    return found[0] if len(found) == 1 else None


def find_memblock(
    memory: PhysMemory,
    linear: LinearMap,
    image: KernelImage,
    place: MemblockPlace | None = None,
) -> Memblock | None:
    """The struct memblock that the kernel out of `image` has in `memory`, as a view of it.

    `place` is what memblock_place() found before. None if that finds nothing, or if RAM does not
    have the struct (any more: Linux frees it with the rest of its __init data). Tables that cannot
    be followed raise BootsimError when they are read. Of the features only the layout is the
    image's own; the others, which tell how allocations go on, are those of the closest version that
    is modelled.
    """
    place = place or memblock_place(image)
    if place is None:
        return None
    layout = place.layout
    debug = image.symbols.get("memblock_debug")
    at = MemblockAddresses(
        memblock=linear.virt_to_phys(place.virt),
        memory_regions=linear.virt_to_phys(place.memory_regions),
        reserved_regions=linear.virt_to_phys(place.reserved_regions),
        debug=linear.virt_to_phys(debug) if debug is not None and debug % 4 == 0 else 0,
    )
    size = ctypes.sizeof(layout.memblock)
    if not memory.contains(at.memblock, size):
        return None
    value: Any = layout.memblock.from_buffer_copy(memory.view(at.memblock, size))
    if (value.memory.name, value.reserved.name) != place.names:
        return None
    kernel_end = linear.virt_to_phys(image.end)
    old = image.version < (5, 12)
    base = MemblockFeatures.linux_5_0 if old else MemblockFeatures.linux_6_1
    features = dataclasses.replace(
        base(kernel_end), phys_addr_bits=layout.address_bits, physmem_member=False
    )
    return Memblock(memory, at=at, linear=linear, features=features, layout=layout)


def _offsets(image: KernelImage, layout: MemblockLayout) -> list[int]:
    """Where the image has what struct memblock may begin with: no limit, and an empty table."""
    limit: Any = layout.memblock.current_limit
    # The limit; then cnt, with or without a dummy region (without since 6.10); max; total_size.
    start = b"\xff" * limit.size + rb"[\0\1]\0\0\0..\0\0" + b"\0" * limit.size
    found = re.compile(start, re.DOTALL).finditer(image.code, data(image))
    return [match.start() - limit.offset for match in found if match.start() % limit.size == 0]


def _place_at(image: KernelImage, layout: MemblockLayout, offset: int) -> MemblockPlace | None:
    """The struct memblock at `offset` of the image, if there is one as the compiler made it."""
    if offset < 0 or offset + ctypes.sizeof(layout.memblock) > len(image.code):
        return None
    value: Any = layout.memblock.from_buffer_copy(image.code, offset)
    if value.bottom_up or value.current_limit != (1 << layout.address_bits) - 1:
        return None
    for label in _TABLES:
        table = getattr(value, label)
        if not string_is(image, table.name, label):
            return None
        if table.cnt > 1 or not 1 <= table.max <= _MOST_REGIONS or table.total_size:
            return None
        if table.regions % 4 or not image.text <= table.regions < image.end:
            return None
    if _regions_have_nodes(value, layout):
        layout = memblock_layout(phys_addr_bits=layout.address_bits, numa=True)
    return MemblockPlace(
        virt=image.text + offset,
        memory_regions=value.memory.regions,
        reserved_regions=value.reserved.regions,
        names=(value.memory.name, value.reserved.name),
        layout=layout,
    )


def _regions_have_nodes(value: Any, layout: MemblockLayout) -> bool:
    """Whether a region names its node, by the distance between the two static arrays.

    No option of ARM's Kconfig makes it so, but out-of-tree kernels have it.
    """
    first, second = sorted((value.memory, value.reserved), key=lambda table: table.regions)
    size, rest = divmod(second.regions - first.regions, first.max)
    with_nodes = memblock_layout(phys_addr_bits=layout.address_bits, numa=True)
    return not rest and size == with_nodes.region_size != layout.region_size
