"""Regions of /reserved-memory that Linux is to place, and pools that it is to set up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from bootsim.check.examine import Examined, Refused, Tables
from bootsim.check.findings import Area, Finding
from bootsim.check.holes import ANYWHERE, most, zones
from bootsim.check.nodes import is_pool
from bootsim.check.rules_cells import misread_nodes
from bootsim.check.spans import shared, span, spans
from bootsim.kernel.cma import cma_min_alignment
from bootsim.kernel.libfdt import FdtNode
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.machine.memory import Range
from bootsim.numbers import listed, size_text


def no_room(boot: Examined) -> Iterator[Finding]:
    """E-RESERVED-NO-ROOM: nodes with size that find no place."""
    unread = misread_nodes(boot)
    for path, group in groupby(boot.refused("no-room"), key=lambda refused: refused.event.node):
        node = boot.node(path)
        if node is not None and path not in unread:
            yield _no_room(boot, node, list(group))


def _no_room(boot: Examined, node: FdtNode, tried: list[Refused]) -> Finding:
    event, tables = tried[0].event, tried[0].tables
    ranges = [Range(r.event.start, r.event.end - r.event.start) for r in tried]
    pool = is_pool(node)
    best = _largest(boot, node, tables, ranges, event.align)
    where = "anywhere" if ranges == [ANYWHERE] else f"in {listed(map(_range, ranges))}"
    if best.size:
        found = f"the largest free piece there is {span(best)}"
    elif not any(shared(region, part) for region in tables.memory for part in ranges):
        found = f"that is no RAM; RAM is {spans(tables.memory)}"
    else:
        found = f"no free piece there begins at a multiple of {size_text(event.align)}"
    causes = ["Regions without reg are placed when the kernel, the initrd and all with reg are."]
    if pool:
        least = size_text(cma_min_alignment(boot.kernel))
        causes.append(f"A reusable pool is aligned to {least} at least.")
    causes.append(boot.takers(ranges, tried[0].number))
    return Finding(
        "E-RESERVED-NO-ROOM",
        f"no room for {size_text(event.size)} aligned to {size_text(event.align)} {where}: {found}",
        cause=" ".join(filter(None, causes)),
        remedy=" Or: ".join(_ways(boot, node, tried[0], ranges)) or "Reserve less elsewhere.",
        node=node.path,
        prop="alloc-ranges" if "alloc-ranges" in node.props else "size",
        log=boot.log(f"'{node.name}'"),
    )


def _ways(boot: Examined, node: FdtNode, refused: Refused, ranges: list[Range]) -> Iterator[str]:
    """Each change to a node that would find it a place."""
    event, tables, cells = refused.event, refused.tables, boot.cells
    least = cma_min_alignment(boot.kernel) if is_pool(node) else PAGE_SIZE
    best, low = _largest(boot, node, tables, ranges, event.align), boot.lowmem
    if is_pool(node) and best.base >= low.end:
        fits = most(boot, tables, _largest(boot, node, tables, [low], event.align), least)
        if fits:
            yield (
                f"size = {cells.write_size(fits)}; at most, with alloc-ranges ="
                f" {cells.write([low])}; to be in lowmem."
            )
    fits = most(boot, tables, best, least)
    if fits:
        yield f"size = {cells.write_size(fits)}; at most."
    if "alloc-ranges" in node.props:
        wide = _largest(boot, node, tables, [ANYWHERE], event.align)
        if wide.size >= event.size:
            yield f"alloc-ranges = {cells.write([wide])}; which is free."
    if event.align > least and _largest(boot, node, tables, ranges, least).size >= event.size:
        yield f"alignment = {cells.write_address(least)}; with which there is room."


def _largest(
    boot: Examined, node: FdtNode, tables: Tables, ranges: list[Range], align: int
) -> Range:
    """The most that `node` could get in `ranges`; a pool is in one zone, in whole blocks."""
    if is_pool(node):
        return tables.largest_hole(zones(boot, ranges), align, cma_min_alignment(boot.kernel))
    return tables.largest_hole(ranges, align, PAGE_SIZE)


def _range(part: Range) -> str:
    return str(part) if part.size > 0 else f"{part.base:#x} to {part.end:#x}, which is nothing"


def pools(boot: Examined) -> Iterator[Finding]:
    """W-POOL-REFUSED: pools that no handler takes."""
    told = {refused.event.node for refused in boot.refused("cma-alignment")}
    for refused in boot.refused("pool"):
        event = refused.event
        node = boot.node(event.node)
        if event.node in told or not event.size or node is None:
            continue
        why, remedy = _why(boot, node)
        yield Finding(
            "W-POOL-REFUSED",
            f"the pool {span(event)} is given back to Linux: {why}",
            remedy=remedy,
            node=event.node,
            areas=(Area.of(event.node, event),),
            log=boot.log(
                *(f"node {node.name} compatible matching fail", f"bypass {node.name} node"),
                *("without no-map are not yet", "unable to setup CMA"),
            ),
        )


def _why(boot: Examined, node: FdtNode) -> tuple[str, str]:
    """Why a pool is refused, and what to do."""
    props, slots = node.props, boot.kernel.profile.config.max_cma_areas
    if "linux,cma-default" in props and boot.kernel.cma_cmdline is not None:
        return (
            "cma= on the command line takes the place of a pool marked linux,cma-default",
            "Leave cma= out; or linux,cma-default, if devices refer to the pool.",
        )
    if "reusable" in props and "no-map" in props:
        return (
            "reusable and no-map contradict each other",
            "Leave no-map out for CMA, or reusable for DMA memory of one device.",
        )
    if "reusable" not in props and "no-map" not in props:
        return (
            "a shared-dma-pool needs reusable or no-map",
            "Add reusable; for CMA, or no-map; for DMA memory of one device.",
        )
    if len(boot.kernel.cma_areas) >= slots:
        return (
            f"all {slots} CMA areas that there can be are taken",
            "Fewer reusable pools, or a kernel with a larger CONFIG_CMA_AREAS.",
        )
    return "Linux cannot set it up", ""
