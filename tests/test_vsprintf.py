"""The kernel's printf, against a real kernel, C's printf and recorded logs."""

from __future__ import annotations

import ctypes
import json
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bootsim.errors import BootsimError, MemoryAccessError
from bootsim.kernel.errname import errname
from bootsim.kernel.vsprintf import (
    Arguments,
    Symbol,
    VsprintfFeatures,
    vsnprintf,
    vsprintf,
)

DATA = Path(__file__).parent / "data"
LINUX_5_0 = VsprintfFeatures.linux_5_0()
LINUX_6_1 = VsprintfFeatures.linux_6_1()
ERR_PTR_ENOMEM = 0xFFFFFFF4
TEXT = 0x80008000


class Words:
    """Words of a va_list; zeroes follow the last."""

    def __init__(self, words: Sequence[int]) -> None:
        self.words = words
        self.next = 0

    def word(self) -> int:
        self.next += 1
        return self.words[self.next - 1] if self.next <= len(self.words) else 0

    def long_long(self) -> int:
        self.next += self.next & 1
        return self.word() | self.word() << 32


class Bytes:
    """Memory that holds some bytes and faults elsewhere."""

    def __init__(
        self, runs: Iterable[tuple[int, bytes]] = (), symbols: Iterable[Symbol] = ()
    ) -> None:
        self.bytes = {address + i: byte for address, run in runs for i, byte in enumerate(run)}
        self.symbols = list(symbols)

    def read(self, address: int, size: int) -> bytes:
        try:
            return bytes(self.bytes[address + i] for i in range(size))
        except KeyError as error:
            raise MemoryAccessError(f"nothing at {error.args[0]:#x}") from error

    def string(self, address: int, limit: int | None = None) -> bytes:
        text = b""
        while limit is None or len(text) < limit:
            byte = self.read(address + len(text), 1)
            if byte == b"\0":
                break
            text += byte
        return text

    def va_list(self, ap: int) -> Arguments:
        return VaList(self, ap)

    def symbol(self, address: int) -> Symbol | None:
        found = (s for s in self.symbols if s.address <= address < s.address + s.size)
        return next(found, None)


class VaList:
    """The arguments that lie in memory from an address on."""

    def __init__(self, memory: Bytes, ap: int) -> None:
        self.memory = memory
        self.ap = ap

    def word(self) -> int:
        self.ap += 4
        return int.from_bytes(self.memory.read(self.ap - 4, 4), "little")

    def long_long(self) -> int:
        self.ap += self.ap & 4  # at a multiple of 8
        return self.word() | self.word() << 32


def show(fmt: bytes, *args: int, features: VsprintfFeatures = LINUX_6_1, **runs: bytes) -> bytes:
    """The text of a format; a keyword at_<hexadecimal> puts bytes at an address."""
    memory = Bytes((int(name.removeprefix("at_"), 16), run) for name, run in runs.items())
    return vsprintf(fmt, Words(args), memory, features)


def test_like_a_real_kernel() -> None:
    armmp = replace(LINUX_6_1, dma_addr_bits=64)  # it has CONFIG_XEN
    wrong = []
    lines = (DATA / "vsprintf/linux-6.1-armmp.jsonl").read_text().splitlines()
    for line in lines:
        vector: dict[str, Any] = json.loads(line)
        memory = Bytes(
            ((address, bytes.fromhex(run)) for address, run in vector.get("memory", ())),
            (Symbol(*symbol) for symbol in vector.get("symbols", ())),
        )
        options = vector.get("options", ())
        features = replace(
            armmp,
            no_hash_pointers="no_hash_pointers" in options,
            debug_boot_weak_hash="debug_boot_weak_hash" in options,
        )
        fmt = vector["format"].encode("latin-1")
        size = vector.get("size", 0x8000)
        got = vsnprintf(size, fmt, Words(vector["args"]), memory, features)
        if got != (vector["text"].encode("latin-1"), vector["length"]):
            wrong.append((vector, got))
    assert wrong == []
    assert len(lines) > 3000


# Flags, width, precision and length as C and the kernel agree on them. They do not on zero (with
# precision 0, or after 0x), zero padding beside a precision, and octal's 0 beside a precision.
@given(
    flags=st.sets(st.sampled_from("-+ #0")),
    width=st.none() | st.integers(1, 40),
    precision=st.none() | st.integers(1, 30),
    length=st.sampled_from(["hh", "h", "", "ll"]),
    letter=st.sampled_from("diuxXo"),
    value=st.integers(1, (1 << 64) - 1),
)
def test_numbers_like_c(
    flags: set[str], width: int | None, precision: int | None, length: str, letter: str, value: int
) -> None:
    if precision is not None:
        flags -= {"0", "#"}
    bits = {"hh": 8, "h": 16, "": 32, "ll": 64}[length]
    if value % (1 << bits) == 0:
        value = 1
    fmt = f"%{''.join(sorted(flags))}{width or ''}"
    fmt += f"{'' if precision is None else f'.{precision}'}{length}{letter}"
    buffer = ctypes.create_string_buffer(128)
    argument = ctypes.c_ulonglong(value) if bits == 64 else ctypes.c_int(value & 0xFFFFFFFF)
    libc = ctypes.CDLL(None)
    libc.snprintf(buffer, ctypes.c_size_t(128), fmt.encode(), argument)
    assert show(fmt.encode(), value & 0xFFFFFFFF, value >> 32) == buffer.value


@given(st.binary(max_size=30), st.integers(0, 40), st.lists(st.integers(0, 0xFFFFFFFF)))
@example(b"%pV%*pE%pR", 3, [0x80001000, 9, 0x80001000])
def test_any_format_ends(fmt: bytes, size: int, args: list[int]) -> None:
    memory = Bytes([(0x80001000, bytes(range(256)))])
    for features in (LINUX_5_0, LINUX_6_1):
        try:
            text, length = vsnprintf(1 << 20, fmt, Words(args), memory, features)
        except BootsimError:
            continue
        part = vsnprintf(size, fmt, Words(args), memory, features)
        assert part == (text[: max(size - 1, 0)], length)
        if length < 1 << 20:
            assert len(text) == length


@given(
    st.lists(
        st.sampled_from(["%", "p", "*", ".", "#", "0", "ll", *"SsBRrhbMmIiEUVKNaDdtCgGOfAxe4"])
    )
)
def test_pointer_formats_end(pieces: list[str]) -> None:
    memory = Bytes([(0x80001000, bytes(600))])
    for features in (LINUX_5_0, LINUX_6_1):
        try:
            vsnprintf(1 << 12, "".join(pieces).encode(), Words([0x80001000] * 9), memory, features)
        except BootsimError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("fmt", "args", "words"),
    [
        (b"a%nb", (), ["Please remove unsupported %n in format string\n"]),
        (b"%qd", (), ["Please remove unsupported %q in format string\n"]),
        (b"%*d", (1 << 24, 5), ["field width 16777216 too large"]),
        (b"%.*d", (1 << 15, 5), ["precision 32768 too large"]),
        (b"%pA", (5,), ["Please remove %pA from non-Rust code\n"]),
        (b"100%%%*", (5,), []),
    ],
)
def test_warnings(fmt: bytes, args: tuple[int, ...], words: list[str]) -> None:
    warned: list[str] = []
    vsprintf(fmt, Words(args), Bytes(), LINUX_6_1, warned.append)
    assert warned == words


def test_a_fault_is_passed_on() -> None:
    with pytest.raises(MemoryAccessError, match="0x80000000"):
        show(b"%s", 0x80000000)
    with pytest.raises(MemoryAccessError, match="0x5"):  # 5.0 follows it, and dies
        show(b"%pa", 5, features=LINUX_5_0)
    assert show(b"%pa", 5) == b"(efault)"


def test_endless_text() -> None:
    assert vsnprintf(8, b"%8388607d", Words([5]), Bytes(), LINUX_6_1) == (b" " * 7, 8388607)
    with pytest.raises(BootsimError, match="bytes of text, more than the"):
        vsnprintf(8, b"%8388607d" * 9, Words([]), Bytes(), LINUX_6_1)


def test_va_format_that_contains_itself() -> None:
    # struct va_format at 0x1000: its format is "%pV", its only argument is itself.
    memory = struct.pack("<4I", 0x2010, 0x2008, 0x200C, 0x2000) + b"%pV\0"
    with pytest.raises(BootsimError, match="%pV nested 33 deep"):
        show(b"%pV", 0x2000, at_2000=memory)


def test_a_device_node_that_is_its_own_parent() -> None:
    node = bytearray(104)
    struct.pack_into("<I", node, 8, 0x2000)  # full_name
    struct.pack_into("<I", node, 52, 0x3000)  # parent
    with pytest.raises(BootsimError, match="0x00003000 leads back to itself"):
        show(b"%pOF", 0x3000, at_2000=b"x\0", at_3000=bytes(node))


@pytest.mark.parametrize("fmt", [b"%pd", b"%pD2", b"%pg", b"%pC", b"%pfwP"])
def test_objects_that_are_not_modelled(fmt: bytes) -> None:
    with pytest.raises(BootsimError, match=f"{fmt.decode()} is not modelled"):
        show(fmt, 0x80001000)


@pytest.mark.parametrize("fmt", [b"%pGg", b"%pGv", b"%pOF"])
def test_tables_that_are_not_known(fmt: bytes) -> None:
    with pytest.raises(BootsimError, match=f"{fmt.decode()} is not modelled"):
        show(fmt, 0x80001000, features=LINUX_5_0, at_80001000=bytes(128))


def test_errname() -> None:
    # lib/errname.c: some of each group, and numbers without a name.
    names = {1: "EPERM", 12: "ENOMEM", 35: "EDEADLK", 71: "EPROTO", 133: "EHWPOISON"}
    names |= {512: "ERESTARTSYS", 517: "EPROBE_DEFER", 530: "ERECALLCONFLICT"}
    assert {number: errname(number) for number in names} == names
    assert [errname(number) for number in (0, 41, 58, 134, 511, 520, 531)] == [None] * 7


# Linux 5.0: lib/vsprintf.c as it was before 5.2 (pointers were not checked).
@pytest.mark.parametrize(
    ("fmt", "arg", "text"),
    [
        (b"%s", 0, b"(null)"),
        (b"%s", 4095, b"(null)"),
        (b"%10s", 0, b"    (null)"),
        (b"%.2s", 0, b"(n"),
        (b"%p", 0, b"  (null)"),
        (b"%pS", 0, b"  (null)"),
        (b"%pa", 0, b"  (null)"),
        (b"%-10pR|", 0, b"(null)    |"),
        (b"%px", 0, b"00000000"),
        (b"%pK", 0, b"(ptrval)"),
        (b"%p", TEXT, b"(ptrval)"),
        (b"%p", ERR_PTR_ENOMEM, b"(ptrval)"),
        (b"%pe", ERR_PTR_ENOMEM, b"(ptrval)"),
        (b"%pA", TEXT, b"(ptrval)"),
        (b"%p4cc", TEXT, b"(ptrval)"),
        (b"%pIx", TEXT, b"(ptrval)"),
        (b"%pOx", TEXT, b"(ptrval)"),
        (b"%pt", TEXT, b"(ptrval)"),
        (b"%ptT", TEXT, b"(ptrval)"),
        (b"%pks", TEXT, b"(ptrval)"),
        (b"%3ph", 16, b"(null)"),
    ],
)
def test_pointers_in_5_0(fmt: bytes, arg: int, text: bytes) -> None:
    assert show(fmt, arg, features=LINUX_5_0) == text


def test_symbols_in_5_0() -> None:
    memory = Bytes(symbols=[Symbol("start_kernel", 0x80A00C00, 0x420)])
    for fmt, text in (
        (b"%pF", b"start_kernel+0x18/0x420"),
        (b"%pS", b"start_kernel+0x18/0x420"),
        (b"%pf", b"start_kernel"),
        (b"%ps", b"start_kernel"),
    ):
        assert vsprintf(fmt, Words([0x80A00C18]), memory, LINUX_5_0) == text
    assert vsprintf(b"%pF", Words([0x80A00C18]), memory, LINUX_6_1) == b"(ptrval)"
    assert vsprintf(b"%pf", Words([0x80A00C18]), memory, LINUX_6_1) == b"(%pf?)"


def test_a_module_is_named() -> None:
    memory = Bytes(symbols=[Symbol("probe", 0xBF000000, 0x40, "demo")])
    assert vsprintf(b"%pS", Words([0xBF000008]), memory, LINUX_6_1) == b"probe+0x8/0x40 [demo]"


# Lines that Linux 5.0 printed, with the formats of mm/memblock.c and of the author's driver.
def _reserve(match: re.Match[str]) -> bytes:
    start, end, name, offset, size = match.groups()
    runs = [(0x1000, int(start, 16)), (0x1004, int(end, 16))]
    symbol = Symbol(name, 0x80A00000, int(size, 16))
    memory = Bytes(((at, struct.pack("<I", value)) for at, value in runs), [symbol])
    args = Words([0x1000, 0x1004, 0x80A00000 + int(offset, 16)])
    return vsprintf(b"memblock_reserve: [%pa-%pa] %pF", args, memory, LINUX_5_0)


def _region(match: re.Match[str]) -> bytes:
    name, index, start, end, size, flags = match.groups()
    fmt = b" %s[%#x]\t[%pa-%pa], %pa bytes%s flags: %#x"
    words = struct.pack("<3I", int(start, 16), int(end, 16), int(size, 16))
    args = (0x2000, int(index, 16), 0x1000, 0x1004, 0x1008, 0x3000, int(flags, 16))
    runs = {"at_1000": words, "at_2000": name.encode() + b"\0", "at_3000": b"\0"}
    return show(fmt, *args, features=LINUX_5_0, **runs)


def _free_region(match: re.Match[str]) -> bytes:
    start, end = (int(group, 16) for group in match.groups())
    return show(b"Region: [%#x - %#x]", start, end, features=LINUX_5_0)


@pytest.mark.parametrize(
    ("pattern", "formatted", "least"),
    [
        (r"memblock_reserve: \[(\w+)-(\w+)\] (\w+)\+(\w+)/(\w+)", _reserve, 19),
        (r" (\w+)\[(\w+)\]\t\[(\w+)-(\w+)\], (\w+) bytes flags: (\w+)", _region, 5),
        (r"Region: \[(\w+) - (\w+)\]", _free_region, 3),
    ],
)
def test_recorded_lines_of_5_0(
    pattern: str, formatted: Callable[[re.Match[str]], bytes], least: int
) -> None:
    log = (DATA / "biscuitos/boot-5.0-memblock-debug.log").read_text().splitlines()
    matches = [match for line in log if (match := re.fullmatch(pattern, line))]
    assert len(matches) >= least
    for match in matches:
        assert formatted(match).decode() == match[0]
