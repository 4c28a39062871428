"""What kinds of owners a map of RAM tells apart, each with a letter and colours.

The colours are made after Okabe and Ito's palette, which colour-blind people can tell apart; where
there is room, the letter says the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from bootsim import trace
from bootsim.views.owners import Owned, State


@dataclass(frozen=True, slots=True)
class Category:
    """A kind of owner: `title` for a legend, colours (#rrggbb) on light and on dark paper.

    `owners` are what its owners' names begin with.
    """

    letter: str
    title: str
    light: str
    dark: str
    owners: tuple[str, ...] = ()


KERNEL = Category("K", "kernel", "#d55e00", "#e8743b", (trace.KERNEL_IMAGE,))
PAGE_TABLES = Category("P", "page tables", "#c0569b", "#d685b9", (trace.PG_DIR, "page table"))
DEVICE_TREE = Category("D", "device tree", "#e0a100", "#e8b93e", (trace.DEVICE_TREE,))
INITRD = Category("I", "initrd", "#009e73", "#2fbf95", (trace.RAMDISK,))
CMA = Category("C", "CMA", "#3fa3dc", "#6cc0ee", ("CMA",))
MEMORY_MAP = Category("M", "memory map", "#0a63a8", "#4d92d6", ("memory map",))
TREE = Category("T", "reserved by the tree", "#5a3fb5", "#a294f2", ("/reserved-memory",))
RESERVED = Category("R", "other reservation", "#7a8190", "#7f8896")
NOT_LINUX = Category("X", "not Linux's", "#3b3f4a", "#c9ced8")
FREE = Category(".", "free", "#e4e9ee", "#2c343f")
GIVEN = Category("b", "free, handed over", "#cfe6d4", "#24483a")

CATEGORIES = (
    *(KERNEL, PAGE_TABLES, DEVICE_TREE, INITRD, CMA, MEMORY_MAP, TREE),
    *(RESERVED, NOT_LINUX, FREE, GIVEN),
)


def category(piece: Owned) -> Category:
    """The kind of `piece`'s owner."""
    match piece.state:
        case State.FREE:
            return FREE
        case State.GIVEN:
            return GIVEN
        case State.ABSENT | State.NOMAP:
            return NOT_LINUX
    return next((c for c in CATEGORIES if piece.owner.startswith(c.owners)), RESERVED)


def ink_on(colour: str) -> str:
    """Black or white, whichever reads better on `colour` (WCAG 2.1, relative luminance)."""
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
