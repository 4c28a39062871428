"""Which pfns belong to which zone, ZONE_MOVABLE included, on kernels that ask memblock for it.

Linux: mm/page_alloc.c up to 6.3, mm/mm_init.c since: free_area_init(),
find_zone_movable_pfns_for_nodes(), zone_spanned_pages_in_node().
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bootsim.kernel.kernel import Kernel
from bootsim.kernel.kstrtox import simple_strtoull
from bootsim.kernel.memory import PAGE_SHIFT, pfn_down, round_up
from bootsim.kernel.mmzone import ZONE_HIGHMEM, ZONE_MOVABLE, PfnRange, ZoneSpan, merge_ranges
from bootsim.kernel.params import memparse, null_parameter

EINVAL = 22
_ULONG_MASK = 0xFFFFFFFF


def cmdline_parse_kernelcore(kernel: Kernel, value: str | None) -> int:
    """kernelcore=: memory that ZONE_MOVABLE leaves to the kernel. `mirror` is not modelled."""
    if value is None:
        raise null_parameter("kernelcore")
    if "mirror" in value.split(","):
        kernel.note("kernelcore=mirror: the model has no ZONE_MOVABLE by mirrored memory")
        return 0
    kernel.required_kernelcore = _parse_core(value)
    return 0


def cmdline_parse_movablecore(kernel: Kernel, value: str | None) -> int:
    """movablecore=: memory for ZONE_MOVABLE, an amount or a percentage."""
    if value is None:
        return -EINVAL
    kernel.required_movablecore = _parse_core(value)
    return 0


def _parse_core(value: str) -> tuple[int, bool]:
    """Pages, or per cent and True."""
    text = value.encode("latin-1")
    number, end = simple_strtoull(text, 0)
    if text[end : end + 1] == b"%":
        return number, True
    return memparse(value)[0] >> PAGE_SHIFT & _ULONG_MASK, False


def free_area_init(kernel: Kernel, max_zone_pfn: dict[str, int]) -> list[ZoneSpan]:
    """The zones that end at `max_zone_pfn` (in order), each from where the one before ends.

    Says what there is, as Linux does.
    """
    memory = [PfnRange(start, end) for start, end, _ in kernel.memblock.for_each_mem_pfn_range()]
    start = pfn_down(kernel.memblock.start_of_DRAM())
    possible: dict[str, PfnRange] = {}
    for name, limit in max_zone_pfn.items():
        possible[name] = PfnRange(start, max(limit, start))
        start = possible[name].end
    movable_zone = next(
        (name for name in reversed(possible) if possible[name].start < possible[name].end),
        next(iter(possible)),
    )
    movable_pfn = find_zone_movable_pfn(kernel, memory, possible[movable_zone])
    for line in _report(memory, possible, movable_pfn):
        kernel.pr_info(line)
    # Before 5.14 the zone right below ZONE_MOVABLE decides, whether or not it has any RAM.
    below = [*possible][-1] if kernel.profile.features.page_alloc == "5.10" else movable_zone
    return list(_spans(memory, possible, movable_zone, movable_pfn, below == ZONE_HIGHMEM))


def find_zone_movable_pfn(kernel: Kernel, memory: Sequence[PfnRange], usable: PfnRange) -> int:
    """Where ZONE_MOVABLE begins, 0 for nowhere: what kernelcore= and movablecore= ask for.

    `usable` is the zone that it is taken from, the highest one.
    """
    total = sum(end - start for start, end in memory)
    kernelcore, movablecore = (
        total * 100 * amount // 10000 if percent else amount
        for amount, percent in (kernel.required_kernelcore, kernel.required_movablecore)
    )
    block = 1 << kernel.profile.config.max_order - 1
    if movablecore:
        movablecore = min(total, round_up(movablecore, block))
        kernelcore = max(kernelcore, total - movablecore)
    if not kernelcore or kernelcore >= total:
        return 0
    remaining, movable_pfn = kernelcore, 0
    for start, end in memory:
        if start < usable.start:
            remaining -= min(min(end, usable.start) - start, remaining)
            if end <= usable.start:
                movable_pfn = end
                continue
            start = usable.start
        size = min(end - start, remaining)
        movable_pfn = start + size
        remaining -= size
        if not remaining:
            break
    movable_pfn = round_up(movable_pfn, block)
    return movable_pfn if movable_pfn < memory[-1].end else 0


def _report(
    memory: Sequence[PfnRange], possible: dict[str, PfnRange], movable_pfn: int
) -> Iterator[str]:
    yield "Zone ranges:"
    for name, (start, end) in possible.items():
        yield f"  {name:<8} " + ("empty" if start == end else _span(start, end))
    yield "Movable zone start for each node"
    if movable_pfn:
        yield f"  Node 0: {movable_pfn << PAGE_SHIFT:#018x}"
    yield "Early memory node ranges"
    for start, end in memory:
        yield f"  node {0:3d}: {_span(start, end)}"


def _span(start: int, end: int) -> str:
    return f"[mem {start << PAGE_SHIFT:#018x}-{(end << PAGE_SHIFT) - 1:#018x}]"


def _spans(
    memory: Sequence[PfnRange],
    possible: dict[str, PfnRange],
    movable_zone: str,
    movable_pfn: int,
    movable_is_highmem: bool,
) -> Iterator[ZoneSpan]:
    node_start, node_end = memory[0].start, memory[-1].end
    merged = merge_ranges(memory)
    for name, (low, high) in possible.items():
        start, end = (min(max(pfn, low), high) for pfn in (node_start, node_end))
        if movable_pfn:
            if start < movable_pfn < end:
                end = movable_pfn
            elif start >= movable_pfn:
                start = end
        yield _zone(name, start, end, merged)
    end = min(node_end, possible[movable_zone].end) if movable_pfn else 0
    yield _zone(ZONE_MOVABLE, movable_pfn, end, merged, highmem=movable_is_highmem)


def _zone(
    name: str, start: int, end: int, memory: Sequence[PfnRange], *, highmem: bool = False
) -> ZoneSpan:
    present = [
        PfnRange(max(low, start), min(high, end))
        for low, high in memory
        if max(low, start) < min(high, end)
    ]
    return ZoneSpan(name, start, end, tuple(present), highmem=highmem)
