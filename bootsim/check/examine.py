"""One boot of the model, watched: what the rules look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from bootsim.batch import Task, prepare
from bootsim.check.findings import Area
from bootsim.errors import BootsimError, KernelPanic
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

    `tables` are memblock's by the stage that was just passed; `died` says why the boot did not come
    through, None if it did, and `silently` whether Linux would print nothing of it.
    """

    task: Task
    kernel: Kernel
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
                found[event.base, event.size] = self.owner(event)
        return list(found.values())

    def owner(self, event: MemblockRange) -> Area:
        """Whose memory a reservation is: by the last name that the kernel gave to just that."""
        name = f"what {event.caller}() reserved"
        for use in self.kernel.trace:
            if isinstance(use, Use) and (use.base, use.size) == (event.base, event.size):
                name = use.what
        return Area(name, event.base, event.size)

    def holders_of_nomap(self, base: int, size: int) -> Area:
        """Which node has made [base, base + size) no-map."""
        for region in self.kernel.fdt.reserved_mem:
            if region.nomap and base <= region.base < base + size:
                return Area(region.node.path, region.base, region.size)
        return Area("a no-map region", base, size)

    def use(self, what: str) -> Area | None:
        """The memory that the kernel calls `what`, None if it has named none so."""
        for event in self.kernel.trace:
            if isinstance(event, Use) and event.what == what:
                return Area(what, event.base, event.size)
        return None


def examine(task: Task, profile: Profile) -> Examined:
    """Boot `task` and watch; raises BootsimError for what cannot be booted."""
    kernel = prepare(task, profile)
    examined = Examined(task, kernel)
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
