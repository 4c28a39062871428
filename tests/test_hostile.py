"""What users and drivers do that nobody should: each ends in one clear line, or is put right."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bootsim.driver import Driver, load_driver
from bootsim.errors import BootsimError, DriverError, KernelPanic
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.profile_file import load_profile, parse_profile
from bootsim.simulate import Boot
from tests.trees import board

MIB = 1 << 20
BASE = 0x60000000
SMALL = board((BASE, 64 * MIB))


def replay(tmp_path: Path, text: str, hook: str | None = None, **options: str) -> Boot:
    path = tmp_path / "hostile.py"
    path.write_text(text)
    return Boot(dtb=SMALL, drivers=[load_driver(path, hook=hook)], **options).run()  # type: ignore[arg-type]


# Drivers against RAM


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "def driver(kernel):\n"
            "    kernel.memory.fill(kernel.pa_symbol('log_first_idx'), 8, 0xff)\n",
            "log buffer in RAM is damaged",
        ),
        (
            "def driver(kernel):\n"
            "    for _ in range(40): kernel.pr_info('x' * 900)\n"
            "    kernel.memory.zero(kernel.pa_symbol('__log_buf'), 0x4000)\n"
            "    for _ in range(90): kernel.pr_info('x' * 900)\n",
            "log buffer in RAM is damaged",
        ),
        ("def driver(kernel): kernel.memblock.memory.cnt = 0\n", "cnt is 0"),
        (
            "def driver(kernel):\n    kernel.memory.fill(kernel.fdt.blob_phys, 64, 0xff)\n",
            "device tree in RAM",
        ),
    ],
    ids=["indices", "records", "cnt", "tree"],
)
def test_damage_kills_the_kernel_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises((KernelPanic, DriverError), match=words) as caught:
        replay(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_tree_that_is_changed_in_ram_is_read_as_it_is(tmp_path: Path) -> None:
    text = """
def driver(kernel):
    start = kernel.fdt.blob_phys
    blob = kernel.memory.read(start, len(kernel.fdt.tree.blob))
    at = blob.index((0x4C000000).to_bytes(4, "big"))
    kernel.memory.write(start + at, (0x4D000000).to_bytes(4, "big"))
"""
    path = tmp_path / "patch.py"
    path.write_text(text)
    boot = Boot(drivers=[load_driver(path)], until="arm_memblock_init").run()
    assert "Reserved memory: created DMA memory pool at 0x4d000000, size 8 MiB" in boot.log


def test_the_command_line_is_read_from_ram(tmp_path: Path) -> None:
    text = (
        "def driver(kernel):\n"
        "    kernel.memory.write(kernel.pa_symbol('boot_command_line'), b'mem=32M\\0')\n"
    )
    assert replay(tmp_path, text).memblock.memory.total_size == 32 * MIB


# Drivers against Python


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def driver(kernel): kernel.pr_info(5)\n", ":1: in driver: .*expected a string"),
        ("def driver(kernel):\n    yield\n", "cannot yield"),
        ("async def driver(kernel): pass\n", "cannot yield or be async"),
        ("def driver(): pass\n", r"hostile\.py: TypeError"),
        ("def driver(kernel): raise ValueError('a\\nb')\n", "ValueError: a b"),
    ],
)
def test_drivers_that_are_not_right(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DriverError, match=words) as caught:
        replay(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_drivers_are_ordinary_modules(tmp_path: Path) -> None:
    (tmp_path / "beside_the_driver.py").write_text("TEXT = 'from beside'\n")
    text = """
from dataclasses import dataclass
from beside_the_driver import TEXT

@dataclass
class Point:
    x: int = 1

def driver(kernel):
    assert driver.__annotations__ == {}
    kernel.pr_info(f"{TEXT} {Point().x}")
"""
    assert "from beside 1" in replay(tmp_path, text).log


def test_leaving_python_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="SystemExit"):
        replay(tmp_path, "raise SystemExit(0)\n")


# The machine


@pytest.mark.parametrize(
    "options",
    [
        {"initrd": bytes(8000), "initrd_addr": BASE + 0x4000},
        {"dtb_addr": BASE},
        {"dtb_addr": BASE + 0x5000},
    ],
)
def test_nothing_may_lie_where_the_kernel_writes_first(options: dict[str, object]) -> None:
    with pytest.raises(BootsimError, match="would lie over the"):
        Boot(dtb=SMALL, **options)  # type: ignore[arg-type]


def test_an_odd_uart_is_left_out_and_said() -> None:
    uart = 'serial@10009004 { compatible = "arm,pl011"; reg = <0x10009004 0x100>; };'
    boot = Boot(dtb=board((BASE, 64 * MIB), extra=uart)).run()
    assert boot.machine.uart_base is None
    assert any("0x10009004" in note for note in boot.notes)


def test_more_banks_than_memblock_has_room_for_are_told() -> None:
    banks = [(BASE, 64 * MIB)] + [(0x70000000 + n * 0x200000, 0x100000) for n in range(140)]
    boot = Boot(dtb=board(*banks), until="arm_memblock_init").run()  # before the table may grow
    assert (boot.memblock.memory.cnt, boot.memblock.memory.max) == (128, 128)
    assert any("memblock.memory is full" in note for note in boot.notes)


def test_a_boot_runs_once() -> None:
    boot = Boot(dtb=SMALL).run()
    with pytest.raises(BootsimError, match="has run"):
        boot.run()


def test_an_event_past_the_last_is_told() -> None:
    boot = Boot(dtb=SMALL, until=99999).run()
    assert any("there is no event 99999" in note for note in boot.notes)


def test_zones_exist_only_when_they_are_whole() -> None:
    events = len(Boot(dtb=SMALL, until="bootmem_init").run().trace)
    for number in range(events - 14, events):
        boot = Boot(dtb=SMALL, until=number).run()
        try:
            assert boot.zones
        except BootsimError as error:
            assert "bootmem_init" in str(error)


@pytest.mark.parametrize("value", ["4294967296", "9" * 100, "0x100000000"])
def test_memtest_counts_in_32_bits(value: str) -> None:
    boot = Boot(dtb=SMALL, cmdline=f"memtest={value}").run()
    assert "Malformed early option 'memtest'" in boot.log


# Profiles and numbers


def test_symbols_have_32_bits() -> None:
    profile = load_profile("linux-5.0")
    for value in (1 << 32, 0xFFFFFFFF, -1):
        with pytest.raises(BootsimError, match="processor_id is"):
            profile.with_symbols({"processor_id": value})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("_stext = ", "_other = ", "symbols._stext is missing"),
        ('zones = ["Normal"]', "zones = []", "config.zones"),
        ("max_order = 11", "max_order = 0", "config.max_order"),
        ("log_buf_size = 0x4000", "log_buf_size = 3", "config.log_buf_size"),
        ("highmem = false", "highmem = 1", "expected true or false"),
        ('nomap = "remove"', 'nomap = "x"', "features.nomap"),
    ],
)
def test_profiles_are_checked(old: str, new: str, words: str) -> None:
    from importlib import resources  # noqa: PLC0415

    text = (resources.files("bootsim.kernel") / "profiles" / "linux-5.0.toml").read_text()
    assert old in text
    with pytest.raises(BootsimError, match=re.escape(words)):
        parse_profile(text.replace(old, new), "changed.toml")


# The whole process


def run(*args: str, shell: str = "") -> subprocess.CompletedProcess[str]:
    command = " ".join([sys.executable, "-m", "bootsim", *args, shell])
    return subprocess.run(
        command, shell=True, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (("inspect", "hexdump", "0x60000000", "1G"), 2, "at the most"),
        (("inspect", "disasm", "0x60000000", "16M"), 2, "at the most"),
        (("inspect", "pagetable", "0x100900000"), 2, "32 bits"),
        (("inspect", "hexdump", "--virtual", "0x180000000"), 2, "32 bits"),
        (("inspect", "page", "0"), 2, "pfn 0x0"),
        (("inspect", "page", "9" * 5000), 2, "is no number"),
        (("boot", "--initrd", "/dev/zero"), 2, "do not fit"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_arguments_past_all_bounds(args: tuple[str, ...], status: int, words: str) -> None:
    done = run(*args)
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line() -> None:
    done = run("boot", shell=">/dev/full")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No space left" in done.stderr


def test_closed_streams_are_no_error() -> None:
    assert run("boot", shell="2>&-").returncode == 0
    assert run("boot", shell=">&-").returncode == 0


def test_json_of_a_boot_that_dies_holds_its_log_and_its_end() -> None:
    done = run("boot", "--json", "--append", "mem=8M")
    assert done.returncode == 1
    data = json.loads(done.stdout)
    assert "prepare_page_table" in data["error"]
    assert data["log"]
    assert data["events"]


def test_a_caught_fault_leaves_the_boot_alive() -> None:
    seen: list[str] = []

    def driver(kernel: Kernel) -> None:
        try:
            kernel.call(0x12345678)
        except BootsimError as error:
            seen.append(str(error))

    assert Boot(dtb=SMALL, drivers=[Driver(driver)]).run().handed_over
    assert "0x12345678" in seen[0]
