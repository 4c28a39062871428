"""The account of the RAM as a waterfall: one step after the other, summing to the byte."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bootsim.views import View, size_text
from bootsim.views.account import PRESENT, Account, Kind, Piece, Said
from bootsim.views.categories import CATEGORIES, NOT_LINUX, RESERVED, Category

Paint = Callable[[str, str], str]

_BAR, _LEVEL = 32, "="  # cells; what there is still
# Names of one kind, the model's and those that a real kernel's functions give: text shows them as
# one step.
_GROUPS = (
    (re.compile(r"page table for "), "page tables"),
    (re.compile(r"early_alloc\("), "page tables and exception vectors"),
    (
        re.compile(r"unflattened device tree|alias |early_init_dt_alloc_memory_arch\("),
        "device tree, unflattened",
    ),
    (re.compile(r"struct resource of |setup_arch\("), "struct resource of each bank"),
    (re.compile(r"per-cpu area|percpu: |pcpu_"), "per-cpu areas and their allocator"),
    (re.compile(r"(saved|initcall|static)_command_line"), "copies of the command line"),
    (re.compile(r"log buffer's "), "log buffer"),
    (re.compile(r"clock provider "), "clock providers"),
    (re.compile(r"struct static_vm of "), "struct static_vm of mappings"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step down, or up where something is added."""

    kind: Kind
    what: str
    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)


def steps(account: Account) -> list[Step]:
    """The steps from the tree's memory down to what is free, the large ones of a kind first."""
    found: dict[tuple[Kind, str], list[Piece]] = {}
    for piece in (*account.repeated, *account.added, *account.pieces):
        found.setdefault((piece.kind, _group(piece.owner)), []).append(piece)
    order = list(Kind)
    return sorted(
        (Step(*key, tuple(pieces)) for key, pieces in found.items()),
        key=lambda step: (order.index(step.kind), -step.size),
    )


def view(account: Account, paint: Paint = lambda _letter, text: text) -> View:
    """The waterfall; `paint(letter, text)` colours its bars."""
    lines = [
        _line("", account.total, _bar(account, 0, account.total, _LEVEL, paint), _tree(account))
    ]
    level = account.total
    all_steps = steps(account)
    for step in all_steps:
        if step.kind == Kind.FREE:
            continue
        if step.kind in PRESENT and level == account.present and level != account.total:
            bar = _bar(account, 0, level, _LEVEL, paint)
            lines.append(_line("=", level, bar, "RAM that has pages, the total of Memory:"))
        sign = "+" if step.kind == Kind.ADDED else "-"
        level += step.size if sign == "+" else -step.size
        bar = _bar(account, level, step.size, step_kind(step).letter, paint)
        lines.append(_line(sign, step.size, bar, step_text(step)))
    bar = _bar(account, 0, account.free, _LEVEL, paint)
    lines.append(_line("=", account.free, bar, "free, in the buddy allocator"))
    lines.append("")
    lines.append(_check(account))
    return View(_data(account, all_steps), lines)


def _data(account: Account, all_steps: list[Step]) -> dict[str, Any]:
    said, counted = account.said, account.counted
    return {
        "tree": [{"base": bank.base, "size": bank.size} for bank in account.tree],
        "total": account.total,
        "present": account.present,
        "free": account.free,
        "steps": [
            {
                "kind": step.kind.value,
                "what": step.what,
                "size": step.size,
                "pieces": [
                    {"base": piece.base, "size": piece.size, "owner": piece.owner}
                    for piece in step.pieces
                ],
            }
            for step in all_steps
        ],
        "counted": _kib(counted),
        "said": None if said is None else _kib(said),
        "agrees": said is None or said == counted,
    }


def _kib(said: Said) -> dict[str, int]:
    return {
        "available": said.available,
        "total": said.total,
        "reserved": said.reserved,
        "cma_reserved": said.cma,
    }


def _tree(account: Account) -> str:
    count = len(account.tree)
    return f"the device tree's memory, {count} bank{'s' if count != 1 else ''}"


def _check(account: Account) -> str:
    said, counted = account.said, account.counted
    numbers = (
        f"{counted.available}K/{counted.total}K available, {counted.reserved}K reserved,"
        f" {counted.cma}K cma-reserved"
    )
    if said is None:
        return f"{numbers}; the kernel has not said its own numbers"
    if said == counted:
        return f'The kernel says the same in its "Memory:" line: {numbers}'
    return (
        f'The kernel says otherwise in its "Memory:" line: {said.available}K/{said.total}K'
        f" available, {said.reserved}K reserved, {said.cma}K cma-reserved; counted are {numbers}"
    )


def _group(owner: str) -> str:
    return next((group for pattern, group in _GROUPS if pattern.match(owner)), owner)


def step_text(step: Step) -> str:
    """What a step is, and of how many pieces."""
    text = step.what
    if step.kind == Kind.NOMAP:
        text += ", not mapped"
    elif step.kind == Kind.CMA:
        text += ", free for movable pages later on"
    return f"{text} ({len(step.pieces)} pieces)" if len(step.pieces) > 1 else text


def step_kind(step: Step) -> Category:
    """What a step is shown as."""
    if step.kind in (Kind.RESERVED, Kind.CMA):
        owned = (c for c in CATEGORIES if c.owners and step.what.startswith(c.owners))
        return next(owned, RESERVED)
    return RESERVED if step.kind in (Kind.PARTIAL, Kind.TAKEN) else NOT_LINUX


def _line(sign: str, size: int, bar: str, what: str) -> str:
    return f"{sign:1}{size:>13} {size_text(size):>10} |{bar}| {what}"


def _bar(account: Account, start: int, size: int, letter: str, paint: Paint) -> str:
    """[start, start + size) of the most that there was, as a bar of letters."""
    most = max(account.total + sum(piece.size for piece in account.added), 1)
    first = min(start * _BAR // most, _BAR - 1)
    last = min(max(-(-(start + size) * _BAR // most), first + 1), _BAR)
    return " " * first + paint(letter, letter * (last - first)) + " " * (_BAR - last)
