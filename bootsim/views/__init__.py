"""Readings of a finished boot, for people and for machines.

A view never drives a boot. Each is a function that returns a View: JSON-ready data, and the same as
lines of text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bootsim.numbers import size_text

__all__ = ["View", "size_text"]


@dataclass(frozen=True, slots=True)
class View:
    """What a view shows: `data` for --json (addresses as numbers), `lines` for people."""

    data: Any
    lines: list[str]
