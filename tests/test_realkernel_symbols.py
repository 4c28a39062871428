"""realkernel/symbols.py and vmlinux.py: symbols by name and by address."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootsim.errors import BootsimError
from bootsim.realkernel.symbols import Symbol, Symbols, parse_system_map
from bootsim.realkernel.vmlinux import Vmlinux
from tests.kernel_files import VERSIONS, kernel_file, system_map

MAP = b"""\
c0008000 T _text
c0100000 T _stext
c0100000 t first
c0100040 T second
c0100040 W alias_of_second
c0100100 t twice
c0100200 t twice
c0100300 T _etext
c0500000 T _sinittext
c0500000 t early
c0500080 T _einittext
"""


@pytest.fixture
def symbols() -> Symbols:
    return parse_system_map(MAP, "System.map")


def test_names(symbols: Symbols) -> None:
    assert symbols.get("second") == symbols.address("second") == 0xC0100040
    assert "alias_of_second" in symbols
    assert "secon" not in symbols
    assert "second\nalias_of_second" not in symbols
    assert symbols.get("") is None
    assert symbols.addresses_of("twice") == (0xC0100100, 0xC0100200)
    assert symbols.addresses_of("thrice") == ()
    assert len(symbols) == len(list(symbols)) == 11
    assert symbols[3] == list(symbols)[3] == Symbol(0xC0100040, "T", "second")


def test_a_missing_name_tells_what_is_near(symbols: Symbols) -> None:
    with pytest.raises(BootsimError, match=r"^the kernel has no symbol 'secnd'; near it: second"):
        symbols.address("secnd")
    with pytest.raises(BootsimError, match=r"^the kernel has no symbol '0'$"):
        symbols.address("0")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (0xC0100000, "_stext+0x0/0x40"),  # the first of those that share a place, as %pS has it
        (0xC010003F, "_stext+0x3f/0x40"),
        (0xC0100042, "second+0x2/0xc0"),
        (0xC0100300, "_etext+0x0/0x3ffd00"),
        (0xC0100301, "0xc0100301"),  # behind the text, of which alone this table knows
        (0xC0500010, "_sinittext+0x10/0x80"),
        (0xC0500081, "0xc0500081"),
        (0xC0007FFF, "0xc0007fff"),
        (0, "0x0"),
    ],
)
def test_function_at(symbols: Symbols, address: int, words: str) -> None:
    assert symbols.function_at(address) == words
    assert (symbols.at(address) is None) == words.startswith("0x")


def test_range_of(symbols: Symbols) -> None:
    assert symbols.range_of("first") == (0xC0100000, 0xC0100040)
    assert symbols.range_of("alias_of_second") == (0xC0100040, 0xC0100100)
    assert symbols.range_of("_einittext") == (0xC0500080, 0xC0500080)


def test_with_symbols_of_data_there_is_no_gap() -> None:
    symbols = parse_system_map(MAP + b"c0600000 B _end\n", "System.map")
    assert symbols.function_at(0xC0100301) == "_etext+0x1/0x3ffd00"
    assert symbols.function_at(0xC05FFFFF) == "_einittext+0xfff7f/0xfff80"
    assert symbols.function_at(0xC0600000) == "0xc0600000"


def test_what_is_no_address_of_the_kernel() -> None:
    """Numbers and the exception vectors, of which System.map has a few."""
    outside = b"000001c3 A NR_syscalls\n" + MAP + b"c0600000 B _end\nffff1004 t vector_rst\n"
    symbols = parse_system_map(outside, "System.map")
    assert symbols.function_at(0x1C4) == "0x1c4"
    assert symbols.function_at(0xC0700000) == "0xc0700000"
    assert symbols.function_at(0xFFFF1004) == "0xffff1004"
    assert symbols.address("vector_rst") == 0xFFFF1004


NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=4)


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from("tTdD"), NAMES), min_size=1))
def test_lookups_are_those_of_a_plain_list(entries: list[tuple[int, str, str]]) -> None:
    addresses, kinds, names = zip(*entries, strict=True)
    symbols = Symbols.pack(addresses, "".join(kinds).encode(), [name.encode() for name in names])
    in_order = sorted(entries, key=lambda entry: entry[0])
    assert [(s.address, s.kind, s.name) for s in symbols] == in_order
    for name in {*names, "x", "xy"}:
        expected = tuple(address for address, _, other in in_order if other == name)
        assert symbols.addresses_of(name) == expected
        assert symbols.get(name) == (expected[0] if expected else None)
    for address in range(42):
        below = [entry for entry in in_order if entry[0] <= address]
        found = symbols.at(address)
        if not below or address > in_order[-1][0]:
            assert found is None
        elif found is not None:
            first = next(entry for entry in in_order if entry[0] == below[-1][0])
            assert (found.address, found.kind, found.name) == first
            start, end = symbols.range_of(found.name)
            assert start <= found.address
            assert start <= end


@pytest.mark.parametrize("version", VERSIONS)
def test_system_map(version: str) -> None:
    symbols = parse_system_map(kernel_file(version, "System.map"), "System.map")
    assert [(s.address, s.kind, s.name) for s in symbols] == system_map(version)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"", r":1: .* found ''$"),
        (b"c0008000 T _text\nc0008000 T\n", r":2: .* found 'c0008000 T'$"),
        (b"ffff000008080000 T _text\n", r":1: .* found 'ffff000008080000 T _text'$"),
        (b"c0008000 T _text\n\xff\xfe\n", r":2: .* found '\\\\xff\\\\xfe'$"),
        (b"c0008000 T _text\n\nc0008004 T x\n", r":2: .* found ''$"),
    ],
)
def test_not_a_system_map(content: bytes, place: str) -> None:
    with pytest.raises(BootsimError, match="^System.map" + place) as error:
        parse_system_map(content, "System.map")
    assert "\n" not in str(error.value)


def test_vmlinux_has_the_symbols_that_nm_lists() -> None:
    elf = Vmlinux(memoryview(kernel_file("6.1", "vmlinux")), "vmlinux")
    found = {(s.address, s.kind, s.name) for s in elf.symbols()}
    assert found == set(system_map("6.1"))


def test_vmlinux_is_laid_out_as_objcopy_does() -> None:
    elf = Vmlinux(memoryview(kernel_file("6.1", "vmlinux")), "vmlinux")
    assert elf.image(elf.symbols().address("_text")) == kernel_file("6.1")


def test_thumb_functions_are_where_their_code_is() -> None:
    content = bytearray(kernel_file("6.1", "vmlinux"))
    symbols = Vmlinux(memoryview(content), "vmlinux").symbols()
    name, address = "start_kernel", symbols.address("start_kernel")
    entry = struct.Struct("<IIIB")
    for at in range(0, len(content) - entry.size, 4):
        _, value, _, info = entry.unpack_from(content, at)
        if value == address and info == 0x10:  # global, no type: made a Thumb function
            struct.pack_into("<I", content, at + 4, address | 1)
            content[at + 12] = 0x12
            break
    else:
        pytest.fail("no symbol was changed")
    assert Vmlinux(memoryview(content), "vmlinux").symbols().address(name) == address


def test_damaged_vmlinux() -> None:
    content = kernel_file("6.1", "vmlinux")

    def read(data: bytes) -> None:
        elf = Vmlinux(memoryview(data), "vmlinux")
        elf.image(elf.symbols().address("_text"))

    for size in range(0, len(content), 997):
        with pytest.raises(BootsimError, match=r"^vmlinux: "):
            read(content[:size])
    refused = 0
    for at in range(4, len(content), 61):
        changed = bytearray(content)
        changed[at] ^= 0xFF
        try:
            read(bytes(changed))
        except BootsimError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 0
