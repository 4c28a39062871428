"""What memblock says in the kernel's log with `memblock=debug`, and in debugfs.

Linux: the memblock_dbg() calls, memblock_dump() and memblock_debug_show() in mm/memblock.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from bootsim.kernel.memblock_features import MemblockFeatures
from bootsim.kernel.memblock_type import Region
from bootsim.trace import Event, MemblockAlloc, MemblockRange, MemblockResize

# Functions that log their range; the others change tables silently.
_LOGGED = frozenset(
    {
        "memblock_add",
        "memblock_add_node",
        "memblock_remove",
        "memblock_reserve",
        "memblock_free",
        "memblock_phys_free",
        "memblock_free_late",
        "__memblock_free_late",
        "memblock_physmem_add",
    }
)


class Table(Protocol):
    """A struct memblock_type, or what was read of one."""

    @property
    def name(self) -> str: ...
    @property
    def cnt(self) -> int: ...
    @property
    def total_size(self) -> int: ...
    def __iter__(self) -> Iterator[Region]: ...


def pa(address: int, features: MemblockFeatures) -> str:
    """`address` as printk's %pa shows a phys_addr_t: all digits."""
    digits = features.phys_addr_bits // 4
    return f"0x{address & features.phys_addr_max:0{digits}x}"


def format_event(event: Event, features: MemblockFeatures) -> str | None:
    """The log line of a memblock event, or None if the kernel logs none.

    Only events of a time when memblock=debug was on (`event.debug`) have one. The caller is shown
    as the event has it.
    """
    if isinstance(event, MemblockRange):
        return _range_line(event, features) if event.debug else None
    if isinstance(event, MemblockAlloc):
        return _alloc_line(event, features) if event.debug else None
    if isinstance(event, MemblockResize) and event.debug:
        end = pa(event.base + event.size - 1, features)
        return (
            f"memblock: {event.name} is doubled to {event.max} at "
            f"[{pa(event.base, features)}-{end}]"
        )
    return None


def _range_line(event: MemblockRange, features: MemblockFeatures) -> str | None:
    function = event.function
    if function not in _LOGGED or (function == "memblock_add_node" and not features.logs_add_node):
        return None
    if function == "memblock_free" and not features.logs_function_names:
        function = "   memblock_free"
    span = f"[{pa(event.base, features)}-{pa(event.base + event.size - 1, features)}]"
    if function == "memblock_add_node":
        span += f" nid={event.nid} flags={event.flags:x}"
    return f"{function}: {span} {event.caller}"


def _alloc_line(event: MemblockAlloc, features: MemblockFeatures) -> str:
    nid = "" if event.function == "memblock_phys_alloc_range" else f"nid={event.nid} "
    return (
        f"{event.function}: {event.size} bytes align={event.align:#x} {nid}"
        f"from={pa(event.min_addr, features)} max_addr={pa(event.max_addr, features)} "
        f"{event.caller}"
    )


def dump_lines(tables: Sequence[Table], features: MemblockFeatures) -> list[str]:
    """memblock_dump_all(): `tables` are memory, reserved and, where there is one, physmem."""
    memory, reserved = tables[:2]
    lines = [
        "MEMBLOCK configuration:",
        f" memory size = {pa(memory.total_size, features)} "
        f"reserved size = {pa(reserved.total_size, features)}",
    ]
    for table in tables:
        name = table.name
        lines.append(f" {name}.cnt  = {table.cnt:#x}")
        for index, region in enumerate(table):
            node = ""
            if features.numa and region.nid != features.max_numnodes:
                node = f" on node {region.nid}"
            lines.append(
                f" {name}[{index:#x}]\t[{pa(region.base, features)}-"
                f"{pa(region.base + region.size - 1, features)}], "
                f"{pa(region.size, features)} bytes{node} flags: {region.flags:#x}"
            )
    return lines


def debugfs_lines(table: Iterable[Region], features: MemblockFeatures) -> list[str]:
    """/sys/kernel/debug/memblock/memory and its like; the same in 5.0 and 6.1."""
    return [
        f"{index:4d}: {pa(region.base, features)}..{pa(region.base + region.size - 1, features)}"
        for index, region in enumerate(table)
    ]
