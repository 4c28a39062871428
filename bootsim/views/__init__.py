"""Readings of a finished boot, for people and for machines.

A view never drives a boot. Each is a function that returns a View: JSON-ready data, and the same as
lines of text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class View:
    """What a view shows: `data` for --json (addresses as numbers), `lines` for people."""

    data: Any
    lines: list[str]


def size_text(size: int) -> str:
    """A size in bytes in the largest unit that divides it well: 1 GiB, 16 MiB, 48.5 KiB, 40 B."""
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << shift:
            text = f"{size / (1 << shift):.1f}".removesuffix(".0")
            return f"{text} {unit}"
    return f"{size} B"
