"""Events of a boot in words: in the kernel's where it has some, and in plain ones."""

from __future__ import annotations

from dataclasses import replace
from errno import errorcode
from types import MappingProxyType

from bootsim.dmesg.words import function_of
from bootsim.kernel.memblock_features import MemblockFeatures
from bootsim.kernel.memblock_log import format_event
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.trace import (
    CreateMapping,
    Event,
    MemblockAlloc,
    MemblockFailure,
    MemblockRange,
    MemblockResize,
    Note,
    PageAlloc,
    PageFree,
    Printk,
    Refusal,
    Stage,
    Use,
    as_data,
)
from bootsim.views import size_text

# What memblock's functions do to a range, after who calls them.
_DOES = MappingProxyType(
    {
        "memblock_add": "adds {} to memory",
        "memblock_add_node": "adds {} to memory",
        "memblock_remove": "takes {} out of memory",
        "memblock_reserve": "reserves {}",
        "memblock_free": "gives back {}",
        "memblock_phys_free": "gives back {}",
        "memblock_mark_nomap": "marks {} no-map: not to be mapped, nor used",
        "memblock_clear_nomap": "clears no-map of {}",
        "memblock_mark_hotplug": "marks {} as hotpluggable",
        "memblock_clear_hotplug": "clears the hotplug flag of {}",
        "memblock_mark_mirror": "marks {} as mirrored",
    }
)


def event_text(event: Event, features: MemblockFeatures | None = None) -> str:
    """`event` in one line; of a log record, its text. Without `features`, Linux 6.1's words."""
    match event:
        case Stage(name):
            return f"{name}() is done"
        case Printk(text=text) | Note(text):
            return text
        case MemblockFailure(function=function, errno=errno):
            return f"{function} failed: {errno}"
        case Use(base, size, what):
            return f"{_span(base, size)} is {what}"
        case CreateMapping(virt, phys, size, type_):
            return f"mapped {_span(virt, size)} to {phys:#010x}, {type_}"
        case PageFree(pfn, order, zone):
            return f"{_pages(pfn, order)} come to zone {zone}"
        case PageAlloc(pfn, order, zone, caller):
            return f"{_pages(pfn, order)} of zone {zone} go to {caller}()"
        case MemblockRange() | MemblockAlloc() | MemblockResize():
            logged = replace(event, debug=True)
            line = format_event(logged, features or MemblockFeatures.linux_6_1())
            if line is None and isinstance(event, MemblockRange):
                return f"{event.function}: {_span(event.base, event.size)} {event.caller}"
            return line or _fields(event)
    return _fields(event)


def event_words(event: Event) -> str:
    """What memblock does in `event`, in plain words; "" where event_text() is plain enough."""
    match event:
        case MemblockRange(function=function, base=base, size=size):
            does = _DOES.get(function, f"calls {function}() for {{}}")
            return f"{_who(event.caller)} {does.format(_some(base, size))}"
        case MemblockAlloc(size=size, align=align, min_addr=start, max_addr=end):
            where = f" above {start:#010x}" if start else ""
            where += f" below {end:#010x}" if end else ""
            return (
                f"{_who(event.caller)} asks memblock for {size_text(size)}{where},"
                f" aligned to {size_text(align) if align else 'a cache line'}"
            )
        case MemblockResize(name=name, max=most, base=base, size=size):
            table = _some(base, size)
            return f"memblock.{name} is full: its table moves to {table}, room for {most} regions"
        case MemblockFailure(function=function, base=base, size=size, errno=errno):
            error = errorcode.get(-errno, str(-errno))
            return f"{function}() of {_some(base, size)} fails with {error}: nothing has changed"
        case Refusal(what=what, base=base, size=size, node=node, errno=errno):
            about = [_some(base, size)] if size else []
            about += [node] if node else []
            about += [f"error {errorcode.get(-errno, str(-errno))}"] if errno else []
            return ", ".join([f"Linux refuses: {what.replace('-', ' ')}", *about])
    return ""


def _who(caller: str) -> str:
    return f"{function_of(caller)}()" if caller else "The kernel"


def _some(base: int, size: int) -> str:
    """A range, its size first."""
    if not size:
        return f"nothing, at {base:#010x}"
    return f"{size_text(size)} at {base:#010x}-{base + size - 1:#010x}"


def _fields(event: Event) -> str:
    """An event that Linux has no words for."""
    data = as_data(event)
    kind = data.pop("kind")
    return f"{kind}: " + ", ".join(f"{name} {value}" for name, value in data.items())


def _span(base: int, size: int) -> str:
    return f"[{base:#010x}-{base + size - 1:#010x}]"


def _pages(pfn: int, order: int) -> str:
    return f"{size_text(PAGE_SIZE << order)} at pfn {pfn:#x}"
