"""Guest code: what a trap costs, and a C driver as a whole. Run with --benchmark-enable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bootsim.guest.driver import GuestOptions, load_guest_drivers
from bootsim.kernel.profile_file import load_profile
from bootsim.simulate import Boot
from tests.requirements import need_module

CALLS = 10_000
PROFILE = load_profile("linux-5.0")
EXAMPLE = Path(__file__).parents[2] / "examples" / "biscuitos" / "memblock_reserve.c"
# A loop in C around one call of the kernel, and the same around nothing.
BODIES = {
    "loop alone": 'asm volatile("" :: "r"(i));',
    "no arguments": "memblock_get_current_limit();",
    "two arguments": "memblock_is_region_memory(0x60000000, i);",
    "an iterator's step": "__next_mem_range(&idx, NUMA_NO_NODE, 0, &memblock.memory, NULL, &start,"
    " &end, NULL); idx = 0;",
}


@pytest.fixture(params=BODIES)
def body(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_trap(benchmark: BenchmarkFixture, body: str, tmp_path: Path) -> None:
    """Divide by CALLS: microseconds a call, the callee's own work included."""
    need_module("ziglang")
    source = tmp_path / "loop.c"
    source.write_text(
        "#include <linux/kernel.h>\n#include <linux/memblock.h>\n"
        "int debug_loop(void)\n{\n\tu64 idx = 0;\n\tphys_addr_t start, end;\n"
        f"\tfor (int i = 0; i < {CALLS}; i++) {{ {BODIES[body]} }}\n\treturn 0;\n}}\n"
    )
    load, run, _ = load_guest_drivers([source], PROFILE, GuestOptions())
    boot = Boot(profile=PROFILE, drivers=[load], until="cmd_line").run()
    benchmark.extra_info["calls"] = CALLS
    benchmark.pedantic(run.entry, args=(boot.started_kernel,), rounds=10, warmup_rounds=1)


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "cold"])
def test_replay_as_a_process(benchmark: BenchmarkFixture, cached: bool, tmp_path: Path) -> None:
    """`bootsim replay FILE.c`, from start to end; its peer is `bootsim boot` in test_boot.py."""
    need_module("ziglang")
    command = [sys.executable, "-m", "bootsim", "replay", str(EXAMPLE)]
    folders = (tmp_path / str(number) for number in range(1000))

    def setup() -> tuple[tuple[object, ...], dict[str, object]]:
        cache = tmp_path if cached else next(folders)
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        return (environment,), {}

    def process(environment: dict[str, str]) -> None:
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)

    benchmark.pedantic(process, setup=setup, rounds=10, warmup_rounds=1)
