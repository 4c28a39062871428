"""The account of the RAM as a waterfall: one step after the other, summing to the byte."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from bootsim.kernel.memory import PAGE_SIZE
from bootsim.trace import RAMDISK
from bootsim.views import View, size_text
from bootsim.views.account import FREE, NOT_RESERVED, PRESENT, Account, Kind, Piece, Said
from bootsim.views.categories import CATEGORIES, NOT_LINUX, RESERVED, Category

Paint = Callable[[str, str], str]

_LEVEL = "="  # what there is still
_NARROW = 100  # columns: terminals that have less get shorter bars
# Names of one kind, the model's and those that a real kernel's functions give: text shows them as
# one step.
_GROUPS = (
    (re.compile(r"page table for "), "page tables"),
    (re.compile(r"early_alloc\("), "zero page and exception vectors"),
    (
        re.compile(r"unflattened device tree|alias |early_init_dt_alloc_memory_arch\("),
        "device tree, unflattened",
    ),
    (re.compile(r"struct resource of |setup_arch\("), "struct resource of each bank"),
    (re.compile(r"per-cpu area|percpu: |pcpu_"), "per-cpu areas and their allocator"),
    (
        re.compile(r"(saved|initcall|static)_command_line|start_kernel\(|setup_command_line\("),
        "copies of the command line",
    ),
    (re.compile(r"pageblock flags|setup_usemap\("), "pageblock flags of the zones"),
    (re.compile(r"log buffer's "), "log buffer"),
    (re.compile(r"clock provider "), "clock providers"),
    (
        re.compile(r"struct static_vm of |iotable_init\(|vm_reserve_area_early\("),
        "struct static_vm of mappings",
    ),
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


@dataclass(frozen=True, slots=True)
class _Columns:
    """How wide what is: the bytes, the bar, and the words; None for as long as they are."""

    number: int = 13
    bar: int = 32
    text: int | None = None

    @classmethod
    def of(cls, account: Account, width: int | None) -> _Columns:
        if width is None or width >= _NARROW:
            return cls(text=None if width is None else width - 61)
        number = len(str(account.most)) + 1
        return cls(number, 12, max(width - number - 28, 20))

    def lines(self, sign: str, size: int, bar: str, words: str) -> Iterator[str]:
        first, *others = wrap(words, self.text) if self.text is not None else [words]
        yield f"{sign:1}{size:>{self.number}} {size_text(size):>10} |{bar}| {first}"
        for other in others:
            yield " " * (self.number + self.bar + 16) + other


def view(
    account: Account, paint: Paint = lambda _letter, text: text, *, width: int | None = None
) -> View:
    """The waterfall; `paint(letter, text)` colours its bars. `width` is that of the terminal, in
    columns, which long words are broken for; None for lines as long as they are."""
    columns = _Columns.of(account, width)

    def bar(start: int, size: int, letter: str) -> str:
        return _bar(account, start, size, letter, paint, columns.bar)

    level = account.total
    lines = [*columns.lines("", level, bar(0, level, _LEVEL), _tree(account))]
    all_steps = steps(account)
    for step in all_steps:
        if step.kind == Kind.FREE:
            continue
        if step.kind in PRESENT and level == account.present and level != account.total:
            words = _PAGES if account.handed_over else "RAM that memblock has"
            lines += columns.lines("=", level, bar(0, level, _LEVEL), words)
        sign = "+" if step.kind == Kind.ADDED else "-"
        level += step.size if sign == "+" else -step.size
        part = bar(level, step.size, step_kind(step).letter)
        lines += columns.lines(sign, step.size, part, step_text(step))
    words = FREE if account.handed_over else NOT_RESERVED
    lines += columns.lines("=", account.free, bar(0, account.free, _LEVEL), words)
    lines.append("")
    for words in _ending(account):
        lines += [words] if width is None else wrap(words, min(width, _NARROW))
    return View(_data(account, all_steps), lines)


_PAGES = "RAM that has pages, the total of Memory:"


def _ending(account: Account) -> Iterator[str]:
    if not account.handed_over:
        yield (
            f"The boot stands after {account.stage}: this is memblock's RAM there, and there is no"
            ' "Memory:" line yet.'
        )
        return
    yield _check(account)
    later = _later(account)
    if later:
        parts = ", ".join(f"{what} {size_text(size)}" for what, size in later.items())
        total = account.free + sum(later.values())
        yield (
            f"Linux gets more later: {parts}. MemTotal of /proc/meminfo is about"
            f" {total >> 10} kB then."
        )


def _later(account: Account) -> dict[str, int]:
    """What is reserved now and comes to the buddy allocator before init runs, bytes: CMA by
    cma_init_reserved_areas(), the initrd by free_initrd_mem(), .init by free_initmem()."""
    initrd = sum(p.size for p in account.pieces if p.kind == Kind.RESERVED and p.owner == RAMDISK)
    sizes = {
        "CMA": account.size(Kind.CMA),
        "the initrd": initrd // PAGE_SIZE * PAGE_SIZE,
        "the kernel's init part": account.said.init << 10 if account.said is not None else 0,
    }
    return {what: size for what, size in sizes.items() if size}


def _data(account: Account, all_steps: list[Step]) -> dict[str, Any]:
    said, counted = account.said, account.counted
    return {
        "tree": [{"base": bank.base, "size": bank.size} for bank in account.tree],
        "total": account.total,
        "present": account.present,
        "free": account.free,
        "stage": account.stage,
        "later": _later(account) if account.handed_over else {},
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
        "counted": _kib(counted) if account.handed_over else None,
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


def _bar(account: Account, start: int, size: int, letter: str, paint: Paint, cells: int) -> str:
    """[start, start + size) of the most that there was, as a bar of letters."""
    most = max(account.most, 1)
    first = min(start * cells // most, cells - 1)
    last = min(max(-(-(start + size) * cells // most), first + 1), cells)
    return " " * first + paint(letter, letter * (last - first)) + " " * (cells - last)
