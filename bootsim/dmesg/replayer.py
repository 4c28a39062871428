"""A logged boot run again through memblock, and where the log and memblock's rules differ.

memblock=debug is an early parameter: what comes before it is not in a log. So the replay begins
with what must have been there: the device tree's memory, or that of the MEMBLOCK configuration
(memblock_dump_all()), and all that the configuration has and no line before it accounts for. From
there each line does what it says; each allocation's address is asked of memblock's rules (see
`allocations`), and at each configuration the tables are compared.
"""

from __future__ import annotations

from bootsim.dmesg.allocations import PMD_SIZE, AllocationCheck, Request
from bootsim.dmesg.dump import DumpComparison
from bootsim.dmesg.findings import FindingKind
from bootsim.dmesg.names import Names, is_pg_dir, name_of
from bootsim.dmesg.recording import LoggedBoot
from bootsim.dmesg.replayed import RamBanks, Replayed
from bootsim.dmesg.spans import difference, union
from bootsim.dmesg.state import INIT_MEMBLOCK_REGIONS, State, action_of, grow, new_memblock
from bootsim.dmesg.tree import TreeFacts, tree_facts
from bootsim.dmesg.words import Dump, function_of, reserves_for_an_allocator
from bootsim.errors import BootsimError
from bootsim.kernel.memory import PAGE_SIZE, round_up
from bootsim.machine.memory import Range
from bootsim.trace import (
    KERNEL_IMAGE,
    PG_DIR,
    Event,
    MemblockAlloc,
    MemblockRange,
    MemblockResize,
    Printk,
)

# To 5.0, the functions that reserve for an allocator which logs no request. From 5.1 on two callers
# of memblock_alloc_range_nid() log none: cma_declare_contiguous_nid(), which says what it got, and
# memblock_phys_alloc_try_nid(), which ARM does not call.
_SILENT_TO_5_0 = frozenset(
    {"memblock_alloc_range", "memblock_alloc_range_nid", "memblock_alloc_base_nid"}
)
_SPARE_REGIONS = 4096
_RESIZES_MAX = 8  # lines about doubling that follow one event


def replay(
    boot: LoggedBoot,
    *,
    dtb: bytes | None = None,
    dtb_name: str = "device tree",
    at: int | None = None,
) -> Replayed:
    """Replay `boot`, to its end or until line `at` of the log is done.

    `dtb` is the blob of the device tree that the boot had; `dtb_name` stands for it in messages.
    Raises BootsimError for a line that is not of this boot, DeviceTreeError for a damaged blob.
    """
    first, last = boot.lines[0].number, boot.lines[-1].number
    if at is not None and not first <= at <= last:
        raise BootsimError(
            f"{boot.name}: line {at} is not of boot {boot.number}: {first} to {last}"
        )
    tree = tree_facts(dtb, dtb_name) if dtb is not None else None
    return _Replay(boot, tree).run(last if at is None else at)


class _Replay:
    def __init__(self, boot: LoggedBoot, tree: TreeFacts | None) -> None:
        self._boot = boot
        self._tree = tree
        regions = _SPARE_REGIONS + 2 * len(boot.items)
        regions += sum(len(table) for dump in boot.dumps for table in dump.regions.values())
        self._state = State(new_memblock(boot.features, regions))
        self._dumps = DumpComparison(self._state, boot, tree)
        highmem = boot.highmem
        self._check = AllocationCheck(
            self._state,
            limit=None if highmem is None or boot.wide_addresses else highmem.base,
            knows_start=boot.from_start or bool(boot.dumps),
            evident_limit=_evident_limit(boot),
        )
        self._names = Names()
        self._request: tuple[int, MemblockAlloc] | None = None
        self._unasked: tuple[int, Range] | None = None
        self._told_room: dict[str, int] = {}
        self._last_reserved = Range(0, 0)
        self._image_seen = False

    def run(self, at: int) -> Replayed:
        """Replay up to line `at`."""
        boot, state = self._boot, self._state
        state.findings += [finding for finding in boot.noise if finding.line <= at]
        self._dumps.seed()
        for index, (line, item) in enumerate(boot.items):
            if line > at:
                break
            state.line = line
            self._step(item, index)
            self._dumps.done()
        if at >= boot.lines[-1].number:
            self._nothing_asked()
        state.findings.sort(key=lambda finding: finding.line)
        self._finish()
        ram = self._tree.memory if self._tree is not None else state.ram
        return Replayed(
            boot=boot,
            line=at,
            memblock=state.memblock,
            memory=RamBanks(tuple(union([*ram, *state.memory()]))),
            trace=state.trace,
            lines=state.lines,
            findings=state.findings,
            taken=state.taken,
        )

    def _step(self, item: Event | Dump, index: int) -> None:
        if isinstance(item, Printk):
            self._printed(item)
            return
        if isinstance(item, Dump):
            self._nothing_answered()
            self._nothing_asked()
            self._dumps.compare(item)
            self._check.early_areas_done = True
        elif isinstance(item, MemblockRange):
            self._grow_for(index)
            if action_of(item) == "reserve":
                self._reserve(item)
            else:
                self._nothing_answered()
                self._nothing_asked()
                self._change(item)
        elif isinstance(item, MemblockAlloc):
            self._nothing_answered()
            self._nothing_asked()
            self._state.emit(item)
            self._request = (self._state.line, item)
        elif isinstance(item, MemblockResize):
            self._resize(item)

    # Reservations, and the requests that lead to them.

    def _reserve(self, event: MemblockRange) -> None:
        state = self._state
        span = Range(event.base, event.size)
        by_allocator = reserves_for_an_allocator(event.caller)
        asked = self._request
        if asked is not None and asked[1].size != event.size:
            self._nothing_answered()
            asked = None
        self._nothing_asked()
        checked: bool | None = None
        if asked is not None and (by_allocator or _is_nameless(event.caller)):
            self._request = None
            what = name_of(span, asked[1].caller, self._tree)
            caller = function_of(asked[1].caller)
            if span.size:
                checked = self._check.check(Request.of(asked[1]), span)
        else:
            self._nothing_answered()
            what, caller = self._purpose(span, event.caller), function_of(event.caller)
            if by_allocator and span.size:
                checked = self._check.check(Request.guessed(span, caller), span)
                if self._logs_requests(caller):
                    self._unasked = (state.line, span)
        self._last_reserved = span
        if state.run(event):
            state.take(span, what, caller, checked=checked)
        else:
            self._unasked = None
            self._failed(event)

    def _purpose(self, span: Range, caller: str) -> str:
        """What a reservation without a request is for."""
        if function_of(caller).endswith("memblock_init"):
            if is_pg_dir(span) and not self._boot.wide_addresses:
                return PG_DIR
            if self._boot.from_start and not self._image_seen:
                self._image_seen = True
                return KERNEL_IMAGE
        return name_of(span, caller, self._tree)

    def _logs_requests(self, function: str) -> bool:
        """Whether who reserves through `function` logs a request first, as far as is known."""
        if self._boot.features.alloc_panics:
            return function not in _SILENT_TO_5_0
        return not self._boot.wide_addresses

    def _nothing_answered(self) -> None:
        """The allocation that was asked for last is not followed by what it took."""
        if self._request is None:
            return
        (line, event), self._request = self._request, None
        found = self._check.find(Request.of(event)) if event.size else 0
        if not found:
            return  # it failed, as it must
        state = self._state
        span = Range(found, event.size)
        after, state.line = state.line, line
        state.found(
            FindingKind.LOST,
            f"the line that reserves what is asked for here: by memblock's rules {span}",
        )
        state.infer("memblock_reserve", span, "memblock_alloc_range_nid")
        state.take(span, name_of(span, event.caller, self._tree), function_of(event.caller))
        state.line = after

    def _nothing_asked(self) -> None:
        """What was reserved last, by an allocator, is not explained by the lines around it."""
        if self._unasked is None:
            return
        (line, span), self._unasked = self._unasked, None
        after, self._state.line = self._state.line, line
        self._state.found(
            FindingKind.LOST, f"the line that asks for {span}, which is reserved here"
        )
        self._state.line = after

    def _resize(self, event: MemblockResize) -> None:
        """memblock_double_array(): it looks above the range that did not fit, then below."""
        state, size = self._state, round_up(event.size, PAGE_SIZE)
        avoid = self._last_reserved if event.name == "reserved" else Range(0, 0)
        above = Request(size, PAGE_SIZE, avoid.end)
        below = Request(size, PAGE_SIZE, 0, min(avoid.base, state.memblock.current_limit))
        use_above = self._check.find(above) or not avoid.size
        self._check.check(above if use_above else below, Range(event.base, size))
        state.emit(event)
        table = state.memblock.table(event.name)
        grow(state.memblock, table, event.max)
        self._told_room[event.name] = event.max

    def _grow_for(self, index: int) -> None:
        """Double an array before the event at `index`, if the lines after it say that it was."""
        memblock = self._state.memblock
        for _, item in self._boot.items[index + 1 : index + 1 + _RESIZES_MAX]:
            if isinstance(item, MemblockResize):
                grow(memblock, memblock.table(item.name), item.max)
            elif isinstance(item, MemblockRange) and _doubles(item):
                grow(memblock, memblock.reserved, len(memblock.reserved) + 2)
            elif not isinstance(item, Printk):
                break

    def _failed(self, event: MemblockRange) -> None:
        span = Range(event.base, event.size)
        self._state.found(
            FindingKind.FAILED,
            f"{event.function} of {span}: -ENOMEM: the table is full, and cannot grow yet",
        )

    # What else changes the tables.

    def _change(self, event: MemblockRange) -> None:
        state, memblock = self._state, self._state.memblock
        span = Range(event.base, min(event.size, memblock.phys_addr_max - event.base))
        action = action_of(event)
        if action is None:
            text = f"{event.function}() is not known: nothing is done"
            state.found(FindingKind.NOISE, text)
        elif action == "remove" and span.size > 0:
            if not memblock.overlaps_region("memory", span.base, span.size):
                text = f"{span} is removed, and nothing of it is memory"
                state.found(FindingKind.POINTLESS, text)
        elif action == "free" and span.size > 0:
            self._free(span)
        if not state.run(event):
            self._failed(event)

    def _free(self, span: Range) -> None:
        """Whether all of `span` is reserved; if not, who reserved it is not in the log."""
        memblock = self._state.memblock
        index = memblock.search(memblock.reserved, span.base)
        if index >= 0 and memblock.reserved.region(index).end >= span.end:
            return
        absent = " ".join(map(str, difference([span], self._state.reserved())))
        self._state.found(FindingKind.LOST, f"{absent} is freed, and no line has reserved it")

    # What the kernel prints otherwise.

    def _printed(self, event: Printk) -> None:
        state = self._state
        state.emit(event)
        if self._request is not None and not self._check.find(Request.of(self._request[1])):
            self._request = None  # it failed, as it must
        for base, size, name in self._names.told(event.text):
            if self._unasked is not None and self._unasked[1].base == base:
                self._unasked = None
            taken = state.taken_at(base)
            if taken is not None and size in (None, taken.size):
                state.name(taken, name)

    def _finish(self) -> None:
        """Leave tables that look as Linux's, as far as is known, where their room was not."""
        memblock = self._state.memblock
        for table in (memblock.memory, memblock.reserved):
            if table.max == memblock.features.init_regions:
                table.max = self._told_room.get(table.label, INIT_MEMBLOCK_REGIONS)
                grow(memblock, table, table.cnt)


def _is_nameless(caller: str) -> bool:
    """Whether the kernel had no name for `caller`: a bare address (no CONFIG_KALLSYMS)."""
    return caller[:1] in "0123456789?("


def _doubles(event: MemblockRange) -> bool:
    return function_of(event.caller) == "memblock_double_array"


def _evident_limit(boot: LoggedBoot) -> int | None:
    """The end of the highest block that was asked for below the limit, rounded up."""
    highest = 0
    asked: MemblockAlloc | None = None
    for _, item in boot.items:
        if isinstance(item, MemblockAlloc):
            asked = item if item.max_addr == 0 and "phys_alloc" not in item.function else None
        elif isinstance(item, MemblockRange):
            if asked is not None and item.size == asked.size:
                highest = max(highest, item.base + item.size)
            asked = None
    return round_up(highest, PMD_SIZE) if highest else None
