"""RAM that Linux does not get, and RAM that is there in a way that kills it."""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.check.cells import PHYSICAL
from bootsim.check.examine import MAPPING, Examined, Tables
from bootsim.check.findings import Area, Finding, span
from bootsim.kernel.memblock_features import MemblockFlags
from bootsim.kernel.memory import PMD_SIZE
from bootsim.machine.memory import Range
from bootsim.numbers import size_text
from bootsim.trace import MemblockRange, Stage


def ignored(boot: Examined) -> Iterator[Finding]:
    """W-MEMORY-IGNORED: what the first scan of the tree leaves out."""
    for refused in boot.refused("memory-ignored"):
        event = refused.event
        if event.node and event.base + event.size > PHYSICAL:
            continue  # E-CELL-COUNT
        whose = "the tree's memory" if event.node else "what mem= gives"
        small = event.size < 1 << 20
        yield Finding(
            "W-MEMORY-IGNORED",
            f"Linux leaves out {span(event.base, event.size)} of {whose}",
            cause=_why_ignored(boot, event.base, event.size),
            cost="It is not used." if not small else "Next to nothing.",
            remedy="Mend mem=: without @BASE it begins where RAM does for the kernel."
            if not event.node
            else "Mend reg, or use a kernel with LPAE for what is above 4 GiB."
            if event.base + event.size > 1 << 32
            else "Have the kernel put below it, or leave it out of reg.",
            node=event.node,
            prop="reg" if event.node else "",
            areas=(Area("memory left out", event.base, event.size),),
            log=boot.log("Ignoring memory", "Truncating memory"),
        )


def _why_ignored(boot: Examined, base: int, size: int) -> str:
    if base + size > 1 << 32:
        return "A kernel without LPAE has physical addresses of 32 bits."
    if base < boot.kernel.phys_offset:
        return f"The kernel takes RAM to begin where it is put itself: {boot.kernel.phys_offset:#x}"
    return "Only whole pages of 4 KiB count."


def lowmem(boot: Examined) -> Iterator[Finding]:
    """W-NOMAP-TOP, E-RAM-ABOVE-LOWMEM: what adjust_lowmem_bounds() removes."""
    before: Tables | None = None
    for event in boot.kernel.trace:
        if isinstance(event, Stage):
            before = boot.tables[event.name]
            continue
        if before is None or not isinstance(event, MemblockRange):
            continue
        if (event.function, event.caller) != ("memblock_remove", "adjust_lowmem_bounds"):
            continue
        inside = [r for r in before.memory if r.base < event.base + event.size]
        inside = [r for r in inside if event.base < r.end]
        nomap = [r for r in inside if r.flags & MemblockFlags.NOMAP]
        mapped = sum(
            min(r.end, event.base + event.size) - max(r.base, event.base)
            for r in inside
            if not r.flags & MemblockFlags.NOMAP
        )
        limit = boot.kernel.vars.arm_lowmem_limit
        if nomap and mapped < PMD_SIZE:
            top = boot.holders_of_nomap(nomap[-1].base, nomap[-1].size)
            yield Finding(
                "W-NOMAP-TOP",
                f"{top} is the top of RAM: Linux ignores"
                f" {span(event.base, event.size)} and speaks of HIGHMEM, but nothing is lost to it",
                cost=f"{size_text(mapped)} of RAM, rounded to 2 MiB, beside the region itself."
                if mapped
                else "Nothing: the region is kept from Linux anyway.",
                remedy="None is needed. To be rid of the message, take the region out of the memory"
                " node's reg, or move it down.",
                node=top.what if top.what.startswith("/") else "",
                areas=(top, Area("ignored", event.base, event.size)),
                log=boot.log("Ignoring RAM", "Consider using a HIGHMEM"),
            )
        else:
            yield Finding(
                "E-RAM-ABOVE-LOWMEM",
                f"{size_text(mapped)} of RAM are lost: {span(event.base, event.size)} is above the"
                f" end of lowmem, {limit:#010x}",
                cause="The kernel has no HIGHMEM: it uses what its linear map holds, between"
                " PAGE_OFFSET and the vmalloc area of"
                f" {size_text(boot.kernel.vmalloc_size)}.",
                cost=f"{size_text(mapped)}, and whatever was loaded there, as an initrd.",
                remedy="A kernel with HIGHMEM or another VMSPLIT, or a smaller vmalloc=.",
                areas=(Area("lost", event.base, event.size),),
                log=boot.log("Ignoring RAM", "Consider using a HIGHMEM"),
            )


def mem_parameter(boot: Examined) -> Iterator[Finding]:
    """W-MEM-CUTS: what mem= leaves outside of memory."""
    if not boot.kernel.usermem:
        return
    before, after = boot.tables.get("cmd_line"), boot.tables.get("parse_early_param")
    if before is None or after is None:
        return
    live = [area for area in (boot.use("device tree"), boot.use("kernel image")) if area]
    live += [
        Area(region.node.path, region.base, region.size)
        for region in boot.kernel.fdt.reserved_mem
        if region.size and not region.nomap
    ]
    size = boot.kernel.vars.phys_initrd_size
    if size:
        live.append(Area("initrd", boot.kernel.vars.phys_initrd_start, size))
    for area in live:
        if not _holds(before, area) or _holds(after, area):
            continue
        yield Finding(
            "W-MEM-CUTS",
            f"mem= leaves {area} outside of memory, which is now"
            f" {', '.join(span(r.base, r.size) for r in after.memory)}",
            remedy="Load it inside the limit, or raise mem=.",
            node=area.what if area.what.startswith("/") else "",
            areas=(area,),
        )


def _holds(tables: Tables, area: Area) -> bool:
    return any(r.base <= area.base and area.end <= r.end for r in tables.memory)


_ROOM = 16 << 20  # bytes, with which a no-map region in the midst of RAM is no trouble


def unaligned_bank(boot: Examined) -> Iterator[Finding]:
    """W-BANK-UNALIGNED: a bank that keeps early page tables to what is below it."""
    tables = boot.tables.get(MAPPING)
    if tables is None:
        return
    start = tables.current_limit
    lowmem_limit = boot.kernel.vars.arm_lowmem_limit
    if lowmem_limit - start < PMD_SIZE:
        return
    mapped = [r for r in tables.memory if not r.flags & MemblockFlags.NOMAP]
    culprit = next(
        (r for r in mapped if r.base % PMD_SIZE and r.base - start < PMD_SIZE and r.base >= start),
        None,
    ) or next((r for r in mapped if r.end % PMD_SIZE and 0 <= r.end - start < PMD_SIZE), None)
    if culprit is None:
        return
    room = sum(hole.size for hole in tables.free(0, start))
    total = sum(hole.size for hole in tables.free(0, lowmem_limit))
    begins = culprit.base % PMD_SIZE and culprit.base >= start
    edge = culprit.base - 1 if begins else culprit.end
    cut = next(iter(boot.nomap_in(edge, 1)), None)
    enough = total // 2 if cut is None else min(total // 2, _ROOM)
    if room >= enough and "early_alloc" not in (boot.died or ""):
        return
    what, odd = f"the bank {span(culprit.base, culprit.size)}", "begins" if begins else "ends"
    if cut is not None:
        what, odd = f"the no-map region {cut}", "ends" if begins else "begins"
    yield Finding(
        "W-BANK-UNALIGNED",
        f"{what} {odd} off a multiple of 2 MiB: until lowmem is mapped, only {size_text(room)}"
        f" below {start:#010x} can be allocated, of {size_text(total)}",
        remedy="Align the region to 2 MiB (0x200000)."
        if cut is not None
        else "Align the banks in reg to 2 MiB (0x200000), or give the odd part up.",
        node=boot.memory_node(culprit.base) if cut is None else cut.what,
        prop="reg",
        areas=(cut or Area("bank", culprit.base, culprit.size), Area("early memory", 0, start)),
    )


def nomap_start(boot: Examined) -> Iterator[Finding]:
    """E-NOMAP-START: no-map where the linear map must begin."""
    if boot.died is None or not boot.died.startswith("prepare_page_table"):
        return
    first = boot.end.memory[0] if boot.end.memory else None
    if first is None or not first.flags & MemblockFlags.NOMAP:
        yield _kernel_cut(boot)
        return
    owner = boot.holders_of_nomap(first.base, first.size)
    named = owner.what.startswith("/")
    yield Finding(
        "E-NOMAP-START",
        f"RAM begins with no-map: {owner if named else span(first.base, first.size)}; Linux unmaps"
        " itself",
        cause="prepare_page_table() keeps the mappings of the first region of memory, where it"
        " takes the kernel to be, and clears all behind it."
        + ("" if named else " The head of a first bank off a multiple of 2 MiB is made no-map."),
        remedy="Move the region, or take it out of the memory node's reg."
        if named
        else "Align the bank in reg to 2 MiB (0x200000).",
        node=owner.what if named else boot.memory_node(),
        prop="reg",
        areas=(owner if named else Area("memory", first.base, first.size),),
    )


def _kernel_cut(boot: Examined) -> Finding:
    kernel = Range(boot.kernel.pa_symbol("_text"), boot.kernel.profile.image_size)
    memory = ", ".join(span(r.base, r.size) for r in boot.end.memory) or "none"
    return Finding(
        "E-KERNEL-OUTSIDE",
        f"the kernel {span(*kernel)} is not in the first region of memory: memory is {memory}",
        remedy="Raise mem=, or mend reg of the memory node."
        if boot.kernel.usermem
        else "Mend reg of the memory node, or move the no-map region that cuts it.",
        node="" if boot.kernel.usermem else boot.memory_node(),
        areas=(Area("kernel", *kernel),),
    )
