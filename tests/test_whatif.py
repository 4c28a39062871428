"""What becomes of boards when something is changed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from bootsim.batch import Task, prepare, tree_memory
from bootsim.errors import BootsimError
from bootsim.kernel.libfdt import Fdt
from bootsim.kernel.main import start_kernel
from bootsim.kernel.profile import load_profile
from bootsim.views.account import Kind, account
from bootsim.views.waterfall import steps
from bootsim.whatif import Row, ask, combinations, parse_variation
from tests.command import Run
from tests.trees import CELLS, blob, board

MIB = 1 << 20
BASE = 0x60000000
SIX = load_profile("linux-6.1-armmp")


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A board with 2 GiB."""
    path = tmp_path / "big.dtb"
    path.write_bytes(board((BASE, 2048 * MIB), bootargs="vmalloc=300M cma=32M quiet"))
    return path


def rows(path: Path, *variations: str, **options: str) -> list[Row]:
    asked = combinations(SIX, [parse_variation(text) for text in variations])
    answer = ask(path, asked, **options)
    assert answer.error is None
    return list(answer.rows)


def test_all_combinations_the_last_key_fastest() -> None:
    asked = combinations(SIX, [parse_variation("highmem=y,n"), parse_variation("cma=1M,2M")])
    assert [each.settings for each in asked] == [
        (("highmem", "y"), ("cma", "1M")),
        (("highmem", "y"), ("cma", "2M")),
        (("highmem", "n"), ("cma", "1M")),
        (("highmem", "n"), ("cma", "2M")),
    ]
    assert [each.settings for each in combinations(SIX, [])] == [()]


@pytest.mark.parametrize("text", ["", "cma", "=1", "cma=", "cma=1,,2", "a b=1"])
def test_what_is_no_variation(text: str) -> None:
    with pytest.raises(BootsimError, match="write KEY=VALUE"):
        parse_variation(text)


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["highmem=maybe"], "expected y, n, default"),
        (["vmsplit=4G"], "expected 3G, 3G_OPT, 2G, 1G, default"),
        (["vmaloc=1M"], "nor a parameter of linux-6.1-armmp's command line"),
        (["ram=big"], "write SIZE or BASE:SIZE"),
        (["ram=x:1G"], "write SIZE or BASE:SIZE"),
        (["cma=1M", "cma=2M"], "give all its values at once"),
    ],
)
def test_keys_and_values_that_there_are_not(texts: list[str], problem: str) -> None:
    with pytest.raises(BootsimError, match=problem):
        combinations(SIX, [parse_variation(text) for text in texts])


def test_lowmem_follows_from_split_and_vmalloc(big: Path) -> None:
    # Lowmem ends 8 MiB below the vmalloc area, which ends at 0xff800000.
    found = rows(big, "highmem=y,n", "vmsplit=3G,3G_OPT,2G,1G", "vmalloc=240M,512M")
    lowmem = [768, 496, 1024, 752, 1792, 1520, 2048, 2048]
    assert [row.lowmem for row in found] == 2 * [size * MIB for size in lowmem]
    for row in found[:8]:
        assert row.lowmem is not None
        assert (row.lost, row.cut, row.highmem) == (0, 0, 2048 * MIB - row.lowmem)
    for row in found[8:]:
        assert row.lowmem is not None
        assert row.lost == row.cut == 2048 * MIB - row.lowmem
        assert row.highmem == 0


@pytest.mark.parametrize("highmem", ["y", "n"])
def test_the_account_of_the_same_boot_has_the_same_numbers(big: Path, highmem: str) -> None:
    (row,) = rows(big, f"highmem={highmem}", "mem=1500M")
    (asked,) = combinations(SIX, [parse_variation(f"highmem={highmem}")])
    dtb = big.read_bytes()
    kernel = prepare(Task("t", dtb, "vmalloc=300M cma=32M quiet mem=1500M"), asked.profile)
    start_kernel(kernel)
    found = account(kernel, tree_memory(Fdt(dtb)))
    assert row.lost == found.size(Kind.LOST, Kind.NO_PAGE)
    assert row.free == found.free
    assert row.cut == sum(s.size for s in steps(found) if "no HIGHMEM" in s.what)
    assert (row.cut > 0) == (highmem == "n")


def test_parameters_take_the_place_of_those_that_are_there(big: Path) -> None:
    by_tree, given, without = rows(big, "vmalloc=300M,512M,default")
    assert [r.lowmem for r in (by_tree, given, without)] == [s * MIB for s in (708, 496, 768)]
    (other,) = rows(big, "cma=default", cmdline="vmalloc=400M cma=1G")
    assert other.lowmem == 608 * MIB
    assert rows(big)[0].lowmem == 708 * MIB


def test_no_map_at_the_end_of_ram_is_not_for_want_of_highmem(tmp_path: Path) -> None:
    #  |------------- 256 MiB ------------| no-map 16 |
    end = BASE + 256 * MIB
    node = f"v@{end - 16 * MIB:x} {{ reg = <{end - 16 * MIB:#x} {16 * MIB:#x}>; no-map; }};"
    path = tmp_path / "nomap.dtb"
    path.write_bytes(
        board((BASE, 256 * MIB), extra=f"reserved-memory {{ {CELLS} ranges; {node} }};")
    )
    having, lacking = rows(path, "highmem=y,n")
    assert (having.lost, having.cut) == (0, 0)
    assert (lacking.lost, lacking.cut) == (16 * MIB, 0)


def test_ram_of_another_size(tmp_path: Path) -> None:
    path = tmp_path / "empty.dtb"
    path.write_bytes(board((0x80000000, 0)))
    (small, elsewhere) = rows(path, "ram=256M,0x40000000:128M")
    assert (small.total, elsewhere.total) == (256 * MIB, 128 * MIB)
    assert small.free is not None
    assert small.largest is not None
    assert 0 < small.largest < small.free < 256 * MIB
    answer = ask(path, combinations(SIX, []))
    assert (answer.rows, answer.error, answer.without_ram) == ((), None, True)
    path.write_bytes(blob("", f'{CELLS} memory {{ device_type = "memory"; reg = <0 0>; }};'))
    asked = combinations(SIX, [parse_variation("ram=256M")])
    assert ask(path, asked).without_ram


def test_boots_that_die_and_that_cannot_start(big: Path) -> None:
    dies, lives = rows(big, "mem=1M@0x61000000,64M", "cma=904M")
    assert dies.error
    assert dies.free is None
    assert lives.error is None
    assert lives.complaints == ("cma: Failed to reserve 904 MiB",)
    (cannot,) = rows(big, "ram=1M")
    assert "the kernel takes RAM to begin at 0x60000000: no bank holds" in (cannot.error or "")
    assert cannot.stage is None


def test_a_stage_to_stop_at_has_lowmem_and_no_free_pages(big: Path) -> None:
    (row,) = rows(big, "highmem=n", until="paging_init")
    assert row.stage == "paging_init"
    assert row.lowmem == 708 * MIB
    assert row.free is None


# The command.


def test_a_table(bootsim: Run, big: Path) -> None:
    status, out, err = bootsim("whatif", str(big), "--vary", "highmem=y,n", "--vary", "cma=904M")
    head, having, lacking = out.splitlines()
    assert (status, err) == (0, "")
    assert head.split()[:2] == ["highmem", "cma"]
    assert "1.3 GiB" in having
    assert having.split()[:2] == ["y", "904M"]
    assert lacking.endswith("  cma: Failed to reserve 904 MiB")


def test_csv_and_json(bootsim: Run, big: Path) -> None:
    arguments = ("whatif", str(big), "--vary", "highmem=y,n")
    _, out, _ = bootsim(*arguments, "--csv")
    table = list(csv.DictReader(io.StringIO(out)))
    assert [row["lowmem"] for row in table] == [str(708 * MIB)] * 2
    assert [row["cut"] for row in table] == ["0", str(1340 * MIB)]
    _, out, _ = bootsim(*arguments, "--json")
    (tree,) = json.loads(out)["trees"]
    assert tree["tree"] == str(big)
    assert [boot["settings"] for boot in tree["boots"]] == [{"highmem": "y"}, {"highmem": "n"}]
    assert [boot["cut"] for boot in tree["boots"]] == [0, 1340 * MIB]


def test_a_fleet_with_bad_trees_in_it(bootsim: Run, big: Path, tmp_path: Path) -> None:
    (tmp_path / "a-broken.dtb").write_bytes(big.read_bytes()[:200])
    (tmp_path / "b-empty.dtb").touch()
    (tmp_path / "c-text.dtb").write_text("no tree")
    with (tmp_path / "d-huge.dtb").open("wb") as huge:
        huge.truncate(65 << 20)
    (tmp_path / "e-no-ram.dtb").write_bytes(board((BASE, 0)))
    (tmp_path / "f-small.dtb").write_bytes(board((BASE, 128 * MIB)))
    status, out, err = bootsim("whatif", str(tmp_path), "--vary", "highmem=y,n", "-j", "2")
    assert status == 2
    assert len(err.splitlines()) == 4
    for name in ("a-broken", "b-empty", "c-text", "d-huge"):
        assert f"{name}.dtb: " in err
    assert out.splitlines()[-5:] == [
        "Of 2 boards:",
        "  highmem=y  0 lose RAM for want of HIGHMEM",
        "  highmem=n  1 lose RAM for want of HIGHMEM (1.3 GiB at the most)",
        "a tree leaves RAM to the boot loader: --vary ram=SIZE gives some",
        "4 trees cannot be read",
    ]


def test_exit_status(bootsim: Run, big: Path, tmp_path: Path) -> None:
    assert bootsim("whatif", str(big))[0] == 0
    assert bootsim("whatif", str(big), "--vary", "mem=64M,1M@0x61000000")[0] == 1
    assert bootsim("whatif", str(tmp_path / "none.dtb"))[0] == 2
    assert bootsim("whatif", str(big), "--vary", "vmsplit=x")[0] == 2
    empty = tmp_path / "empty.dtb"
    empty.write_bytes(board((BASE, 0)))
    assert bootsim("whatif", str(empty))[0] == 2


def test_the_highmem_exit(bootsim: Run, big: Path, tmp_path: Path) -> None:
    (tmp_path / "f-small.dtb").write_bytes(board((BASE, 512 * MIB)))
    status, out, _ = bootsim("whatif", "--highmem-exit", str(tmp_path))
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[1:6] == [
        ["vmsplit", "default", "128M", "512M"],
        ["3G", "1", "1", "2"],
        ["3G_OPT", "1", "1", "1"],
        ["2G", "1", "1", "1"],
        ["1G", "0", "0", "0"],
    ]
    assert ["1G", "1", "board"] in lines
    status, out, err = bootsim("whatif", "--highmem-exit", str(big), "--vary", "cma=1M")
    assert (status, out) == (2, "")
    assert "not cma" in err


def test_sources_are_taken_too(bootsim: Run, tmp_path: Path) -> None:
    source = tmp_path / "board.dts"
    source.write_text(
        f"/dts-v1/; / {{ {CELLS} memory@60000000 {{"
        ' device_type = "memory"; reg = <0x60000000 0x8000000>; }; };'
    )
    status, out, _ = bootsim("whatif", str(source), "--vary", "vmalloc=240M")
    assert status == 0
    assert "128 MiB" in out
