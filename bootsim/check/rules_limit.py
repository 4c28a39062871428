"""mem=: what it leaves outside of memory, and what it takes for memory."""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.check.examine import Examined
from bootsim.check.findings import Area, Finding, named
from bootsim.check.rules_memory import mem_parameter_node, mib_from_start
from bootsim.check.spans import has, spans, total, without
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.kernel.of_reserved_mem import MEMRESERVE
from bootsim.numbers import size_text
from bootsim.trace import DEVICE_TREE, KERNEL_IMAGE


def cuts(boot: Examined) -> Iterator[Finding]:
    """W-MEM-CUTS: what is in use, and outside of memory. Of an initrd Linux itself speaks."""
    before, after = boot.tables.get("cmd_line"), boot.tables.get("parse_early_param")
    if not boot.kernel.usermem or before is None or after is None or not after.memory:
        return
    outside = [
        area for area in _live(boot) if has(before.memory, area) and not has(after.memory, area)
    ]
    if not outside:
        return
    least = mib_from_start(boot, max(area.end for area in outside))
    nodes = [area.what for area in outside if area.what.startswith("/reserved-memory")]
    others = len(outside) > len(nodes)
    yield Finding(
        "W-MEM-CUTS",
        f"mem= leaves {named(outside)} outside of memory, which is now {spans(after.memory)}",
        remedy=("Load it inside the limit" if others else "Move the region")
        + f", or raise mem= to {least}M or more.",
        node=nodes[0] if nodes else mem_parameter_node(boot),
        prop="reg" if nodes else "bootargs",
        related=tuple(nodes[1:]),
        areas=tuple(outside),
    )


def _live(boot: Examined) -> Iterator[Area]:
    for name in (DEVICE_TREE, KERNEL_IMAGE):
        area = boot.use(name)
        if area is not None:
            yield area
    for region in boot.kernel.fdt.static_regions:
        if not region.nomap:
            yield Area.of(region.node.path, region)
    yield from boot.uses(MEMRESERVE)


def exceeds(boot: Examined) -> Iterator[Finding]:
    """E-MEM-EXCEEDS: memory by mem= alone."""
    before, after = boot.tables.get("cmd_line"), boot.tables.get("parse_early_param")
    if not boot.kernel.usermem or before is None or after is None:
        return
    beyond = without(after.memory, before.memory)
    more = [piece for piece in beyond if piece.size >= PAGE_SIZE]
    if not more:
        return
    fate = f". {boot.fate}" if boot.fate else ""
    yield Finding(
        "E-MEM-EXCEEDS",
        f"mem= gives {size_text(total(more))} more than the tree:"
        f" {spans(more)} {'is' if len(more) == 1 else 'are'} no RAM by its"
        f" memory nodes{fate}",
        node=mem_parameter_node(boot),
        prop="bootargs",
        areas=tuple(Area.of("mem= alone", r) for r in more),
        deadly=True,
    )
