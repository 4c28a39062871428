"""`bootsim kernel`, `compare`, `replay LOG` and `inspect --kernel`, as typed."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bootsim import RealBoot, load_kernel_image
from bootsim.kernel.profile_file import load_profile
from tests.command import Run
from tests.requirements import need_directory, need_kernel

LOGS = Path(__file__).parent / "data" / "dmesg"


@pytest.fixture
def vmlinuz() -> str:
    return str(need_kernel())


def test_kernel_prints_log_and_summary(bootsim: Run, vmlinuz: str) -> None:
    status, out, err = bootsim("kernel", vmlinuz, "--append", "memblock=debug")
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert lines[0] == "Booting Linux on physical CPU 0x0"
    blank = lines.index("")
    available = re.match(r"Memory: (\d+)K/1048576K available \(", lines[blank - 1])
    assert available
    assert lines[blank + 1] == f"{Path(vmlinuz).name}, zImage: 20 MiB at 0x60208000"
    assert lines[blank + 2].startswith("The boot has come past mem_init, and stands in kmem_cache_")
    pages = int(available[1]) // 4
    assert lines[blank + 3].startswith(f"Handed to the buddy allocator: {pages} pages, ")
    assert lines[-1].split()[:4] == ["Node", "0,", "zone", "HighMem"]


def test_kernel_in_json(bootsim: Run, vmlinuz: str) -> None:
    status, out, _ = bootsim("kernel", vmlinuz, "--until", "dump", "--json")
    data = json.loads(out)
    assert status == 0
    assert data["stage"] == "arm_memblock_init"
    assert data["error"] is None
    assert data["banner"].startswith("Linux version 6.1.")
    assert data["loaded_at"] == 0x60208000
    kinds = {event["kind"] for event in data["events"]}
    assert {"stage", "printk", "memblock", "use"} <= kinds


def test_kernel_stops_at_a_function(bootsim: Run, vmlinuz: str) -> None:
    status, out, _ = bootsim("kernel", vmlinuz, "--until", "paging_init")
    assert status == 0
    assert "stands in paging_init+0x0/" in out
    assert "Handed to" not in out


def test_a_kernel_that_dies_shows_what_never_came_out(bootsim: Run, vmlinuz: str) -> None:
    status, out, err = bootsim("kernel", vmlinuz, "--append", "mem=8M")
    assert status == 1
    assert out.splitlines()[-1] == "cma: Failed to reserve 16 MiB"
    first, *rest = err.splitlines()
    assert first.startswith("bootsim: error: data abort: ")
    assert "in paging_init+0x" in first
    assert rest[0].split()[:2] == ["r0", "00000000"]
    assert any(line.startswith("  called from setup_arch+0x") for line in rest)


def test_a_dying_kernel_in_json(bootsim: Run, vmlinuz: str) -> None:
    status, out, _ = bootsim("kernel", vmlinuz, "--append", "mem=8M", "--json")
    data = json.loads(out)
    assert status == 1
    assert "paging_init" in data["error"]
    assert data["log"][-1] == "cma: Failed to reserve 16 MiB"


def test_a_time_that_is_no_number(bootsim: Run, vmlinuz: str) -> None:
    status, out, err = bootsim("kernel", vmlinuz, "--timeout", "nan")
    assert (status, out) == (2, "")
    assert err.endswith("'nan' is no number of seconds\n")


def test_ctrl_c_ends_at_once(vmlinuz: str) -> None:
    command = [sys.executable, "-m", "bootsim", "kernel", vmlinuz, "--until", "rest_init"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ
    ) as process:
        time.sleep(2.5)  # the kernel waits for a timer by now
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert time.monotonic() - start < 2
        assert process.stderr is not None
        assert process.stderr.read().decode().splitlines()[-1] == "bootsim: interrupted"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a kernel: the file is empty"),
        (b"#!/bin/sh\necho hello\n" * 50, "not a kernel: expected a zImage, Image, uImage"),
        (b"\0" * 0x24 + b"\x18\x28\x6f\x01" + b"\0" * 8 + b"\1\2\3\4" * 40, "damaged: its header"),
    ],
)
def test_what_is_no_kernel(tmp_path: Path, bootsim: Run, content: bytes, words: str) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(content)
    status, out, err = bootsim("kernel", str(path))
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert words in err


def test_a_truncated_kernel(tmp_path: Path, bootsim: Run, vmlinuz: str) -> None:
    path = tmp_path / "zImage"
    path.write_bytes(Path(vmlinuz).read_bytes()[:3_000_000])
    status, _, err = bootsim("kernel", str(path))
    assert status == 2
    assert "zImage: truncated: a zImage of 3000000 bytes, whose header says" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--until", "no_such_function"], "no symbol 'no_such_function'"),
        (["--dtb", "/no/such/file.dtb"], "/no/such/file.dtb: No such file"),
        (["--system-map", "/no/such/file"], "/no/such/file: No such file"),
        (["--phys-offset", "0x60000001"], "not a multiple of 2 MiB"),
        (["--ram", "0x60000000:16M"], "no bank holds the"),
    ],
)
def test_bad_arguments(bootsim: Run, vmlinuz: str, arguments: list[str], words: str) -> None:
    status, _, err = bootsim("kernel", vmlinuz, *arguments)
    assert status == 2
    assert words in err.splitlines()[0]


def test_inspect_looks_into_a_real_kernel(bootsim: Run, vmlinuz: str) -> None:
    def look(*arguments: str) -> str:
        status, out, err = bootsim("inspect", *arguments, "--kernel", vmlinuz)
        assert (status, err) == (0, "")
        return out

    regions = look("regions", "--at", "dump")
    assert re.search(r"1: 0x60300000\.\.0x61[0-9a-f]{6} +19[.0-9]* MiB  kernel image\n", regions)
    assert "CMA area" in look("map")
    assert "0x60204000" in look("memblock", "reserved")
    assert "zone  HighMem" in look("buddyinfo")
    assert "spanned  196608" in look("zoneinfo")
    assert "memory.cnt" in look("struct", "memblock")
    assert "managed_pages" in look("struct", "zone")
    assert "kernel image" in look("page", "0x60300")
    assert "-> 0x60000000" in look("pagetable")
    assert "section" in look("pagetable", "0xc0300000")
    assert "60000000-9fffffff : System RAM" in look("iomem")
    assert "c0300000:" in look("disasm", "--virtual", "0xc0300000", "2")
    assert look("hexdump", "0x68000000", "4").startswith("68000000  d0 0d fe ed")


def test_compare_with_the_model(bootsim: Run, vmlinuz: str) -> None:
    status, out, _ = bootsim("compare", "model", vmlinuz, "--append", "memblock=debug cma=32M")
    assert status == 0
    first, second = out.splitlines()[:2]
    assert first.startswith("A: model of ")
    assert second == f"B: {Path(vmlinuz).name}"
    assert "different" not in out


def test_compare_tells_differences(bootsim: Run, vmlinuz: str) -> None:
    arguments = ("compare", vmlinuz, "model", "--profile", "linux-5.0")
    status, out, _ = bootsim(*arguments)
    assert status == 1
    assert "different  reserved where memblock=debug dumps them" in out
    status, out, _ = bootsim(*arguments, "--json")
    data = json.loads(out)
    assert (status, data["equal"]) == (1, False)


def test_two_builds_of_one_name_are_told_apart(tmp_path: Path, bootsim: Run, vmlinuz: str) -> None:
    files = [tmp_path / name / "zImage" for name in ("old", "new")]
    for file in files:
        file.parent.mkdir()
        file.write_bytes(Path(vmlinuz).read_bytes())
    status, out, _ = bootsim("compare", *files)
    assert (status, out.splitlines()[:2]) == (0, [f"A: {files[0]}", f"B: {files[1]}"])
    page = tmp_path / "report.html"
    status, out, _ = bootsim("report", "-o", page, "--kernel", files[0], "--against", files[1])
    assert status == 0
    assert f"zImage, {files[0]}, zImage, {files[1]}" in out


def test_compare_a_log_with_the_model(tmp_path: Path, bootsim: Run, vmlinuz: str) -> None:
    _, out, _ = bootsim("kernel", vmlinuz, "--append", "memblock=debug cma=32M")
    log = tmp_path / "console.log"
    log.write_text(out.partition("\n\n")[0])
    status, out, _ = bootsim("compare", "model", str(log))  # the command line is the log's
    assert "different" not in out
    assert status == 0
    log.write_text("\n".join(line for line in log.read_text().split("\n") if "cma:" not in line))
    status, out, _ = bootsim("compare", str(log), "model")
    assert status == 1
    assert "    B cma: Reserved 32 MiB at 0x" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model", "model"], "the model with itself"),
        (["model", "/no/such/file"], "/no/such/file: No such file"),
        (["model", str(LOGS / "khadas-4.9.log")], "no profile for its kernel"),
        (["model", __file__], "no line of memblock's"),
    ],
)
def test_compare_what_cannot_be(bootsim: Run, arguments: list[str], words: str) -> None:
    status, _, err = bootsim("compare", *arguments)
    assert status == 2
    assert err.count("\n") == 1
    assert words in err


def test_replay_a_log(bootsim: Run) -> None:
    log = str(LOGS / "khadas-4.9.log")
    status, out, _ = bootsim("replay", log)
    assert status == 0
    assert "9 of 9 allocations lie where memblock's rules put them" in out
    status, out, _ = bootsim("replay", log, "--json", "--at", "90")
    assert status == 0
    assert json.loads(out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--boot", "9"], "no boot 9"),
        (["--at", "paging_init"], "give the number of a line"),
        (["--at", "1"], "is not of boot"),
    ],
)
def test_replay_a_log_wrongly(bootsim: Run, arguments: list[str], words: str) -> None:
    status, _, err = bootsim("replay", str(LOGS / "khadas-4.9.log"), *arguments)
    assert status == 2
    assert words in err


def test_replay_a_packed_log(tmp_path: Path, bootsim: Run) -> None:
    text = (LOGS / "khadas-4.9.log").read_bytes()
    packed, wide = tmp_path / "boot.log.gz", tmp_path / "wide.txt"
    packed.write_bytes(gzip.compress(text))
    wide.write_bytes(text.decode("ascii", "replace").encode("utf-16"))
    for log in (packed, wide):
        status, out, _ = bootsim("replay", log)
        assert status == 0
        assert "9 of 9 allocations lie where memblock's rules put them" in out
    packed.write_bytes(packed.read_bytes()[:40] + b"x" * 400)
    status, _, err = bootsim("replay", packed)
    assert status == 2
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", str(LOGS / "khadas-4.9.log"), "--append", "x"],
        ["inspect", "regions", "--timeout", "3"],
        ["inspect", "regions", "--kernel", "x", "--profile", "linux-5.0"],
        ["kernel", "x", "--make-profile", "y.toml", "--append", "z"],
    ],
)
def test_options_that_would_be_left_unheeded(bootsim: Run, arguments: list[str]) -> None:
    status, _, err = bootsim(*arguments)
    assert status == 2
    assert "has no meaning here" in err


def test_make_a_profile(tmp_path: Path, bootsim: Run, vmlinuz: str) -> None:
    target = tmp_path / "mine.toml"
    status, out, _ = bootsim("kernel", vmlinuz, "--make-profile", target, "--json")
    data = json.loads(out)
    assert (status, data["differences"], data["unmodelled"]) == (0, [], [])
    assert load_profile(str(target)).layout.page_offset == 0xC0000000
    status, out, err = bootsim("kernel", vmlinuz, "--make-profile", tmp_path)
    assert (status, out) == (2, "")
    assert err == f"bootsim: error: {tmp_path}: cannot be written\n"


def test_a_stage_that_has_passed_is_there_at_once(vmlinuz: str) -> None:
    boot = RealBoot(load_kernel_image(vmlinuz)).run()
    events = len(boot.trace)
    assert len(boot.run().trace) == len(boot.run("dump").trace) == events


def test_zones_that_cannot_be_read_lose_nothing(bootsim: Run, vmlinuz: str) -> None:
    # The memory that mem= leaves begins far above PHYS_OFFSET: mem_map is indexed wrongly then.
    tree = need_directory("BOOTSIM_DTBS", "Debian's device trees") / "vexpress-v2p-ca9.dtb"
    arguments = ("kernel", vmlinuz, "--dtb", tree, "--append", "mem=64M@0x70000000")
    status, out, _ = bootsim(*arguments)
    assert status == 0
    assert "\nMemory: " in out
    assert "\nIts zones: mem_map at 0x" in out
    status, out, _ = bootsim(*arguments, "--json")
    assert status == 0
    assert "mem_map at 0x" in json.loads(out)["zones_error"]


def test_replay_text_without_memblock(tmp_path: Path, bootsim: Run) -> None:
    log = tmp_path / "dmesg"
    log.write_text("[    0.000000] Linux version 6.1\n[    0.000000] Memory: 1K/2K available\n")
    status, _, err = bootsim("replay", str(log))
    assert status == 2
    assert "no line of memblock's: boot with memblock=debug on the command line" in err
