"""Memory that is wanted in one piece: CMA, pools, the crash kernel."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from bootsim.check.examine import Examined, Refused
from bootsim.check.findings import Area, Finding, span
from bootsim.kernel.cma import cma_min_alignment
from bootsim.kernel.memory import round_down, round_up
from bootsim.machine.memory import Range
from bootsim.numbers import size_text

_U32 = 0xFFFFFFFF


def failed(boot: Examined) -> Iterator[Finding]:
    """E-CMA-FAILED, E-CMA-ALIGNMENT, E-CMA-STRADDLES: areas that Linux cannot make."""
    align = cma_min_alignment(boot.kernel)
    for refused in boot.refused("cma-no-room", "cma-busy", "cma-limit", "cma-slots"):
        event = refused.event
        yield Finding(
            "E-CMA-FAILED",
            f"no CMA area: {_why(boot, refused)}",
            cost=f"Drivers get no DMA memory in pieces larger than {size_text(align // 2)}.",
            remedy=_smaller(refused, align),
            areas=(Area("asked for", event.base, event.size),),
            log=boot.log("cma: "),
        )
    for refused in boot.refused("cma-alignment"):
        event = refused.event
        base, size = round_up(event.base, align), round_up(event.size, align)
        yield Finding(
            "E-CMA-ALIGNMENT",
            f"the CMA area {span(event.base, event.size)} must begin and end at multiples of"
            f" {size_text(align)} ({align:#x})",
            cost="There is no such area."
            + (" Its memory goes back to Linux." if event.node else ""),
            remedy=f"{round_down(event.base, align):#x} or {base:#x}, and {size:#x} bytes.",
            node=event.node,
            prop="reg" if event.node else "",
            areas=(Area(event.node or "cma=", event.base, event.size),),
            log=boot.log("incorrect alignment", "compatible matching fail")
            if event.node
            else boot.log("must be aligned", "cma: Failed"),
        )
    for refused in boot.refused("cma-straddles"):
        event = refused.event
        yield _straddles(boot, Area("cma=", event.base, event.size), event.start)


def _why(boot: Examined, refused: Refused) -> str:
    event = refused.event
    if event.what == "cma-slots":
        return f"all {boot.kernel.profile.config.max_cma_areas} are taken"
    if event.what == "cma-busy":
        names = boot.holders(event.base, event.size, refused.number)
        return f"{span(event.base, event.size)} is taken: {', '.join(map(str, names))}"
    end = event.end or _U32
    if event.what == "cma-limit":
        return f"{span(event.base, event.size)} passes the end of memory or of its limit, {end:#x}"
    hole = refused.tables.largest_hole(event.base, end, event.align)
    return (
        f"{size_text(event.size)} are asked for, and the largest free piece below {end:#x} is"
        f" {span(*hole) if hole.size else 'none'}, in multiples of {size_text(event.align)}"
    )


def _smaller(refused: Refused, align: int) -> str:
    hole = refused.tables.largest_hole(0, _U32, align)
    if not hole.size:
        return "Nothing is free in one piece: reserve less in the tree."
    return f"At most {size_text(hole.size)}: cma={hole.size >> 20}M; or move what cuts memory up."


def straddles(boot: Examined) -> Iterator[Finding]:
    """E-CMA-STRADDLES, W-CMA-HIGHMEM, I-CMA-HIGHMEM: areas that the linear map has not."""
    limit = boot.kernel.vars.arm_lowmem_limit
    nodes = {region.base: region.node for region in boot.kernel.fdt.reserved_mem if region.size}
    for area in boot.kernel.cma_areas:
        node = nodes.get(area.base)
        what = Area(node.path if node else "the default area", area.base, area.size)
        if area.base < limit < what.end:
            yield _straddles(boot, what, limit)
        elif area.base >= limit:
            yield Finding(
                "W-CMA-HIGHMEM" if node else "I-CMA-HIGHMEM",
                f"{what} lies in highmem, which begins at {limit:#010x}",
                remedy=_below(boot, area.size, limit, in_tree=node is not None),
                node=node.path if node else "",
                areas=(what,),
            )


def _straddles(boot: Examined, what: Area, limit: int) -> Finding:
    node = what.what if what.what.startswith("/") else ""
    return Finding(
        "E-CMA-STRADDLES",
        f"{what} lies across the end of lowmem, {limit:#010x}",
        cause="All pages of a CMA area must be in one zone."
        + (" For a node of the tree Linux finds that out too late to move it." if node else ""),
        cost="The area is reserved, and cannot be activated: nobody gets its memory."
        if node
        else "There is no such area.",
        remedy=_below(boot, what.size, limit, in_tree=bool(node)),
        node=node,
        areas=(what,),
        log=() if node else boot.log("low/high memory boundary", "cma: Failed"),
    )


def _below(boot: Examined, size: int, limit: int, *, in_tree: bool) -> str:
    start = boot.kernel.phys_offset
    if in_tree:
        cells = boot.kernel.vars
        numbers = " ".join(
            f"{number >> 32 * shift & _U32:#x}"
            for number, count in (
                (start, cells.dt_root_addr_cells),
                (limit - start, cells.dt_root_size_cells),
            )
            for shift in reversed(range(min(count, 2)))
        )
        return f"Keep it in lowmem: alloc-ranges = <{numbers}>; or a reg below {limit:#x}."
    align = cma_min_alignment(boot.kernel)
    hole = boot.dump.largest_hole(start, limit, align)
    if hole.size < size:
        return f"Lowmem has no room for it: the largest piece is {span(*hole)}."
    return f"cma={size >> 20}M@{hole.base:#x}-{limit:#x} keeps it in lowmem."


def no_room(boot: Examined) -> Iterator[Finding]:
    """E-RESERVED-NO-ROOM: nodes with size that find no place."""
    for path, group in groupby(boot.refused("no-room"), key=lambda refused: refused.event.node):
        tried = list(group)
        event = tried[0].event
        holes = [r.tables.largest_hole(r.event.start, r.event.end, r.event.align) for r in tried]
        ranges = ", ".join(str(Range(r.event.start, r.event.end - r.event.start)) for r in tried)
        best = max(holes, key=lambda hole: hole.size)
        yield Finding(
            "E-RESERVED-NO-ROOM",
            f"no room for {size_text(event.size)} aligned to {size_text(event.align)} in {ranges}:"
            f" the largest free piece there is {span(*best) if best.size else 'none'}",
            cause="Regions without reg are placed when the kernel, the initrd and all regions with"
            " reg have theirs; a reusable pool is aligned to"
            f" {size_text(cma_min_alignment(boot.kernel))} at least.",
            remedy=f"At most {size_text(best.size)} there, or wider alloc-ranges."
            if best.size
            else "Other alloc-ranges: nothing of these is free memory.",
            node=path,
            prop="alloc-ranges" if event.start or event.end != _U32 else "size",
            log=boot.log(f"'{path.rsplit('/', 1)[-1]}'"),
        )


def pools(boot: Examined) -> Iterator[Finding]:
    """W-POOL-REFUSED: pools that no handler takes."""
    aligned = {refused.event.node for refused in boot.refused("cma-alignment")}
    for refused in boot.refused("pool"):
        event = refused.event
        if event.node in aligned:
            continue
        region = next(r for r in boot.kernel.fdt.reserved_mem if r.node.path == event.node)
        props, name = region.node.props, region.node.name
        if "linux,cma-default" in props and boot.kernel.cma_cmdline is not None:
            why = "cma= on the command line takes the place of a pool marked linux,cma-default"
        elif "reusable" in props and "no-map" in props:
            why = "reusable and no-map contradict each other"
        elif "reusable" not in props and "no-map" not in props:
            why = "a shared-dma-pool needs reusable or no-map"
        else:
            why = f"all {boot.kernel.profile.config.max_cma_areas} CMA areas are taken"
        yield Finding(
            "W-POOL-REFUSED",
            f"the pool {span(event.base, event.size)} is given back to Linux: {why}",
            remedy="Say in the node which of the two it is.",
            node=event.node,
            areas=(Area(event.node, event.base, event.size),),
            log=boot.log(
                *(f"node {name} compatible matching fail", f"bypass {name} node"),
                *("without no-map are not yet", "unable to setup CMA"),
            ),
        )


def crash_kernel(boot: Examined) -> Iterator[Finding]:
    """E-CRASHKERNEL: no hole for crashkernel=."""
    for refused in boot.refused("crashkernel"):
        event = refused.event
        hole = refused.tables.largest_hole(event.start, event.end, event.align)
        exact = refused.tables.largest_hole(0, event.end, 1 << 20)
        yield Finding(
            "E-CRASHKERNEL",
            f"no {size_text(event.size)} for the crash kernel between {event.start:#x} and"
            f" {event.end:#x}, aligned to {size_text(event.align)}",
            cause="Without @base, Linux takes a piece of lowmem that begins at a multiple of"
            " 128 MiB; by then most of what Linux needs has been reserved."
            if not event.base
            else "With @base, just that memory must be free.",
            remedy=f"crashkernel={min(event.size, exact.size) >> 20}M@{exact.base:#x} is free."
            if exact.size
            else "Reserve less.",
            areas=(Area("largest free piece", hole.base, hole.size),) if hole.size else (),
            log=boot.log("crashkernel"),
        )
