"""Events of a boot in words: in the kernel's where it has some, whether or not it logged them."""

from __future__ import annotations

from dataclasses import replace

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
    Stage,
    Use,
    as_data,
)
from bootsim.views import size_text


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


def _fields(event: Event) -> str:
    """An event that Linux has no words for."""
    data = as_data(event)
    kind = data.pop("kind")
    return f"{kind}: " + ", ".join(f"{name} {value}" for name, value in data.items())


def _span(base: int, size: int) -> str:
    return f"[{base:#010x}-{base + size - 1:#010x}]"


def _pages(pfn: int, order: int) -> str:
    return f"{size_text(PAGE_SIZE << order)} at pfn {pfn:#x}"
