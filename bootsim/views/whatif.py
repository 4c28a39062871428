"""What `bootsim whatif` has found, in rows, tables and sums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from bootsim.numbers import size_text
from bootsim.whatif import Answer, Row

_SIZES = ("total", "lowmem", "highmem", "lost", "cut", "free", "largest")
_TITLES = ("RAM", "lowmem", "highmem", "lost", "cut", "free", "largest")
_WIDTH = 8

Settings = tuple[tuple[str, str], ...]


def csv_header(keys: Sequence[str]) -> list[str]:
    """The names of csv_row()'s fields: a column a key, and sizes, whose names end in _bytes."""
    return ["tree", *keys, *(f"{name}_bytes" for name in _SIZES), "stage", "error", "complaints"]


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
    """Rows under one head, whose settings' columns are as wide as their values; sizes in MiB."""

    def __init__(self, settings: Sequence[Settings]) -> None:
        """`settings` are those of all combinations."""
        keys = [key for key, _ in settings[0]]
        self._keys = keys
        self._widths = [
            max(len(key), *(len(each[column][1]) for each in settings))
            for column, key in enumerate(keys)
        ]

    def head(self) -> str:
        return self._line(self._keys, _TITLES) + "  (MiB)"

    def lines(self, answer: Answer) -> Iterator[str]:
        """The tree's rows; below each the errors that the kernel logs, and why it dies if so."""
        for row in answer.rows:
            sizes = [getattr(row, name) for name in _SIZES]
            yield self._line([value for _, value in row.settings], map(_mib, sizes))
            for words in row.complaints:
                yield f"      {words}"
            if row.error:
                yield f"      {'dies: ' if row.stage else ''}{row.error}"

    def _line(self, values: Iterable[str], cells: Iterable[str]) -> str:
        columns = [f"{v:{width}}" for v, width in zip(values, self._widths, strict=True)]
        return "  ".join(["", *columns, "".join(f"{cell:>{_WIDTH}}" for cell in cells)]).rstrip()


def _mib(size: int | None) -> str:
    if size is None:
        return "-"
    text = f"{size / (1 << 20):.1f}".removesuffix(".0")
    return "<0.1" if size and text == "0" else text


def summary(answers: Sequence[Answer]) -> Iterator[str]:
    """What became of a fleet: a line a combination."""
    booted = _booted(answers)
    if booted:
        yield f"Of {boards_text(len(booted))}:"
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


def _booted(answers: Iterable[Answer]) -> list[Answer]:
    return [answer for answer in answers if any(row.stage for row in answer.rows)]


def _by_settings(answers: Iterable[Answer]) -> dict[Settings, list[Row]]:
    rows: dict[Settings, list[Row]] = {}
    for answer in answers:
        for row in answer.rows:
            rows.setdefault(row.settings, []).append(row)
    return rows


def _settings_text(settings: Settings) -> str:
    return " ".join(f"{key}={value}" for key, value in settings) or "as it is"


def boards_text(count: int) -> str:
    """`count` boards, in words."""
    return f"{count} board{'s' if count != 1 else ''}"
