"""What adjust_lowmem_bounds() removes from memory where there is no HIGHMEM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bootsim.check.examine import Examined, Tables
from bootsim.check.findings import Area, Finding, named
from bootsim.check.spans import shared, span, spans, total, within, without
from bootsim.kernel.memory import PMD_SIZE
from bootsim.kernel.mmu import lowmem_end_max, vmalloc_parameter
from bootsim.kernel.variants import VMSPLIT
from bootsim.machine.memory import Range
from bootsim.numbers import size_text
from bootsim.trace import MemblockRange, Stage

# What drivers map of their devices goes into the vmalloc area: less than this is no advice.
_VMALLOC_MIN = 64 << 20
_WORDS = ("Ignoring RAM", "Consider using a HIGHMEM")


def lowmem(boot: Examined) -> Iterator[Finding]:
    """W-NOMAP-TOP, E-RAM-ABOVE-LOWMEM, E-RAM-UNALIGNED: what of the memory that is removed was
    there for Linux to use."""
    removed = list(_removed(boot))
    if not removed:
        return
    nomap = [area for area in boot.nomap if any(shared(area, piece) for piece in removed)]
    limit, kept = lowmem_end_max(boot.kernel), total(removed)
    lost = _joined(without(sorted(removed), nomap))
    kept -= total(lost)
    above = list(within(lost, limit, 1 << 32))
    below = list(within(lost, 0, limit))
    beside = total(below)
    if beside >= PMD_SIZE:
        yield _unaligned(boot, below, min(r.base for r in removed))
    if above:
        yield _above(boot, above if beside >= PMD_SIZE else lost, kept)
    elif nomap and beside < PMD_SIZE:
        yield _nomap_top(boot, removed, nomap, beside)


def _unaligned(boot: Examined, lost: list[Range], start: int) -> Finding:
    """RAM that goes although lowmem would hold it."""
    size = total(lost)
    mapped = _joined(without(boot.tables["setup_machine_fdt"].mapped, boot.nomap))
    edges = sorted({edge for r in mapped for edge in (r.base, r.end) if edge % PMD_SIZE})
    edge = next((e for e in edges if start <= e < start + PMD_SIZE), start)
    hole = next((a for a in boot.nomap if edge in (a.base, a.end)), None)
    bank = boot.memory_node(edge if any(r.base == edge for r in mapped) else edge - 1)
    return Finding(
        "E-RAM-UNALIGNED",
        f"{size_text(size)} of RAM are lost: {spans(lost)}; {hole or bank}"
        f" has an edge at {edge:#010x}, off a multiple of 2 MiB, and Linux removes all from"
        f" {start:#010x} on",
        cost=f"{size_text(size)}, and whatever was loaded there, such as an initrd.",
        node=hole.what if hole is not None else bank,
        prop="reg",
        areas=tuple(Area.of("lost", r) for r in lost),
        log=boot.log(*_WORDS),
    )


def _removed(boot: Examined) -> Iterator[Range]:
    """Pieces of memory, as they were when they were removed."""
    before: Tables | None = None
    for event in boot.kernel.trace:
        if isinstance(event, Stage):
            before = boot.tables[event.name]
        elif (
            before is not None
            and isinstance(event, MemblockRange)
            and (event.function, event.caller) == ("memblock_remove", "adjust_lowmem_bounds")
        ):
            yield from within(before.memory, event.base, event.base + event.size)


def _joined(pieces: Iterable[Range]) -> list[Range]:
    """`pieces`, which are in order, with neighbours made one."""
    joined: list[Range] = []
    for piece in pieces:
        if joined and joined[-1].end == piece.base:
            piece = Range(joined[-1].base, joined.pop().size + piece.size)
        joined.append(piece)
    return joined


def _nomap_top(boot: Examined, removed: list[Range], nomap: list[Area], beside: int) -> Finding:
    start = min(r.base for r in removed)
    size = max(r.end for r in removed) - start
    names = named(nomap)
    nodes = list(dict.fromkeys(area.what for area in nomap))
    return Finding(
        "W-NOMAP-TOP",
        f"{names} {'is' if len(nomap) == 1 else 'are'} the top of RAM: Linux ignores"
        f" {span(Range(start, size))} and speaks of HIGHMEM, but "
        + (f"only {size_text(beside)} of it are not no-map" if beside else "nothing is lost to it"),
        cost=f"{size_text(beside)} of RAM, rounded to 2 MiB, beside what is no-map."
        if beside
        else "Nothing: what is no-map is kept from Linux anyway.",
        remedy=("Begin it at a multiple of 2 MiB" if beside else "None is needed")
        + ". To be rid of the message, take what is no-map out of the memory node's reg, or move it"
        " down.",
        node=nodes[-1],
        prop="reg",
        related=tuple(nodes[:-1]),
        areas=(*nomap, Area("ignored", start, size)),
        log=boot.log(*_WORDS),
    )


def _above(boot: Examined, lost: list[Range], nomap: int) -> Finding:
    kernel = boot.kernel
    layout = kernel.profile.layout
    size = total(lost)
    kept = f" ({size_text(nomap)} more are no-map anyway)" if nomap else ""
    return Finding(
        "E-RAM-ABOVE-LOWMEM",
        f"{size_text(size)} of RAM are lost{kept}: {spans(lost)}"
        f" {'is' if len(lost) == 1 else 'are'} above the end of lowmem,"
        f" {lowmem_end_max(kernel):#010x}",
        cause="The kernel has no HIGHMEM: it uses what its linear map holds, from PAGE_OFFSET"
        f" {layout.page_offset:#010x} up to the vmalloc area of {size_text(kernel.vmalloc_size)}:"
        f" {size_text(lowmem_end_max(kernel) - kernel.phys_offset)} from {kernel.phys_offset:#010x}"
        " on.",
        cost=f"{size_text(size)}, and whatever was loaded there, such as an initrd.",
        remedy=", or ".join(
            ["A kernel with HIGHMEM", *more_lowmem(boot, lost[-1].end - lowmem_end_max(kernel))]
        )
        + ".",
        node=boot.memory_node(lost[-1].base),
        prop="reg",
        areas=tuple(Area.of("lost", r) for r in lost),
        log=boot.log(*_WORDS, "vmalloc area"),
    )


def more_lowmem(boot: Examined, missing: int) -> list[str]:
    """What makes lowmem larger by `missing` bytes, without HIGHMEM."""
    if boot.log("too big, limiting"):
        return ["a smaller vmalloc="]  # it takes all that a split leaves it
    kernel, ways = boot.kernel, list[str]()
    gains = {name: kernel.profile.layout.page_offset - at for name, at in VMSPLIT.items()}
    enough = [name for name, gain in gains.items() if gain >= missing]
    if enough:
        ways.append(f"a kernel with VMSPLIT_{min(enough, key=gains.__getitem__)}")
    vmalloc = kernel.vmalloc_size - missing
    if vmalloc >= _VMALLOC_MIN:
        ways.append(f"vmalloc={vmalloc_parameter(kernel, vmalloc) >> 20}M or less")
    return ways
