"""An initrd that Linux does not take, or cannot read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bootsim.check.examine import Examined
from bootsim.check.findings import Area, Finding
from bootsim.check.loading import INITRD
from bootsim.check.nodes import name_of
from bootsim.check.rules_lowmem import more_lowmem
from bootsim.check.rules_memory import mib_from_start
from bootsim.check.rules_payload import safe_place
from bootsim.check.spans import Span, has, shared, span, spans, total
from bootsim.kernel.decompress import Written
from bootsim.kernel.memory import PAGE_SIZE, PMD_SIZE, round_up
from bootsim.kernel.mmu import lowmem_end_max
from bootsim.numbers import listed, size_text
from bootsim.trace import KERNEL_IMAGE, RAMDISK, Refusal


def initrd(boot: Examined) -> Iterator[Finding]:
    """E-INITRD-OVERLAP, E-INITRD-NOT-RAM, E-INITRD-HIGHMEM."""
    for refused in boot.refused("initrd-in-use"):
        place = Area.of(RAMDISK, refused.event)
        holders = boot.holders(place, refused.number)
        text = f"overlaps {_shares(place, holders)}{_ruined(boot, holders)}"
        yield _finding(boot, "E-INITRD-OVERLAP", place, text, *holders)
    for refused in boot.refused("initrd-not-memory"):
        place = Area.of(RAMDISK, refused.event)
        text, hit = f"is not in memory: {_where(boot, place)}", _hit(boot)
        if hit is not None:
            text += f"; it is written over by {hit.what}, too"
        yield _finding(boot, "E-INITRD-NOT-RAM", place, text, more=_otherwise(boot, place))
    taken = boot.use(RAMDISK)
    if taken is None:
        return
    for refused in boot.refused("reserve"):
        if in_initrd(boot, refused.event):
            yield _in_nomap(boot, taken, refused.event)
    mapped = taken.end <= boot.lowmem.end and has(boot.end.memory, taken)
    if not mapped and not boot.nomap_in(taken):  # of these another rule tells
        yield _unmapped(boot, taken)


def in_initrd(boot: Examined, event: Refusal) -> bool:
    """Whether `event` refuses a region because the initrd is there."""
    taken = boot.use(RAMDISK)
    return taken is not None and shared(event, taken) > 0


def _unmapped(boot: Examined, taken: Area) -> Finding:
    limit = boot.lowmem.end
    text = "is in memory that Linux removes when it has taken it"
    if taken.end > limit:
        text = f"ends {size_text(taken.end - limit)} above lowmem, which ends at {limit:#010x}"
    text += ": Linux reads it through the linear map and faults"
    found = _finding(boot, "E-INITRD-HIGHMEM", taken, text, more=_otherwise(boot, taken))
    later = "Linux dies when it unpacks the initrd."
    return replace(found, deadly=True, cost=found.cost if boot.died is not None else later)


def _in_nomap(boot: Examined, taken: Area, event: Refusal) -> Finding:
    region = Area.of(event.node, event)
    text = f"overlaps {_shares(taken, [region])}, which is no-map: Linux takes the initrd, and"
    return replace(
        _finding(boot, "E-INITRD-OVERLAP", taken, f"{text} refuses the region (EBUSY)", region),
        cost="The region stays mapped, and in use by Linux: whoever it is for writes into Linux's"
        " memory, or faults.",
        node=event.node,
        prop="reg",
        log=boot.log(f"for node '{name_of(event.node)}'"),
    )


def _otherwise(boot: Examined, place: Area) -> str:
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
    boot: Examined, code: str, place: Span, text: str, *holders: Area, more: str = ""
) -> Finding:
    """That the initrd, at `place`, does `text` tells; `more` to do than to load it elsewhere."""
    piece = boot.loading.piece(INITRD)
    prop = piece.prop if piece is not None else "linux,initrd-start"
    return Finding(
        code,
        f"the initrd {span(place)} {text}",
        remedy=safe_place(boot, INITRD, place.size) + more,
        node=boot.chosen if prop else "",
        prop=prop,
        areas=(Area.of(RAMDISK, place), *holders),
        log=boot.log("INITRD:"),
    )


def _shares(place: Span, holders: list[Area]) -> str:
    return listed(f"{area} by {size_text(shared(place, area))}" for area in holders)


def _hit(boot: Examined) -> Written | None:
    """What writes over the initrd before Linux starts."""
    piece = boot.loading.piece(INITRD)
    return boot.loading.hit(piece.place) if piece is not None else None


def _ruined(boot: Examined, holders: list[Area]) -> str:
    """What has become of the initrd where it overlaps the kernel: that was there before."""
    piece, hit = boot.loading.piece(INITRD), _hit(boot)
    if piece is not None and not any(shared(piece.place, area) for area in holders):
        return ", though only in whole pages, as Linux counts it"
    if hit is None or not any(area.what == KERNEL_IMAGE for area in holders):
        return ""
    return f"; it was written over by {hit.what} before"


def _where(boot: Examined, place: Area) -> str:
    """Why an initrd at `place` is not in memory."""
    limit = boot.lowmem.end
    before = boot.tables["setup_machine_fdt"].memory
    if not any(shared(region, place) for region in before):
        if any(shared(bank, place) for bank in boot.loading.ram):
            return "the tree keeps RAM there from Linux, by linux,usable-memory"
        return "the tree has no RAM there"
    given = boot.tables["parse_early_param"].memory
    inside = has(given, place)
    if boot.kernel.usermem and not inside:
        return f"mem= has cut it off, memory is {spans(given)}"
    if inside:
        lost = total(given) - total(boot.dump.memory)
        return (
            f"it ends {size_text(place.end - limit)} above the end of lowmem, {limit:#010x}, and"
            f" there is no HIGHMEM; {size_text(lost)} of RAM are lost"
        )
    bank = max((r for r in given if r.base < place.end), key=lambda r: r.base)
    if place.base < bank.base:
        return f"it begins below a bank of RAM, {span(bank)}"
    return f"it passes the end of RAM, {span(bank)}, by {size_text(place.end - bank.end)}"
