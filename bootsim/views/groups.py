"""What a map of RAM shows as one: crumbs below a page, and crowds of a kind, that lie together.

The one rule of the still picture and of the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

from bootsim.kernel.memory import PAGE_SIZE
from bootsim.numbers import listed
from bootsim.views.categories import FREE, GIVEN, PAGE_TABLES, Category, category
from bootsim.views.owners import Owned

_CROWD = 128 << 10  # bytes: what is no larger, and of one kind, is a crowd
_NAMED = 8  # members that a group's name tells; the rest it counts
_RESERVED_NODES = "/reserved-memory/"


@dataclass(frozen=True, slots=True)
class Group:
    """Pieces, one or more, that are shown as one: the kind that has most of it, and a name."""

    members: tuple[Owned, ...]
    kind: Category
    name: str

    @property
    def base(self) -> int:
        return self.members[0].base

    @property
    def end(self) -> int:
        return self.members[-1].end

    @property
    def size(self) -> int:
        return self.end - self.base

    @property
    def free(self) -> bool:
        return self.kind in (FREE, GIVEN)


def grouped(pieces: Sequence[Owned]) -> Iterator[Group]:
    """The pieces in order; crumbs below a page in a row are one, and crowds of a kind."""
    start = 0
    while start < len(pieces):
        crumbs = _run(pieces, start, _is_crumb)
        count = 1
        if sum(not _is_free(piece) for piece in pieces[start : start + crumbs]) > 1:
            count = crumbs
        elif (crowd := _run(pieces, start, partial(_alike, pieces[start]))) >= 3:
            count = crowd
        yield _group(tuple(pieces[start : start + count]))
        start += count


def _run(pieces: Sequence[Owned], start: int, fits: Callable[[Owned], bool]) -> int:
    """How many pieces from `start` on fit, each beginning where the one before ends."""
    count = 0
    for piece in takewhile(fits, (pieces[n] for n in range(start, len(pieces)))):
        if count and piece.base != pieces[start + count - 1].end:
            break
        count += 1
    return count


def _is_crumb(piece: Owned) -> bool:
    return piece.size < PAGE_SIZE


def _alike(first: Owned, piece: Owned) -> bool:
    small = PAGE_SIZE <= piece.size <= _CROWD
    return small and not _is_free(piece) and category(piece) == category(first)


def _is_free(piece: Owned) -> bool:
    return category(piece) in (FREE, GIVEN)


def _group(members: tuple[Owned, ...]) -> Group:
    if len(members) == 1:
        return Group(members, category(members[0]), _name(members[0]))
    owned = [piece for piece in members if not _is_free(piece)]
    sizes: Counter[Category] = Counter()
    for piece in owned:
        sizes[category(piece)] += piece.size
    kind = sizes.most_common(1)[0][0]
    crumbs = _is_crumb(members[0])
    if kind == PAGE_TABLES and not crumbs:
        return Group(members, kind, f"{len(owned)} page tables")
    names = list(dict.fromkeys(map(_name, owned)))
    told = listed(names, _NAMED)
    return Group(members, kind, f"{len(owned)} {'below a page' if crumbs else 'pieces'}: {told}")


def _name(piece: Owned) -> str:
    """Its owner's name, of a reserved node without the path that all of them have."""
    return piece.owner.removeprefix(_RESERVED_NODES)
