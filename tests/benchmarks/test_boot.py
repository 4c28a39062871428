"""How long a boot takes, and how much memory.

pytest tests/benchmarks/test_boot.py --benchmark-enable -s
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from bootsim.kernel.kernel import Kernel
from bootsim.kernel.main import start_kernel
from bootsim.kernel.profile_file import load_profile
from bootsim.simulate import Boot
from bootsim.trace import Trace
from tests.kernels import CORTEX_A9

RUNS = 5


def test_whole_process(benchmark: BenchmarkFixture) -> None:
    """`bootsim boot` from the shell: wall time, CPU time and peak resident memory of each run."""

    def run() -> tuple[float, float, int]:
        start = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-m", "bootsim", "boot"],
            stdout=subprocess.DEVNULL,
            cwd=Path(__file__).parent.parent.parent,
        ) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss

    run()
    runs = [run() for _ in range(RUNS if benchmark.enabled else 1)]
    for wall, cpu, resident in runs:
        print(f"\nbootsim boot: {wall:.3f} s wall, {cpu:.3f} s CPU, {resident >> 10} MiB resident")
    benchmark.pedantic(run, rounds=1)


def test_model_boot_alone(benchmark: BenchmarkFixture) -> None:
    """start_kernel() to mem_init() on a machine that stands: the default board, 1 GiB."""
    profile = load_profile("linux-5.0")

    def setup() -> tuple[tuple[Kernel], dict[str, object]]:
        boot = Boot()
        boot.firmware.run(boot.machine.cpu)
        kernel = Kernel(
            boot.memory,
            profile,
            Trace(),
            phys_offset=boot.placement.phys_offset,
            registers=CORTEX_A9,
            cpu=boot.machine.cpu,
        )
        return (kernel,), {}

    benchmark.pedantic(start_kernel, setup=setup, rounds=RUNS if benchmark.enabled else 1)


def test_machine_and_firmware(benchmark: BenchmarkFixture) -> None:
    """Board, RAM, CPU, and the firmware's run to start_kernel()."""

    def run() -> None:
        boot = Boot()
        boot.firmware.run(boot.machine.cpu)
        boot.machine.cpu.close()

    benchmark.pedantic(run, rounds=RUNS if benchmark.enabled else 1)


def test_memtest_against_the_host(benchmark: BenchmarkFixture) -> None:
    """One pattern over 1 GiB, beside the host's own memset() and memcmp() of the same memory."""
    boot = Boot(cmdline="memtest=2", until="arm_memblock_init").run()
    kernel = boot.started_kernel
    bank = boot.memory.banks[0]
    address = ctypes.addressof(ctypes.c_char.from_buffer(bank.mapping))
    memcmp = ctypes.CDLL(None).memcmp
    memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    from bootsim.kernel.memtest import _memtest  # noqa: PLC0415

    # From the end of the initrd's place to the end of RAM; touched first, so that neither pays
    # for the host's page faults.
    start, size = 0x68100000, bank.end - 0x68100000
    where = address + start - bank.base
    ctypes.memset(where, 0x55, size)

    def host() -> float:
        begin = time.perf_counter()
        ctypes.memset(where, 0x5A, size)
        assert memcmp(where, where + 4096, size - 4096) == 0
        return time.perf_counter() - begin

    def model() -> float:
        begin = time.perf_counter()
        _memtest(kernel, 0x5555555555555555, start, size)
        return time.perf_counter() - begin

    pairs = [(model(), host()) for _ in range(RUNS if benchmark.enabled else 1)]
    for mine, hosts in pairs:
        print(
            f"\nmemtest of {size >> 20} MiB: {mine:.3f} s, host {hosts:.3f} s, {mine / hosts:.2f} x"
        )
    benchmark.pedantic(model, rounds=1)
