"""Debian's own kernel on the machine: it boots, says what it said elsewhere, and dies explained."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from bootsim.errors import BootsimError, KernelPanic, MachineFault
from bootsim.kernel.mm_debug import PageState
from bootsim.kernel.profile_file import load_profile
from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.image import KernelImage, load_kernel_image
from bootsim.simulate import Boot
from bootsim.sources import kernel_source, model_source, profile_of
from bootsim.trace import MemblockAlloc, MemblockRange, Printk, Stage, Use
from bootsim.views.compare import compare, view
from bootsim.views.owners import ownership
from tests.conftest import REAL_BOOTS, SUMMARY
from tests.real_boots import PROFILE, real_boots
from tests.real_boots import RealBoot as Recorded
from tests.real_kernels import BASE, Case, board_cases, random_cases
from tests.requirements import need_directory, need_kernel
from tests.trees import CELLS, blob, board

RECORDED = (
    *("mem1024M", "cmd_cma_at", "cmd_initrd", "initrd", "mr_one", "ml_usable", "cmd_memtest"),
    *("ml_zero_size", "cmd_mem_at_only", "combo_qcom", "rm_nomap_in_kernel_gap"),
    *("aspeed-bmc-facebook-fuji.dtb", "omap5-sbc-t54.dtb", "imx7d-flex-concentrator-mfg.dtb"),
    *("rk3288-phycore-rdk.dtb", "ecx-2000.dtb", "sun9i-a80-optimus.dtb", "xenvm-4.2.dtb"),
)
BOARDS, MADE_UP = 30, 30
MIB = 1 << 20
# Value and mask of struct proc_info_list (arch/arm/mm/proc-v7.S): Cortex-A9's, and any ARMv7's.
PROCESSORS = (
    bytes.fromhex("90c00f41f0ff0fff"),
    bytes.fromhex("00000f0000000f00"),
)
OTHER_PROCESSOR = bytes.fromhex("01000000ffffffff")
TO_THE_END = {"events", "final.memory", "final.reserved", "memory_line"}
LINES_WANTED, EVENTS_WANTED = 98.0, 95.0  # per cent


def reserved(nodes: str) -> str:
    return f"reserved-memory {{ {CELLS} ranges; {nodes} }};"


@pytest.fixture(scope="module")
def image() -> KernelImage:
    return load_kernel_image(need_kernel())


@pytest.fixture(scope="module")
def recorded_image(image: KernelImage) -> KernelImage:
    """The very kernel that was recorded: Debian's later ones lay out other addresses."""
    if image.banner != load_profile(PROFILE).banner:
        pytest.skip(f"another kernel was recorded than {image.banner}")
    return image


@cache
def recorded() -> dict[str, Recorded]:
    boots = (boot for name in ("vexpress-grid", "boards") for boot in real_boots(REAL_BOOTS / name))
    return {boot.name: boot for boot in boots}


def boot_of(image: KernelImage, record: Recorded) -> RealBoot:
    return RealBoot(
        image,
        dtb=record.dtb,
        machine_ram=record.record["ram"],
        phys_offset=record.record["phys_offset"],
        dtb_addr=record.record["dtb_load_addr"],
    )


@pytest.mark.parametrize("name", RECORDED)
def test_it_says_what_was_recorded(recorded_image: KernelImage, name: str) -> None:
    record = recorded()[name]
    boot = boot_of(recorded_image, record)
    fate = "memory-line"
    try:
        boot.run()
    except KernelPanic as panic:
        fate = "panic"
        assert str(panic) in record.record["log"]
    except MachineFault:
        fate = "fault"
    assert fate == record.fate
    assert boot.log == record.record["log"]


@pytest.mark.parametrize("name", ["mem1024M", "mr_one"])
def test_tables_and_zones_are_what_was_recorded(recorded_image: KernelImage, name: str) -> None:
    record = recorded()[name].record
    boot = boot_of(recorded_image, recorded()[name]).run("dump")
    for table in ("memory", "reserved"):
        regions = [[r.base, r.size, int(r.flags)] for r in getattr(boot.memblock, table)]
        assert regions == record[table]
    assert boot.stage == "arm_memblock_init"
    assert not boot.handed_over
    boot.run()
    assert boot.handed_over
    for zone in boot.buddy.zones:
        ends = [zone.start_pfn << 12, (zone.end_pfn << 12) - 1] if zone.populated else None
        assert record["zones"].get(zone.name) == ends


def test_the_trace_has_what_the_log_lacks(image: KernelImage) -> None:
    boot = RealBoot(image, cmdline="memblock=debug").run()
    events = list(boot.trace)
    early = events[: events.index(Stage("parse_early_param"))]
    added = [e for e in early if isinstance(e, MemblockRange) and e.function == "memblock_add"]
    assert [(e.base, e.size, e.debug) for e in added] == [(0x60000000, 1 << 30, False)]
    assert added[0].caller.startswith("early_init_dt_scan_memory+0x")
    logged = [e for e in events if isinstance(e, MemblockRange | MemblockAlloc) and e.debug]
    assert len(logged) > 50
    said = [line for line in boot.log if line.startswith("memblock_")]
    assert len(said) == len(logged)  # each is one event, not two
    assert sum(isinstance(e, Printk) for e in events) + len(said) == len(boot.log)
    owners = {event.what for event in events if isinstance(event, Use)}
    assert {"kernel image", "swapper_pg_dir", "device tree", "CMA area"} <= owners
    names = [e.name for e in events if isinstance(e, Stage)]
    assert names[0] == "start_kernel"
    assert names[-1] == "mem_init"


def test_its_page_tables_are_named_as_the_models(image: KernelImage) -> None:
    """Read out of the first page table; the model names them as it allocates them."""
    cmdline = "cma=64M@0x70000000"  # in lowmem, and so mapped by pages
    model = Boot(profile="linux-6.1-armmp", cmdline=cmdline).run()
    tables = [
        {
            (piece.base, piece.end, piece.owner)
            for piece in ownership(boot)
            if "page table" in piece.owner
        }
        for boot in (model, RealBoot(image, cmdline=cmdline).run())
    ]
    assert len(tables[0]) > 20
    assert tables[0] == tables[1]


def test_it_runs_on_to_a_function(image: KernelImage) -> None:
    boot = RealBoot(image)
    boot.run(function="paging_init")
    assert boot.place() == f"paging_init+0x0/{boot.place().partition('/')[2]}"
    early = len(boot.trace)
    boot.run(function="setup_per_cpu_areas").run("memory-line")
    assert boot.log[-1].startswith("Memory: ")
    assert len(boot.trace) > early
    whole = RealBoot(image).run()
    assert list(boot.trace) == list(whole.trace)


@pytest.mark.parametrize("until", ["no_such_function", "", "dumps"])
def test_no_such_place_to_stop_at(image: KernelImage, until: str) -> None:
    boot = RealBoot(image)
    with pytest.raises(BootsimError, match="no stage"):
        boot.run(until)
    with pytest.raises(BootsimError, match="no symbol"):
        boot.run(function=until)
    assert len(boot.run("dump").trace) > 0  # nothing is lost


def test_ram_is_what_it_is_told(image: KernelImage) -> None:
    boot = RealBoot(image, ram_fill=0xA5).run()
    assert boot.read(0x9FFFF000, 4) == b"\xa5\xa5\xa5\xa5"
    # _text, in RAM and through the kernel's own page tables.
    text = boot.placement.kernel.base
    assert boot.read(text, 64) == boot.read(image.text, 64, virtual=True) == bytes(image.code[:64])


def test_a_page_where_no_ram_is(image: KernelImage) -> None:
    boot = RealBoot(image, dtb=board((0x60000000, 0x8000000), (0x70000000, 0x8000000))).run()
    assert boot.buddy.page(0x68500).state == PageState.HOLE
    assert boot.buddy.page(0x70500).state != PageState.HOLE


# How kernels die.


def test_a_kernel_whose_memory_is_taken_away(image: KernelImage) -> None:
    boot = RealBoot(image, cmdline="mem=8M")
    with pytest.raises(MachineFault, match=r"data abort: .*, in paging_init\+0x") as caught:
        boot.run()
    assert any("called from setup_arch+0x" in line for line in caught.value.details)
    assert "cma: Failed to reserve 16 MiB" in boot.log  # what never came out


def test_a_kernel_that_unmaps_itself(image: KernelImage) -> None:
    with pytest.raises(MachineFault, match="does not map its own code any more"):
        boot_of(image, recorded()["combo_qcom"]).run()


def test_a_bug_is_named_by_file_and_line(image: KernelImage) -> None:
    # Memory that ends at a section's end and goes on in the same 2 MiB, off a section's start.
    dtb = board((BASE, 0x5500000), (BASE + 0x5502000, 0x8000000))
    with pytest.raises(
        MachineFault, match=r"kernel BUG at arch/arm/mm/mmu\.c:\d+! .*arm_pte_alloc"
    ):
        RealBoot(image, dtb=dtb).run()


def test_a_kernel_for_another_cpu(image: KernelImage) -> None:
    boot = RealBoot(image)
    code = bytes(image.code)
    for processor in PROCESSORS:
        assert processor in code
        code = code.replace(processor, OTHER_PROCESSOR)
    boot.memory.write(boot.placement.kernel.base, code)
    with pytest.raises(MachineFault, match="no code for this CPU, a Cortex-A9"):
        boot.run()


def test_a_kernel_that_waits_for_ever_is_given_up(image: KernelImage) -> None:
    boot = RealBoot(image, timeout=2)
    with pytest.raises(BootsimError, match=r"calibrate_delay|budget of 2 s"):
        boot.run(function="rest_init")
    assert boot.handed_over


def test_hardware_that_is_not_there_is_counted(image: KernelImage) -> None:
    trees = need_directory("BOOTSIM_DTBS", "Debian's device trees")
    boot = RealBoot(image, dtb=trees / "omap4-panda.dtb").run()
    absent = {path: (reads, writes) for _, path, reads, writes in boot.absent_devices()}
    prm = next(path for path in absent if "prm@" in path)
    assert min(absent[prm]) > 0
    assert RealBoot(image).run().absent_devices() == []


EARLYCON = "earlycon=pl011,0x10009000 memblock=debug"


@pytest.mark.parametrize("quieter", ["", "quiet", "loglevel=6", "loglevel=7", "debug"])
def test_an_early_console_that_is_unmapped_for_a_moment(image: KernelImage, quieter: str) -> None:
    cmdline = f"{EARLYCON} {quieter}"
    real = RealBoot(image, cmdline=cmdline)
    b = kernel_source(real)
    a = model_source(profile_of(image), cmdline=cmdline, **real.placed())
    comparison = compare(a, b)
    assert comparison.equal, view(comparison).lines
    dies = quieter not in ("quiet", "loglevel=6")
    assert bool(a.died) == bool(b.died) == dies
    if dies:
        assert "early console" in (a.died or "")
        assert "in pl011_putc+0x" in (b.died or "")


# The model against it, on boots that nobody has recorded.

POOL = 'compatible = "shared-dma-pool"; reusable;'
WINDOW = 8 * MIB  # that pools are aligned to, so that they cut the kernel by PHYS_OFFSET
# In all of these the kernel, or what it needs to go on, may have been unmapped.
UNMAPPING = {
    **{
        f"pool at {at - offset >> 20} MiB": (
            board(
                (offset, 0x70000000 - offset),
                extra=reserved(f"p {{ {POOL} reg = <{at:#x} {WINDOW:#x}>; }};"),
            ),
            "memblock=debug",
        )
        for offset in range(BASE, BASE + WINDOW, 2 * MIB)
        for at in range(BASE, BASE + 4 * WINDOW, WINDOW)
    },
    "pools share memory": (
        board(
            (BASE, 512 * MIB),
            extra=reserved(
                f"p {{ {POOL} reg = <0x70000000 0x1000000>; }};"
                f" q {{ {POOL} reg = <0x70800000 0x1000000>; }};"
            ),
        ),
        "memblock=debug",
    ),
    # The first one is refused, and frees what the second one lies in.
    "a pool that is free": (
        board(
            (BASE, 80 * MIB),
            extra=reserved(
                f"p {{ {POOL} reg = <0x61e00000 0x3000000>; }};"
                f" q {{ {POOL} reg = <0x64800000 0x800000>; }};"
            ),
        ),
        "memblock=debug cma=0",
    ),
    # The pool is refused, and frees the kernel, which lives until its memory is used.
    "the kernel is free": (
        board(
            (BASE, 256 * MIB),
            extra=reserved(f"p {{ {POOL} reg = <0x60934000 0x800000>; }};"),
        ),
        "memblock=debug",
    ),
    # The memory map runs into the page tables of the pool's pages, then into the pool.
    "a memory map over page tables": (
        board(
            (0x20000000, 256 * MIB),
            extra=reserved(f"p {{ {POOL} reg = <0x20e00000 0x2000000>; }};"),
        ),
        "memblock=debug mem=24M@0x21000000",
    ),
    "no memory, and then mem=": (
        board(
            (BASE, 256 * MIB),
            extra="chosen { linux,usable-memory-range = <0x10000000 0x1000000>; };",
        ),
        "memblock=debug mem=64M",
    ),
    **{
        option: (board((BASE, 256 * MIB)), f"memblock=debug {option}")
        for option in (
            *("mem=2M", "mem=8M", "mem=14M", "mem=20M", "mem=22M", "mem=0x1607000"),
            *("mem=64M@0x60400000", "mem=64M@0x10000000"),
            # The memory map is indexed from PHYS_OFFSET: its end may lie far behind it.
            *("mem=64M@0x68000000", "mem=64M@0x68000000 cma=0", "mem=32M@0x66000000 cma=8M"),
            *("mem=64M@0x60c00000", "mem=64M@0x60c00000 cma=0", "mem=16M@0x60800000"),
        )
    },
    "4 GiB from 0, in two cells": (
        blob(
            "",
            "#address-cells = <2>; #size-cells = <2>;"
            ' memory@0 { device_type = "memory"; reg = <0 0 1 0>; };',
        ),
        "memblock=debug",
    ),
    "a page less": (board((0, 0xFFFFF000)), "memblock=debug"),
}


@pytest.mark.parametrize("name", UNMAPPING)
def test_the_model_lives_and_dies_where_the_kernel_does(image: KernelImage, name: str) -> None:
    dtb, cmdline = UNMAPPING[name]
    real = RealBoot(image, dtb=dtb, name=name, cmdline=cmdline)
    b = kernel_source(real)
    a = model_source(profile_of(image), dtb=dtb, name=name, cmdline=cmdline, **real.placed())
    assert a.trace.stage == b.trace.stage
    parts = {part.name: part for part in compare(a, b).parts}
    assert not parts["outcome"].differences, view(compare(a, b)).lines
    dead = {"log", *TO_THE_END} if a.died else set()
    wrong = [n for n, part in parts.items() if part.differences and n not in dead]
    assert not wrong, view(compare(a, b)).lines


def scores(image: KernelImage, cases: list[Case], summary: list[str], what: str) -> None:
    profile = profile_of(image)
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    misses: list[str] = []
    for case in cases:
        real = RealBoot(image, dtb=case.dtb, name=case.name, cmdline=case.cmdline)
        b = kernel_source(real)
        a = model_source(
            profile, dtb=case.dtb, name=case.name, cmdline=case.cmdline, **real.placed()
        )
        comparison = compare(a, b)
        for part in comparison.parts:
            if part.name in TO_THE_END and (a.died or b.died):
                continue
            lines = part.name == "log"
            right[part.name] += part.same if lines else not part.differences
            total[part.name] += part.total if lines else 1
        if not comparison.equal:
            misses += [f"{case.name} {case.cmdline}", *view(comparison).lines]
    shares = {name: 100 * right[name] / max(total[name], 1) for name in total}
    summary.append(
        f"model against kernel, {what}: "
        + ", ".join(f"{name} {share:.1f} % of {total[name]}" for name, share in shares.items())
    )
    report = "\n".join(misses)
    for name in ("outcome", "dump.memory", "dump.reserved"):
        assert shares[name] == 100, report
    assert shares["log"] >= LINES_WANTED, report
    for name in ("events", "memory_line"):
        assert shares[name] >= EVENTS_WANTED, report


@pytest.mark.slow
def test_the_model_on_boards(image: KernelImage, pytestconfig: pytest.Config) -> None:
    trees = need_directory("BOOTSIM_DTBS", "Debian's device trees")
    cases = board_cases(trees, BOARDS, seed=20)
    assert len(cases) == BOARDS
    scores(image, cases, pytestconfig.stash[SUMMARY], "boards")


@pytest.mark.slow
def test_the_model_on_made_up_boards(image: KernelImage, pytestconfig: pytest.Config) -> None:
    cases = random_cases(MADE_UP, seed=20)
    scores(image, cases, pytestconfig.stash[SUMMARY], "made-up boards")


def test_a_tree_behind_the_zimage_is_the_board(image: KernelImage) -> None:
    dtb = board((BASE, 256 << 20), bootargs="cma=8M")
    boot = RealBoot(replace(image, appended_dtb=dtb)).run("dump")
    assert boot.memory.size == 256 << 20
    assert any(line.startswith("cma: Reserved 8 MiB") for line in boot.log)
    other = RealBoot(replace(image, appended_dtb=dtb), dtb=board((BASE, 1 << 29)))
    assert other.memory.size == 1 << 29
