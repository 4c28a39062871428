"""What was loaded and is written over before Linux starts, or lies in memory of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bootsim.check.examine import Examined
from bootsim.check.findings import Area, Finding
from bootsim.check.loading import INITRD, TREE, ZIMAGE, Gap, Piece
from bootsim.check.rules_cells import misread_nodes
from bootsim.check.spans import Span, shared, span, spans
from bootsim.kernel.memory import PAGE_SIZE, round_down, round_up
from bootsim.kernel.of_reserved_mem import MEMRESERVE
from bootsim.machine.memory import Range
from bootsim.numbers import size_text
from bootsim.trace import DEVICE_TREE, KERNEL_IMAGE, RAMDISK

_ALIGN = 64 << 10  # an address that is easy to type


def overwritten(boot: Examined) -> Iterator[Finding]:
    """E-PAYLOAD-OVERLAP: what the kernel writes over, what lies over another, or in no RAM."""
    loading = boot.loading
    for piece in loading.pieces:
        if not piece.told or (piece.what == INITRD and _refused_initrd(boot)):
            continue
        if piece.what != INITRD and loading.is_outside(piece):
            ram = spans(loading.ram)
            yield Finding(
                "E-PAYLOAD-OVERLAP",
                f"{piece.what} at {span(piece.place)} does not fit into RAM, {ram}",
                cause="Where there is no RAM, nothing is kept.",
                remedy=safe_place(boot, piece.what, piece.place.size),
                areas=(Area.of(piece.what, piece.place),),
            )
            continue
        zimage = loading.piece(ZIMAGE)
        if zimage is not None and shared(zimage.place, piece.place):
            continue  # said below
        hit = loading.hit(piece.place)
        if hit is None:
            continue
        both = shared(hit.place, piece.place)
        yield Finding(
            "E-PAYLOAD-OVERLAP",
            f"{piece.what} {span(piece.place)} is written over by {hit.what}"
            f" {span(hit.place)}: they share {size_text(both)}",
            remedy=safe_place(boot, piece.what, piece.place.size),
            areas=(Area.of(piece.what, piece.place), Area.of(hit.what, hit.place)),
        )
    for low, high in loading.clashes():
        if ZIMAGE not in (low.what, high.what) or not (low.told and high.told):
            continue  # of tree and initrd Linux itself finds out
        other = low if high.what == ZIMAGE else high
        yield Finding(
            "E-PAYLOAD-OVERLAP",
            f"{low.what} {span(low.place)} and {high.what} {span(high.place)} are loaded over"
            f" each other: they share {size_text(shared(low.place, high.place))}",
            cause="What the boot loader loads last is whole, the other is not.",
            remedy=safe_place(boot, other.what, other.place.size),
            areas=(Area.of(low.what, low.place), Area.of(high.what, high.place)),
        )


def _refused_initrd(boot: Examined) -> bool:
    return any(boot.refused("initrd-in-use", "initrd-not-memory"))


def margins(boot: Examined) -> Iterator[Finding]:
    """W-PAYLOAD-MARGIN, I-PAYLOAD-MARGIN: how far what was loaded is from what would ruin it."""
    loading, told = boot.loading, set[tuple[str, str]]()
    refused = _refused_initrd(boot)
    for piece in loading.pieces:
        if not piece.told or piece.what == ZIMAGE or loading.is_lost(piece):
            continue
        for gap in loading.gaps(piece):
            if (gap.low, gap.high) in told or (INITRD in (gap.low, gap.high) and refused):
                continue
            told.add((gap.low, gap.high))
            yield _margin(boot, piece, gap)


def _margin(boot: Examined, piece: Piece, gap: Gap) -> Finding:
    tight = gap.size < gap.enough
    loaded = {TREE, INITRD, ZIMAGE}
    low, high = (
        f"{what} at {piece.place.base:#010x}" if what == piece.what else what
        for what in (gap.low, gap.high)
    )
    if gap.low not in loaded:
        then = f"a kernel that is larger by more writes over {gap.high}"
    elif gap.high not in loaded:
        then = f"if {gap.low} grows by more, it is written over"
    else:
        then = f"if {gap.low} grows by more, both are loaded over each other"
    return Finding(
        "W-PAYLOAD-MARGIN" if tight else "I-PAYLOAD-MARGIN",
        f"{'only ' * tight}{size_text(gap.size)} lie between {low} and {high}: {then}",
        remedy=safe_place(boot, piece.what, piece.place.size) if tight else "None is needed.",
        areas=(Area.of(piece.what, piece.place),),
    )


def safe_place(boot: Examined, what: str, size: int) -> str:
    """Where `size` bytes of piece `what` would be safe, as memory is once all is reserved."""
    lowmem, end = boot.lowmem.end, boot.kernel.pa_symbol("_end")
    holes = [*boot.dump.free(end, lowmem), *boot.dump.free(0, end)]  # rather above the kernel
    # Not all of it is reserved in the end: the tree means it to be all the same.
    refused = [r.event for r in boot.refused("reserve")]
    no_tree = Range(0, PAGE_SIZE)  # 0 tells Linux that there is none
    kept: list[Span] = [*refused, *boot.kernel.fdt.static_regions, no_tree]
    first = boot.loading.first_safe(what, holes, size, PAGE_SIZE, kept=kept, apart=False)
    if first is None:
        return f"There is no hole of {size_text(size)} in lowmem: make {what} smaller."
    roomy = boot.loading.first_safe(what, holes, size, _ALIGN, kept=kept)
    if roomy is None or roomy - first < _ALIGN:
        return f"Load it at {roomy or first:#010x}, the first address that is safe."
    return (
        f"Load it at {roomy:#010x}, the first address that is safe with room to grow; without,"
        f" {first:#010x}."
    )


def in_reserved(boot: Examined) -> Iterator[Finding]:
    """E-DTB-IN-NOMAP, E-PAYLOAD-RESERVED, E-INITRD-OVERLAP: where the tree keeps memory for others.

    Linux refuses what overlaps only where it has reserved that before, and no-map regions. The rest
    it reserves twice, and says nothing.
    """
    for name, what in ((KERNEL_IMAGE, "the kernel"), (DEVICE_TREE, TREE), (RAMDISK, INITRD)):
        area = boot.use(name)
        if area is None:
            continue
        for region in (*_regions(boot), *_later_tree(boot, name)):
            both = shared(area, region)
            if not both or _is_for(region, area):
                continue
            yield _in_region(boot, what, area, region, both)


def _regions(boot: Examined) -> Iterable[Area]:
    unread = misread_nodes(boot)
    for static in boot.kernel.fdt.static_regions:
        if static.node.path in unread:
            continue  # it is not meant to be there
        yield Area.of(static.node.path, static)
    yield from boot.uses(MEMRESERVE)


def _later_tree(boot: Examined, name: str) -> Iterable[Area]:
    """The tree, where Linux reserves it after an initrd: up to 5.6."""
    area = boot.use(DEVICE_TREE)
    return [area] if name == RAMDISK and area is not None else []


def _is_for(region: Area, area: Area) -> bool:
    """Whether `region` is reserved for just what lies there, as boot loaders do."""
    start, end = round_down(area.base, PAGE_SIZE), round_up(area.end, PAGE_SIZE)
    if region.what == MEMRESERVE and area.what != RAMDISK:
        return region.base <= area.base and area.end <= region.end
    return (round_down(region.base, PAGE_SIZE), round_up(region.end, PAGE_SIZE)) == (start, end)


def _is_pool(boot: Examined, region: Area) -> bool:
    """Whether it is a reusable pool that Linux has set up."""
    return any((p.base, p.size) == (region.base, region.size) for p in boot.kernel.cma_areas)


def _in_region(boot: Examined, what: str, area: Area, region: Area, both: int) -> Finding:
    nomap = any((r.what, r.base) == (region.what, region.base) for r in boot.nomap)
    kernel = area.what == KERNEL_IMAGE
    deadly = kernel and _is_pool(boot, region) and boot.dies_of("dma_contiguous_remap")
    node = region.what if region.what.startswith("/") and region.what != MEMRESERVE else ""
    code, cost = "E-PAYLOAD-RESERVED", ""
    cause = "Linux reserves both, and does not notice."
    if what == INITRD:
        code = "E-INITRD-OVERLAP"
        cost = "Linux gives the initrd's memory back when it has unpacked it, the region's with it."
        if region.what == DEVICE_TREE:
            cost = "What the boot loader loads last is whole, the other is not."
    elif deadly:
        cost = "Linux unmaps a pool before it maps it again, itself with it, and dies."
    elif what == TREE and nomap:
        code = "E-DTB-IN-NOMAP"
        cause = "Kernels before 5.10 take no-map memory out of their map, whatever lies there."
        cost = "Linux loses its tree, and faults when it unflattens it."
    return Finding(
        code,
        f"{what} {span(area)} overlaps {region} by {size_text(both)}{', which is no-map' * nomap}",
        cause=cause,
        cost=cost,
        remedy="Move the region." if kernel else safe_place(boot, what, area.size),
        node=node,
        prop="reg" if node else "",
        areas=(area, region),
        deadly=deadly,
    )


def not_taken(boot: Examined) -> Iterator[Finding]:
    """E-DTB-ALIGN: a tree that Linux does not look at."""
    if boot.kernel.fdt.tree is not None:
        return
    at = boot.task.wishes.dtb_addr or 0
    yield Finding(
        "E-DTB-ALIGN",
        f"the device tree at {at:#010x} is not at a multiple of 8: Linux takes it for none"
        if at
        else "the device tree is at address 0, which is what tells Linux that there is none",
        areas=(Area(TREE, at, len(boot.task.dtb)),),
        log=boot.log("Neither atags nor dtb", "invalid dtb"),
    )
