"""What kinds of owners a map of RAM tells apart, each with a letter and colours.

The colours are made after Okabe and Ito's palette, which colour-blind people can tell apart; where
there is room, the letter says the same.
"""

from __future__ import annotations

from dataclasses import dataclass

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


KERNEL = Category("K", "kernel", "#d55e00", "#e8743b", ("kernel image",))
PAGE_TABLES = Category("P", "page tables", "#c0569b", "#d685b9", ("swapper_pg_dir", "page table"))
DEVICE_TREE = Category("D", "device tree", "#e0a100", "#e8b93e", ("device tree",))
INITRD = Category("I", "initrd", "#009e73", "#2fbf95", ("initrd",))
CMA = Category("C", "CMA", "#3fa3dc", "#6cc0ee", ("CMA",))
MEMORY_MAP = Category("M", "memory map", "#0a63a8", "#4d92d6", ("memory map",))
TREE = Category(
    "T", "reserved by the tree", "#8c4a2f", "#c08a72", ("/reserved-memory", "/memreserve")
)
RESERVED = Category("R", "other reservation", "#7a8190", "#979eac")
NOT_LINUX = Category("X", "not Linux's", "#3b3f4a", "#c9ced8")
FREE = Category(".", "free", "#e4e9ee", "#2c343f")
GIVEN = Category("b", "with the buddy allocator", "#cfe6d4", "#24483a")

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
