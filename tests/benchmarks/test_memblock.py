"""How long memblock's operations take, beside the kernel's own C.

    pytest tests/benchmarks/test_memblock.py --benchmark-enable

The C figures were measured on the kernel's mm/memblock.c (6.1, -O2) in userspace, on a machine of
the same kind, busy: lowest and highest, in ns an operation. `reserve` is the average over filling
an empty table, the others are for a table of that many regions.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bootsim.kernel.memblock import Memblock
from tests.conftest import SUMMARY

BASE, END = 0x10000000, 0xE0000000
STEP, SIZE = 0x2000, 0x1000
PAGE = 4096

COUNTS = [100, 128, 1000, 10_000, pytest.param(100_000, marks=pytest.mark.slow)]

KERNEL_C = {
    "reserve, random": {
        100: (182, 491),
        1000: (1252, 2123),
        10_000: (13487, 22154),
        100_000: (136825, 207879),
    },
    "reserve, ascending": {
        100: (149, 336),
        1000: (1443, 1969),
        10_000: (16896, 27179),
        100_000: (161298, 192938),
    },
    "phys_alloc, space at top": {
        100: (325, 488),
        1000: (2820, 5133),
        10_000: (34495, 54360),
        100_000: (359452, 414938),
    },
    "phys_alloc, scans all gaps": {
        100: (1131, 2852),
        1000: (10448, 20559),
        10_000: (120317, 207278),
        100_000: (1230670, 1526407),
    },
    "is_reserved": {100: (7, 11), 1000: (9, 17), 10_000: (12, 19), 100_000: (95, 121)},
}


def empty() -> Memblock:
    memblock = Memblock.standalone([(BASE, END - BASE)])
    memblock.allow_resize()
    return memblock


@lru_cache(maxsize=1)
def filled(count: int) -> Memblock:
    """A table of `count` regions, a page each with a page between them."""
    memblock = empty()
    for number in range(count):
        memblock.reserve(BASE + number * STEP, SIZE)
    return memblock


def measure(
    benchmark: BenchmarkFixture,
    config: pytest.Config,
    name: str,
    count: int,
    run: Callable[[Memblock], object],
    operations: int,
    setup: Callable[[], Memblock],
    rounds: int,
) -> None:
    """Time `run`, which does `operations` operations on what `setup` gives, and report it."""
    benchmark.pedantic(run, setup=lambda: ((setup(),), {}), rounds=rounds)  # type: ignore[no-untyped-call]
    if benchmark.stats is None:  # --benchmark-disable
        return
    ns = benchmark.stats.stats.min / operations * 1e9
    benchmark.extra_info["ns an operation"] = round(ns)
    line = f"{name:28} {count:7} regions {ns:12,.0f} ns"
    if count in KERNEL_C.get(name, {}):
        low, high = KERNEL_C[name][count]
        line += f"   kernel's C {low:9,} to {high:9,} ns   {low / ns:6.1f} to {high / ns:6.1f} x"
    config.stash[SUMMARY].append(line)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("order", ["random", "ascending"])
def test_reserve(
    benchmark: BenchmarkFixture, pytestconfig: pytest.Config, count: int, order: str
) -> None:
    bases = [BASE + number * STEP for number in range(count)]
    if order == "random":
        random.Random(count).shuffle(bases)

    def run(memblock: Memblock) -> None:
        reserve = memblock.reserve
        for base in bases:
            reserve(base, SIZE)
        assert memblock.reserved.cnt >= count

    rounds = max(3, 2000 // count)
    measure(benchmark, pytestconfig, f"reserve, {order}", count, run, count, empty, rounds)


@pytest.mark.parametrize("count", COUNTS)
def test_phys_alloc_with_space_at_the_top(
    benchmark: BenchmarkFixture, pytestconfig: pytest.Config, count: int
) -> None:
    memblock = filled(count)
    top = memblock.reserved[-1].base if memblock.reserved[-1].end == END else END

    def setup() -> Memblock:
        memblock.phys_free(top - 0x1000000, 0x1000000)
        return memblock

    def run(memblock: Memblock) -> None:
        for _ in range(100):
            assert memblock.phys_alloc(PAGE, PAGE)

    name = "phys_alloc, space at top"
    measure(benchmark, pytestconfig, name, count, run, 100, setup, 20)
    setup()


@pytest.mark.parametrize("known", [False, True], ids=["first", "again"])
@pytest.mark.parametrize("count", COUNTS)
def test_phys_alloc_with_all_gaps_to_scan(
    benchmark: BenchmarkFixture, pytestconfig: pytest.Config, count: int, known: bool
) -> None:
    """Each gap is too small, so that what is found lies below all of them."""
    memblock = filled(count)
    end = BASE + count * STEP
    low = BASE - 0x1000000
    memblock.add(low, 0x1000000)

    def setup() -> Memblock:
        memblock.phys_free(low, 0x1000000)  # forgets what was scanned
        if known:
            memblock.phys_alloc_range(4 * PAGE, PAGE, 0, end)
        return memblock

    def run(memblock: Memblock) -> None:
        for _ in range(50 if known else 1):
            assert memblock.phys_alloc_range(4 * PAGE, PAGE, 0, end) < BASE

    name = "phys_alloc, scans all gaps" + (", again" if known else "")
    measure(benchmark, pytestconfig, name, count, run, 50 if known else 1, setup, 20)
    memblock.phys_free(low, 0x1000000)
    memblock.remove(low, 0x1000000)


@pytest.mark.parametrize("count", COUNTS)
def test_is_reserved(benchmark: BenchmarkFixture, pytestconfig: pytest.Config, count: int) -> None:
    addresses = [random.Random(1).randrange(BASE, BASE + count * STEP) for _ in range(1000)]

    def run(memblock: Memblock) -> None:
        for address in addresses:
            memblock.is_reserved(address)

    memblock = filled(count)
    measure(
        benchmark, pytestconfig, "is_reserved", count, run, len(addresses), lambda: memblock, 20
    )


@pytest.mark.parametrize("count", COUNTS)
def test_free(benchmark: BenchmarkFixture, pytestconfig: pytest.Config, count: int) -> None:
    memblock = filled(count)
    numbers = random.Random(count).sample(range(count), min(count, 200))

    def setup() -> Memblock:
        for number in numbers:
            memblock.reserve(BASE + number * STEP, SIZE)
        return memblock

    def run(memblock: Memblock) -> None:
        for number in numbers:
            memblock.phys_free(BASE + number * STEP, SIZE)

    measure(benchmark, pytestconfig, "phys_free, random", count, run, len(numbers), setup, 10)
    setup()
