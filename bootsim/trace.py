"""What a boot did: typed events, in order, numbered from 0.

Sources (the model kernel, a real kernel, a recorded log) emit events; views read them. An event
says what happened, never how it is worded: log lines are formatted from events by those who print.
Addresses and sizes are bytes, pfns are page frame numbers; `caller` is the function that the
kernel would name as `_RET_IP_`, without offset where none is known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from bootsim.errors import BootsimError, KernelPanic

# Twice what giving every page of 4 GiB to the buddy allocator takes.
EVENTS_MAX = 2 << 20
HANDOVER = "mem_init"  # the stage behind which the buddy allocator has the free pages


@dataclass(frozen=True, slots=True)
class Stage:
    """The boot has come past a named point: the function `name` has returned."""

    name: str


@dataclass(frozen=True, slots=True)
class Printk:
    """One record of the kernel's log. `level` is 0 (emerg) to 7 (debug)."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """What the model did not do, or could not know, where a real kernel would have acted."""

    text: str


@dataclass(frozen=True, slots=True)
class MemblockRange:
    """A memblock function that adds, removes, reserves, frees or marks [base, base + size).

    Emitted at the call, before the tables change, as the kernel logs it. `function` is the
    kernel's name of it (memblock_add, memblock_reserve, ...). `debug` says whether memblock=debug
    was on, and so whether the kernel logged it.
    """

    function: str
    base: int
    size: int
    flags: int
    nid: int
    caller: str
    debug: bool


@dataclass(frozen=True, slots=True)
class MemblockFailure:
    """The memblock function of the event before could not do it; `errno` is negative."""

    function: str
    base: int
    size: int
    errno: int
    caller: str


@dataclass(frozen=True, slots=True)
class MemblockAlloc:
    """A memblock allocation that the kernel logs as such (memblock_alloc_try_nid and relatives).

    Emitted at the call, before the range is found and reserved, as the kernel logs it.
    """

    function: str
    size: int
    align: int
    min_addr: int
    max_addr: int
    nid: int
    caller: str
    debug: bool


@dataclass(frozen=True, slots=True)
class MemblockResize:
    """A region array was doubled: the new array of `max` regions lies at `base`, `size` bytes."""

    name: str
    max: int
    base: int
    size: int
    debug: bool


# What every source calls the memory that a boot begins with, in Use.what.
KERNEL_IMAGE = "kernel image"
DEVICE_TREE = "device tree"
RAMDISK = "initrd"
PG_DIR = "swapper_pg_dir"


@dataclass(frozen=True, slots=True)
class Use:
    """The kernel has named what it keeps in [base, base + size); later names are more telling."""

    base: int
    size: int
    what: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The kernel will not have, or cannot do, what it was asked to: told where it decides so.

    `what` names the decision, [base, base + size) is what it is about, as asked: 64 bits of it
    where a tree has them. `node` is the path of the tree's node that asked, empty for the kernel
    itself and its parameters; `other` what else has to do with it. What may lie anywhere between
    `start` and `end` has the alignment `align` and base 0. `errno` is negative, or 0 if the
    function that refused has none.
    """

    what: str
    base: int
    size: int
    node: str = ""
    other: str = ""
    errno: int = 0
    start: int = 0
    end: int = 0
    align: int = 0


@dataclass(frozen=True, slots=True)
class CreateMapping:
    """The kernel mapped [virt, virt + size) to physical memory at `phys` as `type` (MT_...)."""

    virt: int
    phys: int
    size: int
    type: str


@dataclass(frozen=True, slots=True)
class PageAlloc:
    """The buddy allocator gave away 2**order pages at `pfn` of `zone`."""

    pfn: int
    order: int
    zone: str
    caller: str


@dataclass(frozen=True, slots=True)
class PageFree:
    """2**order pages at `pfn` came to the buddy allocator of `zone`."""

    pfn: int
    order: int
    zone: str
    caller: str


Event = (
    Stage
    | Printk
    | Note
    | MemblockRange
    | MemblockFailure
    | MemblockAlloc
    | MemblockResize
    | Use
    | Refusal
    | CreateMapping
    | PageAlloc
    | PageFree
)

# What JSON calls them.
EVENT_TYPES: Mapping[str, type[Event]] = MappingProxyType(
    {
        "stage": Stage,
        "printk": Printk,
        "note": Note,
        "memblock": MemblockRange,
        "memblock_failure": MemblockFailure,
        "memblock_alloc": MemblockAlloc,
        "memblock_resize": MemblockResize,
        "use": Use,
        "refusal": Refusal,
        "mapping": CreateMapping,
        "page_alloc": PageAlloc,
        "page_free": PageFree,
    }
)
_KINDS = MappingProxyType({event: kind for kind, event in EVENT_TYPES.items()})


def as_data(event: Event) -> dict[str, Any]:
    """`event` as JSON-ready data: its kind, then its fields."""
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    return {"kind": _KINDS[type(event)]} | values


class BootStopped(Exception):
    """Raised where the boot was asked to stop; caught by who started the boot."""


class Trace:
    """The events of one boot.

    `until` is an event's number: the boot stops once that event and all that it led to are done,
    that is where the next one would come. `sinks` are called with each event as it comes.
    """

    def __init__(self, *, until: int | None = None) -> None:
        self.events: list[Event] = []
        self.until = until
        self.sinks: list[Callable[[Event], None]] = []

    def emit(self, event: Event) -> None:
        """Append `event`; raises BootStopped instead if it lies past the one to stop at."""
        if self.until is not None and len(self.events) > self.until:
            raise BootStopped
        if len(self.events) >= EVENTS_MAX:
            raise KernelPanic(f"the boot has made {EVENTS_MAX} events and goes on")
        self.events.append(event)
        for sink in self.sinks:
            sink(event)

    @property
    def stage(self) -> str | None:
        """The last stage that the boot came past."""
        for event in reversed(self.events):
            if isinstance(event, Stage):
                return event.name
        return None

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, number: int) -> Event:
        return self.events[number]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def to_json_lines(self) -> Iterator[str]:
        """One JSON object an event, `number` and `kind` first."""
        for number, event in enumerate(self.events):
            yield json.dumps({"number": number} | as_data(event))

    @classmethod
    def from_json_lines(cls, lines: Iterable[str]) -> Trace:
        """Read back what to_json_lines wrote; raises BootsimError with the line's number."""
        trace = cls()
        for number, line in enumerate(lines, 1):
            try:
                trace.events.append(_event(json.loads(line)))
            except (ValueError, TypeError, KeyError) as error:
                raise BootsimError(f"trace line {number}: not an event: {error}") from error
        return trace


def _event(record: dict[str, Any]) -> Event:
    cls = EVENT_TYPES[record["kind"]]
    return cls(**{field.name: record[field.name] for field in fields(cls)})
