"""CMA: areas that Linux cannot make, or makes where they are of little use."""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.check.examine import Examined, Refused, Tables
from bootsim.check.findings import Area, Finding, named
from bootsim.check.holes import largest_cma, most, nearest_cma
from bootsim.check.rules_reserved import outside_words
from bootsim.check.spans import span, span_or_none
from bootsim.kernel.cma import cma_min_alignment
from bootsim.kernel.libfdt import FdtNode
from bootsim.kernel.memory import round_down, round_up
from bootsim.machine.memory import Range
from bootsim.numbers import size_text
from bootsim.trace import MemblockFailure

_U32 = 0xFFFFFFFF


def failed(boot: Examined) -> Iterator[Finding]:
    """E-CMA-FAILED, E-CMA-ALIGNMENT, E-CMA-STRADDLES: areas that Linux cannot make."""
    full = next(
        (n for n, e in enumerate(boot.kernel.trace) if isinstance(e, MemblockFailure)), None
    )
    for refused in boot.refused("cma-no-room", "cma-busy", "cma-limit", "cma-slots"):
        if full is not None and full < refused.number:
            continue  # memblock itself has no room: E-MEMBLOCK-FULL
        yield _size_off(boot) or _failed(boot, refused)
    for refused in boot.refused("cma-alignment"):
        yield _alignment(boot, refused)
    for refused in boot.refused("cma-straddles"):
        event = refused.event
        yield _straddles(boot, Area.of("cma=", event), event.start, None)
    for refused in boot.refused("beyond-32-bits"):
        event = refused.event
        if event.other == "cma=" and boot.kernel.cma_default_area is None:
            yield Finding(
                "E-CMA-FAILED",
                f"no CMA area: cma= asks for {span(event)}; Linux keeps 32 bits of"
                f" each number, and {size_text(event.size & _U32)} of the size",
                cause="Physical addresses have 32 bits without LPAE.",
                cost=_cost(boot),
                remedy=_cmdline(boot, boot.dump, event.size),
            )


def _failed(boot: Examined, refused: Refused) -> Finding:
    event = refused.event
    if event.what == "cma-slots":
        return Finding(
            "E-CMA-FAILED",
            f"no default CMA area: all {boot.kernel.profile.config.max_cma_areas} that there can be"
            " are taken",
            cause="The pools of the tree come first (CONFIG_CMA_AREAS).",
            cost=_cost(boot),
            remedy="Fewer reusable pools, or mark one of them linux,cma-default.",
            log=boot.log("cma: Not enough slots"),
        )
    cause, holders = "", boot.holders(event, refused.number)
    if event.what == "cma-no-room":
        end = event.end or _U32
        ranges = [Range(event.base, end - event.base)]
        hole = largest_cma(boot, refused.tables, ranges)
        among = f" from {event.base:#x} to {end:#x}" if event.base else f" below {end:#x}"
        why = (
            f"{size_text(event.size)} are asked for, and the largest free piece{among} is"
            f" {span_or_none(hole)}, in multiples of {size_text(event.align)}"
        )
        cause = boot.takers(ranges, refused.number)
    else:
        asked = span(event)
        ram = boot.end.memory[-1].end if boot.end.memory else 0
        if event.what == "cma-busy":
            cause = "With @BASE, just that memory must be free."
            why = f"{asked} is taken: {named(holders)}"
        elif event.base + event.size > ram:
            why = f"{asked} passes the end of RAM, {ram:#x}"
        else:
            why = f"{asked} passes the limit, {round_down(event.end, event.align):#x}"
    return Finding(
        "E-CMA-FAILED",
        f"no CMA area: {why}",
        cause=cause,
        cost=_cost(boot),
        remedy=_cmdline(boot, refused.tables, event.size),
        areas=(Area.of("cma=", event),),
        log=boot.log("cma: "),
    )


def _cost(boot: Examined) -> str:
    """What it is to have no default area: alloc_pages() has no more than a buddy block."""
    block = size_text(cma_min_alignment(boot.kernel))
    return f"Drivers get no DMA memory in pieces larger than {block}, the largest buddy block."


def _size_off(boot: Examined) -> Finding | None:
    """E-CMA-ALIGNMENT for a cma=SIZE@BASE that is no multiple: rounded up it passes its own end."""
    align = cma_min_alignment(boot.kernel)
    size, base, limit = boot.kernel.cma_cmdline or (0, 0, 0)
    if not base or base + size != limit or not size % align or base % align:
        return None
    rounded = round_up(size, align)
    return Finding(
        "E-CMA-ALIGNMENT",
        f"cma= gives the CMA area {span(Range(base, size))}: its size must be a multiple of"
        f" {size_text(align)} ({align:#x})",
        cause=f"Linux rounds the size up to {size_text(rounded)}, which passes the end that"
        f" SIZE@BASE sets, {limit:#x}.",
        cost="There is no such area.",
        remedy=_cmdline(boot, boot.dump, rounded, base),
        areas=(Area("cma=", base, size),),
        log=boot.log("exceeds limit", "cma: Failed"),
    )


def _alignment(boot: Examined, refused: Refused) -> Finding:
    event, align = refused.event, cma_min_alignment(boot.kernel)
    node, size = boot.node(event.node) if event.node else None, round_up(event.size, align)
    cells = boot.cells
    prop = ""
    if node is None:
        remedy = _cmdline(boot, refused.tables, size, event.base)
    elif "reg" in node.props:
        prop = "reg"
        free = refused.tables.releasing(event)
        place = nearest_cma(boot, free, event.base, size)
        remedy = (
            f"reg = {cells.write([Range(place, size)])}; which is free."
            if place is not None
            else f"Round base and size of reg to {align:#x}; nowhere are {size_text(size)} free."
        )
    else:
        prop, remedy = "size", f"size = {cells.write_size(size)};"
    return Finding(
        "E-CMA-ALIGNMENT",
        f"the CMA area {span(event)} must begin and end at multiples of"
        f" {size_text(align)} ({align:#x})",
        cost="There is no such area." + (" Its memory goes back to Linux." if event.node else ""),
        remedy=remedy,
        node=event.node,
        prop=prop,
        areas=(Area.of(event.node or "cma=", event),),
        log=boot.log("incorrect alignment", f"node {node.name} compatible matching fail")
        if node is not None
        else boot.log("must be aligned", "cma: Failed"),
    )


def straddles(boot: Examined) -> Iterator[Finding]:
    """E-CMA-STRADDLES, W-CMA-HIGHMEM, I-CMA-HIGHMEM, E-POOL-NOT-RAM: areas not in lowmem."""
    limit = boot.lowmem.end
    for area in boot.kernel.cma_areas:
        node = boot.node_of(area)
        what = Area.of(node.path if node else "the default CMA area", area)
        outside = boot.outside(area)
        if outside:
            if node is None:  # of a node's E-POOL-NOT-RAM tells
                yield _not_ram(boot, what, outside)
        elif area.base < limit < what.end:
            yield _straddles(boot, what, limit, node)
        elif area.base >= limit:
            fixed = node is None and (boot.kernel.cma_cmdline or (0, 0, 0))[1] == area.base
            yield Finding(
                "W-CMA-HIGHMEM" if node else "I-CMA-HIGHMEM",
                f"{what} lies in highmem, which begins at {limit:#010x}",
                cause="The tree has it there."
                if node is not None and "reg" in node.props
                else "cma= has it there."
                if fixed
                else "",
                remedy=_below(boot, what, limit, node),
                node=node.path if node else "",
                prop=_prop(node),
                areas=(what,),
            )


def _straddles(boot: Examined, what: Area, limit: int, node: FdtNode | None) -> Finding:
    return Finding(
        "E-CMA-STRADDLES",
        f"{what} lies across the end of lowmem, {limit:#010x}",
        cause="All pages of a CMA area must be in one zone."
        + (" For a node of the tree Linux finds that out too late to move it." if node else ""),
        cost="It cannot be activated: its devices get none of it. Its memory goes back to Linux,"
        " which older kernels do not do."
        if node
        else "There is no such area.",
        remedy=_below(boot, what, limit, node),
        node=node.path if node else "",
        prop=_prop(node),
        areas=(what,),
        log=() if node else boot.log("low/high memory boundary", "cma: Failed"),
    )


def _not_ram(boot: Examined, what: Area, outside: int) -> Finding:
    return Finding(
        "E-POOL-NOT-RAM",
        outside_words(what, outside, boot.end.memory),
        cause="With @BASE, cma= reserves without asking whether there is memory.",
        cost="The area hands out pages that are not there.",
        remedy=_cmdline(boot, boot.dump, what.size),
        areas=(what,),
    )


def _prop(node: FdtNode | None) -> str:
    """What of a pool's node says where it is."""
    props = node.props if node is not None else {}
    return next((prop for prop in ("reg", "alloc-ranges", "size") if prop in props), "")


def _below(boot: Examined, what: Area, limit: int, node: FdtNode | None) -> str:
    """How to keep an area in lowmem, which ends at `limit`."""
    low, tables = boot.lowmem, boot.dump.releasing(what)
    hole = largest_cma(boot, tables, [low])
    if node is None and hole.size >= what.size:
        return f"cma={what.size >> 20}M@{hole.base:#x}-{limit:#x} keeps it in lowmem."
    if node is None or not hole.size:
        return f"Lowmem has no room for it: the largest piece is {span_or_none(hole)}."
    cells = boot.cells
    ranges = f"alloc-ranges = {cells.write([low])};"
    size, less = what.size, ""
    if hole.size < size:
        size, less = hole.size, f"Lowmem has room for {size_text(hole.size)} at most: "
    if "reg" not in node.props:
        return (
            f"{less}size = {cells.write_size(size)}; {ranges} keeps it in lowmem."
            if less
            else f"{ranges} keeps it in lowmem."
        )
    place = round_down(hole.end - size, cma_min_alignment(boot.kernel))
    return (
        f"{less}reg = {cells.write([Range(place, size)])}; is free, and in lowmem. Or, in place of"
        f" reg, size = {cells.write_size(size)}; {ranges}"
    )


def _cmdline(boot: Examined, tables: Tables, size: int, base: int | None = None) -> str:
    """A cma= that Linux can meet: of `size` bytes, near `base`, or as large as can be."""
    hole, size = largest_cma(boot, tables), round_up(size, cma_min_alignment(boot.kernel))
    if not hole.size:
        return "Nothing is free in one piece: reserve less in the tree."
    if hole.size < size:
        fits = most(boot, tables, hole, cma_min_alignment(boot.kernel))
        return f"At most {size_text(fits)}: cma={fits >> 20}M; or move what is between."
    place = hole.base if base is None else nearest_cma(boot, tables, base, size)
    return f"cma={size >> 20}M@{place:#x}, which is free; or cma={size >> 20}M, anywhere."
