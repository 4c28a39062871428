"""bootsim/kernel/MEMBLOCK.md names every function, and each where it says."""

from __future__ import annotations

import doctest
import gzip
import json
import re
from importlib import import_module
from pathlib import Path

from bootsim.kernel import memblock
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memblock import Memblock
from bootsim.selftest.memblock import CHECKS

PAGE = Path(memblock.__file__).with_name("MEMBLOCK.md")
DATA = Path(__file__).parent / "data"
SEED_FUNCTIONS = DATA / "memblock" / "seed-functions.txt"
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| `(\w+)` \| `(\w+)` \|(?: [^|]+)? \|$", re.MULTILINE)
ROWS = ROW.findall(PAGE.read_text())
NAMED = {function for function, *_ in ROWS}

# Python's own: how a memblock comes to be, and helpers that are no function of the kernel.
OWN = {"standalone", "initialize", "table", "dump_lines", "pfn_up"}


def test_every_line_of_the_tables_is_read() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert len(lines) == len(ROWS)
    assert len(NAMED) == len(ROWS)


def test_every_function_of_the_seeds_is_named() -> None:
    functions = set(SEED_FUNCTIONS.read_text().split())
    assert len(functions) > 50
    assert functions - NAMED == set()


def test_every_function_of_the_published_drivers_is_named() -> None:
    cases = json.loads((DATA / "biscuitos" / "cases.json").read_text())
    assert {function for case in cases for function in case["functions_used"]} - NAMED == set()


def test_every_recorded_operation_is_named() -> None:
    operations: set[bytes] = set()
    for path in (DATA / "memblock").glob("*.jsonl.gz"):
        operations.update(re.findall(rb'"op": ?"(\w+)"', gzip.decompress(path.read_bytes())))
    assert len(operations) > 50
    # region_pfns stands for the four functions memblock_region_*_pfn.
    methods = {method for _, _, method, _ in ROWS} | {"region_pfns"}
    assert {operation.decode() for operation in operations} - methods == set()


def test_every_method_is_where_the_table_says() -> None:
    for function, versions, method, module in ROWS:
        assert re.search(r"5\.0|6\.1", versions), function
        name = f"bootsim.kernel.{module}"
        owner = next((c for c in (*Memblock.__mro__, Kernel) if method in vars(c)), None)
        home = owner or getattr(import_module(name), method)
        assert home.__module__ == name, function


def test_every_public_method_is_in_the_table() -> None:
    listed = {method for _, _, method, _ in ROWS}
    public = {name for name in dir(Memblock) if not name.startswith("_")}
    methods = {name for name in public if callable(getattr(Memblock, name))}
    assert methods - listed == OWN


def test_versions_are_those_that_the_selftest_checks() -> None:
    versions = {function: set(re.findall(r"5\.0|6\.1", text)) for function, text, *_ in ROWS}
    for check in CHECKS:
        for function in set(check.functions) & versions.keys():
            assert set(check.linux) <= versions[function], f"{function}: {check.title}"


def test_the_examples() -> None:
    for results in (
        doctest.testmod(memblock),
        doctest.testfile(str(PAGE), module_relative=False),
    ):
        assert results.attempted > 0
        assert results.failed == 0
