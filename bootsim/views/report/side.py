"""One boot of a report: the model's, a real kernel's or a recorded one, after it has run."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bootsim.dmesg.replayed import Replayed
from bootsim.errors import BootsimError
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.log import log_lines
from bootsim.kernel.memblock_features import MemblockFeatures
from bootsim.kernel.memory import PAGE_SHIFT
from bootsim.machine.memory import Range
from bootsim.numbers import listed
from bootsim.realkernel.boot import RealBoot
from bootsim.simulate import Boot
from bootsim.sources import DUMP_STAGE, Source, Tables
from bootsim.trace import PageFree, Stage, Trace
from bootsim.views import size_text, zones
from bootsim.views.account import account
from bootsim.views.history import History, history
from bootsim.views.owners import ram_of, unnamed
from bootsim.views.pages import pages
from bootsim.views.report.ram import Ram, Sum, sums, waterfall

Facts = list[tuple[str, str]]
_COMMAND_LINE = "Kernel command line: "  # init/main.c, after setup_arch()

LogLine = tuple[int, int, str]  # event, level, text


@dataclass(frozen=True, slots=True)
class Handover:
    """The page allocator where the boot stopped: its zones, and each free block (pfn, order)."""

    zones: list[dict[str, Any]]
    buddyinfo: list[dict[str, Any]]
    blocks: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Lowmem:
    """What the linear map shows: the physical addresses [phys, end) from `virt` on."""

    phys: int
    end: int
    virt: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found: a code, how bad it is, and more to read.

    `areas` is the memory that it is about: what is there, base and size in bytes.
    """

    code: str
    severity: str  # info, warning or error
    text: str
    details: Facts = field(default_factory=list)
    areas: list[tuple[str, int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Side:
    """What a report shows of one boot.

    `remarks` are what the reader must know of how the rest came about. `handover` is None, with the
    reason among the remarks, where there is no page allocator to be read. `source` is the boot's
    part in a comparison. `linear` is None where it is not known, `findings` where nothing has been
    checked.
    """

    name: str
    facts: Facts
    trace: Trace
    features: MemblockFeatures
    banks: list[Range]
    history: History
    log: list[LogLine]
    handover: Handover | None
    remarks: list[str]
    died: str | None
    source: Source
    ram: Ram
    linear: Lowmem | None = None
    findings: Sequence[Finding] | None = None


def model_side(boot: Boot, *, name: str | None = None, died: str | None = None) -> Side:
    """That of the model's boot; `died` is why it did not come through."""
    kernel: Kernel = boot.started_kernel
    memblock, trace = kernel.memblock, boot.trace
    final, banks = Tables.of(memblock), ram_of(boot)
    past = history(trace, banks, memblock.features, final=final)
    remarks = list(boot.notes)
    handover = _handover(boot, remarks)
    name = name or f"model of {boot.profile.name}"
    return Side(
        name=name,
        facts=[
            ("Board", boot.board.model),
            ("Kernel", f"model, profile {boot.profile.name}"),
            ("Command line", kernel.boot_command_line),
            *_common_facts(banks, boot.stage),
        ],
        trace=trace,
        features=memblock.features,
        banks=banks,
        history=past,
        log=list(log_lines(trace, memblock.features)),
        handover=handover,
        remarks=_with_unseen(remarks, past),
        died=died,
        ram=_ram(boot, handover),
        linear=_lowmem(boot) if handover else None,
        source=Source(
            name=name,
            trace=trace,
            log=tuple(boot.log),
            dump=_tables_after(DUMP_STAGE, trace, past),
            final=final,
            sees=lambda _event: True,
            died=died,
        ),
    )


def kernel_side(boot: RealBoot, source: Source, *, name: str | None = None) -> Side:
    """That of a real kernel's boot, which has run; `source` is its part in a comparison."""
    memblock, trace, banks = boot.memblock, boot.trace, ram_of(boot)
    remarks = list(boot.notes)
    handover = _handover(boot, remarks)
    given: list[tuple[int, int]] = []
    if handover is not None and not any(isinstance(event, PageFree) for event in trace):
        given = [(pfn, pfn + (1 << order)) for pfn, order in handover.blocks]
    known = unnamed(boot)
    past = history(trace, banks, memblock.features, final=source.final, given=given, known=known)
    return Side(
        name=name or boot.image.name,
        facts=[
            ("Board", boot.board.model),
            ("Kernel", boot.image.banner),
            ("File", f"{boot.image.name}, {boot.image.kind}"),
            *_command_line(boot.log),
            *_common_facts(banks, boot.stage),
        ],
        trace=trace,
        features=memblock.features,
        banks=banks,
        history=past,
        log=list(log_lines(trace, memblock.features)),
        handover=handover,
        remarks=_with_unseen(remarks, past),
        died=source.died,
        source=source,
        ram=_ram(boot, handover),
        linear=_lowmem(boot) if handover else None,
    )


def log_side(replayed: Replayed, source: Source, *, name: str | None = None) -> Side:
    """That of a recorded boot: the replay derives what its log does not say."""
    boot, memblock, trace = replayed.boot, replayed.memblock, replayed.trace
    banks = list(replayed.memory.banks)
    past = history(trace, banks, memblock.features, final=Tables.of(memblock))
    last = max(len(trace) - 1, 0)
    lines = [
        (min(bisect_left(replayed.lines, line.number), last), line.level, line.text)
        for line in boot.lines
        if line.number <= replayed.line
    ]
    remarks = ["Of this boot there is a log, and no memory: what it does not tell is derived."]
    remarks += [finding.shown(boot.name) for finding in replayed.findings]
    return Side(
        name=name or boot.name,
        facts=[
            ("Kernel", f"Linux {boot.release}" if boot.release else "unknown"),
            ("Log", f"{boot.name}, boot {boot.number}"),
            ("Command line", boot.command_line or "unknown"),
            *_common_facts(banks, trace.stage),
        ],
        trace=trace,
        features=memblock.features,
        banks=banks,
        history=past,
        log=lines,
        handover=None,
        remarks=_with_unseen(remarks, past),
        died=None,
        source=source,
        ram=Ram(_tables_sums(Tables.of(memblock))),
    )


def _command_line(log: Iterable[str]) -> Facts:
    """What the kernel says of it: it comes from the tree, the user, or is the kernel's own."""
    said = [line.removeprefix(_COMMAND_LINE) for line in log if line.startswith(_COMMAND_LINE)]
    return [("Command line", line) for line in said[:1]]


def _common_facts(banks: list[Range], stage: str | None) -> Facts:
    ram = " + ".join(f"{size_text(bank.size)} at {bank.base:#010x}" for bank in banks)
    facts = [("RAM", ram)]
    return [*facts, ("Came past", f"{stage}()")] if stage else facts


def _handover(boot: Boot | RealBoot, remarks: list[str]) -> Handover | None:
    if not boot.handed_over:
        return None
    try:
        allocator: Any = boot.buddy
        return Handover(
            zones.zoneinfo(allocator),
            zones.buddyinfo(allocator),
            sorted((block.pfn, block.order) for block in allocator.free_blocks()),
        )
    except BootsimError as error:
        remarks.append(f"The page allocator cannot be read: {error}")
        return None


def _lowmem(boot: Boot | RealBoot) -> Lowmem:
    low = [zone.end_pfn for zone in boot.buddy.zones if zone.populated and zone.name != "HighMem"]
    linear = boot.linear
    return Lowmem(linear.phys_offset, max(low, default=0) << PAGE_SHIFT, linear.page_offset)


def _ram(boot: Boot | RealBoot, handover: Handover | None) -> Ram:
    if handover is None:
        return Ram(_tables_sums(Tables.of(boot.memblock)))
    told = account(boot, boot.board.memory)
    return Ram(tuple(sums(told)), tuple(waterfall(told)), tuple(pages(boot, told)))


def _tables_sums(tables: Tables) -> tuple[Sum, ...]:
    """What memblock has come to, of a boot that has not handed over."""
    return tuple(
        Sum("", f"in memblock.{name}", sum(region.size for region in table))
        for name, table in (("memory", tables.memory), ("reserved", tables.reserved))
    )


def _with_unseen(remarks: list[str], past: History) -> list[str]:
    if not past.unseen:
        return remarks
    regions = listed(str(Range(r.base, r.size)) for r in past.unseen)
    return [
        *remarks,
        "The events do not tell all: the tables at the end are the boot's own, and differ from what"
        f" its events come to in {regions}.",
    ]


def _tables_after(stage: str, trace: Trace, past: History) -> Tables | None:
    """memblock's tables after `stage`; None where the boot has not come so far."""
    for moment in past.moments:
        if trace[moment.last] == Stage(stage):
            return moment.tables
    return None
