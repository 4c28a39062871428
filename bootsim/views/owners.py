"""Who owns which piece of RAM: by the names that the kernel gave, else by who reserved it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from bootsim.machine.memory import Range
from bootsim.trace import MemblockRange, Use
from bootsim.views.booted import Booted

FREE = "free"


@dataclass(frozen=True, slots=True)
class Owned:
    """[base, end) in bytes and who owns it; `reserved` tells whether memblock keeps it."""

    base: int
    end: int
    owner: str
    reserved: bool

    @property
    def size(self) -> int:
        return self.end - self.base


def ownership(boot: Booted) -> list[Owned]:
    """All RAM of the machine in address order, cut where the owner changes."""
    boundaries = {edge for bank in boot.memory.banks for edge in (bank.base, bank.end)}
    named = [
        (Range(event.base, event.size), event.what)
        for event in boot.trace
        if isinstance(event, Use)
    ]
    reserved = _reserved(boot)
    requested = list(_requested(boot))
    for base, end in reserved:
        boundaries.update((base, end))
    for range_, _ in (*named, *requested):
        boundaries.update((range_.base, range_.end))
    edges = sorted(boundaries)
    pieces: list[Owned] = []
    for base, end in pairwise(edges):
        if not boot.memory.contains(base, end - base):
            continue
        is_reserved = any(low <= base and end <= high for low, high in reserved)
        owner = FREE
        if is_reserved:
            owner = next(
                (n for r, n in reversed(named) if r.base <= base and end <= r.end), ""
            ) or next(
                (n for r, n in reversed(requested) if r.base <= base and end <= r.end), "reserved"
            )
        if pieces and pieces[-1].end == base and pieces[-1].owner == owner:
            base = pieces.pop().base
        pieces.append(Owned(base, end, owner, is_reserved))
    return pieces


def owners_of(boot: Booted, base: int, end: int) -> list[str]:
    """The owners of what lies in [base, end), each once, in address order."""
    names = (p.owner for p in ownership(boot) if p.base < end and base < p.end)
    return list(dict.fromkeys(names))


def _reserved(boot: Booted) -> list[tuple[int, int]]:
    return [(r.base, r.base + r.size) for r in boot.memblock.reserved if r.size]


def _requested(boot: Booted) -> Iterator[tuple[Range, str]]:
    """What was reserved, and by which function, in the order of the boot."""
    for event in boot.trace:
        if isinstance(event, MemblockRange) and event.function == "memblock_reserve":
            yield Range(event.base, event.size), f"reserved by {event.caller}()"
