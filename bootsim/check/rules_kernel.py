"""Memory in a shape that Linux dies of when it maps it."""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.check.examine import Examined
from bootsim.check.findings import Area, Finding
from bootsim.check.rules_memory import mem_parameter_node, mib_from_start
from bootsim.check.spans import has, span, spans
from bootsim.kernel.memblock_features import MemblockFlags
from bootsim.kernel.memblock_type import Region
from bootsim.kernel.memory import PMD_SIZE, round_up
from bootsim.numbers import size_text


def kernel_place(boot: Examined) -> Iterator[Finding]:
    """E-NOMAP-START, E-KERNEL-OUTSIDE: the kernel is not where it takes itself to be."""
    if boot.died is None:
        return
    memory = boot.end.memory
    kernel = Area("kernel", boot.kernel.pa_symbol("_text"), boot.kernel.profile.image_size)
    unmapped = boot.died.startswith("prepare_page_table")
    if unmapped and memory and memory[0].flags & MemblockFlags.NOMAP:
        yield _nomap_start(boot, Area.of("memory", memory[0]))
    elif unmapped or not has(memory, kernel):
        yield _kernel_outside(boot, kernel, memory)


def kernel_edge(boot: Examined) -> Iterator[Finding]:
    """W-KERNEL-EDGE: the end of .bss is not mapped for a while."""
    for refused in boot.refused("bss-unmapped"):
        event = refused.event
        cut = next((area for area in boot.nomap if area.base == event.start), None)
        by_mem = boot.kernel.usermem and cut is None
        yield Finding(
            "W-KERNEL-EDGE",
            f"the first region of memory ends at {event.start:#010x}"
            + (f", where {cut} begins" if cut is not None else "")
            + f": Linux unmaps the 2 MiB from {event.base:#010x} on, with the last"
            f" {size_text(event.size)} of its .bss, until it maps lowmem",
            remedy=_remedy(boot, event.base + event.size, cut),
            node=cut.what if cut else mem_parameter_node(boot) if by_mem else boot.memory_node(),
            prop="bootargs" if by_mem else "reg",
            areas=(Area.of("kernel", event), *([cut] if cut is not None else [])),
        )


def _kernel_outside(boot: Examined, kernel: Area, memory: tuple[Region, ...]) -> Finding:
    now = spans(memory)
    text = f"the kernel {span(kernel)} is not in memory, which is {now}"
    first = memory[0] if memory else None
    cut = next((a for a in boot.nomap if first is not None and a.base == first.end), None)
    if first is None:
        text = "Linux has no memory at all: total RAM is 0 B"
    elif first.end > kernel.base >= first.base:
        behind = f", where {cut} begins" if cut is not None else ""
        text = (
            f"the first region of memory, {span(first)}{behind}, ends before"
            f" the kernel {span(kernel)}, or in the last 2 MiB of it"
        )
    by_mem = boot.kernel.usermem and cut is None
    node = cut.what if cut is not None else boot.memory_node()
    return Finding(
        "E-KERNEL-OUTSIDE",
        f"{text}. {boot.fate}",
        remedy=_remedy(boot, kernel.end, cut),
        node=mem_parameter_node(boot) if by_mem else node,
        prop="bootargs" if by_mem else "reg",
        areas=(kernel, *([cut] if cut is not None else [])),
        log=boot.log("Kernel panic", "Ignoring memory"),
        deadly=True,
    )


def _remedy(boot: Examined, end: int, cut: Area | None) -> str:
    if cut is not None:
        return f"Move the region to {round_up(end, PMD_SIZE):#010x} or above."
    if boot.kernel.usermem:
        # As much again is for the memory map, page tables, and CMA.
        least = round_up(2 * mib_from_start(boot, end), 16)
        return f"Leave mem= out, or have it hold the kernel: mem={least}M or more."
    if not boot.end.memory:
        return "Correct the memory node: linux,usable-memory, if it is there, is taken before reg."
    return "Correct reg of the memory node."


def _nomap_start(boot: Examined, first: Area) -> Finding:
    inside = [area for area in boot.nomap if first.base <= area.base < first.end]
    owner = inside[0] if inside else None
    return Finding(
        "E-NOMAP-START",
        f"RAM begins with no-map: {owner or span(first)}; Linux unmaps itself",
        cause="prepare_page_table() keeps the mappings of the first region of memory, where it"
        " takes the kernel to be, and clears all behind it."
        + ("" if owner else " The head of a first bank off a multiple of 2 MiB is made no-map."),
        remedy="Move the region, or take it out of the memory node's reg."
        if owner
        else "Align the bank in reg to 2 MiB (0x200000).",
        node=owner.what if owner else boot.memory_node(),
        prop="reg",
        areas=(owner or first,),
        deadly=True,
    )
