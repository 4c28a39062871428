"""mem=: what it leaves outside of memory, and what it takes for memory."""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.check.examine import Examined, Tables
from bootsim.check.findings import Area, Finding, span
from bootsim.check.rules_memory import mem_parameter_node, mib_from_start
from bootsim.check.rules_payload import BLOB, IMAGE
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.kernel.of_reserved_mem import MEMRESERVE
from bootsim.machine.memory import Range
from bootsim.numbers import size_text
from bootsim.trace import Use


def cuts(boot: Examined) -> Iterator[Finding]:
    """W-MEM-CUTS: what is in use, and outside of memory. Of an initrd Linux itself speaks."""
    before, after = boot.tables.get("cmd_line"), boot.tables.get("parse_early_param")
    if not boot.kernel.usermem or before is None or after is None or not after.memory:
        return
    outside = [area for area in _live(boot) if _holds(before, area) and not _holds(after, area)]
    if not outside:
        return
    least = mib_from_start(boot, max(area.end for area in outside))
    nodes = [area.what for area in outside if area.what.startswith("/reserved-memory")]
    others = len(outside) > len(nodes)
    yield Finding(
        "W-MEM-CUTS",
        f"mem= leaves {', '.join(map(str, outside))} outside of memory, which is now"
        f" {', '.join(span(r.base, r.size) for r in after.memory)}",
        remedy=("Load it inside the limit" if others else "Move the region")
        + f", or raise mem= to {least}M or more.",
        node=nodes[0] if nodes else mem_parameter_node(boot),
        prop="reg" if nodes else "bootargs",
        related=tuple(nodes[1:]),
        areas=tuple(outside),
    )


def _live(boot: Examined) -> Iterator[Area]:
    for name in (BLOB, IMAGE):
        area = boot.use(name)
        if area is not None:
            yield area
    for region in boot.kernel.fdt.static_regions:
        if not region.nomap:
            yield Area(region.node.path, region.base, region.size)
    for event in boot.kernel.trace:
        if isinstance(event, Use) and event.what == MEMRESERVE and event.size:
            yield Area(MEMRESERVE, event.base, event.size)


def _holds(tables: Tables, area: Area) -> bool:
    return any(r.base <= area.base and area.end <= r.end for r in tables.memory)


def exceeds(boot: Examined) -> Iterator[Finding]:
    """E-MEM-EXCEEDS: memory by mem= alone."""
    before, after = boot.tables.get("cmd_line"), boot.tables.get("parse_early_param")
    if not boot.kernel.usermem or before is None or after is None:
        return
    more = [piece for region in after.memory for piece in _beyond(before, region.base, region.end)]
    if not more:
        return
    fate = "" if boot.died is None else f". It dies after {boot.kernel.trace.stage}: {boot.died}"
    yield Finding(
        "E-MEM-EXCEEDS",
        f"mem= gives {size_text(sum(r.size for r in more))} more than the tree:"
        f" {', '.join(span(*r) for r in more)} {'is' if len(more) == 1 else 'are'} no RAM by its"
        f" memory nodes{fate}",
        node=mem_parameter_node(boot),
        prop="bootargs",
        areas=tuple(Area("mem= alone", *r) for r in more),
    )


def _beyond(tables: Tables, start: int, end: int) -> Iterator[Range]:
    """What of [start, end) is not memory in `tables`, if it is a page or more."""
    at = start
    for region in (*tables.memory, None):
        stop = end if region is None else min(region.base, end)
        if stop - at >= PAGE_SIZE:
            yield Range(at, stop - at)
        at = max(at, region.end if region is not None else end)
