"""A MEMBLOCK configuration held against the tables: what no line tells of.

What differs at the first one happened before memblock=debug was parsed, or is never logged
(memblock_mark_nomap() and its like), or was logged in a line that is lost. The replay begins with
it, since most of it came first: the memory, the tree's blob, no-map regions.
"""

from __future__ import annotations

from bootsim.dmesg.findings import FindingKind
from bootsim.dmesg.names import boot_names
from bootsim.dmesg.recording import LoggedBoot
from bootsim.dmesg.spans import difference, union
from bootsim.dmesg.state import State, action_of, apply, grow, new_memblock, spans
from bootsim.dmesg.tree import TreeFacts
from bootsim.dmesg.words import Dump, reserves_for_an_allocator
from bootsim.kernel.memblock import Memblock
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.machine.memory import Range
from bootsim.numbers import listed
from bootsim.trace import DEVICE_TREE, MemblockRange, MemblockResize

_BEFORE = "before memblock=debug is parsed"


class DumpComparison:
    """Brings `state` to what the MEMBLOCK configurations of `boot` show, and tells what it took."""

    def __init__(self, state: State, boot: LoggedBoot, tree: TreeFacts | None) -> None:
        self._state = state
        self._boot = boot
        self._tree = tree
        self._later_marks: dict[int, list[tuple[Range, int]]] = {}

    # Before the log.

    def seed(self) -> None:
        """What there was before the log's first line, by the tree and the first configuration."""
        state, boot = self._state, self._boot
        dump = boot.dumps[0] if boot.dumps else None
        first = boot.lines[0].number
        memory, source = self._first_memory(dump)
        early = self._run_to(dump, memory) if dump is not None else None
        state.line = first
        if self._tree is not None and self._tree.problem:
            state.found(FindingKind.AMBIGUOUS, self._tree.problem)
        if not memory and not (dump is not None and dump.complete("memory")):
            state.found(
                FindingKind.AMBIGUOUS,
                "nothing tells which memory there is: addresses cannot be checked; "
                "give the device tree",
            )
        state.line = 0
        for span in memory:
            state.infer("memblock_add", span, "early_init_dt_add_memory_arch")
        if dump is not None and early is not None:
            self._even_out(dump, early, at_start=True)
        state.line = first
        if memory:
            places = " ".join(map(str, memory))
            state.found(FindingKind.UNLOGGED, f"{places} is memory {source}: added {_BEFORE}")
        state.line = 0
        if boot.features.numa:
            for nid, span in boot.node_ranges:
                state.memblock.set_node(span.base, span.size, "memory", nid)

    def _first_memory(self, dump: Dump | None) -> tuple[list[Range], str]:
        """The memory before the log's first line, and where that is known from."""
        if self._tree is not None and self._tree.memory:
            return union(self._tree.memory), f"in {self._tree.name}"
        if dump is not None and dump.table("memory"):
            return self._memory_before(dump), "in the MEMBLOCK configuration"
        ranges = union(span for _, span in self._boot.node_ranges)
        return ranges, "by the node ranges"

    def _memory_before(self, dump: Dump) -> list[Range]:
        """The memory of `dump`, and what was removed at its edges: that was memory before, or why
        remove it? Unless memblock_remove() failed."""
        memory = spans(dump.table("memory"))
        removed = union(
            Range(item.base, item.size)
            for line, item in self._boot.items
            if line < dump.first and isinstance(item, MemblockRange) and action_of(item) == "remove"
        )
        touching = [s for s in removed if any(s.end >= m.base and m.end >= s.base for m in memory)]
        before = union([*memory, *touching])
        for begin in (before, memory):
            if spans(list(self._run_to(dump, begin).memory)) == memory:
                return begin
        return before

    def _run_to(self, dump: Dump, memory: list[Range]) -> Memblock:
        """The tables at `dump` if the log told all, beginning with `memory`."""
        features = self._boot.features
        memblock = new_memblock(features, self._state.memblock.features.init_regions)
        for line, item in self._boot.items:
            if line < dump.first and isinstance(item, MemblockResize):
                grow(memblock, memblock.table(item.name), item.max)
        for span in memory:
            size = min(span.size, features.phys_addr_max - span.base)
            if size > 0:
                memblock.add(span.base, size)
        for line, item in self._boot.items:
            if line >= dump.first:
                break
            if isinstance(item, MemblockRange):
                apply(memblock, item)
        return memblock

    # At a configuration.

    def compare(self, dump: Dump) -> None:
        """Hold `dump` against the state, and go on from `dump`."""
        state = self._state
        for table in ("memory", "reserved"):
            missing = dump.missing(table)
            if missing:
                shown = listed((f"{table}[{index:#x}]" for index in missing), 8)
                text = f"the MEMBLOCK configuration's {shown}: the lines are not there"
                state.found(FindingKind.LOST, text)
            elif not dump.regions.get(table):
                text = f"the MEMBLOCK configuration's regions of {table}: they are not there"
                state.found(FindingKind.LOST, text)
            else:
                self._compare_size(dump, table)
        self._even_out(dump, state.memblock, at_start=False)

    def _compare_size(self, dump: Dump, table: str) -> None:
        told, size = dump.told_size(table), dump.total_size(table)
        if told is not None and told != size:
            self._state.found(
                FindingKind.MISMATCH,
                f"{table} size = {told:#x}, but the regions add up to {size:#x}: "
                "something wrote the table, and not through memblock's functions",
            )

    def _even_out(self, dump: Dump, tables: Memblock, *, at_start: bool) -> None:
        """Do to the state what `dump` has and `tables` have not; found at the dump's line."""
        self._even_out_memory(dump, tables, at_start)
        self._even_out_reserved(dump, tables, at_start)

    def _even_out_memory(self, dump: Dump, tables: Memblock, at_start: bool) -> None:
        state = self._state
        there, here = spans(dump.table("memory")), spans(list(tables.memory))
        if there:
            for span in difference(there, here):
                self._found(dump, FindingKind.UNLOGGED, f"{span} was added to memory", at_start)
                state.infer("memblock_add", span, "?")
        if there and dump.complete("memory"):
            for span in difference(here, there):
                self._found(dump, FindingKind.UNLOGGED, f"{span} was removed from memory", at_start)
                state.infer("memblock_remove", span, "?")
        for region in dump.table("memory"):
            span = Range(region.base, region.size)
            same = [r for r in tables.memory if r.flags & region.flags == region.flags]
            if region.flags and difference([span], spans(same)):
                self._mark(dump, span, region.flags, at_start)
            if state.memblock.features.numa and region.nid >= 0:
                state.memblock.set_node(region.base, region.size, "memory", region.nid)

    def _mark(self, dump: Dump, span: Range, flags: int, at_start: bool) -> None:
        """Give `span` its flags; what an allocation before `dump` took got them right then."""
        line = self._allocated_at(dump, span) if at_start else None
        if line is not None:
            self._later_marks.setdefault(line, []).append((span, flags))
            return
        functions = self._state.mark(span, flags)
        what = self._tree.what(span) if self._tree is not None else None
        name = f" ({what})" if what else ""
        text = f"{span}{name} has flags {flags:#x}"
        if functions:
            text += f": {' and '.join(functions)}() is not logged"
        self._found(dump, FindingKind.UNLOGGED, text, at_start)

    def _allocated_at(self, dump: Dump, span: Range) -> int | None:
        """The last line before `dump` where an allocator reserves some of `span`."""
        found = None
        for line, item in self._boot.items:
            if line >= dump.first:
                break
            if (
                isinstance(item, MemblockRange)
                and action_of(item) == "reserve"
                and reserves_for_an_allocator(item.caller)
                and item.base < span.end
                and span.base < item.base + item.size
            ):
                found = line
        return found

    def done(self) -> None:
        """The state's line is done: what follows it without a line of its own."""
        for span, flags in self._later_marks.pop(self._state.line, []):
            functions = " and ".join(self._state.mark(span, flags))
            self._state.found(
                FindingKind.UNLOGGED, f"{span} has flags {flags:#x}: {functions}() is not logged"
            )

    def _even_out_reserved(self, dump: Dump, tables: Memblock, at_start: bool) -> None:
        state = self._state
        there, here = spans(dump.table("reserved")), spans(list(tables.reserved))
        missing = difference(there, here)
        image = {} if self._boot.wide_addresses else boot_names(_regions(dump))
        for span in missing:
            kind, text, what = self._reserved_unlogged(span, image, at_start)
            self._found(dump, kind, text, at_start)
            state.infer("memblock_reserve", span, "?")
            state.take(span, what)
        if dump.complete("reserved"):
            for span in difference(here, there):
                # Freed after it was reserved, so not at the start.
                if not at_start:
                    text = f"the line that frees {span}, which is not reserved here any more"
                    state.found(FindingKind.LOST, text)
                    state.infer("memblock_phys_free", span, "?")

    def _reserved_unlogged(
        self, span: Range, image: dict[Range, str], at_start: bool
    ) -> tuple[FindingKind, str, str]:
        """What kind of thing it is that `span` is reserved, in words, and what it is for."""
        what = self._tree.what(span) if self._tree is not None else None
        what = what or image.get(span)
        name = f"{span} ({what})" if what else f"{span}"
        if what is None and at_start and self._may_be_the_tree(span):
            what = DEVICE_TREE
            name = f"{span} (by its size the device tree's blob)"
        if not self._boot.from_start:
            text = f"{name} was reserved before the log begins, or by a line that is lost"
            return FindingKind.LOST, text, what or "reserved before the log"
        if not at_start or span in image:
            text = f"the line that reserves {name}, as the MEMBLOCK configuration has it"
            return FindingKind.LOST, text, what or "reserved by a line that is lost"
        text = f"{name} was reserved {_BEFORE}"
        if what is None:
            text += ", or by a line that is lost"
        return FindingKind.UNLOGGED, text, what or "reserved without a line"

    def _may_be_the_tree(self, span: Range) -> bool:
        """From 5.11 on ARM reserves the blob before the early parameters; its size is its own."""
        return not self._boot.features.alloc_panics and span.size % PAGE_SIZE != 0

    def _found(self, dump: Dump, kind: FindingKind, text: str, at_start: bool) -> None:
        state = self._state
        line, state.line = state.line, dump.first if at_start else state.line
        state.found(kind, text)
        state.line = line


def _regions(dump: Dump) -> list[Range]:
    return [Range(region.base, region.size) for region in dump.table("reserved")]
