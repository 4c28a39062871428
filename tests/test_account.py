"""Where the RAM went: every byte has one fate, and the kernel counts the same."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from bootsim.batch import Task, prepare, tree_memory
from bootsim.dmesg.spans import difference
from bootsim.errors import BootsimError
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.libfdt import Fdt
from bootsim.kernel.main import start_kernel
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.kernel.profile_file import load_profile
from bootsim.machine.memory import Range
from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.image import load_kernel_image
from bootsim.simulate import Boot
from bootsim.trace import BootStopped, Use
from bootsim.views.account import Account, Kind, Said, account
from bootsim.views.booted import BootedKernel
from bootsim.views.waterfall import steps, view
from tests.command import Run
from tests.conftest import REAL_BOOTS
from tests.kernels import boot_without_cpu
from tests.real_boots import MEMORY_LINE, PROFILE, directories, real_boots
from tests.real_kernels import Case, random_cases
from tests.requirements import need_directory, need_kernel
from tests.test_conservation import trees
from tests.trees import blob, board

MIB = 1 << 20
BASE = 0x60000000
SIX = load_profile(PROFILE)


def booted(task: Task) -> Kernel:
    kernel = prepare(task, SIX)
    start_kernel(kernel)
    return kernel


def checked(boot: BootedKernel, tree: Iterable[Range]) -> Account:
    """The account of `boot`, with all that must hold of any."""
    found = account(boot, list(tree))
    level = found.total
    for step in steps(found):
        assert step.size > 0
        level += step.size if step.kind == Kind.ADDED else -step.size
    assert level == 0
    end = 0
    for piece in found.pieces:
        assert end <= piece.base < piece.end
        end = piece.end
    assert found.free == boot.buddy.nr_free_pages() * PAGE_SIZE
    pages = sum(zone.struct.present_pages for zone in boot.buddy.zones)
    assert found.present == pages * PAGE_SIZE
    assert found.said is not None
    assert found.counted == found.said
    data = view(found).data
    assert data["total"] == sum(
        -step["size"] if step["kind"] == "added" else step["size"] for step in data["steps"]
    )
    for each in data["steps"]:
        assert each["size"] == sum(piece["size"] for piece in each["pieces"])
    assert data["agrees"]
    return found


def lost(found: Account) -> dict[str, int]:
    """What did not come to have pages, by reason."""
    return {s.what: s.size for s in steps(found) if s.kind in (Kind.LOST, Kind.NO_PAGE)}


@pytest.mark.parametrize("directory", directories(REAL_BOOTS), ids=lambda path: path.name)
def test_recorded_boots_add_up_to_what_the_real_kernel_said(directory: Path) -> None:
    boots = [boot for boot in real_boots(directory) if boot.fate == MEMORY_LINE]
    assert boots
    for boot in boots:
        found = checked(booted(boot.task()), tree_memory(Fdt(boot.dtb)))
        said = boot.record["memory_line"]
        assert said.startswith(f"Memory: {found.free >> 10}K/{found.present >> 10}K available")
        reserved = found.present - found.free - found.size(Kind.CMA)
        cma = found.size(Kind.CMA)
        assert f", {reserved >> 10}K reserved, {cma >> 10}K cma-reserved, " in said


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees())
def test_any_board(case: tuple[bytes, str | None, int]) -> None:
    dtb, cmdline, pages = case
    found = checked(boot_without_cpu(dtb, cmdline=cmdline), tree_memory(Fdt(dtb)))
    assert found.total == pages * PAGE_SIZE


@pytest.mark.parametrize("case", random_cases(25, seed=4), ids=lambda case: case.name)
def test_made_up_boards(case: Case) -> None:
    task = Task(case.name, case.dtb, case.cmdline)
    try:
        kernel = booted(task)
    except BootsimError as error:
        assert "Linux takes for RAM what is none" in str(error)  # by mem= beyond RAM
        return
    checked(kernel, tree_memory(Fdt(case.dtb)))


@pytest.mark.parametrize("profile", ["linux-5.0", "linux-6.1-armmp"])
def test_boots_on_the_machine(profile: str) -> None:
    boot = Boot(profile=profile).run()
    found = checked(boot, boot.board.memory)
    owners = {piece.owner: piece.size for piece in found.pieces}
    image = next(e for e in boot.trace if isinstance(e, Use) and e.what == "kernel image")
    assert owners["kernel image"] == image.size
    assert owners["CMA area reserved"] == found.size(Kind.CMA) == 16 * MIB
    assert lost(found) == {}


def test_a_real_kernel() -> None:
    boot = RealBoot(load_kernel_image(need_kernel()), cmdline="vmalloc=600M").run()
    found = checked(boot, boot.board.memory)
    model = Boot(profile=PROFILE, cmdline="vmalloc=600M", **boot.placed()).run()  # type: ignore[arg-type]
    predicted = checked(model, model.board.memory)
    for kind in Kind:
        assert found.size(kind) == predicted.size(kind), kind


# Where RAM is lost. The drawing: what a tree has, and how far the kernel goes along.


def test_without_highmem() -> None:
    #  | lowmem 1440 MiB | lost |
    dtb = board((BASE, 2048 * MIB))
    kernel = boot_without_cpu(dtb, cmdline="vmalloc=600M")
    found = checked(kernel, tree_memory(Fdt(dtb)))
    assert lost(found) == {"above lowmem, and this kernel has no HIGHMEM": 608 * MIB}


def test_above_4_gib_below_phys_offset_and_beside_pages() -> None:
    #    64 MiB  |  256 MiB  | 64 MiB and a half page | 4 GiB | 1 GiB
    dtb = blob(
        "",
        "#address-cells = <2>; #size-cells = <2>; memory {"
        ' device_type = "memory"; reg = <0 0x50000000 0 0x4000000 0 0x60000000 0 0x10000000'
        " 0 0x80000000 0 0x4000800 1 0 0 0x40000000>; }; chosen { };",
    )
    ram = ((0x60000000, 256 * MIB), (0x80000000, 64 * MIB))
    found = checked(booted(Task("wide", dtb, ram=ram)), tree_memory(Fdt(dtb)))
    assert found.total == (64 + 256 + 64 + 1024) * MIB + 0x800
    assert lost(found) == {
        "above 4 GiB, and this kernel has no LPAE": 1024 * MIB,
        "below PHYS_OFFSET, 0x60000000": 64 * MIB,
        "in pages that are not all RAM": 0x800,
    }


def test_memory_of_the_command_line() -> None:
    #  tree    |------------ 256 ------------|
    #  mem=    |---- 128 ----|                    |-- 64 --|
    dtb = board((BASE, 256 * MIB))
    cmdline = f"mem=128M mem=64M@{BASE + 320 * MIB:#x}"
    task = Task("mem", dtb, cmdline, ram=((BASE, 512 * MIB),))
    found = checked(booted(task), tree_memory(Fdt(dtb)))
    assert lost(found) == {"not in what mem= on the command line allows": 128 * MIB}
    assert [(p.base, p.size) for p in found.added] == [(BASE + 320 * MIB, 64 * MIB)]


def test_mem_takes_a_no_map_region_with_it() -> None:
    #  tree    |------- 256 -------|no-map|
    #  mem=    |---- 128 ----|
    top = BASE + 240 * MIB
    node = f"v@{top:x} {{ reg = <{top:#x} {16 * MIB:#x}>; no-map; }};"
    dtb = board(
        (BASE, 256 * MIB),
        extra=f"reserved-memory {{ #address-cells = <1>; #size-cells = <1>; ranges; {node} }};",
    )
    found = checked(booted(Task("mem", dtb, "mem=128M")), tree_memory(Fdt(dtb)))
    assert lost(found) == {"not in what mem= on the command line allows": 128 * MIB}
    without = replace(SIX, config=replace(SIX.config, highmem=False))
    kernel = prepare(Task("top", dtb), without)
    start_kernel(kernel)
    found = checked(kernel, tree_memory(Fdt(dtb)))
    name = f"/reserved-memory/v@{top:x}"
    assert lost(found) == {f"{name}, not mapped, and above lowmem": 16 * MIB}


def test_memory_that_the_tree_has_twice() -> None:
    dtb = board((BASE, 256 * MIB), (BASE + 128 * MIB, 256 * MIB))
    found = checked(booted(Task("twice", dtb)), tree_memory(Fdt(dtb)))
    assert (found.total, found.present) == (512 * MIB, 384 * MIB)
    assert [(p.base, p.size) for p in found.repeated] == [(BASE + 128 * MIB, 128 * MIB)]


def test_no_map_is_lost_in_one_version_and_has_pages_in_the_other() -> None:
    node = f"bank@{BASE + 64 * MIB:x} {{ reg = <{BASE + 64 * MIB:#x} {MIB:#x}>; no-map; }};"
    dtb = board(
        (BASE, 256 * MIB),
        extra=f"reserved-memory {{ #address-cells = <1>; #size-cells = <1>; ranges; {node} }};",
    )
    name = f"/reserved-memory/bank@{BASE + 64 * MIB:x}"
    later = checked(booted(Task("6.1", dtb)), tree_memory(Fdt(dtb)))
    assert [p.owner for p in later.pieces if p.kind == Kind.NOMAP] == [name]
    assert later.present == 256 * MIB
    earlier = checked(boot_without_cpu(dtb), tree_memory(Fdt(dtb)))
    assert lost(earlier) == {f"{name}, removed by __fdt_scan_reserved_mem()": MIB}
    assert earlier.present == 255 * MIB


def test_the_memory_map_of_a_hole_is_told_apart() -> None:
    # A hole of one block of 4 MiB and a half: its whole block's entries are given back.
    banks = ((BASE, 64 * MIB), (BASE + 70 * MIB, 64 * MIB))
    found = checked(booted(Task("hole", board(*banks))), [Range(*bank) for bank in banks])
    sizes = {step.what: step.size for step in steps(found)}
    assert sizes["memory map (struct page)"] == 128 * 256 * 36
    assert sizes["memory map of what is no RAM"] <= 8 * 256 * 36


def test_a_boot_without_memory_in_memblock_has_none() -> None:
    boot = Boot(until="setup_processor").run()
    with pytest.raises(BootsimError, match=r"stands after setup_processor: memblock has no memory"):
        account(boot, boot.board.memory)


@pytest.mark.parametrize("directory", directories(REAL_BOOTS), ids=lambda path: path.name)
def test_a_boot_that_stands_has_what_the_real_kernels_memblock_had(directory: Path) -> None:
    """At the dump of memblock=debug: what the real kernel showed there is free, and no-map."""
    compared = 0
    for boot in real_boots(directory)[::3]:
        if not any(size for _, size, _ in boot.record["memory"]):
            continue  # mem=0
        kernel = prepare(boot.task(until="arm_memblock_init"), SIX)
        with suppress(BootStopped):
            start_kernel(kernel)
        found = account(kernel, list(tree_memory(Fdt(boot.dtb))))
        memory = [Range(base, size) for base, size, flags in boot.record["memory"] if not flags & 4]
        nomap = [Range(base, size) for base, size, flags in boot.record["memory"] if flags & 4]
        reserved = [Range(base, size) for base, size, _ in boot.record["reserved"]]
        assert found.free == sum(hole.size for hole in difference(memory, reserved))
        assert found.size(Kind.NOMAP) == sum(span.size for span in nomap)
        assert found.present == sum(span.size for span in memory + nomap)
        level = found.total
        for step in steps(found):
            level += step.size if step.kind == Kind.ADDED else -step.size
        assert level == 0
        assert 'no "Memory:" line yet' in view(found).lines[-1]
        compared += 1
    assert compared > 10


def test_a_real_kernel_that_dies_has_the_models_account() -> None:
    # The board's device at 0xf4000000 is where lowmem reaches with so small a vmalloc area.
    directory = need_directory("BOOTSIM_DTBS", "Debian's device trees")
    dtb = next(directory.rglob("imx6q-sabresd.dtb")).read_bytes()
    real = RealBoot(load_kernel_image(need_kernel()), dtb=dtb, cmdline="vmalloc=128M")
    with pytest.raises(BootsimError, match="kernel BUG at arch/arm/mm/mmu"):
        real.run()
    model = Boot(profile=PROFILE, dtb=dtb, cmdline="vmalloc=128M", **real.placed())  # type: ignore[arg-type]
    with pytest.raises(BootsimError, match="0xf4000000"):
        model.run()
    found, predicted = (account(boot, boot.board.memory) for boot in (real, model))
    assert not found.handed_over
    for kind in Kind:
        assert found.size(kind) == predicted.size(kind), kind


def test_a_real_kernels_no_map_has_the_nodes_name() -> None:
    node = f"bank@{BASE + 64 * MIB:x} {{ reg = <{BASE + 64 * MIB:#x} {MIB:#x}>; no-map; }};"
    dtb = board(
        (BASE, 256 * MIB),
        extra=f"reserved-memory {{ #address-cells = <1>; #size-cells = <1>; ranges; {node} }};",
    )
    boot = RealBoot(load_kernel_image(need_kernel()), dtb=dtb).run()
    found = checked(boot, boot.board.memory)
    nomap = [piece.owner for piece in found.pieces if piece.kind == Kind.NOMAP]
    assert nomap == [f"/reserved-memory/bank@{BASE + 64 * MIB:x}"]


@pytest.mark.parametrize("width", [72, 80, 99, 120])
def test_the_waterfall_fits_the_terminal(width: int) -> None:
    boot = Boot(ram=[(BASE, 2048 * MIB)]).run()
    found = account(boot, boot.board.memory)
    whole, narrow = view(found), view(found, width=width)
    assert narrow.data == whole.data
    assert max(map(len, narrow.lines)) <= width
    assert " ".join(" ".join(narrow.lines).split()).count("HIGHMEM") == 1


def test_what_comes_later_is_told_apart_from_what_is_free() -> None:
    boot = Boot(profile=PROFILE).run()
    data = view(account(boot, boot.board.memory)).data
    # "2048K init" of Debian's "Memory:" line, and the default CMA area.
    assert data["later"] == {"CMA": 16 * MIB, "the kernel's init part": 2 * MIB}


def test_a_kernel_that_counts_otherwise_is_told() -> None:
    boot = Boot().run()
    found = account(boot, boot.board.memory)
    wrong = view(replace(found, said=Said(1, 2, 3, 4)))
    assert not wrong.data["agrees"]
    assert "says otherwise" in wrong.lines[-2]
    assert "1K/2K available, 3K reserved, 4K cma-reserved" in wrong.lines[-2]
    assert "not said its own" in view(replace(found, said=None)).lines[-2]


def test_the_command(bootsim: Run) -> None:
    status, out, _ = bootsim("boot", "--account")
    lines = out.splitlines()
    assert status == 0
    assert "1073741824" in lines[0]
    assert lines[-2].startswith('The kernel says the same in its "Memory:" line: 1012008K/1048576K')
    assert "Linux gets more later: CMA 16 MiB, the kernel's init part 1 MiB." in lines[-1]
    status, out, _ = bootsim("boot", "--account", "--json")
    data = json.loads(out)
    assert data["said"] == data["counted"]
    assert data["total"] == sum(step["size"] for step in data["steps"]) == 1 << 30
    status, out, _ = bootsim("boot", "--account", "--at", "cmd_line")
    assert status == 0
    assert "The boot stands after cmd_line" in out
    status, _, err = bootsim("boot", "--account", "--at", "setup_processor")
    assert status == 2
    assert "stands after setup_processor" in err
    status, out, err = bootsim("boot", "--account", "--append", "mem=8M", "--json")
    data = json.loads(out)
    assert (status, data["free"], data["counted"]) == (1, 1032192, None)
    assert data["error"] in err
