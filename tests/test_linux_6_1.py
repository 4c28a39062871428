"""The profile of Debian's 6.1: what recorded boots do not show, and trees made to hurt.

Where a tree or a command line is one that a real kernel was given, tests/data/real_boots has it.
"""

from __future__ import annotations

import struct
import time
from importlib import resources

import pytest

from bootsim.batch import Outcome, Task, prepare, run_task
from bootsim.devicetree.chosen import set_chosen
from bootsim.errors import KernelPanic
from bootsim.kernel.fdt_check_mem_start import fdt_check_mem_start, mem_start_of
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.libfdt import Fdt
from bootsim.kernel.main import start_kernel
from bootsim.kernel.profile_file import load_profile, parse_profile
from bootsim.loader import Wishes
from bootsim.trace import BootStopped
from tests.trees import CELLS, blob, board

MIB = 1 << 20
BASE = 0x60000000
RAM = ((BASE, 1024 * MIB),)
PROFILE = "linux-6.1-armmp"
ARMMP = load_profile(PROFILE)
MEMORY = f'memory {{ device_type = "memory"; reg = <{BASE:#x} 0x40000000>; }};'
RESERVED = f"reserved-memory {{ {CELLS} ranges; %s }};"


def boot(dtb: bytes, cmdline: str | None = "memblock=debug", **wishes: int) -> Outcome:
    return run_task(
        Task(
            "t",
            dtb if cmdline is None else set_chosen(dtb, bootargs=cmdline),
            profile=PROFILE,
            ram=RAM,
            wishes=Wishes(BASE, **wishes),
            until="arm_memblock_init",
        )
    )


def started(dtb: bytes) -> Kernel:
    kernel = prepare(
        Task("t", dtb, profile=PROFILE, ram=RAM, wishes=Wishes(BASE), until="arm_memblock_init"),
        ARMMP,
    )
    with pytest.raises(BootStopped):
        start_kernel(kernel)
    return kernel


def ranges(regions: object) -> list[tuple[int, int]]:
    return [(region.base, region.size) for region in regions]  # type: ignore[attr-defined]


# Machines


@pytest.mark.parametrize(
    ("compatible", "name"),
    [
        ('"arm,vexpress"', "ARM-Versatile Express"),
        ('"ARM,VExpress"', "ARM-Versatile Express"),
        ('"x,y", "ti,omap3"', "Generic OMAP3 (Flattened Device Tree)"),
        ('"nokia,omap3-n900", "ti,omap3430", "ti,omap3"', "Nokia RX-51 board"),
        ('"ti,omap3430", "ti,omap3630"', "Generic OMAP3 (Flattened Device Tree)"),
        ('"ti,omap36xx", "ti,omap3"', "Generic OMAP36xx (Flattened Device Tree)"),
    ],
)
def test_the_most_specific_string_chooses_the_machine(compatible: str, name: str) -> None:
    machine = started(blob("", f"{CELLS} compatible = {compatible}; {MEMORY}")).machine_desc
    assert machine is not None
    assert machine.name == name


def test_no_machine_is_the_generic_one() -> None:
    assert started(blob("", f'{CELLS} compatible = "x"; {MEMORY}')).machine_desc is None


def test_exynos_reads_eight_banks() -> None:
    banks = [(BASE + 0x4000000 * number, 0x2000000) for number in range(12)]
    reg = " ".join(f"{base:#x} {size:#x}" for base, size in banks)
    after = 'behind { name-of-its-own = "there"; reg = <1 2>; };'
    tree = blob(
        "",
        f'{CELLS} compatible = "samsung,exynos5";'
        f' memory {{ device_type = "memory"; reg = <{reg}>; }}; {after}',
    )
    kernel = started(tree)
    assert ranges(kernel.memblock.memory) == banks[:8]
    # The blob in RAM is cut as libfdt cuts it: all else is still there, and totalsize is the same.
    cut = Fdt(kernel.memory.read(kernel.fdt.blob_phys, len(tree)))
    assert cut.totalsize == len(tree)
    assert [(n.name, n.depth) for n in cut.root.walk()] == [
        (n.name, n.depth) for n in Fdt(tree).root.walk()
    ]
    behind = cut.root.find("/behind")
    assert behind is not None
    assert behind.props == {"name-of-its-own": b"there\0", "reg": struct.pack(">2I", 1, 2)}


def test_the_seed_of_random_numbers_is_wiped_out_of_the_blob() -> None:
    seed = " ".join("0xfeedbeef" for _ in range(8))
    kernel = started(blob("", f"{CELLS} {MEMORY} chosen {{ rng-seed = <{seed}>; a = <1>; }};"))
    left = kernel.memory.read(kernel.fdt.blob_phys, 4096)
    assert bytes.fromhex("feedbeef") not in left
    chosen = Fdt(left).root.find("/chosen")
    assert chosen is not None
    assert chosen.props == {"a": b"\0\0\0\1"}


def test_a_blob_off_its_alignment_is_not_found() -> None:
    # A real kernel prints the same, then dies as it has unmapped itself: the default of 16 MiB
    # ends below its own end.
    outcome = boot(board((BASE, 256 * MIB)), dtb_addr=BASE + 0x8000004)
    assert "Machine: Generic DT based system" in outcome.log
    assert "Warning: Neither atags nor dtb found" in outcome.log
    assert ranges(outcome.memory) == [(BASE, 16 * MIB)]


def test_uefi_is_not_modelled() -> None:
    tree = blob("", f"{CELLS} {MEMORY} chosen {{ linux,uefi-system-table = <0 1>; }};")
    assert "UEFI" in (boot(tree).error or "")


# The start of RAM


@pytest.mark.parametrize(
    ("root", "pc", "base"),
    [
        (f"{CELLS} {MEMORY}", 0x60010000, 0x60000000),
        (f"{CELLS} {MEMORY}", 0x67FFFFFF, 0x60000000),
        (f"{CELLS} {MEMORY}", 0x10010000, 0x60000000),
        (f'{CELLS} m {{ device_type = "memory"; reg = <0x64100000 0x1000>; }};', 0, 0x64200000),
        (f'{CELLS} m {{ device_type = "memory"; reg = <0x64000000 0>; }};', 0x9000000, 0x8000000),
        (CELLS, 0x61234567, 0x60000000),
        (f"{CELLS} a {{ {MEMORY} }};", 0, 0x60000000),  # at any depth
        (f"#address-cells = <3>; {MEMORY}", 0x10000, 0),
        (
            f"{CELLS} {MEMORY} chosen {{ linux,usable-memory-range = <0x70100000 0x8000000>; }};",
            0x60010000,
            0x70200000,
        ),
    ],
)
def test_where_the_decompressor_takes_ram_to_begin(root: str, pc: int, base: int) -> None:
    assert fdt_check_mem_start(mem_start_of(pc), Fdt(blob("", root))) == base


# Trees made to hurt


def test_more_banks_than_memblock_has_room_for() -> None:
    banks = [(BASE + 0x200000 * number, 0x100000) for number in range(140)]
    outcome = boot(board(*banks))
    assert ranges(outcome.memory)[:-1] == banks[:127]  # no room for the others: dropped in silence
    assert len(outcome.memory) == 128


def test_more_reserved_regions_than_the_table_holds() -> None:
    nodes = " ".join(
        f"n{number} {{ reg = <{0x70000000 + 0x100000 * number:#x} 0x1000>; }};"
        for number in range(70)
    )
    outcome = boot(board((BASE, 1024 * MIB), extra=RESERVED % nodes))
    said = [
        line for line in outcome.log if line.endswith("not enough space for all defined regions.")
    ]
    assert len(said) == 70 - 64
    assert len([region for region in outcome.reserved if region.size == 0x1000]) == 70


def test_deep_trees_take_no_time_and_no_stack() -> None:
    depth = 20000
    names, properties = b"device_type\0reg\0", struct.pack(">3I", 3, 7, 0) + b"memory\0\0"
    body = struct.pack(">I", 1) + bytes(4) + properties * 0
    body += (struct.pack(">I", 1) + b"n\0\0\0" + properties) * depth
    body += struct.pack(">I", 2) * (depth + 1) + struct.pack(">I", 9)
    head = 40 + 16
    tree = struct.pack(
        ">10I", 0xD00DFEED, head + len(body) + len(names), head, head + len(body), 40, 17, 16, 0,
        len(names), len(body),
    )  # fmt: skip
    tree += bytes(16) + body + names
    start = time.monotonic()
    outcome = run_task(
        Task("deep", tree, profile=PROFILE, ram=RAM, wishes=Wishes(BASE), until="parse_early_param")
    )
    assert outcome.error is None
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    ("cells", "reg", "memory"),
    [
        ((3, 3), "9 0 0x60000000 9 0 0x10000000", [(BASE, 0x10000000)]),  # the low 64 bits count
        ((2, 2), "0 0x60000000 0x10000000 0", [(BASE, 0xFFFFFFFF - BASE)]),  # 2**60
        ((1, 2), "0x60000000 0xffffffff 0xffffffff", []),  # the end wraps at 2**64
        ((2, 1), "1 0 0x1000 0 0x60000000 0x1000", [(BASE, 0x1000)]),
        ((1, 1), "0x60000000 0x1000 5", [(BASE, 0x1000)]),  # what is left over
    ],
)
def test_cells_and_sizes(cells: tuple[int, int], reg: str, memory: list[tuple[int, int]]) -> None:
    tree = blob(
        "",
        f"#address-cells = <{cells[0]}>; #size-cells = <{cells[1]}>;"
        f' memory {{ device_type = "memory"; reg = <{reg}>; }};',
    )
    found = [r for r in ranges(boot(tree, "cma=0").memory) if r[1]]
    assert found == memory


@pytest.mark.parametrize("cells", ["0 0", "0xffffffff 2", "0x80000000 0x80000000"])
def test_cells_that_make_linux_loop(cells: str) -> None:
    address, size = cells.split()
    tree = blob(
        "",
        f"#address-cells = <{address}>; #size-cells = <{size}>;"
        ' memory { device_type = "memory"; reg = <1 2 3 4>; };',
    )
    with pytest.raises(KernelPanic, match="never ends"):
        started(tree)


def test_phandles_that_go_round() -> None:
    # Nothing before the handover follows them.
    tree = board(
        (BASE, 256 * MIB),
        extra="a { phandle = <1>; next = <2>; }; b { phandle = <2>; next = <1>; };"
        + RESERVED % "r { phandle = <3>; memory-region = <3>; reg = <0x68000000 0x1000>; };",
    )
    outcome = boot(tree, dtb_addr=BASE + 0x4000000)
    assert outcome.error is None
    assert (0x68000000, 0x1000) in ranges(outcome.reserved)


# The profile's own tables


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('[[machine]]\nname = "x"', "machine 46: expected name and compatible"),
        ("[[machine]]\nname = 1\ncompatible = []", "machine 46: name is 1"),
        ('[[machine]]\nname = "x"\ncompatible = []\nwhat = 1', "machine 46: what"),
    ],
)
def test_a_bad_machine_is_named(table: str, words: str) -> None:
    text = _profile_text()
    with pytest.raises(Exception, match=words):
        parse_profile(f"{text}\n{table}\n", "p.toml")


def test_bad_early_parameters_are_named() -> None:
    text = _profile_text().replace("[early_params]", '[early_params]\nnever = ["x"]')
    with pytest.raises(Exception, match=r"early_params\.never: expected bool, value, pointer"):
        parse_profile(text, "p.toml")


def test_a_machine_function_that_there_is_not_is_named() -> None:
    text = _profile_text().replace('reserve = "omap_reserve"', 'reserve = "nothing"')
    kernel = prepare(
        Task("t", blob("", f'{CELLS} compatible = "ti,omap4"; {MEMORY}')),
        parse_profile(text, "p.toml"),
    )
    with pytest.raises(Exception, match="no function 'nothing': there are omap_reserve"):
        start_kernel(kernel)


def _profile_text() -> str:
    files = resources.files("bootsim.kernel") / "profiles"
    return (files / f"{PROFILE}.toml").read_text(encoding="utf-8")
