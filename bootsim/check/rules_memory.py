"""RAM that Linux does not get, and RAM that is there in a way that kills it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from bootsim.check.cells import PHYSICAL
from bootsim.check.examine import MAPPING, Examined
from bootsim.check.findings import Area, Finding
from bootsim.check.loading import ZIMAGE
from bootsim.check.rules_cells import misread_regs
from bootsim.check.spans import shared, span, total
from bootsim.kernel.fdt import reg_entries
from bootsim.kernel.memory import PMD_SIZE
from bootsim.machine.memory import Range
from bootsim.numbers import size_text
from bootsim.trace import MemblockRange, Refusal, Stage


def ignored(boot: Examined) -> Iterator[Finding]:
    """W-MEMORY-IGNORED: what the first scan of the tree leaves out."""
    for refused in boot.refused("memory-ignored"):
        event = refused.event
        if event.node and event.base + event.size > PHYSICAL:
            continue  # E-CELL-COUNT
        whose = "the tree's memory" if event.node else "what mem= gives"
        cause, remedy = _why_ignored(boot, event)
        yield Finding(
            "W-MEMORY-IGNORED",
            f"Linux leaves out {span(event)} of {whose}",
            cause=cause,
            cost="It is not used." if event.size >= 1 << 20 else "Next to nothing.",
            remedy=remedy,
            node=event.node,
            prop="reg" if event.node else "",
            areas=(Area.of("memory left out", event),),
            log=boot.log("Ignoring memory", "Truncating memory"),
        )


def _why_ignored(boot: Examined, event: Refusal) -> tuple[str, str]:
    """Why memory is left out, and what to do."""
    start = boot.kernel.phys_offset
    if event.base + event.size > 1 << 32:
        cause = "A kernel without LPAE has physical addresses of 32 bits."
        remedy = "Correct reg, or use a kernel with LPAE for what is above 4 GiB."
    elif event.base < start:
        cause = f"The kernel takes RAM to begin where it is put itself: {start:#x}"
        remedy = "Have the kernel put below it, or leave it out of reg."
        if event.base >= start - PMD_SIZE:
            remedy = "Align the bank in reg to 2 MiB (0x200000), as the kernel aligns itself."
        elif boot.loading.piece(ZIMAGE) is not None:
            remedy = (
                "Load the zImage into the first 128 MiB of RAM: it takes RAM to begin at the"
                " multiple of 128 MiB below itself."
            )
    else:
        cause = "Only whole pages of 4 KiB count."
        remedy = "Correct reg: sizes are in bytes, in as many cells as the root says."
    if not event.node:
        remedy = "Correct mem=: without @BASE it begins where RAM does for the kernel."
    return cause, remedy


# Bytes that do: early page tables take 1.5 MiB at most, and the rest is for what this check may not
# have been told of, such as an initrd.
_ROOM = 16 << 20


def unaligned_bank(boot: Examined) -> Iterator[Finding]:
    """W-BANK-UNALIGNED: an edge of mapped memory that keeps early allocations to what is below it
    (adjust_lowmem_bounds), where that is neither half of what lowmem has nor enough for all."""
    tables = boot.tables.get(MAPPING)
    if tables is None:
        return
    start, limit = tables.current_limit, boot.lowmem.end
    edges, mapped = range(start, start + PMD_SIZE), tables.mapped
    begins = next((r for r in mapped if r.base % PMD_SIZE and r.base in edges), None)
    culprit = begins or next((r for r in mapped if r.end % PMD_SIZE and r.end in edges), None)
    if limit - start < PMD_SIZE or culprit is None:
        return
    room, whole = total(tables.free(0, start)), total(tables.free(0, limit))
    if boot.died is None and room >= min(whole // 2, _ROOM):
        return
    if boot.died is not None and "early_alloc" not in boot.died:
        return  # of something else
    edge = culprit.base - 1 if begins else culprit.end
    cut = next(iter(boot.nomap_in(Range(edge, 1))), None)
    what, odd = f"the bank {span(culprit)}", "begins" if begins else "ends"
    if cut is not None:
        what, odd = f"the no-map region {cut}", "ends" if begins else "begins"
    yield Finding(
        "W-BANK-UNALIGNED",
        f"{what} {odd} off a multiple of 2 MiB: until lowmem is mapped, only {size_text(room)}"
        f" below {start:#010x} can be allocated, of {size_text(whole)}",
        remedy="Align the region to 2 MiB (0x200000)."
        if cut is not None
        else "Align the banks in reg to 2 MiB (0x200000), or leave the odd part out.",
        node=boot.memory_node(culprit.base) if cut is None else cut.what,
        prop="reg",
        areas=(cut or Area.of("bank", culprit), Area("early memory", 0, start)),
    )


def mib_from_start(boot: Examined, end: int) -> int:
    """How many MiB mem= is to say for memory to go up to `end`, a physical address."""
    return -(-(end - boot.kernel.phys_offset) >> 20)


def mem_parameter_node(boot: Examined) -> str:
    """The node that mem= comes from, if it is one."""
    return boot.chosen if boot.loading.own_line else ""


def memory_nodes(boot: Examined) -> Iterator[Finding]:
    """W-MEMORY-NODE, W-MEMORY-OVERLAP: memory nodes that say something else than they seem to."""
    for node in boot.tree.root.children:
        if node.name.split("@")[0] != "memory" or "reg" not in node.props:
            continue
        kind = node.string("device_type")
        if kind != "memory" and node.is_available():
            size = sum(size for _, size in reg_entries(boot.kernel, node.props["reg"]))
            yield Finding(
                "W-MEMORY-NODE",
                f"Linux passes over the node, with {size_text(size)} of RAM: its device_type is"
                f" {'missing' if kind is None else repr(kind)}",
                node=node.path,
            )
    banks, misread = list[Area](), misread_regs(boot)
    for event in boot.kernel.trace:
        if event == Stage("setup_machine_fdt"):
            break
        if isinstance(event, MemblockRange) and event.function == "memblock_add":
            banks.append(Area(boot.memory_node(event.base), event.base, event.size))
    for one, other in combinations(banks, 2):
        low, high = sorted((one, other), key=lambda area: area.base)
        both = shared(low, high)
        if both and high.what not in misread:
            yield Finding(
                "W-MEMORY-OVERLAP",
                f"two banks of RAM share {size_text(both)}: {low} and {high}",
                node=high.what,
                prop="reg",
                related=(low.what,) if low.what != high.what else (),
                areas=(low, high),
            )
