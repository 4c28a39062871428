"""The crash kernel's memory."""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.check.examine import Examined, Refused
from bootsim.check.findings import Area, Finding, named
from bootsim.check.spans import span, span_or_none, spans
from bootsim.kernel.memory import SECTION_SIZE
from bootsim.machine.memory import Range
from bootsim.numbers import size_text


def crash_kernel(boot: Examined) -> Iterator[Finding]:
    """E-CRASHKERNEL: no hole for crashkernel=, or none is asked for in a way that Linux reads."""
    for refused in boot.refused("crashkernel-format"):
        yield Finding(
            "E-CRASHKERNEL",
            f"Linux cannot read crashkernel=: {refused.event.other.removeprefix('crashkernel: ')}",
            cause="Linux reads SIZE[@BASE], or RANGE:SIZE[,RANGE:SIZE][@BASE] with ranges of RAM"
            " as 512M-2G.",
            remedy="Write crashkernel=64M@0x68000000, or crashkernel=64M.",
            log=boot.log(refused.event.other),
        )
    for refused in boot.refused("crashkernel"):
        yield _no_room(boot, refused)


def _no_room(boot: Examined, refused: Refused) -> Finding:
    event = refused.event
    part, size = Range(event.start, event.end - event.start), size_text(event.size)
    hole = refused.tables.largest_hole([part], event.align, SECTION_SIZE)
    free = refused.tables.largest_hole([boot.lowmem], SECTION_SIZE, SECTION_SIZE)
    if event.base:
        text = _why(boot, refused)
        cause = "With @BASE, just that memory must be free."
    else:
        text = (
            f"no room for {size} from {event.start:#x} to {event.end:#x}, aligned to"
            f" {size_text(event.align)}: the largest free piece is"
            f" {span_or_none(hole)}"
        )
        cause = (
            "Without @BASE, Linux takes a piece of lowmem that begins at a multiple of 128 MiB;"
            " by then most of what Linux needs has been reserved. "
        ) + boot.takers([part], refused.number)
    most = min(event.size, free.size)
    place = f"crashkernel={most >> 20}M@{free.base:#x}"
    return Finding(
        "E-CRASHKERNEL",
        text,
        cause=cause.strip(),
        remedy=f"At most {size_text(most)}: {place}, which is free."
        if most < event.size
        else f"{place}, which is free.",
        areas=(Area.of("largest free piece", hole),) if hole.size else (),
        log=boot.log("crashkernel reservation failed"),
    )


def _why(boot: Examined, refused: Refused) -> str:
    """Why crashkernel=SIZE@BASE has not that memory."""
    event = refused.event
    asked = span(event)
    if event.base % event.align:
        return f"{asked} does not begin at a multiple of {size_text(event.align)}"
    outside = boot.outside(event)
    if outside:
        memory = spans(refused.tables.memory)
        return f"{asked}: {size_text(outside)} of it are no RAM; RAM is {memory}"
    holders = boot.holders(event, refused.number)
    holders += boot.nomap_in(event)
    return f"{asked} is taken: {named(holders)}"
