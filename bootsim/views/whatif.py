"""What `bootsim whatif` has found, in rows, tables and sums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from bootsim.numbers import size_text
from bootsim.whatif import DEFAULT, Answer, Row

_SIZES = ("total", "lowmem", "highmem", "lost", "cut", "free", "largest")
_TITLES = ("tree's RAM", "lowmem", "highmem", "lost", "no HIGHMEM", "free", "longest run")
_WIDTH = 11


def csv_header(keys: Sequence[str]) -> list[str]:
    """The names of csv_row()'s fields; sizes are bytes."""
    return ["tree", *keys, *_SIZES, "stage", "error", "complaints"]


def csv_rows(answer: Answer) -> Iterator[list[Any]]:
    """One row a boot."""
    for row in answer.rows:
        values = (value for _, value in row.settings)
        sizes = (getattr(row, name) for name in _SIZES)
        told = row.stage, row.error, "; ".join(row.complaints)
        yield [answer.tree, *values, *("" if s is None else s for s in sizes), *told]


def data(answer: Answer) -> dict[str, Any]:
    """JSON-ready: sizes in bytes."""
    return {
        "tree": answer.tree,
        "error": answer.error,
        "without_ram": answer.without_ram,
        "boots": [
            {f.name: getattr(row, f.name) for f in fields(Row)} | {"settings": dict(row.settings)}
            for row in answer.rows
        ],
    }


class Table:
    """Rows under one head, whose settings' columns are as wide as their values."""

    def __init__(self, settings: Sequence[tuple[tuple[str, str], ...]]) -> None:
        """`settings` are those of all combinations."""
        keys = [key for key, _ in settings[0]]
        self._keys = keys
        self._widths = [
            max(len(key), *(len(each[column][1]) for each in settings))
            for column, key in enumerate(keys)
        ]

    def head(self) -> str:
        return self._line(self._keys, _TITLES)

    def lines(self, answer: Answer) -> Iterator[str]:
        """The tree's rows, each with the errors that the kernel logs, and why it dies if so."""
        for row in answer.rows:
            sizes = [getattr(row, name) for name in _SIZES]
            texts = ["-" if size is None else size_text(size) for size in sizes]
            words = "; ".join([*row.complaints, *([row.error] if row.error else [])])
            yield self._line([value for _, value in row.settings], texts) + (
                f"  {words}" if words else ""
            )

    def _line(self, values: Iterable[str], cells: Iterable[str]) -> str:
        columns = [f"{v:{width}}" for v, width in zip(values, self._widths, strict=True)]
        return "  ".join(["", *columns, *(f"{cell:>{_WIDTH}}" for cell in cells)]).rstrip()


def summary(answers: Sequence[Answer]) -> Iterator[str]:
    """What became of a fleet: a line a combination."""
    booted = [answer for answer in answers if any(row.stage for row in answer.rows)]
    if booted:
        yield f"Of {_boards(len(booted))}:"
        rows = _by_settings(booted)
        width = max(len(_settings_text(settings)) for settings in rows)
        for settings, each in rows.items():
            losing = [row for row in each if row.cut]
            dying = sum(row.error is not None for row in each)
            text = (
                f"  {_settings_text(settings):{width}}  {len(losing)} lose RAM for want of HIGHMEM"
            )
            if losing:
                text += f" ({size_text(max(row.cut for row in losing))} at the most)"
            yield text + (f", {dying} die" if dying else "")
    yield from left_out(answers)


def left_out(answers: Sequence[Answer]) -> Iterator[str]:
    """How many trees were not booted, and why."""
    stuck = sum(bool(a.rows) and not any(row.stage for row in a.rows) for a in answers)
    if stuck:
        them = "tree has" if stuck == 1 else "trees have"
        yield f"{stuck} {them} no RAM where the kernel would be"
    without = sum(answer.without_ram for answer in answers)
    if without:
        them = "a tree leaves" if without == 1 else f"{without} trees leave"
        yield f"{them} RAM to the boot loader: --vary ram=SIZE gives some"
    bad = sum(answer.error is not None for answer in answers)
    if bad:
        yield f"{bad} {'tree' if bad == 1 else 'trees'} cannot be read"


def highmem_exit(answers: Sequence[Answer]) -> Iterator[str]:
    """Boards that lose RAM by split and vmalloc=, and the split that each needs to lose none.

    The answers' settings are highmem, vmsplit and vmalloc, in this order.
    """
    booted = [answer for answer in answers if any(row.stage for row in answer.rows)]
    if booted:
        splits = list(dict.fromkeys(row.settings[1][1] for row in booted[0].rows))
        areas = list(dict.fromkeys(row.settings[2][1] for row in booted[0].rows))
        rows = _by_settings(booted)
        yield f"Boards that lose RAM without HIGHMEM, of {len(booted)}, by vmalloc=:"
        yield "  " + "".join(f"{text:>10}" for text in ("vmsplit", *areas))
        for split in splits:
            cells = [rows[_exit(split, area)] for area in areas]
            losing = (str(sum(row.cut > 0 for row in cell)) for cell in cells)
            yield "  " + "".join(f"{text:>10}" for text in (split, *losing))
        yield from _dying(rows)
        for area in areas:
            yield ""
            given = "its own vmalloc area" if area == DEFAULT else f"vmalloc={area}"
            yield f"The first split that keeps a board all its RAM, with {given}:"
            yield from _needs(booted, splits, area)
        yield ""
    yield from left_out(answers)


def _exit(split: str, area: str) -> tuple[tuple[str, str], ...]:
    return ("highmem", "n"), ("vmsplit", split), ("vmalloc", area)


def _dying(rows: dict[tuple[tuple[str, str], ...], list[Row]]) -> Iterator[str]:
    for settings, each in rows.items():
        dying = sum(row.error is not None for row in each)
        if dying:
            yield f"  {dying} do not come through: {_settings_text(settings)}"


def _needs(booted: Sequence[Answer], splits: Sequence[str], area: str) -> Iterator[str]:
    boards: dict[str, list[str]] = {split: [] for split in (*splits, "none")}
    for answer in booted:
        cut = {row.settings: row.cut for row in answer.rows}
        need = next((split for split in splits if not cut[_exit(split, area)]), "none")
        boards[need].append(answer.tree)
    for need, trees in boards.items():
        if trees:
            yield f"  {need:>8} {_boards(len(trees)):>12}"


def _by_settings(answers: Iterable[Answer]) -> dict[tuple[tuple[str, str], ...], list[Row]]:
    rows: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for answer in answers:
        for row in answer.rows:
            rows.setdefault(row.settings, []).append(row)
    return rows


def _settings_text(settings: tuple[tuple[str, str], ...]) -> str:
    return " ".join(f"{key}={value}" for key, value in settings)


def _boards(count: int) -> str:
    return f"{count} board{'s' if count != 1 else ''}"
