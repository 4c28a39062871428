"""The map of RAM as a still picture: at two scales, with a legend and each piece's owner.

The upper strip is true to scale; in the lower one a page can be seen beside a gigabyte, and bands
lead from one to the other. What is small and lies together is shown together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import ceil, log2

from bootsim.kernel.memory import PAGE_SIZE
from bootsim.machine.memory import Range
from bootsim.views import size_text
from bootsim.views.categories import CATEGORIES, Category, category, ink_on
from bootsim.views.drawing import Box, Drawing, Polygon, Shape, Text, shortened, smooth
from bootsim.views.groups import Group, grouped
from bootsim.views.owners import Owned

_WIDTH, _MARGIN = 960, 24
_INNER = _WIDTH - 2 * _MARGIN
_STRIP, _FUNNEL, _DETAIL, _GAP = 26, 34, 40, 12
_ROW, _LEGEND_ROW = 21, 20
_LEGEND_COLUMNS, _LIST_COLUMNS = 4, 2
_PAPER, _INK, _MUTED = "#ffffff", "#1c2129", "#5b6472"
_SLIVER = 1.5  # pixels that a reservation has at least


def map_picture(pieces: Sequence[Owned], banks: Sequence[Range], title: str) -> Drawing:
    """The picture of `pieces`, all RAM of the banks in address order."""
    groups = list(grouped(pieces))
    shapes: list[Shape] = [Text(_MARGIN, 38, title, _INK, 17, bold=True)]
    y = 56
    linear = _laid_out(groups, banks, lambda group: group.size)
    detail = _laid_out(groups, banks, lambda group: _weight(group.size))
    below = y + _STRIP + _FUNNEL
    for group, x, width in sorted(linear, key=lambda place: not place[0].free):
        shown = width if group.free else max(width, _SLIVER)
        shapes.append(Box(x, y, shown, _STRIP, group.kind.light, hint=_hint(group)))
    for (group, x, width), (_, to, room) in zip(linear, detail, strict=True):
        if not group.free:
            ends = (x, x + max(width, _SLIVER)), (to, to + room)
            corners = tuple(smooth(*ends, (y + _STRIP, below)))
            shapes.append(Polygon(corners, group.kind.light, 0.18))
    for group, x, width in detail:
        shown = max(width - 1, 1)
        shapes.append(Box(x, below, shown, _DETAIL, group.kind.light, hint=_hint(group)))
        name = shortened(group.name, width - 8, 11)
        if name:
            shapes.append(Text(x + 5, below + 24, name, ink_on(group.kind.light), 11))
    y = below + _DETAIL
    shapes += _edges(banks, linear, y + 15)
    y += 46
    shapes += _legend(pieces, y)
    y += _LEGEND_ROW * ceil(len({category(p) for p in pieces}) / _LEGEND_COLUMNS) + 4
    shapes += _list(groups, y)
    y += _ROW * ceil(len(groups) / _LIST_COLUMNS)
    return Drawing(_WIDTH, y + 12, title, _PAPER, tuple(shapes))


# Where things go.

Place = tuple[Group, float, float]  # its left edge and width


def _laid_out(
    groups: Sequence[Group], banks: Sequence[Range], share: Callable[[Group], float]
) -> list[Place]:
    """The groups side by side in proportion to `share`, with a gap between banks."""
    room = _INNER - _GAP * (len(banks) - 1)
    total = sum(map(share, groups)) or 1
    places: list[Place] = []
    x = float(_MARGIN)
    for previous, group in zip([None, *groups], groups, strict=False):
        if previous is not None and not any(
            bank.base <= previous.base and group.end <= bank.end for bank in banks
        ):
            x += _GAP
        width = share(group) / total * room
        places.append((group, x, width))
        x += width
    return places


def _weight(size: int) -> float:
    return 1 + 0.45 * max(0.0, log2(size / PAGE_SIZE))


def _edges(banks: Sequence[Range], linear: Sequence[Place], y: float) -> list[Shape]:
    """The first and last address of each bank, where there is room for them."""
    shapes: list[Shape] = []
    for bank in banks:
        inside = [place for place in linear if bank.base <= place[0].base < bank.end]
        if not inside:
            continue
        left, right = inside[0][1], inside[-1][1] + inside[-1][2]
        if right - left > 80:
            shapes.append(Text(left, y, f"{bank.base:#010x}", _MUTED, 11, mono=True))
        if right - left > 170:
            shapes.append(Text(right, y, f"{bank.end - 1:#010x}", _MUTED, 11, "end", mono=True))
    return shapes


def _legend(pieces: Sequence[Owned], y: float) -> list[Shape]:
    sizes: Counter[Category] = Counter()
    for piece in pieces:
        sizes[category(piece)] += piece.size
    shapes: list[Shape] = []
    column = _INNER / _LEGEND_COLUMNS
    for number, kind in enumerate(c for c in CATEGORIES if c in sizes):
        row, place = divmod(number, _LEGEND_COLUMNS)
        x, at = _MARGIN + place * column, y + row * _LEGEND_ROW
        shapes += [
            Box(x, at - 10, 12, 12, kind.light, radius=3),
            Text(x + 19, at, kind.title, _INK, 12),
            Text(x + column - 22, at, size_text(sizes[kind]), _MUTED, 12, "end"),
        ]
    return shapes


def _list(groups: Sequence[Group], y: float) -> list[Shape]:
    shapes: list[Shape] = []
    rows = ceil(len(groups) / _LIST_COLUMNS)
    column = (_INNER + 24) / _LIST_COLUMNS
    for number, group in enumerate(groups):
        place, row = divmod(number, rows)
        x, at = _MARGIN + place * column, y + row * _ROW + 12
        right = x + column - 24
        span = f"{group.base:#010x}-{group.end - 1:#010x}"
        shapes += [
            Box(x, at - 10, 4, 13, group.kind.light, radius=2),
            Text(x + 12, at, shortened(group.name, right - x - 252, 11), _INK, 12),
            Text(right - 168, at, size_text(group.size), _INK, 12, "end"),
            Text(right - 160, at, span, _MUTED, 11, mono=True),
        ]
    return shapes


def _hint(group: Group) -> str:
    return f"{group.name}: {group.base:#010x}-{group.end - 1:#010x}, {size_text(group.size)}"
