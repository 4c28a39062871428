"""One boot of the model, watched: what the rules look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from bootsim.batch import Task, prepare
from bootsim.check.findings import Area
from bootsim.check.loading import NOTHING, Loading
from bootsim.errors import BootsimError, KernelPanic
from bootsim.kernel.fdt import reg_entries
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.log import log_lines
from bootsim.kernel.main import start_kernel
from bootsim.kernel.memblock_features import MemblockFlags
from bootsim.kernel.memblock_type import Region
from bootsim.kernel.memory import round_up
from bootsim.kernel.profile import Profile
from bootsim.machine.memory import Range
from bootsim.trace import BootStopped, Event, MemblockRange, Refusal, Stage, Use


@dataclass(frozen=True, slots=True)
class Tables:
    """memblock at one moment: its regions, and up to where it may allocate (bytes)."""

    memory: tuple[Region, ...]
    reserved: tuple[Region, ...]
    current_limit: int

    def free(self, start: int = 0, end: int = 1 << 32) -> Iterator[Range]:
        """What is memory, mapped and not reserved, in [start, end); in address order."""
        for region in self.memory:
            if region.flags & MemblockFlags.NOMAP:
                continue
            at, stop = max(region.base, start), min(region.end, end)
            for taken in self.reserved:
                if taken.end <= at or taken.base >= stop:
                    continue
                if taken.base > at:
                    yield Range(at, taken.base - at)
                at = taken.end
            if at < stop:
                yield Range(at, stop - at)

    def largest_hole(self, start: int, end: int, align: int) -> Range:
        """The most that is free in [start, end) in one piece whose base and size are multiples of
        `align`; empty where there is none."""
        best = Range(0, 0)
        for hole in self.free(start, end):
            base = round_up(hole.base, align)
            size = (hole.end - base) // align * align
            if size > best.size:
                best = Range(base, size)
        return best


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal, which event it is, and memblock then."""

    event: Refusal
    number: int
    tables: Tables


@dataclass(slots=True)
class Examined:
    """A boot that has run as far as it goes.

    `loading` is what the boot loader did; `tables` are memblock's by the stage that was just
    passed; `died` says why the boot did not come through, None if it did, and `silently` whether
    Linux would print nothing of it.
    """

    task: Task
    kernel: Kernel
    loading: Loading = NOTHING
    refusals: list[Refused] = field(default_factory=list)
    tables: dict[str, Tables] = field(default_factory=dict)
    died: str | None = None
    silently: bool = False

    @property
    def end(self) -> Tables:
        """memblock where the boot ended."""
        return _tables(self.kernel)

    @property
    def dump(self) -> Tables:
        """memblock where memblock=debug shows it, or where the boot ended before."""
        return self.tables.get("arm_memblock_init") or self.end

    def refused(self, *what: str) -> Iterator[Refused]:
        """The refusals of these kinds, in order."""
        return (refused for refused in self.refusals if refused.event.what in what)

    def log(self, *words: str) -> tuple[str, ...]:
        """The lines of the kernel's log that hold one of `words`, each once."""
        lines = log_lines(self.kernel.trace, self.kernel.memblock.features)
        found = (line for _, _, line in lines if any(word in line for word in words))
        return tuple(dict.fromkeys(found))

    def holders(self, base: int, size: int, before: int | None = None) -> list[Area]:
        """Who has reserved parts of [base, base + size), up to event number `before`."""
        found: dict[tuple[int, int], Area] = {}
        for event in self.kernel.trace.events[:before]:
            if (
                isinstance(event, MemblockRange)
                and event.function == "memblock_reserve"
                and event.base < base + size
                and base < event.base + event.size
            ):
                found[event.base, event.size] = self.owner(event, before)
        return list(found.values())

    def owner(self, event: MemblockRange, before: int | None = None) -> Area:
        """Whose memory a reservation is: by the last name that the kernel gave to just that, up to
        event number `before`, if it gave one by then."""
        place, trace = (event.base, event.size), self.kernel.trace.events
        early, late = (
            [use.what for use in events if isinstance(use, Use) and (use.base, use.size) == place]
            for events in (trace[:before], trace)
        )
        regions = self.kernel.fdt.static_regions
        nodes = [r.node.path for r in regions if (r.base, r.size) == place]
        names = early or nodes or late or [f"what {event.caller}() reserved"]
        return Area(names[-1], event.base, event.size)

    @property
    def nomap(self) -> list[Area]:
        """The no-map regions of the tree that Linux has taken out of its map, by address."""
        fdt = self.kernel.fdt
        found = [r for r in fdt.static_regions if r.nomap]
        found += [r for r in fdt.reserved_mem if r.nomap and "reg" not in r.node.props]
        areas = [Area(r.node.path, r.base, r.size) for r in found if r.size]
        return sorted(areas, key=lambda area: area.base)

    @property
    def chosen(self) -> str:
        """The path of the tree's /chosen, empty without one."""
        tree = self.kernel.fdt.tree
        node = tree.root.find("/chosen") if tree is not None else None
        return node.path if node is not None else ""

    def memory_node(self, address: int | None = None) -> str:
        """The path of the memory node that has RAM at `address`, or else of the first one."""
        tree = self.kernel.fdt.tree
        nodes = (
            [n for n in tree.root.children if n.string("device_type") == "memory"] if tree else []
        )
        banks = [
            (base, size, node.path)
            for node in nodes
            for base, size in reg_entries(
                self.kernel, node.props.get("linux,usable-memory", node.props.get("reg", b""))
            )
        ]
        if address is not None:
            for base, size, path in sorted(banks, reverse=True):
                if base <= address < base + size:
                    return path
        return nodes[0].path if nodes else ""

    def use(self, what: str) -> Area | None:
        """The memory that the kernel calls `what`, None if it has named none so."""
        for event in self.kernel.trace:
            if isinstance(event, Use) and event.what == what:
                return Area(what, event.base, event.size)
        return None


def examine(task: Task, profile: Profile, loading: Loading = NOTHING) -> Examined:
    """Boot `task` and watch; raises BootsimError for what cannot be booted."""
    kernel = prepare(task, profile)
    examined = Examined(task, kernel, loading)
    trace = kernel.trace

    def watch(event: Event) -> None:
        if isinstance(event, Refusal):
            examined.refusals.append(Refused(event, len(trace) - 1, _tables(kernel)))
        elif isinstance(event, Stage):
            examined.tables[event.name] = _tables(kernel)

    trace.sinks.append(watch)
    try:
        with suppress(BootStopped):
            start_kernel(kernel)
    except KernelPanic as panic:
        examined.died, examined.silently = str(panic), not panic.words
    except BootsimError as error:
        examined.died = str(error)
    finally:
        trace.sinks.remove(watch)
    return examined


def _tables(kernel: Kernel) -> Tables:
    memblock = kernel.memblock
    return Tables(
        tuple(region for region in memblock.memory if region.size),
        tuple(region for region in memblock.reserved if region.size),
        memblock.get_current_limit(),
    )
