"""bootsim/kernel/MEMBLOCK.md names every function, and each where it says."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from bootsim.kernel import memblock
from bootsim.kernel.memblock import Memblock

PAGE = Path(memblock.__file__).with_name("MEMBLOCK.md")
SEED_FUNCTIONS = Path(__file__).parent / "data" / "memblock" / "seed-functions.txt"
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| `(\w+)` \| `(\w+)` \|$", re.MULTILINE)

# Python's own: how a memblock comes to be, and helpers that are no function of the kernel.
OWN = {"standalone", "initialize", "table", "dump_lines", "pfn_up"}


def test_every_function_of_the_seeds_is_named() -> None:
    text = PAGE.read_text()
    functions = SEED_FUNCTIONS.read_text().split()
    assert len(functions) > 50
    assert [function for function in functions if f"`{function}`" not in text] == []


def test_every_method_is_where_the_table_says() -> None:
    for function, versions, method, module in ROW.findall(PAGE.read_text()):
        assert re.search(r"5\.0|6\.1", versions), function
        owner = next(cls for cls in Memblock.__mro__ if method in vars(cls))
        assert owner.__module__ == f"bootsim.kernel.{module}", function


def test_every_public_method_is_in_the_table() -> None:
    listed = {method for _, _, method, _ in ROW.findall(PAGE.read_text())}
    public = {name for name in dir(Memblock) if not name.startswith("_")}
    methods = {name for name in public if callable(getattr(Memblock, name))}
    assert methods - listed == OWN


def test_the_examples() -> None:
    for results in (
        doctest.testmod(memblock),
        doctest.testfile(str(PAGE), module_relative=False),
    ):
        assert results.attempted > 0
        assert results.failed == 0
