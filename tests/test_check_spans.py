"""What ranges have in common, against sets of their bytes."""

from __future__ import annotations

from random import Random

import pytest

from bootsim.check.spans import first_fit, has, listed, shared, within, without
from bootsim.machine.memory import Range

END = 48


def some(random: Random, count: int) -> list[Range]:
    return [Range(base, random.randrange(END - base)) for base in random.sample(range(END), count)]


def members(places: list[Range]) -> set[int]:
    return {byte for place in places for byte in range(place.base, place.end)}


@pytest.mark.parametrize("seed", range(200))
def test_they_are_as_sets_of_bytes(seed: int) -> None:
    random = Random(seed)
    places, taken = some(random, random.randrange(4)), some(random, random.randrange(5))
    left = list(without(places, taken))
    assert members(left) == members(places) - members(taken)
    assert all(piece.size for piece in left)
    start, end = sorted((random.randrange(END), random.randrange(END)))
    assert members(list(within(places, start, end))) == members(places) & set(range(start, end))
    a, b = some(random, 2)
    assert shared(a, b) == len(members([a]) & members([b]))
    size, align = random.randrange(1, 6), 1 << random.randrange(4)
    fits = [at for at in range(0, END, align) if has(left, Range(at, size))]
    found = first_fit(sorted(places), size, align, taken)
    if any(shared(x, y) for x in places for y in places if x is not y):
        assert (found in fits) if fits else (found is None)
    else:
        assert found == min(fits, default=None)


def test_the_first_few_are_listed() -> None:
    assert listed("abcd") == "a, b, c, d"
    assert listed("abcdefg") == "a, b, c, d and 3 more"
