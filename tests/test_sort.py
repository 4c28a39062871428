"""The kernel's heap sort."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bootsim.kernel.sort import sort


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
