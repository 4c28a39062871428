"""memblock's functions as a real kernel calls them: events, from arguments in registers.

The kernel itself tells of some calls only, once memblock=debug is parsed: here each call is seen by
a trap at the function's address, with memblock=debug or without. What the compiler has inlined has
no call to see. Linux: include/linux/memblock.h and, before 4.20, include/linux/bootmem.h.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from bootsim.dmesg.words import parse_line
from bootsim.kernel.memblock import NUMA_NO_NODE, MemblockFlags
from bootsim.realkernel.image import KernelImage
from bootsim.realkernel.ringbuffer import LogRecord
from bootsim.trace import Event, MemblockAlloc, MemblockRange, Printk, Stage

Seen = MemblockRange | MemblockAlloc | Stage

# Arguments by name, in the order of the AAPCS: r0 to r3, then the stack. phys_addr_t has 32 bits.
_RANGE = ("base", "size")
_RANGES = MappingProxyType(
    {
        "memblock_add": _RANGE,
        "memblock_add_node": (*_RANGE, "nid", "flags"),
        "memblock_remove": _RANGE,
        "memblock_reserve": _RANGE,
        "memblock_phys_free": _RANGE,
        "memblock_free": _RANGE,
        "memblock_free_late": _RANGE,
        "__memblock_free_late": _RANGE,
        "memblock_cap_memory_range": _RANGE,
        "memblock_set_node": (*_RANGE, "type", "nid"),
        "memblock_mark_hotplug": _RANGE,
        "memblock_clear_hotplug": _RANGE,
        "memblock_mark_mirror": _RANGE,
        "memblock_mark_nomap": _RANGE,
        "memblock_clear_nomap": _RANGE,
    }
)
_MARKS = MappingProxyType(
    {
        "memblock_mark_hotplug": MemblockFlags.HOTPLUG,
        "memblock_clear_hotplug": MemblockFlags.HOTPLUG,
        "memblock_mark_mirror": MemblockFlags.MIRROR,
        "memblock_mark_nomap": MemblockFlags.NOMAP,
        "memblock_clear_nomap": MemblockFlags.NOMAP,
    }
)
_LIMITED = ("size", "align", "min_addr", "max_addr")
_ALLOCATIONS = MappingProxyType(
    {
        "memblock_phys_alloc_range": _LIMITED,
        "memblock_alloc_try_nid": (*_LIMITED, "nid"),
        "memblock_alloc_try_nid_raw": (*_LIMITED, "nid"),
        "memblock_alloc_try_nid_nopanic": (*_LIMITED, "nid"),
        "memblock_alloc_exact_nid_raw": (*_LIMITED, "nid"),
        "memblock_virt_alloc_try_nid": (*_LIMITED, "nid"),
        "memblock_virt_alloc_try_nid_raw": (*_LIMITED, "nid"),
        "memblock_virt_alloc_try_nid_nopanic": (*_LIMITED, "nid"),
    }
)
# Since 5.16 memblock_free() takes a pointer, and calls memblock_phys_free() with its range.
_FREE_TAKES_POINTER = (5, 16)


class Caller(Protocol):
    """The CPU at the first instruction of a function."""

    def arguments(self) -> tuple[int, ...]: ...
    def read(self, virt: int, size: int) -> bytes: ...
    @property
    def sp(self) -> int: ...
    @property
    def lr(self) -> int: ...


def memblock_functions(image: KernelImage) -> Iterator[tuple[str, int]]:
    """The functions of `image` whose calls are events, with their virtual addresses."""
    for name in (*_RANGES, *_ALLOCATIONS):
        if name == "memblock_free" and image.version >= _FREE_TAKES_POINTER:
            continue
        address = image.symbols.get(name)
        if address is not None:
            yield name, address


def memblock_call(name: str, cpu: Caller, image: KernelImage) -> MemblockRange | MemblockAlloc:
    """The event of a call of memblock's function `name`, whose first instruction comes next.

    Whether the kernel logs it is not known yet.
    """
    arguments = _RANGES.get(name) or _ALLOCATIONS[name]
    words = list(cpu.arguments())
    if len(arguments) > len(words):
        words.append(int.from_bytes(cpu.read(cpu.sp, 4), "little"))
    values = dict(zip(arguments, words, strict=False))
    nid = values.get("nid", NUMA_NO_NODE & 0xFFFFFFFF)
    nid -= (nid & 1 << 31) << 1
    caller = image.symbols.function_at(cpu.lr)
    if name in _ALLOCATIONS:
        size, align, low, high = (values[argument] for argument in _LIMITED)
        return MemblockAlloc(name, size, align, low, high, nid, caller, debug=False)
    flags = int(values.get("flags", _MARKS.get(name, 0)))
    return MemblockRange(name, values["base"], values["size"], flags, nid, caller, debug=False)


def in_order(seen: Sequence[tuple[int, Seen]], records: Sequence[LogRecord]) -> Iterator[Event]:
    """What was seen and what the kernel said, in the order of the boot.

    `seen` has each event with how many records had been begun then. A call that the kernel logs
    itself is one event, in the log's words.
    """
    done = 0
    for length, event in seen:
        while done < len(records) and records[done].seq < length:
            yield from _said(records[done])
            done += 1
        logged = parse_line(records[done].text) if done < len(records) else None
        if not isinstance(event, Stage) and logged is not None and _same_call(event, logged):
            event = replace(event, debug=True)
            done += 1
        yield event
    for record in records[done:]:
        yield from _said(record)


def _said(record: LogRecord) -> Iterator[Event]:
    yield parse_line(record.text, record.level) or Printk(record.level, record.text)


def _same_call(seen: MemblockRange | MemblockAlloc, logged: Event) -> bool:
    if isinstance(seen, MemblockRange):
        # The log shows the last byte: size 0 at address 0 looks like 4 GiB.
        return isinstance(logged, MemblockRange) and (
            (seen.function, seen.base) == (logged.function, logged.base)
            and (seen.size - logged.size) % (1 << 32) == 0
        )
    return isinstance(logged, MemblockAlloc) and seen == replace(
        logged, caller=seen.caller, debug=False
    )
