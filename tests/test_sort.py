"""The kernel's heap sort."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bootsim.kernel.sort import sort

VECTORS = [
    ([1, 0, 2, 0], [1, 3, 0, 2]),
    ([3, 3, 3, 3, 1, 0, 3], [5, 4, 2, 3, 1, 6, 0]),
    ([0, 3, 3, 0, 3, 2, 1, 0, 2, 0], [7, 3, 9, 0, 6, 5, 8, 2, 4, 1]),
    ([0, 0, 0, 3, 1, 3, 0, 1, 3, 3, 1, 2, 1], [0, 6, 2, 1, 10, 4, 12, 7, 11, 5, 9, 8, 3]),
]


@given(st.lists(st.integers(0, 20)))
def test_it_sorts(items: list[int]) -> None:
    result = list(items)
    sort(result, lambda a, b: a - b)
    assert result == sorted(items)


def test_equal_keys_rotate() -> None:
    # Entries that compare equal come out as 1, 2, ..., n-1, 0: seen on real kernels, where dynamic
    # reserved-memory nodes are allocated in that order.
    items = [(0, name) for name in "abcde"]
    sort(items, lambda a, b: a[0] - b[0])
    assert [name for _, name in items] == ["b", "c", "d", "e", "a"]


def test_equal_keys_end_up_where_linux_puts_them() -> None:
    # What lib/sort.c of Linux 6.1, compiled for the host, makes of these keys.
    for keys, places in VECTORS:
        items = list(enumerate(keys))
        sort(items, lambda a, b: a[1] - b[1])
        assert [place for place, _ in items] == places
