"""The command line as a user meets it: output, errors in one line, exit status."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trees import CELLS, blob, board

EXAMPLES = Path(__file__).parent.parent / "examples"
MIB = 1 << 20

Result = tuple[int, str, str]


def one_line(result: Result, status: int = 2) -> str:
    """The only line on stderr of a command that ended with `status`."""
    assert result[0] == status, result
    lines = [line for line in result[2].splitlines() if "note:" not in line]
    assert len(lines) == 1, result[2]
    assert "Traceback" not in result[2]
    return lines[0]


def test_the_seed_driver_prints_the_documents_lines(bootsim) -> None:  # type: ignore[no-untyped-def]
    driver = EXAMPLES / "biscuitos" / "memblock_phys_alloc_try_nid.py"
    status, out, _ = bootsim("replay", driver, "--append", "earlycon")
    assert status == 0
    # The seed document, section "driver run".
    assert (
        """\
CPU: ARMv7 Processor [410fc090] revision 0 (ARMv7), cr=10c5387d
CPU: PIPT / VIPT nonaliasing data cache, VIPT nonaliasing instruction cache
OF: fdt: Machine model: V2P-CA9
Region: 0x0 - 0x0
Find address: 0x9ff00000
Region: 0x9ff00000 - 0xa0000000
Malformed early option 'earlycon'
Memory policy: Data cache writeback
"""
        in out
    )


def test_boot_prints_log_and_buddyinfo(bootsim) -> None:  # type: ignore[no-untyped-def]
    status, out, err = bootsim("boot")
    assert (status, err) == (0, "")
    memory = re.search(r"^Memory: (\d+)K/1048576K available .* 16384K cma-reserved\)$", out, re.M)
    assert memory is not None
    free = re.search(r"^Handed to the buddy allocator: (\d+) pages", out, re.M)
    assert free is not None
    assert int(free[1]) * 4 == int(memory[1])
    blocks = re.search(r"^Node 0, zone +Normal +(.*)$", out, re.M)
    assert blocks is not None
    counts = [int(count) for count in blocks[1].split()]
    assert sum(count << order for order, count in enumerate(counts)) == int(free[1])


def test_boot_as_json(bootsim) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = bootsim("boot", "--json", "--append", "memblock=debug root=/dev/ram0")
    assert status == 0
    data = json.loads(out)
    assert data["stage"] == "mem_init"
    assert data["command_line"] == "memblock=debug root=/dev/ram0"
    assert any("root" in note for note in data["notes"])
    kinds = {event["kind"] for event in data["events"]}
    assert {"stage", "printk", "memblock", "memblock_alloc", "page_free", "mapping"} <= kinds


@pytest.mark.parametrize(
    "view",
    [
        ("regions",),
        ("map",),
        ("hexdump", "0x60004000", "64"),
        ("disasm", "0x80100000", "4", "--virtual"),
        ("struct", "memblock"),
        ("struct", "zone"),
        ("page", "0x60100"),
        ("pagetable",),
        ("pagetable", "0x80100000"),
        ("buddyinfo",),
        ("zoneinfo",),
        ("iomem",),
    ],
    ids=" ".join,
)
def test_every_view_has_text_and_json(bootsim, view: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    status, text, err = bootsim("inspect", *view)
    assert (status, err) == (0, "")
    assert text.strip()
    status, out, err = bootsim("inspect", *view, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)


def test_iomem_equals_the_authors_for_ram(bootsim) -> None:  # type: ignore[no-untyped-def]
    published = (Path(__file__).parent / "data" / "biscuitos" / "iomem-5.0.txt").read_text()
    _, out, _ = bootsim("inspect", "iomem")
    assert out in published


def test_at_stops_at_a_stage_or_an_event(bootsim) -> None:  # type: ignore[no-untyped-def]
    _, out, _ = bootsim("inspect", "regions", "--at", "cmd_line", "--json")
    regions = json.loads(out)
    assert regions["memory"]["total_size"] == 1 << 30
    assert regions["reserved"]["total_size"] == 0
    _, out, _ = bootsim("boot", "--json")
    events = json.loads(out)["events"]
    number = next(i for i, e in enumerate(events) if e.get("function") == "memblock_reserve")
    _, out, _ = bootsim("inspect", "regions", "--at", number, "--json")
    first = json.loads(out)["reserved"]["regions"]
    assert [(r["base"], r["size"]) for r in first] == [
        (events[number]["base"], events[number]["size"])
    ]


def test_stages_are_listed_in_order(bootsim) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = bootsim("stages")
    assert status == 0
    names = [line.split()[0] for line in out.splitlines()]
    assert names.index("cmd_line") < names.index("early_fixmap_init") < names.index("mem_init")


# Bad input: one clear line, exit status 2.


def test_missing_files(bootsim, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    missing = tmp_path / "missing"
    for option in ("--dts", "--dtb", "--initrd"):
        assert str(missing) in one_line(bootsim("boot", option, missing))
    assert str(missing) in one_line(bootsim("replay", missing))
    assert str(tmp_path) in one_line(bootsim("boot", "--dtb", tmp_path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes"),
        (b"\xd0\x0d\xfe\xed", "4 bytes"),
        (b"\x7fELF" + bytes(60), "magic"),
    ],
)
def test_not_a_blob(bootsim, tmp_path: Path, content: bytes, words: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "bad.dtb"
    path.write_bytes(content)
    line = one_line(bootsim("boot", "--dtb", path))
    assert "bad.dtb" in line
    assert words in line


def test_truncated_and_flipped_blobs(bootsim, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    good = board((0x60000000, 64 * MIB))
    path = tmp_path / "bad.dtb"
    path.write_bytes(good[: len(good) // 2])
    assert "bad.dtb" in one_line(bootsim("boot", "--dtb", path))
    flipped = bytearray(good)
    flipped[0x3B] ^= 0x40  # the first token of the structure block
    path.write_bytes(flipped)
    assert "offset 0x38" in one_line(bootsim("boot", "--dtb", path))


def test_dts_syntax_error_names_file_line_and_column(bootsim, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "bad.dts"
    path.write_text("/dts-v1/;\n/ {\n\tmodel = \n};\n")
    assert re.search(r"bad\.dts:\d+:\d+: ", one_line(bootsim("boot", "--dts", path)))


@pytest.mark.parametrize(
    ("dtb", "words"),
    [
        (blob("", f'{CELLS} model = "x";'), "no memory"),
        (board((0x60000000, 0)), "size 0"),
        (board((0x60000000, 8 * MIB)), "room for the kernel"),
    ],
    ids=["no memory node", "zero-size memory", "too small"],
)
def test_impossible_memory(bootsim, tmp_path: Path, dtb: bytes, words: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "board.dtb"
    path.write_bytes(dtb)
    line = one_line(bootsim("boot", "--dtb", path))
    assert "board.dtb" in line
    assert words in line


def test_what_does_not_fit(bootsim, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    dtb = tmp_path / "small.dtb"
    dtb.write_bytes(board((0x60000000, 32 * MIB)))
    initrd = tmp_path / "initrd"
    initrd.write_bytes(bytes(33 * MIB))
    assert "do not fit" in one_line(bootsim("boot", "--dtb", dtb, "--initrd", initrd))
    for address in ("0x61ffff00", "0x10000000"):
        line = one_line(bootsim("boot", "--dtb", dtb, "--dtb-addr", address))
        assert "device tree does not fit" in line
    line = one_line(bootsim("boot", "--dtb-addr", "0x60108000"))
    assert "device tree" in line
    assert "over the kernel" in line
    line = one_line(bootsim("boot", "--phys-offset", "0x60100000"))
    assert "2 MiB" in line


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("boot", "--at", "nowhere"), "no stage 'nowhere'"),
        (("boot", "--profile", "linux-9"), "no profile 'linux-9'"),
        (("boot", "--ram-fill", "0x100"), "not a byte"),
        (("boot", "--ram-fill", "x"), "is no number"),
        (("inspect", "hexdump", "0x0"), "no RAM at"),
        (("inspect", "hexdump", "0x60000000", "--virtual"), "0x60000000"),
        (("inspect", "pagetable", "0"), "0x00000000"),
        (("inspect", "page", "0x1"), "pfn 0x1"),
        (("inspect", "struct", "task_struct"), "no struct 'task_struct'"),
        (("inspect", "buddyinfo", "--at", "cmd_line"), "bootmem_init"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_arguments(bootsim, args: tuple[str, ...], words: str) -> None:  # type: ignore[no-untyped-def]
    status, _, err = bootsim(*args)
    assert status == 2
    assert "Traceback" not in err
    assert words in err


def test_a_long_command_line_is_cut_as_linux_cuts_it(bootsim) -> None:  # type: ignore[no-untyped-def]
    status, out, err = bootsim("boot", "--json", "--append", "x" * 2000)
    assert status == 0
    assert json.loads(out)["command_line"] == "x" * 1023  # COMMAND_LINE_SIZE - 1
    assert "2000" in err
    assert "1023" in err


# Drivers and guest code that go wrong: a report, exit status 1, and the log until then.


def test_a_driver_that_raises(bootsim, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "raises.py"
    path.write_text("def driver(kernel):\n    kernel.pr_info('so far')\n    1 / 0\n")
    result = bootsim("replay", path)
    line = one_line(result, status=1)
    assert f"{path}:3: in driver: ZeroDivisionError" in line
    assert result[1].splitlines()[-1] == "so far"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import sys\ndef driver(kernel): sys.exit(0)\n", ":2: in driver: SystemExit"),
        ("def driver(kernel): driver(kernel)\n", "RecursionError"),
        ("def driver(kernel): kernel.memblock.reserved.cnt = 5000\n", "cnt 5000, max 128"),
        (
            "def driver(kernel):\n    kernel.memory.fill(kernel.pa_symbol('memblock'), 48, 255)\n",
            "corrupt",
        ),
        ("def driver(kernel): kernel.memblock.add(-1, 1)\n", "expected 0 to 0xffffffff"),
    ],
)
def test_drivers_that_break_the_kernel(bootsim, tmp_path: Path, text: str, words: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "breaks.py"
    path.write_text(text)
    assert words in one_line(bootsim("replay", path), status=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def driver(kernel:\n", ":1:"),
        ("x = 1\n", "driver(kernel)"),
        ("HOOK = 'nowhere'\ndef driver(kernel): pass\n", "no stage 'nowhere'"),
        ("\0", "null"),
    ],
)
def test_files_that_are_no_driver(bootsim, tmp_path: Path, text: str, words: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "bad.py"
    path.write_text(text)
    line = one_line(bootsim("replay", path))
    assert str(path) in line
    assert words in line


def test_guest_code_that_jumps_to_nowhere(bootsim, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "nowhere.py"
    path.write_text("def driver(kernel):\n    kernel.call(0x12345678)\n")
    line = one_line(bootsim("replay", path), status=1)
    assert "0x12345678" in line
    assert "fetch" in line
    assert "svc" in line


def test_the_head_says_on_the_uart_why_it_stops(bootsim) -> None:  # type: ignore[no-untyped-def]
    result = bootsim("boot", "--dtb-addr", "0x68000002")  # not aligned
    assert result[0] == 1
    # arch/arm/kernel/setup.c, as early_print() puts it on the UART.
    words = "\nError: invalid dtb and unrecognized/unsupported machine ID\n"
    assert result[1].startswith(words + "  r1=0xffffffff, r2=0x68000002\n")
    assert "Error: invalid dtb" in one_line(result, status=1)


def test_guest_code_that_loops_for_ever(bootsim, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "loop.py"
    path.write_text(
        "def driver(kernel):\n"
        "    kernel.memory.write_u32(kernel.pa_symbol('_stext') + 0x1000, 0xeafffffe)\n"
        "    kernel.call(kernel.symbol('_stext') + 0x1000)\n"
    )
    line = one_line(bootsim("replay", path), status=1)
    assert "0x80101000" in line


def test_a_panic_leaves_the_log_and_the_kernels_words(bootsim, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    result = bootsim("boot", "--append", "mem=1M")
    assert "prepare_page_table" in one_line(result, status=1)
    assert "Machine model" in result[1]
    # All but the four pages below swapper_pg_dir is reserved: too little for page tables.
    taken = (
        f"reserved-memory {{ {CELLS} ranges;"
        " low@60008000 { reg = <0x60008000 0xf8000>; };"
        " high@60b91000 { reg = <0x60b91000 0x146f000>; }; };"
    )
    path = tmp_path / "full.dtb"
    path.write_bytes(board((0x60000000, 32 * MIB), extra=taken))
    result = bootsim("boot", "--dtb", path, "--append", "cma=0")
    words = "Kernel panic - not syncing: ERROR: Failed to allocate 0x00001000 bytes below"
    assert words in one_line(result, status=1)
    assert words in result[1].splitlines()[-1]


# A whole process, as the shell runs it.


def test_help_teaches_and_loads_no_emulator() -> None:
    code = (
        "import sys; sys.argv = ['bootsim', '--help']\n"
        "import bootsim.cli\n"
        "try: bootsim.cli.main()\n"
        "except SystemExit: pass\n"
        "assert 'unicorn' not in sys.modules, 'help loads the emulator'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "bootsim boot --append memblock=debug" in done.stdout


def test_a_closed_pipe_is_no_error_message() -> None:
    command = f"{sys.executable} -m bootsim boot | head -1"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.startswith("Booting Linux")
    assert done.stderr == ""


# --ram: what the boot loader would write into the tree.


def test_ram_in_place_of_the_trees(bootsim, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "board.dtb"
    path.write_bytes(blob("", f'{CELLS} memory {{ device_type = "memory"; reg = <0 0>; }};'))
    assert one_line(bootsim("boot", "--dtb", path)).endswith(
        "/memory: no memory: all of it is of size 0: give --ram BASE:SIZE, as the boot loader would"
    )
    banks = "--ram", "0x40000000:256M", "--ram", "0x80000000:0x1000000"
    status, out, err = bootsim("inspect", "iomem", "--dtb", path, *banks)
    assert (status, err) == (0, "")
    ram = [line for line in out.splitlines() if line.endswith("System RAM")]
    assert ram == ["40000000-4fffffff : System RAM", "80000000-80ffffff : System RAM"]
    status, out, err = bootsim("boot", "--dtb", path, *banks)
    assert (status, err) == (0, "")
    assert "/278528K available" in out


def test_ram_over_the_console_s_place(bootsim) -> None:  # type: ignore[no-untyped-def]
    status, _, err = bootsim("boot", "--ram", "0x10000000:256M", "--at", "cmd_line")
    assert status == 0
    assert "note: the PL011 at 0x10009000 lies in RAM, or in a page of it: it is left out" in err


@pytest.mark.parametrize("bank", ["0x60000000", "0x60000000:", ":512M", "1:2:3", "1:-1", "a:b", ""])
def test_ram_that_is_no_bank(bootsim, bank: str) -> None:  # type: ignore[no-untyped-def]
    line = one_line(bootsim("boot", "--ram", bank))
    assert f"--ram {bank}: write BASE:SIZE, as 0x60000000:512M" in line


@pytest.mark.parametrize(
    ("banks", "words"),
    [
        (("0:0",), "RAM bank 0x0:0x0: there is nothing in it"),
        (("0:1000",), "RAM bank 0x0:0x3e8: it is not of whole pages"),
        (("0x60000000:4G",), "RAM bank 0x60000000:0x100000000: it does not fit into the numbers"),
        (("0x60000000:2M", "0x60100000:2M"), "RAM banks overlap: [0x60000000-0x601fffff] and"),
    ],
)
def test_ram_that_cannot_be(bootsim, banks: tuple[str, ...], words: str) -> None:  # type: ignore[no-untyped-def]
    options = [word for bank in banks for word in ("--ram", bank)]
    assert words in one_line(bootsim("boot", *options))


@pytest.mark.parametrize(
    "command", [("boot",), ("replay",), ("inspect", "map"), ("kernel",), ("compare",)], ids=" ".join
)
def test_all_that_boot_take_ram(bootsim, command: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    status, out, _ = bootsim(*command, "--help")
    assert status == 0
    assert "--ram BASE:SIZE" in out
