"""What becomes of boards when something is changed."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bootsim.batch import Task, prepare, tree_memory
from bootsim.dmesg.spans import union
from bootsim.errors import BootsimError
from bootsim.kernel.libfdt import Fdt
from bootsim.kernel.main import start_kernel
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.kernel.profile_file import load_profile
from bootsim.machine.memory import Range
from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.image import load_kernel_image
from bootsim.views.account import Kind, account
from bootsim.views.waterfall import steps
from bootsim.whatif import Row, ask, combinations, parse_variation
from tests.command import Run
from tests.conftest import REAL_BOOTS
from tests.real_boots import real_boots
from tests.requirements import need_directory, need_kernel
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
        (["ram=0"], "write SIZE or BASE:SIZE"),
        (["ram=3"], "whole pages"),
        (["mem=abc"], "write SIZE or SIZE@START"),
        (["mem=512MB"], "write SIZE or SIZE@START"),
        (["vmalloc=1.5G"], "write SIZE, as 512M"),
        (["cma=64M@"], "write SIZE, SIZE@BASE or SIZE@BASE-LIMIT"),
        (["cma=-1"], "write SIZE, SIZE@BASE or SIZE@BASE-LIMIT"),
        (["console=a b"], "no blanks"),
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


PAGE_OFFSETS = {"3G": 0xC0000000, "3G_OPT": 0xB0000000, "2G": 0x80000000, "1G": 0x40000000}
AREAS = {"240M": 240, "default": 240, "128M": 128, "512M": 512, "800M": 800}  # MiB


def lowmem_by_formula(banks: list[Range], page_offset: int, area: int) -> tuple[int, int]:
    """Bytes below and above the end of lowmem: VMALLOC_END - vmalloc - VMALLOC_OFFSET is where the
    linear map must end (adjust_lowmem_bounds(); Documentation/arch/arm/memory.rst)."""
    end = banks[0].base + 0xFF800000 - (area << 20) - (8 << 20) - page_offset
    low = sum(max(min(bank.end, end) - bank.base, 0) for bank in banks)
    return low, sum(bank.size for bank in banks) - low


def follow_the_formula(paths: list[Path]) -> int:
    """How many boots have lowmem and lost RAM as the formula says, which all must."""
    asked = combinations(
        SIX,
        [parse_variation(f"{key}={','.join(values)}") for key, values in
         (("highmem", ("n",)), ("vmsplit", PAGE_OFFSETS), ("vmalloc", AREAS))],
    )  # fmt: skip
    whole = combinations(SIX, [])
    boots = 0
    for path in paths:
        fdt = Fdt(path.read_bytes())
        banks = union(tree_memory(fdt))
        nodes = getattr(fdt.root.find("/reserved-memory"), "children", [])
        # What no-map, memory that a board's code steals, and odd banks do is another matter.
        if not banks or banks[-1].end > 1 << 32 or any("no-map" in n.props for n in nodes):
            continue
        if any(edge % (2 * MIB) for bank in banks for edge in (bank.base, bank.end)):
            continue
        (plain,) = ask(path, whole).rows
        if plain.lost or plain.error:
            continue
        for row in ask(path, asked, until="paging_init").rows:
            if row.error is not None:
                continue
            settings = dict(row.settings)
            low, high = lowmem_by_formula(
                banks, PAGE_OFFSETS[settings["vmsplit"]], AREAS[settings["vmalloc"]]
            )
            assert (row.lowmem, row.highmem, row.lost, row.cut) == (low, 0, high, high), path
            boots += 1
    return boots


def test_lowmem_is_what_the_formula_says(tmp_path: Path) -> None:
    paths = []
    for boot in real_boots(REAL_BOOTS / "boards"):
        paths.append(tmp_path / f"{boot.name}.dtb")
        paths[-1].write_bytes(boot.dtb)
    assert follow_the_formula(paths[::4]) > 100


@pytest.mark.slow
def test_lowmem_of_debians_boards_is_what_the_formula_says() -> None:
    directory = need_directory("BOOTSIM_DTBS", "Debian's device trees")
    assert follow_the_formula(sorted(directory.rglob("*.dtb"))[::4]) > 1000


@pytest.mark.slow
@pytest.mark.parametrize("vmalloc", ["default", "400M", "700M"])
@pytest.mark.parametrize("name", ["imx6q-sabresd", "omap4-panda", "exynos5250-arndale", "dra7-evm"])
def test_a_real_kernel_has_the_same_zones_and_free_pages(name: str, vmalloc: str) -> None:
    path = next(need_directory("BOOTSIM_DTBS", "Debian's trees").rglob(f"{name}.dtb"))
    (row,) = rows(path, f"vmalloc={vmalloc}", "cma=32M", cmdline="quiet")
    given = "quiet" + ("" if vmalloc == "default" else f" vmalloc={vmalloc}") + " cma=32M"
    boot = RealBoot(load_kernel_image(need_kernel()), dtb=path.read_bytes(), cmdline=given).run()
    sizes = {z.name: z.struct.present_pages * PAGE_SIZE for z in boot.buddy.zones}
    blocks = boot.buddy.free_blocks()
    runs = union(Range(b.pfn * PAGE_SIZE, PAGE_SIZE << b.order) for b in blocks)
    highmem = sizes.pop("HighMem")
    assert (row.lowmem, row.highmem) == (sum(sizes.values()), highmem)
    assert row.free == boot.buddy.nr_free_pages() * PAGE_SIZE
    assert row.largest == max(run.size for run in runs)


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
    head, having, lacking, why = out.splitlines()
    assert (status, err) == (0, "")
    assert head.split()[:3] == ["highmem", "cma", "RAM"]
    assert head.endswith("(MiB)")
    assert having.split()[:5] == ["y", "904M", "2048", "708", "1340"]
    assert lacking.split()[:7] == ["n", "904M", "2048", "708", "0", "1340", "1340"]
    assert why == "      cma: Failed to reserve 904 MiB"
    assert max(map(len, out.splitlines())) <= 80


def test_csv_and_json(bootsim: Run, big: Path) -> None:
    arguments = ("whatif", str(big), "--vary", "highmem=y,n")
    _, out, _ = bootsim(*arguments, "--csv")
    table = list(csv.DictReader(io.StringIO(out)))
    assert [row["highmem"] for row in table] == ["y", "n"]
    assert [row["lowmem_bytes"] for row in table] == [str(708 * MIB)] * 2
    assert [row["highmem_bytes"] for row in table] == [str(1340 * MIB), "0"]
    assert [row["cut_bytes"] for row in table] == ["0", str(1340 * MIB)]
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
    lines = out.splitlines()
    assert lines[:2] == [
        "2 boards on linux-6.1-armmp, without HIGHMEM",
        "RAM: to 512 MiB 1, to 2 GiB 1",
    ]
    # Lowmem ends 8 MiB below the vmalloc area, which ends at 0xff800000.
    table = [line.split() for line in lines[4:9]]
    assert table == [
        ["vmsplit", "programs", "no", "vmalloc=", "vmalloc=128M", "vmalloc=512M"],
        ["3G", "3", "GiB", "1", "1.25G..1.25G", "1", "1.14G..1.14G", "2", "784M..1.52G"],
        ["3G_OPT", "2.75", "GiB", "1", "1G..1G", "1", "912M..912M", "1", "1.27G..1.27G"],
        ["2G", "2", "GiB", "1", "256M..256M", "1", "144M..144M", "1", "528M..528M"],
        ["1G", "1", "GiB", "0", "0", "0"],
    ]
    needs = [line.split()[0] for line in lines if re.match(r"  \S+ +1  [bn]", line)]
    assert needs == ["3G", "1G", "3G", "1G", "3G_OPT", "1G"]
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
    assert out.splitlines()[1].split()[:3] == ["240M", "128", "128"]


def test_ram_that_does_not_fit_into_the_tree_is_one_rows_error(big: Path) -> None:
    fits, does_not = rows(big, "ram=512M,8G")
    assert fits.error is None
    assert "does not fit into the numbers" in (does_not.error or "")
    assert does_not.stage is None


def test_interrupted_it_keeps_what_it_has(big: Path, tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"board{number:03}.dtb").write_bytes(big.read_bytes())
    command = [sys.executable, "-m", "bootsim", "whatif", str(tmp_path), "--csv", "-j", "1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        lines = [run.stdout.readline() for _ in range(3)]
        run.send_signal(signal.SIGINT)
        rest, _ = run.communicate(timeout=30)
    assert run.returncode == 130
    table = list(csv.DictReader(io.StringIO("".join(lines) + rest)))
    assert 2 <= len(table) < 200
    assert all(row["total_bytes"] == str(2048 * MIB) for row in table)
