"""A report's data as its page reads it: JSON, small.

Strings are kept once and named by their place; what changes from moment to moment (memblock's
tables, owners) is kept as splices: [moment, start, how many go, rows that come]. Addresses and
sizes are bytes. data.js is the other end of this format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from difflib import SequenceMatcher
from itertools import accumulate
from typing import Any

from bootsim.kernel.memblock_type import Region
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE
from bootsim.trace import (
    CreateMapping,
    Event,
    MemblockAlloc,
    MemblockRange,
    MemblockResize,
    PageAlloc,
    PageFree,
    Stage,
    Use,
    as_data,
)
from bootsim.views.categories import CATEGORIES, category
from bootsim.views.compare import compare, comparison_data, request_of
from bootsim.views.event_text import event_text, event_words
from bootsim.views.groups import grouped
from bootsim.views.history import Moment
from bootsim.views.memory import flag_names
from bootsim.views.owners import Owned, State
from bootsim.views.pages import Fate
from bootsim.views.report.side import Side

Row = list[Any]
NOT_GIVEN = "free, and not handed over"


def report_data(sides: Sequence[Side]) -> dict[str, Any]:
    """All that the page shows of one boot, or of two."""
    data: dict[str, Any] = {
        "categories": [
            {"letter": c.letter, "title": c.title, "light": c.light, "dark": c.dark}
            for c in CATEGORIES
        ],
        "sides": [_side(side) for side in sides],
        "comparison": None,
    }
    if len(sides) == 2:
        a, b = sides
        data["comparison"] = comparison_data(compare(a.source, b.source))
        data["partners"] = [_partners(a, b), _partners(b, a)]
    return data


class _Strings:
    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    def place(self, text: str) -> int:
        return self.places.setdefault(text, len(self.places))


def _side(side: Side) -> dict[str, Any]:
    strings = _Strings()
    moments = side.history.moments
    kinds = {c: number for number, c in enumerate(CATEGORIES)}

    def regions(table: Iterable[Region]) -> list[Row]:
        return [[r.base, r.size, strings.place(" ".join(flag_names(r.flags)))] for r in table]

    def pieces(moment: Moment) -> list[Row]:
        names = _names(moment.pieces)
        return [
            [p.base, p.end, strings.place(name), kinds[category(p)]]
            for p, name in zip(moment.pieces, names, strict=True)
        ]

    def crowds(moment: Moment) -> list[Row]:
        return [
            [group.base, group.end, strings.place(group.name), kinds[group.kind]]
            for group in grouped(moment.pieces)
            if len(group.members) > 1
        ]

    handover, fates = side.handover, list(Fate)
    return {
        "name": side.name,
        "facts": side.facts,
        "remarks": side.remarks,
        "died": side.died,
        "banks": [[bank.base, bank.end] for bank in side.banks],
        "linear": side.linear and asdict(side.linear),
        "events": [_event(event, side, strings) for event in side.trace],
        "moments": [[m.last, strings.place(m.stage), *m.rooms] for m in moments],
        "memory": _splices(regions(m.tables.memory) for m in moments),
        "reserved": _splices(regions(m.tables.reserved) for m in moments),
        "pieces": _splices(_of_each(moments, pieces)),
        "crowds": _splices(_of_each(moments, crowds)),
        "log": [list(line) for line in side.log],
        "zones": handover and handover.zones,
        "buddyinfo": handover and handover.buddyinfo,
        "blocks": handover and _block_runs(handover.blocks),
        "sums": [[term.sign, term.what, term.size] for term in side.ram.sums],
        "waterfall": [
            [step.sign, step.what, step.size, step.start, kinds[step.kind], step.base]
            for step in side.ram.waterfall
        ],
        "fates": [[fate.value, fate.reason] for fate in fates],
        "pages": [
            [run.pfn, run.count, run.zone, fates.index(run.fate), run.why] for run in side.ram.pages
        ],
        "findings": None if side.findings is None else [asdict(f) for f in side.findings],
        "strings": list(strings.places),
    }


def _of_each(moments: Sequence[Moment], rows: Callable[[Moment], list[Row]]) -> Iterator[list[Row]]:
    """The rows of each moment, made once where several have the same pieces."""
    made: list[Row] = []
    before: Moment | None = None
    for moment in moments:
        if before is None or before.pieces is not moment.pieces:
            made = rows(moment)
        before = moment
        yield made


def _names(pieces: Sequence[Owned]) -> list[str]:
    """Whose each piece is; once pages are handed over, what is free and was not is told apart."""
    given = any(piece.state == State.GIVEN for piece in pieces)
    return [NOT_GIVEN if given and piece.state == State.FREE else piece.owner for piece in pieces]


def _event(event: Event, side: Side, strings: _Strings) -> Row:
    """[kind, text, plain words] and, of what happens to some memory, its base and size."""
    texts = as_data(event)["kind"], event_text(event, side.features), event_words(event)
    row = list(map(strings.place, texts))
    match event:
        case MemblockRange() | MemblockResize() | Use():
            row += [event.base, event.size]
        case CreateMapping():
            row += [event.phys, event.size]
        case PageAlloc() | PageFree():
            row += [event.pfn << PAGE_SHIFT, PAGE_SIZE << event.order]
    return row


def _splices(states: Iterable[list[Row]]) -> list[Row]:
    """How each state comes out of the one before, where it differs; [] comes before the first."""
    splices: list[Row] = []
    before: list[Row] = []
    for moment, after in enumerate(states):
        if after != before:
            head = _same(before, after)
            tail = _same(before[head:][::-1], after[head:][::-1])
            come = after[head : len(after) - tail]
            splices.append([moment, head, len(before) - head - tail, come])
        before = after
    return splices


def _same(a: Sequence[Row], b: Sequence[Row]) -> int:
    """How many rows are the same at the beginning of both."""
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


def _block_runs(blocks: list[tuple[int, int]]) -> list[Row]:
    """Blocks of one order, one behind the other, as [pfn, order, how many]."""
    runs: list[Row] = []
    for pfn, order in blocks:
        if runs and runs[-1][1] == order and runs[-1][0] + (runs[-1][2] << order) == pfn:
            runs[-1][2] += 1
        else:
            runs.append([pfn, order, 1])
    return runs


def _partners(side: Side, other: Side) -> list[int]:
    """For each moment of `side` the one of `other` where that boot had come as far.

    That is where both had asked memblock for the same, and come past the same stages.
    """
    keys, others = list(map(_key, _ends(side))), list(map(_key, _ends(other)))
    mine = [n for n, key in enumerate(keys) if key is not None]
    theirs = [n for n, key in enumerate(others) if key is not None]
    matcher = SequenceMatcher(
        None, [keys[n] for n in mine], [others[n] for n in theirs], autojunk=False
    )
    partners = [0] * len(keys)
    for a, b, size in matcher.get_matching_blocks():
        for offset in range(size):
            partners[mine[a + offset]] = theirs[b + offset]
    if partners:
        partners[-1] = max(len(others) - 1, 0)
    return list(accumulate(partners, max))


def _ends(side: Side) -> Iterator[Event]:
    return (side.trace[moment.last] for moment in side.history.moments)


def _key(event: Event) -> object:
    match event:
        case Stage():
            return event
        case MemblockRange() | MemblockAlloc() | MemblockResize():
            return request_of(event)
    return None
