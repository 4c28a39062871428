"""The kernel's heap sort, which is not stable: equal keys end up where its swaps put them.

Linux: lib/sort.c. Since 5.2 it finds the same places with fewer comparisons.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def sort(items: list[T], compare: Callable[[T, T], int]) -> None:
    """Sort `items` in place; `compare` returns less than, equal to or more than 0."""
    for root in range(len(items) // 2 - 1, -1, -1):
        _sift_down(items, root, len(items), compare)
    for end in range(len(items) - 1, 0, -1):
        items[0], items[end] = items[end], items[0]
        _sift_down(items, 0, end, compare)


def _sift_down(items: list[T], root: int, end: int, compare: Callable[[T, T], int]) -> None:
    while (child := 2 * root + 1) < end:
        if child + 1 < end and compare(items[child], items[child + 1]) < 0:
            child += 1
        if compare(items[root], items[child]) >= 0:
            return
        items[root], items[child] = items[child], items[root]
        root = child
