"""Log files: prefixes, noise, several boots, and files that are no log."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootsim.dmesg.lines import LINE_MAX, split_lines
from bootsim.dmesg.recording import LOG_MAX, parse_log, read_log
from bootsim.errors import BootsimError
from bootsim.trace import MemblockRange

DATA = Path(__file__).parent / "data" / "dmesg"

RESERVE = "memblock_reserve: [0x60100000-0x60100fff] f+0x1/0x2"
START = "Booting Linux on physical CPU 0x0"


@pytest.mark.parametrize(
    ("prefix", "time", "level"),
    [
        ("", None, 6),
        ("[    0.000000] ", 0.0, 6),
        ("[    1.234567][    T0] ", 1.234567, 6),
        ("[    0.000000@0] ", 0.0, 6),
        ("<4>[    0.500000] ", 0.5, 4),
        ("<14>", None, 6),
        ("kern  :warn  : [    0.000000] ", 0.0, 4),
        ("[Sun Nov 22 11:10:08 2026] ", None, 6),
        ("Nov 22 11:10:08 host kernel: [    0.000000] ", 0.0, 6),
        ("2026-11-22T11:10:08.123456+00:00 host kernel: ", None, 6),
        ("2026-11-22T11:10:08,123456+00:00 ", None, 6),
        ("[11:10:08.123] [    0.000000] ", 0.0, 6),
        ("[2026-11-22 11:10:08] ", None, 6),
        ("[0.000001 0.000001] [    0.000000] ", 0.0, 6),
        ("[    0.000000]  (0)[0:swapper]", 0.0, 6),
        ("\x1b[32m[    0.000000] \x1b[0m", 0.0, 6),
        ("\0\0[    0.000000] ", 0.0, 6),
    ],
)
def test_prefixes(prefix: str, time: float | None, level: int) -> None:
    for text in ("Memory policy", " memory.cnt  = 0x1", "[0x60000000] x"):
        (line,) = split_lines((prefix + text).encode())
        assert (line.time, line.level, line.text) == (time, level, text)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\r\n", b"\r"])
def test_line_ends(end: bytes) -> None:
    lines = list(split_lines(b"one" + end + end + b"two" + end))
    assert [(line.number, line.text) for line in lines] == [(1, "one"), (3, "two")]


def test_a_long_line_is_cut() -> None:
    (line,) = split_lines(b"x" * (10 << 20))
    assert len(line.text) == LINE_MAX


def test_other_encodings() -> None:
    for data in (RESERVE.encode("utf-16"), b"\xef\xbb\xbf" + RESERVE.encode()):
        assert [line.text for line in split_lines(data)] == [RESERVE]


def test_garbage_before_memblocks_words() -> None:
    boot = parse_log(b"\xff\xfe\xfd\x80zz " + RESERVE.encode() + b"\n").boot()
    assert isinstance(boot.items[0][1], MemblockRange)


def test_a_line_that_a_terminal_wrapped() -> None:
    for stamp in ("", "[    0.000000] "):
        head, tail = RESERVE[:30], RESERVE[30:]
        boot = parse_log(f"{stamp}{START}\n{stamp}{head}\n{tail}\n".encode()).boot()
        ranges = [item for _, item in boot.items if isinstance(item, MemblockRange)]
        assert [(r.base, r.size) for r in ranges] == [(0x60100000, 0x1000)]
        assert boot.noise == []


def test_a_damaged_line_is_noise_with_its_number() -> None:
    boot = parse_log(f"{START}\n{RESERVE}\n{RESERVE[:30]}\nother\n".encode(), "x.log").boot()
    (finding,) = boot.noise
    assert finding.shown("x.log").startswith("x.log:3: noise: ")


# Boots.


def test_boots_of_a_board_with_its_boot_loader() -> None:
    recording = read_log(DATA / "khadas-4.9.log")
    assert len(recording.boots) == 2
    for boot in recording.boots:
        assert boot.lines[0].text == START
        assert boot.from_start
        assert boot.version == (4, 9)
        assert len(boot.dumps) == 1
        assert boot.rules == "Linux 5.0"
    assert recording.boot() is recording.boots[1]
    assert recording.boot(1) is recording.boots[0]
    assert recording.boots[0].features.phys_addr_bits == 32


def test_a_start_that_is_lost_and_a_boot_after_it() -> None:
    recording = parse_log(f"{RESERVE}\n{START}\nLinux version 6.1.0 (x)\n{RESERVE}\n".encode())
    assert [(b.number, b.from_start) for b in recording.boots] == [(1, False), (2, True)]
    assert recording.boot().release == "6.1.0"


def test_a_banner_without_a_start_begins_a_boot() -> None:
    text = f"BIOS\nLinux version 6.6.1 (x)\n{RESERVE}\nLinux version 5.15.0 (x)\n{RESERVE}\n"
    assert [boot.version for boot in parse_log(text.encode()).boots] == [(6, 6), (5, 15)]


def test_a_banner_that_a_program_prints_begins_none() -> None:
    text = (
        f"[    0.000000] Linux version 6.6.1 (x)\n[    0.000000] {RESERVE}\n"
        "[   99.000000] Linux version 6.6.1 (x)\n"
    )
    assert len(parse_log(text.encode()).boots) == 1


def test_facts_of_a_boot() -> None:
    text = "\n".join(
        [
            "Linux version 6.1.0-50-armmp (x)",
            RESERVE,
            "  Normal   empty",
            "  HighMem  [mem 0x0000000090000000-0x000000009fffffff]",
            "  node   0: [mem 0x0000000060000000-0x000000009fffffff]",
            "Kernel command line: memblock=debug quiet",
        ]
    )
    boot = parse_log(text.encode()).boot()
    assert boot.release == "6.1.0-50-armmp"
    assert boot.rules == "Linux 6.1"
    assert boot.command_line == "memblock=debug quiet"
    assert boot.highmem == (0x90000000, 0x10000000)
    assert boot.node_ranges == [(0, (0x60000000, 0x40000000))]


def test_the_rules_without_a_version_are_by_the_words() -> None:
    words = "bytes align=0x40 nid=0 from=0x0 max_addr=0x0 f"
    old = parse_log(f"memblock_alloc_try_nid_nopanic: 8 {words}".encode()).boot()
    new = parse_log(f"memblock_alloc_try_nid: 8 {words}".encode()).boot()
    assert (old.rules, new.rules) == ("Linux 5.0", "Linux 6.1")


@pytest.mark.parametrize(
    ("span", "bits"),
    [
        ("0x60100000-0x60100fff", 32),
        ("0x0000000060100000-0x0000000060100fff", 64),  # %pa
        ("0x00000060100000-0x00000060100fff", 32),  # %#016llx, as on any
        ("0x00000160100000-0x00000160100fff", 64),
    ],
)
def test_the_width_of_addresses(span: str, bits: int) -> None:
    assert (
        parse_log(f"memblock_reserve: [{span}] f".encode()).boot().features.phys_addr_bits == bits
    )


# What is no log of memblock's.


def test_more_than_can_be_a_log() -> None:
    with pytest.raises(BootsimError, match=r"^x\.log: more than 64 MiB"):
        parse_log(bytes(LOG_MAX + 1), "x.log")


@pytest.mark.parametrize(
    "data",
    [b"", b"\n\n", b"\0" * 4096, bytes(range(256)) * 64, b"\x7fELF" + bytes(100), START.encode()],
)
def test_no_line_of_memblocks(data: bytes) -> None:
    with pytest.raises(BootsimError, match=r"^x\.log: no line of memblock's: boot with memblock="):
        parse_log(data, "x.log").boot()


def test_a_boot_that_is_not_there() -> None:
    recording = parse_log(f"{START}\nx\n{START}\n{RESERVE}\n".encode(), "x.log")
    with pytest.raises(BootsimError, match=r"x\.log: no boot 3: there are 2"):
        recording.boot(3)
    with pytest.raises(BootsimError, match=r"x\.log: boot 1: no line of memblock's"):
        recording.boot(1)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(BootsimError, match=str(path)):
            read_log(path)
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(LOG_MAX + 1)
    with pytest.raises(BootsimError, match="more than 64 MiB"):
        read_log(large)
