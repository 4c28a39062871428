"""Two boots side by side: where they are the same, and what first made them differ.

Events are aligned by what was asked for, not by where it came to lie: one request more or less
moves all that follow it, and is told once, with the number of those that only followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import SequenceMatcher
from itertools import takewhile, zip_longest
from typing import Any

from bootsim.dmesg.words import reserves_for_an_allocator
from bootsim.kernel.memblock_type import Region
from bootsim.sources import MemblockEvent, Source, Tables
from bootsim.trace import MemblockAlloc, MemblockRange, MemblockResize
from bootsim.views import View, size_text
from bootsim.views.event_text import event_text

_SHOWN = 8  # differences of a part, unless all are asked for
_OFFSET = re.compile(r"\+0x[0-9a-f]+/0x[0-9a-f]+")
_CALLER = re.compile(r"^( *memblock_\w+: .*) \S+$")  # a memblock function's, as inlining has it
_ALIVE = "comes through"
_DUMP = "MEMBLOCK configuration:"
_MEMORY_LINE = "Memory: "
_CPU_LINE = "Booting Linux on physical CPU"  # whose id is the machine's
_ZONES = "Zone ranges:"
_DUMPED = (" memory", " reserved")
_FREES = frozenset({"memblock_free", "memblock_phys_free"})


@dataclass(frozen=True, slots=True)
class Difference:
    """What A has and B has not, and the other way round; empty where one has nothing.

    `followers` counts later differences that this one brought about.
    """

    a: str
    b: str
    followers: int = 0


@dataclass(slots=True)
class Part:
    """One thing that was compared, `name` for programs: `same` of `total` items are equal.

    `remarks` are worth showing although they count as equal. `unknown` is why the thing could not
    be compared, empty if it could.
    """

    name: str
    title: str
    same: int = 0
    total: int = 0
    differences: list[Difference] = field(default_factory=list)
    remarks: list[Difference] = field(default_factory=list)
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Boots A and B, part by part."""

    a: str
    b: str
    parts: tuple[Part, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing that could be compared differs."""
        return not any(part.differences for part in self.parts)


def compare(a: Source, b: Source) -> Comparison:
    """Compare two boots of one machine."""
    parts = (
        _outcomes(a, b),
        *_tables("dump", "where memblock=debug dumps them", a.dump, b.dump),
        _lines("log", "log, up to there", _to_the_dump(a.log), _to_the_dump(b.log)),
        _events(a, b),
        *_tables("final", "at the end", a.final, b.final),
        _memory_lines(a, b),
    )
    return Comparison(a.name, b.name, parts)


# The parts.


def _outcomes(a: Source, b: Source) -> Part:
    """Whether both come through, or die alike: by the same panic, or by a fault."""
    part = Part("outcome", "outcome", total=1)
    fates = Difference(a.died or _ALIVE, b.died or _ALIVE)
    if _kind_of_death(a.died) == _kind_of_death(b.died):
        part.same = 1
        part.remarks += [] if a.died is None else [fates]
    else:
        part.differences.append(fates)
    return part


def _kind_of_death(died: str | None) -> str:
    if died is None:
        return ""
    return died if died.startswith("Kernel panic") else "fault"


def _tables(moment: str, when: str, a: Tables | None, b: Tables | None) -> Iterator[Part]:
    for name in ("memory", "reserved"):
        part = Part(f"{moment}.{name}", f"{name} {when}")
        if a is None or b is None:
            part.unknown = f"{'A' if a is None else 'B'} does not tell"
        else:
            regions = [getattr(tables, name) for tables in (a, b)]
            _align(part, *regions, key=lambda r: (r.base, r.size, int(r.flags)), show=_region)
        yield part


def _lines(name: str, title: str, a: Sequence[str], b: Sequence[str]) -> Part:
    part = Part(name, title)
    _align(part, a, b, key=_without_caller, show=str)
    return part


def _without_caller(line: str) -> str:
    return _CALLER.sub(r"\1", _OFFSET.sub("", line))


def _memory_lines(a: Source, b: Source) -> Part:
    found = [[line for line in source.log if line.startswith(_MEMORY_LINE)] for source in (a, b)]
    part = _lines("memory_line", '"Memory:" line', *found)
    if not all(found):
        part.differences.clear()
        part.unknown = f"{' and '.join(n for n, f in zip('AB', found, strict=True) if not f)}"
        part.unknown += " did not come to it"
    return part


def _align(
    part: Part,
    a: Sequence[Any],
    b: Sequence[Any],
    *,
    key: Callable[[Any], object],
    show: Callable[[Any], str],
) -> None:
    """Count what is the same in both, in order, and tell the rest."""
    keys = [key(item) for item in a], [key(item) for item in b]
    part.total = max(len(a), len(b))
    matcher = SequenceMatcher(None, *keys, autojunk=False)
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        if tag == "equal":
            part.same += a2 - a1
            continue
        part.differences += _pairs(map(show, a[a1:a2]), map(show, b[b1:b2]))


def _pairs(a: Iterable[str], b: Iterable[str]) -> Iterator[Difference]:
    for one, other in zip_longest(a, b, fillvalue=""):
        yield Difference(one, other)


# memblock's events.


def _events(a: Source, b: Source) -> Part:
    """Events that both would know of. Those that ask for the same, in order, are a pair.

    memblock puts the same request to the same place unless its tables differ: where an earlier
    difference is known, a pair that lies apart only follows it.
    """
    part = Part("events", "memblock's events")
    sides = [
        [event for event in _memblock_events(source) if a.sees(event) and b.sees(event)]
        for source in (a, b)
    ]
    part.total = max(map(len, sides))
    requests = [[request_of(event) for event in side] for side in sides]
    matcher = SequenceMatcher(None, requests[0], requests[1], autojunk=False)
    followers = 0
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        ours, theirs = sides[0][a1:a2], sides[1][b1:b2]
        if tag != "equal":
            _close(part, followers)
            followers = 0
            part.differences += _pairs(map(event_text, ours), map(event_text, theirs))
            continue
        for one, other in zip(ours, theirs, strict=True):
            if _place(one) == _place(other):
                part.same += 1
            elif part.differences:
                followers += 1
            else:
                part.differences.append(Difference(event_text(one), event_text(other)))
    _close(part, followers)
    return part


def _close(part: Part, followers: int) -> None:
    """Note how many differences have followed the last one."""
    if followers:
        part.differences[-1] = replace(part.differences[-1], followers=followers)


def _memblock_events(source: Source) -> Iterator[MemblockEvent]:
    for event in source.trace:
        if isinstance(event, MemblockRange | MemblockAlloc | MemblockResize):
            yield event


def request_of(event: MemblockEvent) -> tuple[object, ...]:
    """A key of what is asked for; where, too, if the caller chose the place."""
    if isinstance(event, MemblockAlloc):
        return event.function, event.size, event.align, event.min_addr, event.max_addr
    if isinstance(event, MemblockResize):
        return "resize", event.name, event.max
    if event.function in _FREES or reserves_for_an_allocator(event.caller):
        return event.function, event.size
    return event.function, event.size, event.base, event.flags


def _place(event: MemblockEvent) -> int:
    return 0 if isinstance(event, MemblockAlloc) else event.base


# How it is shown.


def view(comparison: Comparison, *, everything: bool = False) -> View:
    """The comparison in lines, the first differences of each part or, if asked for, all."""
    lines = [f"A: {comparison.a}", f"B: {comparison.b}", ""]
    width = max(len(part.title) for part in comparison.parts)
    for part in comparison.parts:
        lines.append(f"{_verdict(part):9}  {part.title:{width}}  {_amount(part)}".rstrip())
        shown = part.differences if everything else part.differences[:_SHOWN]
        for difference in part.remarks + shown:
            sides = ("A", difference.a), ("B", difference.b)
            lines += [f"    {side} {text}" for side, text in sides if text]
            if difference.followers:
                lines.append(f"      and {difference.followers} that only follow")
        left = len(part.differences) - len(shown)
        if left:
            lines.append(f"    ... and {left} more: --all shows them")
    return View(comparison_data(comparison), lines)


def _verdict(part: Part) -> str:
    if part.unknown:
        return "unknown"
    return "different" if part.differences else "same"


def _amount(part: Part) -> str:
    if part.unknown:
        return part.unknown
    return f"{part.same} of {part.total}" if part.total > 1 else ""


def comparison_data(comparison: Comparison) -> dict[str, Any]:
    """All of the comparison, JSON-ready."""
    return {
        "a": comparison.a,
        "b": comparison.b,
        "equal": comparison.equal,
        "parts": [
            {
                "name": part.name,
                "title": part.title,
                "verdict": _verdict(part),
                "same": part.same,
                "total": part.total,
                "unknown": part.unknown,
                "remarks": [asdict(remark) for remark in part.remarks],
                "differences": [asdict(difference) for difference in part.differences],
            }
            for part in comparison.parts
        ],
    }


def _region(region: Region) -> str:
    last = region.base + region.size - 1
    flags = f" flags {int(region.flags):#x}" if region.flags else ""
    return f"[{region.base:#010x}-{last:#010x}] {size_text(region.size)}{flags}"


def _to_the_dump(log: Sequence[str]) -> list[str]:
    """The lines up to the end of memblock's tables or, without those, up to the zones.

    What comes later is about hardware, too.
    """
    lines = [line for line in log if not line.startswith(_CPU_LINE)]
    if _DUMP in lines:
        end = lines.index(_DUMP) + 1
        return lines[:end] + list(takewhile(lambda line: line.startswith(_DUMPED), lines[end:]))
    return list(takewhile(lambda line: line != _ZONES, lines))
