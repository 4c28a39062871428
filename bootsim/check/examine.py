"""One boot of the model, watched: what the rules look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from bootsim.batch import Task, prepare
from bootsim.check.cells import Cells
from bootsim.check.findings import Area, named
from bootsim.check.loading import NOTHING, Loading
from bootsim.check.nodes import memory_nodes
from bootsim.check.spans import Span, shared, within, without
from bootsim.errors import BootsimError, KernelPanic
from bootsim.kernel.fdt import reg_entries
from bootsim.kernel.kernel import CmaArea, Kernel
from bootsim.kernel.libfdt import Fdt, FdtNode
from bootsim.kernel.log import log_lines
from bootsim.kernel.main import start_kernel
from bootsim.kernel.memblock_features import MemblockFlags
from bootsim.kernel.memblock_type import Region
from bootsim.kernel.memory import round_up
from bootsim.kernel.of_reserved_mem import MEMRESERVE
from bootsim.kernel.profile import Profile
from bootsim.machine.memory import Range
from bootsim.trace import (
    DEVICE_TREE,
    KERNEL_IMAGE,
    RAMDISK,
    BootStopped,
    CreateMapping,
    Event,
    MemblockRange,
    Refusal,
    Stage,
    Use,
)

# Where the linear map is begun, in Examined.tables: the second adjust_lowmem_bounds() has been.
MAPPING = "map_lowmem"


@dataclass(frozen=True, slots=True)
class Tables:
    """memblock at one moment: its regions, and up to where it may allocate (bytes)."""

    memory: tuple[Region, ...]
    reserved: tuple[Span, ...]
    current_limit: int

    @property
    def mapped(self) -> list[Region]:
        """The regions that are not no-map."""
        return [region for region in self.memory if not region.flags & MemblockFlags.NOMAP]

    def free(self, start: int, end: int) -> Iterator[Range]:
        """What is memory, mapped and not reserved, in [start, end); in address order."""
        return without(within(self.mapped, start, end), self.reserved)

    def holes(self, part: Range, align: int, unit: int) -> Iterator[Range]:
        """What is free in `part`: pieces that begin at a multiple of `align`, a power of two, and
        are a multiple of `unit` bytes long."""
        for hole in self.free(part.base, part.end):
            base = round_up(hole.base, align)
            if base + unit <= hole.end:
                yield Range(base, (hole.end - base) // unit * unit)

    def largest_hole(self, parts: Iterable[Range], align: int, unit: int) -> Range:
        """The largest of holes() in one of `parts`, the first of equals; empty where none is."""
        holes = (hole for part in parts for hole in self.holes(part, align, unit))
        return max(holes, key=lambda hole: hole.size, default=Range(0, 0))

    def releasing(self, place: Span) -> Tables:
        """The same with nothing reserved in `place`."""
        return replace(self, reserved=tuple(without(self.reserved, [place])))


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

    def dies_of(self, *words: str) -> bool:
        """Whether the boot died, and the death's words begin with one of `words`."""
        return self.died is not None and self.died.startswith(words)

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

    def holders(self, place: Span, before: int | None = None) -> list[Area]:
        """Who has reserved parts of `place`, up to event number `before`."""
        found: dict[tuple[int, int], Area] = {}
        for event in self.kernel.trace.events[:before]:
            if (
                isinstance(event, MemblockRange)
                and event.function == "memblock_reserve"
                and shared(event, place)
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
        return Area.of(names[-1], event)

    @property
    def nomap(self) -> list[Area]:
        """The no-map regions of the tree that Linux has taken out of its map, by address."""
        fdt = self.kernel.fdt
        found = [r for r in fdt.static_regions if r.nomap]
        found += [r for r in fdt.reserved_mem if r.nomap and "reg" not in r.node.props]
        areas = [Area.of(r.node.path, r) for r in found if r.size]
        return sorted(areas, key=lambda area: area.base)

    @property
    def tree(self) -> Fdt:
        """The tree that the kernel has read. Where it took it for none, no rule is asked."""
        tree = self.kernel.fdt.tree
        assert tree is not None
        return tree

    def node(self, path: str) -> FdtNode | None:
        """The node at `path` of the tree."""
        return self.tree.root.find(path)

    @property
    def chosen(self) -> str:
        """The path of the tree's /chosen, empty without one."""
        node = self.node("/chosen")
        return node.path if node is not None else ""

    @property
    def cells(self) -> Cells:
        """How numbers are to be written in the tree."""
        return Cells(self.kernel.vars.dt_root_addr_cells, self.kernel.vars.dt_root_size_cells)

    def memory_node(self, address: int | None = None) -> str:
        """The path of the memory node that has RAM at `address`, or else of the first one."""
        nodes = memory_nodes(self.tree)
        banks = [
            Area(node.path, *entry)
            for node in nodes
            for entry in reg_entries(
                self.kernel, node.props.get("linux,usable-memory", node.props.get("reg", b""))
            )
        ]
        if address is not None:
            for bank in sorted(banks, key=lambda bank: (bank.base, bank.size), reverse=True):
                if bank.base <= address < bank.end:
                    return bank.what
        return nodes[0].path if nodes else ""

    @property
    def lowmem(self) -> Range:
        """What the linear map has: from where the kernel takes RAM to begin, in bytes."""
        start = self.kernel.phys_offset
        return Range(start, self.kernel.vars.arm_lowmem_limit - start)

    @property
    def fate(self) -> str:
        """How the kernel died, as a sentence without its stop; empty if it did not."""
        if self.died is None:
            return ""
        return f"The kernel dies after {self.kernel.trace.stage}: {self.died}"

    @property
    def tree_is_in_the_way(self) -> bool:
        """Whether a range that something was to have has the device tree in it."""
        asked = (r.event for r in self.refused("cma-busy", "crashkernel") if r.event.base)
        return any(area.what == DEVICE_TREE for event in asked for area in self.holders(event))

    def node_of(self, area: CmaArea) -> FdtNode | None:
        """The node that a CMA area is of, None for that of the command line or of the kernel."""
        regions = (region for region in self.kernel.fdt.reserved_mem if region.size)
        return next((region.node for region in regions if region.base == area.base), None)

    def outside(self, place: Span) -> int:
        """How many bytes of `place` are no RAM that the kernel knows."""
        tables = self.tables.get("parse_early_param") or self.end
        return place.size - sum(shared(region, place) for region in tables.memory)

    def nomap_in(self, place: Span) -> list[Area]:
        """The nodes that have made parts of `place` no-map."""
        return [area for area in self.nomap if shared(area, place)]

    def takers(self, ranges: list[Range], before: int) -> str:
        """In words: what has been taken in `ranges` up to event number `before`: what the tree and
        the boot loader put there, then what Linux did, largest first."""
        loaded = {KERNEL_IMAGE, RAMDISK, DEVICE_TREE, MEMRESERVE}
        loaded |= {region.node.path for region in self.kernel.fdt.reserved_mem}
        areas: dict[Area, None] = {}
        for part in ranges:
            areas |= dict.fromkeys((*self.holders(part, before), *self.nomap_in(part)))
        largest = sorted(areas, key=lambda area: (area.what not in loaded, -area.size))
        return f"Taken there: {named(largest)}." if largest else ""

    def uses(self, what: str) -> Iterator[Area]:
        """All that the kernel calls `what`, in order."""
        for event in self.kernel.trace:
            if isinstance(event, Use) and event.what == what:
                yield Area.of(what, event)

    def use(self, what: str) -> Area | None:
        """The first that the kernel calls `what`, None if it has named none so."""
        return next(self.uses(what), None)


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
        elif isinstance(event, CreateMapping):
            examined.tables.setdefault(MAPPING, _tables(kernel))

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
