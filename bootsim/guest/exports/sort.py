"""Sorting and searching with the guest's comparisons: lib/sort.c, lib/bsearch.c.

Each kernel's heap sort asks and swaps in the same order here, so that what a callback counts or
prints is the same, and equal elements end up where they do in Linux.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bootsim.errors import BootsimError
from bootsim.guest.exports import Export
from bootsim.guest.exports.callback import Callback

if TYPE_CHECKING:
    from bootsim.guest.guest import Guest

_U32 = 0xFFFFFFFF

# Of two elements by their offsets in bytes.
_Compare = Callable[[int, int], int]
_Swap = Callable[[int, int], None]


def _sort_5_0(guest: Guest, base: int, num: int, size: int, cmp: int, swap: int) -> None:
    """The textbook's heap sort, up to 5.1."""
    if not size:
        if num > 1:
            raise BootsimError(f"sort() of {num} elements of 0 bytes: Linux never ends")
        return
    compare, exchange = _callbacks(guest, base, size, cmp, swap)
    for root in range((num // 2 - 1) * size, -1, -size):
        _sift_down(root, num * size, size, compare, exchange)
    for end in range((num - 1) * size, 0, -size):
        exchange(0, end)
        _sift_down(0, end, size, compare, exchange)


def _sift_down(root: int, end: int, size: int, compare: _Compare, exchange: _Swap) -> None:
    while (child := 2 * root + size) < end:
        if child + size < end and compare(child, child + size) < 0:
            child += size
        if compare(root, child) >= 0:
            return
        exchange(root, child)
        root = child


def _sort_6_1(guest: Guest, base: int, num: int, size: int, cmp: int, swap: int) -> None:
    """Bottom-up: down to a leaf with one comparison a level, then back to the element's place."""
    if num <= 1 or not size:
        return
    compare, exchange = _callbacks(guest, base, size, cmp, swap)
    for root in range((num // 2 - 1) * size, -1, -size):
        _sift_bottom_up(root, num * size, size, compare, exchange)
    for end in range((num - 1) * size, 0, -size):
        exchange(0, end)
        _sift_bottom_up(0, end, size, compare, exchange)


def _sift_bottom_up(root: int, end: int, size: int, compare: _Compare, exchange: _Swap) -> None:
    place = root
    while (right := 2 * place + 2 * size) < end:
        place = right - size if compare(right - size, right) >= 0 else right
    if right == end:
        place = right - size  # the last leaf has no sibling
    while place != root and compare(root, place) >= 0:
        place = _parent(place, size)
    target = place
    while place != root:
        place = _parent(place, size)
        exchange(place, target)


def _parent(offset: int, size: int) -> int:
    return (offset // size - 1) // 2 * size


def _callbacks(guest: Guest, base: int, size: int, cmp: int, swap: int) -> tuple[_Compare, _Swap]:
    comparison = Callback(guest, cmp)

    def compare(a: int, b: int) -> int:
        return comparison(base + a, base + b)

    if swap:
        swapping = Callback(guest, swap)

        def exchange(a: int, b: int) -> None:
            swapping(base + a, base + b, size)

    else:
        memory = guest.memory

        def exchange(a: int, b: int) -> None:
            a, b = base + a & _U32, base + b & _U32
            one, other = memory.read(a, size), memory.read(b, size)
            memory.write(a, other)
            memory.write(b, one)

    return compare, exchange


def _bsearch(guest: Guest, key: int, base: int, num: int, size: int, cmp: int) -> int:
    compare = Callback(guest, cmp)
    while num > 0:
        pivot = base + num // 2 * size
        result = compare(key, pivot)
        if result == 0:
            return pivot
        if result > 0:
            base = pivot + size
            num -= 1
        num //= 2
    return 0


_SORT = (
    "void sort(void *base, size_t num, size_t size, int (*cmp)(const void *a, const void *b),"
    " void (*swap)(void *a, void *b, int size))"
)

EXPORTS = (
    Export(_SORT, _sort_5_0, "5.0"),
    Export(_SORT, _sort_6_1, "6.1"),
    Export(
        "void *bsearch(const void *key, const void *base, size_t num, size_t size,"
        " int (*cmp)(const void *a, const void *b))",
        _bsearch,
    ),
)
