"""An initrd that Linux does not take, or cannot read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bootsim.check.examine import IMAGE, RAMDISK, Examined
from bootsim.check.findings import Area, Finding
from bootsim.check.loading import INITRD
from bootsim.check.rules_lowmem import more_lowmem
from bootsim.check.rules_memory import mib_from_start
from bootsim.check.rules_payload import safe_place
from bootsim.check.spans import has, shared, span, spans, total
from bootsim.kernel.memory import PAGE_SIZE, PMD_SIZE, round_up
from bootsim.kernel.mmu import lowmem_end_max
from bootsim.machine.memory import Range
from bootsim.numbers import size_text
from bootsim.trace import Refusal


def initrd(boot: Examined) -> Iterator[Finding]:
    """E-INITRD-OVERLAP, E-INITRD-NOT-RAM, E-INITRD-HIGHMEM."""
    for refused in boot.refused("initrd-in-use"):
        place = Range(refused.event.base, refused.event.size)
        holders = boot.holders(place, refused.number)
        yield _finding(
            boot,
            "E-INITRD-OVERLAP",
            f"the initrd {span(place)} overlaps {_shares(place, holders)}{_ruined(boot, holders)}",
            place,
            *holders,
        )
    for refused in boot.refused("initrd-not-memory"):
        place = Range(refused.event.base, refused.event.size)
        text = f"the initrd {span(place)} is not in memory: {_where(boot, place)}"
        piece = boot.loading.piece(INITRD)
        hit = boot.loading.hit(piece.place) if piece is not None else None
        if hit is not None:
            text += f"; it is written over by {hit.what}, too"
        yield _finding(boot, "E-INITRD-NOT-RAM", text, place, more=_otherwise(boot, place))
    for refused in boot.refused("reserve"):
        event = refused.event
        if in_initrd(boot, event):
            yield _in_nomap(boot, event)
    taken = boot.use(RAMDISK)
    if taken is not None and not _is_mapped(boot, taken):
        yield _unmapped(boot, taken)


def _is_mapped(boot: Examined, taken: Area) -> bool:
    limit = boot.lowmem.end
    if boot.nomap_in(taken):
        return True  # of these another rule tells
    return taken.end <= limit and has(boot.end.memory, taken)


def _unmapped(boot: Examined, taken: Area) -> Finding:
    place, limit = Range(taken.base, taken.size), boot.lowmem.end
    text = f"the initrd {span(place)} is in memory that Linux removes when it has taken it"
    if taken.end > limit:
        text = (
            f"the initrd {span(place)} ends {size_text(taken.end - limit)} above lowmem, which"
            f" ends at {limit:#010x}"
        )
    found = _finding(
        boot,
        "E-INITRD-HIGHMEM",
        f"{text}: Linux reads it through the linear map and faults",
        place,
        more=_otherwise(boot, place),
    )
    return replace(
        found, cost="Linux dies when it unpacks the initrd." if boot.died is None else ""
    )


def in_initrd(boot: Examined, event: Refusal) -> bool:
    """Whether `event` refuses a region because the initrd is there."""
    taken = boot.use(RAMDISK)
    return taken is not None and shared(event, taken) > 0


def _in_nomap(boot: Examined, event: Refusal) -> Finding:
    taken = boot.use(RAMDISK)
    assert taken is not None
    region = Area(event.node, event.base, event.size)
    found = _finding(
        boot,
        "E-INITRD-OVERLAP",
        f"the initrd {span(taken)} overlaps"
        f" {_shares(Range(taken.base, taken.size), [region])}, which is no-map: Linux takes the"
        " initrd, and refuses the region (EBUSY)",
        Range(taken.base, taken.size),
        region,
    )
    return replace(
        found,
        cost="The region stays mapped, and in use by Linux: whoever it is for writes into Linux's"
        " memory, or faults.",
        node=event.node,
        prop="reg",
        log=boot.log(f"for node '{event.node.rsplit('/', 1)[-1]}'"),
    )


def _otherwise(boot: Examined, place: Range) -> str:
    """What has `place` in memory, or in lowmem, if there is RAM."""
    limit = lowmem_end_max(boot.kernel)
    if not has(boot.tables["parse_early_param"].memory, place):
        cut = boot.kernel.usermem and has(boot.tables["cmd_line"].memory, place)
        if not cut or place.end > limit:
            return ""
        return f" Or raise mem= to {mib_from_start(boot, place.end)}M or more."
    # Without HIGHMEM all goes from the multiple of 2 MiB below the end of lowmem on.
    end = round_up(place.end, PAGE_SIZE if boot.kernel.profile.config.highmem else PMD_SIZE)
    ways = more_lowmem(boot, end - limit) if end > limit else []
    return f" Or have lowmem hold it: {', or '.join(ways)}." if ways else ""


def _finding(
    boot: Examined, code: str, text: str, place: Range, *holders: Area, more: str = ""
) -> Finding:
    piece = boot.loading.piece(INITRD)
    prop = piece.prop if piece is not None else "linux,initrd-start"
    return Finding(
        code,
        text,
        remedy=safe_place(boot, INITRD, place.size) + more,
        node=boot.chosen if prop else "",
        prop=prop,
        areas=(Area(RAMDISK, *place), *holders),
        log=boot.log("INITRD:"),
    )


def _shares(place: Range, holders: list[Area]) -> str:
    told = []
    for area in holders:
        both = shared(place, area)
        told.append(f"{area}, by {size_text(both)}")
    return " and ".join(told)


def _ruined(boot: Examined, holders: list[Area]) -> str:
    """What has become of the initrd where it overlaps the kernel: that was there before."""
    piece = boot.loading.piece(INITRD)
    hit = boot.loading.hit(piece.place) if piece is not None else None
    if piece is not None and not any(shared(piece.place, area) for area in holders):
        return ", though only in whole pages, as Linux counts it"
    if hit is None or not any(area.what == IMAGE for area in holders):
        return ""
    return f"; it was written over by {hit.what} before"


def _where(boot: Examined, place: Range) -> str:
    limit = boot.lowmem.end
    before = boot.tables["setup_machine_fdt"].memory
    if not any(shared(region, place) for region in before):
        if any(shared(bank, place) for bank in boot.loading.ram):
            return "the tree keeps RAM there from Linux, by linux,usable-memory"
        return "the tree has no RAM there"
    given = boot.tables["parse_early_param"].memory
    inside = has(boot.tables["parse_early_param"].memory, place)
    if boot.kernel.usermem and not inside:
        now = spans(given)
        return f"mem= has cut it off, memory is {now}"
    if inside:
        lost = total(given) - total(boot.dump.memory)
        return (
            f"it ends {size_text(place.end - limit)} above the end of lowmem, {limit:#010x}, and"
            f" there is no HIGHMEM; {size_text(lost)} of RAM are lost"
        )
    bank = max((r for r in given if r.base < place.end), key=lambda r: r.base)
    if place.base < bank.base:
        return f"it begins below a bank of RAM, {span(bank)}"
    return f"it passes the end of RAM, {span(bank)}, by" + (f" {size_text(place.end - bank.end)}")
