"""Where the RAM of a boot went, as its report tells it: in one line, in steps, and page by page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bootsim.views.account import Account, Kind
from bootsim.views.categories import FREE, GIVEN, Category
from bootsim.views.pages import Pages
from bootsim.views.waterfall import step_kind, step_text, steps

Sign = Literal["-", "+", "=", ""]

# What goes on the way from the tree to the buddy allocator, in one line.
_GONE = (
    ("not Linux's", (Kind.REPEATED, Kind.LOST, Kind.NO_PAGE, Kind.NOMAP)),
    ("reserved", (Kind.RESERVED, Kind.PARTIAL, Kind.TAKEN)),
    ("CMA, for later", (Kind.CMA,)),
)


@dataclass(frozen=True, slots=True)
class Sum:
    """A term of the boot's sum: `size` bytes of `what` come with + and go with -."""

    sign: Sign
    what: str
    size: int


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the waterfall: `size` bytes of what was there go to `what`, or come if `sign` is +.

    With `sign` = the step is a sum on the way. `start` is where its bar begins, in bytes from
    none; `kind` has its colour; `base` is the first address of it, None for a sum.
    """

    sign: Sign
    what: str
    size: int
    start: int
    kind: Category
    base: int | None = None


@dataclass(frozen=True, slots=True)
class Ram:
    """Where the RAM went, as far as the boot has come: sums; and after the handover all of it."""

    sums: tuple[Sum, ...] = ()
    waterfall: tuple[Step, ...] = ()
    pages: tuple[Pages, ...] = ()


def sums(told: Account) -> Iterator[Sum]:
    """From the tree's memory to the buddy allocator's in a few terms, summing to the byte."""
    yield Sum("", "in the tree", told.total)
    if added := sum(piece.size for piece in told.added):
        yield Sum("+", "beyond the tree", added)
    repeated = sum(piece.size for piece in told.repeated)
    for what, kinds in _GONE:
        size = told.size(*kinds) + (repeated if Kind.REPEATED in kinds else 0)
        if size:
            yield Sum("-", what, size)
    yield Sum("=", "handed over", told.free)


def waterfall(told: Account) -> Iterator[Step]:
    """From the tree's memory down to what is free, step by step."""
    level = told.total
    yield Step("=", "the device tree's memory", level, 0, FREE)
    for step in steps(told):
        if step.kind == Kind.FREE:
            continue
        comes = step.kind == Kind.ADDED
        start = level if comes else level - step.size
        base = min(piece.base for piece in step.pieces)
        sign: Sign = "+" if comes else "-"
        yield Step(sign, step_text(step), step.size, start, step_kind(step), base)
        level += step.size if comes else -step.size
    yield Step("=", "free, in the buddy allocator", told.free, 0, GIVEN)
