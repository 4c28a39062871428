"""How long a real kernel takes to its "Memory:" line: here, and on QEMU in the same run.

pytest tests/benchmarks/test_realkernel.py --benchmark-enable -s
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.requirements import need_directory, need_kernel, need_program

RUNS = 5
# QEMU shows the line when the kernel's console driver starts or, with earlycon, at once.
CMDLINES = ("console=ttyAMA0", "earlycon=pl011,0x10009000")
MEMORY_LINE = b"Memory: "


def to_the_line(command: list[str], environment: dict[str, str]) -> float:
    """Seconds from the start of the process to the line."""
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parent.parent.parent,
        env=os.environ | environment,
    ) as process:
        assert process.stdout is not None
        found = any(MEMORY_LINE in line for line in process.stdout)
        seconds = time.perf_counter() - start
        process.kill()
    assert found, command
    return seconds


@pytest.mark.parametrize("cmdline", CMDLINES)
def test_to_the_memory_line(benchmark: BenchmarkFixture, tmp_path: Path, cmdline: str) -> None:
    """Whole processes: with what was unpacked in the cache, without it, and QEMU.

    Without --benchmark-enable ours alone runs, once.
    """
    kernel = str(need_kernel())
    dtb = str(need_directory("BOOTSIM_DTBS", "Debian's device trees") / "vexpress-v2p-ca9.dtb")
    board = ["--dtb", dtb, "--append", cmdline]
    ours = [sys.executable, "-m", "bootsim", "kernel", kernel, *board]
    theirs = [
        *("qemu-system-arm", "-M", "vexpress-a9", "-m", "1024", "-nographic", "-kernel", kernel),
        *("-dtb", dtb, "-append", cmdline),
    ]
    number = iter(range(1000))
    runs: dict[str, Callable[[], float]] = {
        "QEMU": lambda: to_the_line(theirs, {}),
        "bootsim, cold": lambda: to_the_line(
            ours, {"XDG_CACHE_HOME": str(tmp_path / str(next(number)))}
        ),
        "bootsim, cached": lambda: to_the_line(ours, {"XDG_CACHE_HOME": str(tmp_path / "kept")}),
    }
    benchmark.pedantic(runs["bootsim, cached"], rounds=1)
    if not benchmark.enabled:
        return
    need_program("qemu-system-arm")
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(RUNS):
        for name, run in runs.items():
            seconds[name].append(run())
    print(f"\n{cmdline}:", end="")
    peer = median(seconds["QEMU"])
    for name, times in seconds.items():
        print(f"\n{name}: {median(times):.2f} s ({min(times):.2f} to {max(times):.2f});", end=" ")
        print(f"QEMU takes {peer / median(times):.1f} times as long", end="")
    print()
