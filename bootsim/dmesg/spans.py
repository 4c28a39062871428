"""Sets of addresses as sorted lists of ranges that do not touch."""

from __future__ import annotations

from collections.abc import Iterable

from bootsim.machine.memory import Range


def union(ranges: Iterable[Range]) -> list[Range]:
    """All that is in one of `ranges`."""
    result: list[Range] = []
    for span in sorted(ranges):
        if span.size <= 0:
            continue
        if result and span.base <= result[-1].end:
            last = result.pop()
            span = Range(last.base, max(last.end, span.end) - last.base)
        result.append(span)
    return result


def difference(ranges: Iterable[Range], without: Iterable[Range]) -> list[Range]:
    """What is in one of `ranges` and in none of `without`."""
    result: list[Range] = []
    cuts = union(without)
    first = 0
    for span in union(ranges):
        base = span.base
        while first < len(cuts) and cuts[first].end <= base:
            first += 1
        for cut in cuts[first:]:
            if cut.base >= span.end:
                break
            if cut.base > base:
                result.append(Range(base, cut.base - base))
            base = max(base, cut.end)
        if base < span.end:
            result.append(Range(base, span.end - base))
    return result


def intersection(ranges: Iterable[Range], others: Iterable[Range]) -> list[Range]:
    """What is in one of `ranges` and in one of `others`."""
    ranges = union(ranges)
    return difference(ranges, difference(ranges, others))


def contains(ranges: Iterable[Range], span: Range) -> bool:
    """Whether all of `span` is in `ranges`."""
    return not difference([span], ranges)
