"""Ranges of physical addresses, in bytes: how they are told, and what they have in common.

All functions take whatever has a base and a size: a Range, a region of memblock, an event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Protocol

from bootsim.kernel.memory import round_up
from bootsim.machine.memory import Range
from bootsim.numbers import listed, size_text

_BASE = attrgetter("base")


class Span(Protocol):
    """[base, base + size)."""

    @property
    def base(self) -> int: ...
    @property
    def size(self) -> int: ...


def span(place: Span) -> str:
    """`place` as Linux prints ranges, and its size."""
    return f"{Range(place.base, max(place.size, 1))} ({size_text(place.size)})"


def span_or_none(place: Span) -> str:
    """`place` as span() tells it; none where it is empty."""
    return span(place) if place.size else "none"


def spans(places: Iterable[Span]) -> str:
    """`places` as span() tells them, the first few of many."""
    return listed(map(span, places))


def total(places: Iterable[Span]) -> int:
    """The sizes of `places` added up."""
    return sum(place.size for place in places)


def shared(a: Span, b: Span) -> int:
    """How many bytes both have."""
    return max(min(a.base + a.size, b.base + b.size) - max(a.base, b.base), 0)


def has(places: Iterable[Span], whole: Span) -> bool:
    """Whether one of `places` has all of `whole`."""
    end = whole.base + whole.size
    return any(place.base <= whole.base and end <= place.base + place.size for place in places)


def within(places: Iterable[Span], start: int, end: int) -> Iterator[Range]:
    """What of `places` is in [start, end)."""
    for place in places:
        low, high = max(place.base, start), min(place.base + place.size, end)
        if low < high:
            yield Range(low, high - low)


def without(places: Iterable[Span], taken: Iterable[Span]) -> Iterator[Range]:
    """What of `places`, one after the other, is in none of `taken`."""
    taken = sorted(taken, key=_BASE)
    for place in places:
        at, end = place.base, place.base + place.size
        for other in taken:
            if other.base >= end:
                break
            if other.size and other.base + other.size > at:
                if other.base > at:
                    yield Range(at, other.base - at)
                at = other.base + other.size
        if at < end:
            yield Range(at, end - at)


def first_fit(
    holes: Iterable[Span], size: int, align: int, taken: Iterable[Span] = ()
) -> int | None:
    """The first multiple of `align` where `size` bytes lie in one of `holes` and in nothing of
    `taken`; None where there is none. `align` is a power of two."""
    for hole in without(holes, taken):
        at = round_up(hole.base, align)
        if at + size <= hole.end:
            return at
    return None
