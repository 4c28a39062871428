"""realkernel/kallsyms.py: tables that Linux's own scripts/kallsyms.c wrote, and a real kernel's."""

from __future__ import annotations

import random
import time

import pytest

from bootsim.realkernel.image import load_kernel_image
from bootsim.realkernel.kallsyms import decode
from tests.kernel_files import VERSIONS, address_of, kernel_file, system_map
from tests.requirements import need_kernel

DIGITS = b"".join(b"%d\0" % digit for digit in range(10))
# is_ignored_symbol() in scripts/kallsyms.c
IGNORED = {
    f"kallsyms_{table}"
    for table in (
        *("offsets", "relative_base", "num_syms", "names", "markers"),
        *("seqs_of_names", "token_table", "token_index"),
    )
}


def expected(version: str) -> list[tuple[int, str, str]]:
    """What of System.map the kernel's build puts into the tables."""
    every = system_map(version)
    if version.endswith("-all"):
        return [entry for entry in every if entry[2] not in IGNORED]
    ranges = [
        (address_of(version, start), address_of(version, end), end)
        for start, end in (("_stext", "_etext"), ("_sinittext", "_einittext"))
    ]
    return [
        entry
        for entry in every
        if any(
            first <= entry[0] < last or (entry[0] == last and entry[2] == end)
            for first, last, end in ranges
        )
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_order_of_the_tables(version: str) -> None:
    symbols = decode(kernel_file(version))
    assert symbols is not None
    found = [(s.address, s.kind, s.name) for s in symbols]
    assert sorted(found) == sorted(expected(version))
    assert [address for address, _, _ in found] == sorted(address for address, _, _ in found)


def test_a_name_of_two_bytes_length() -> None:
    """Packed it still has over 127 bytes (ULEB128)."""
    symbols = decode(kernel_file("6.1"))
    assert symbols is not None
    long = max((symbol.name for symbol in symbols), key=len)
    assert len(long) > 400
    assert long in symbols
    assert symbols.get(long) == address_of("6.1", long)


@pytest.mark.parametrize("shift", range(0, 64, 4))
@pytest.mark.parametrize("version", ["4.9", "6.1", "7.0"])
def test_what_lies_before_does_not_matter(version: str, shift: int) -> None:
    code = random.Random(shift).randbytes(shift) + kernel_file(version)
    symbols = decode(code)
    assert symbols is not None
    assert len(symbols) == len(expected(version))


@pytest.mark.parametrize("version", VERSIONS)
def test_damaged_tables(version: str) -> None:
    """Each table is checked: what is decoded after all has lost no order and no name."""
    code = kernel_file(version)
    start = code.index(b"Linux version")
    dice = random.Random(version)
    lost = 0
    for _ in range(120):
        changed = bytearray(code)
        changed[dice.randrange(start, len(code))] ^= 1 << dice.randrange(8)
        symbols = decode(bytes(changed))
        if symbols is None:
            lost += 1
            continue
        assert list(symbols.addresses) == sorted(symbols.addresses)
        assert len(list(symbols)) == len(symbols) == len(expected(version))
        assert all(symbol.name.isprintable() for symbol in symbols)
    assert lost > 0


@pytest.mark.parametrize("version", ["4.9", "6.5"])
def test_cut_off(version: str) -> None:
    code = kernel_file(version)
    behind_index = len(code) - len(expected(version)) * 9
    for size in range(0, behind_index, 997):
        assert decode(code[:size]) is None


def test_no_tables() -> None:
    assert decode(b"") is None
    assert decode(bytes(1 << 20)) is None
    assert decode(random.Random(1).randbytes(1 << 20)) is None


@pytest.mark.parametrize(
    "code",
    [
        DIGITS * 200_000,
        bytes(0x1000) + DIGITS + bytes(4 << 20),
        b"\xff" * 0x1000 + DIGITS,
        DIGITS,
    ],
    ids=["digits", "digits among zeros", "no zeros before", "nothing else"],
)
def test_decoys_cost_no_time(code: bytes) -> None:
    start = time.monotonic()
    assert decode(code) is None
    assert time.monotonic() - start < 5


def test_before_the_true_table_a_decoy() -> None:
    symbols = decode(DIGITS * 10 + kernel_file("6.1")[len(DIGITS) * 10 % 4 :])
    assert symbols is None or len(symbols) == len(expected("6.1"))
    code = bytes(1000) + DIGITS + bytes(-len(DIGITS) % 4) + kernel_file("6.1")
    symbols = decode(code)
    assert symbols is not None
    assert len(symbols) == len(expected("6.1"))


def test_hostile_counts_cost_no_time() -> None:
    """Words that all may be the number of names, before a true table of tokens."""
    code = kernel_file("6.1")
    at = code.index(DIGITS) & -4
    decoy = (1000).to_bytes(4, "little") * (2 << 20)
    start = time.monotonic()
    symbols = decode(decoy + code[at - 2048 :])
    assert symbols is None
    assert time.monotonic() - start < 10


def test_debian() -> None:
    image = load_kernel_image(need_kernel(), cache=False)
    symbols = image.symbols
    assert len(symbols) == 45_665
    assert symbols.address("_stext") == 0xC0300000  # where its log says that [_stext, _end) begins
    # head.S loads where it continues with the MMU on: a literal near the first instruction.
    switched = symbols.address("__mmap_switched").to_bytes(4, "little")
    assert switched in bytes(image.code[:0x1000])
    assert symbols.function_at(symbols.address("memblock_add")).startswith("memblock_add+0x0/0x")
    assert len({symbol.name for symbol in symbols}) < len(symbols)
