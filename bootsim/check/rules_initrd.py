"""An initrd that Linux does not take."""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.check.examine import Examined
from bootsim.check.findings import Area, Finding, span
from bootsim.kernel.memory import round_up
from bootsim.machine.memory import Range
from bootsim.numbers import size_text

_ALIGN = 64 << 10  # an address that is easy to type


def initrd(boot: Examined) -> Iterator[Finding]:
    """E-INITRD-OVERLAP, E-INITRD-NOT-RAM, E-INITRD-HIGHMEM."""
    for refused in boot.refused("initrd-in-use"):
        event = refused.event
        holders = boot.holders(event.base, event.size, refused.number)
        first = holders[0]
        shared = min(first.end, event.base + event.size) - max(first.base, event.base)
        yield Finding(
            "E-INITRD-OVERLAP",
            f"the initrd {span(event.base, event.size)} overlaps"
            f" {', '.join(str(area) for area in holders)}, by {size_text(shared)}",
            remedy=_safe(boot, event.size),
            node=_node(boot),
            areas=(Area("initrd", event.base, event.size), *holders),
            log=boot.log("INITRD:"),
        )
    for refused in boot.refused("initrd-not-memory"):
        event = refused.event
        place = Range(event.base, event.size)
        yield Finding(
            "E-INITRD-NOT-RAM",
            f"the initrd {span(event.base, event.size)} is not in memory: {_where(boot, place)}",
            remedy=_safe(boot, event.size),
            node=_node(boot),
            areas=(Area("initrd", event.base, event.size),),
            log=boot.log("INITRD:"),
        )
    if boot.died and boot.died.startswith("get_boot_config_from_initrd"):
        limit = boot.kernel.vars.arm_lowmem_limit
        base, size = boot.kernel.vars.phys_initrd_start, boot.kernel.vars.phys_initrd_size
        yield Finding(
            "E-INITRD-HIGHMEM",
            f"the initrd {span(base, size)} ends above lowmem, which ends at {limit:#010x}: Linux"
            " reads its last bytes through the linear map and faults",
            remedy=_safe(boot, size),
            node=_node(boot),
            areas=(Area("initrd", base, size),),
        )


def _node(boot: Examined) -> str:
    chosen = boot.kernel.fdt.tree.root.find("/chosen") if boot.kernel.fdt.tree else None
    return chosen.path if chosen is not None else ""


def _where(boot: Examined, place: Range) -> str:
    limit = boot.kernel.vars.arm_lowmem_limit
    before = boot.tables["setup_machine_fdt"].memory
    if not any(r.base < place.end and place.base < r.end for r in before):
        return "the tree has no RAM there"
    if boot.kernel.usermem and not any(
        r.base <= place.base and place.end <= r.end for r in boot.tables["parse_early_param"].memory
    ):
        return "mem= has cut it off"
    if place.end > limit:
        lost = sum(r.size for r in before) - sum(r.size for r in boot.dump.memory)
        return f"it ends above the end of lowmem, {limit:#010x}; {size_text(lost)} of RAM are lost"
    return "it passes the end of a region"


def _safe(boot: Examined, size: int) -> str:
    """The first address that would do, as the tables are once all is reserved."""
    lowmem = boot.kernel.vars.arm_lowmem_limit
    end = boot.kernel.pa_symbol("_end")
    for hole in boot.dump.free(end, lowmem):
        base = round_up(hole.base, _ALIGN)
        if base + size <= hole.end:
            return f"Load it at {base:#010x}, the first address that is safe."
    return f"There is no hole of {size_text(size)} in lowmem: make the initrd smaller."
