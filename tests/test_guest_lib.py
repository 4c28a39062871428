"""The kernel's library as served to guest code, against a real kernel's and against C."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bootsim
from bootsim.errors import BootsimError, KernelPanic, MachineFault
from bootsim.guest.calling import va_list
from bootsim.guest.driver import GuestOptions, load_guest_drivers
from bootsim.guest.exports import APIS, Api
from bootsim.guest.exports.missing import MISSING
from bootsim.guest.exports.tables import exports_of
from bootsim.guest.guest import Budget, Guest
from bootsim.guest.prototype import Kind, parse_prototype
from bootsim.guest.stubs import KernelSymbols
from bootsim.kernel import sort as model_sort
from bootsim.kernel.memblock import Memblock, MemblockAddresses, MemblockFeatures
from bootsim.kernel.memory import LinearMap
from bootsim.kernel.profile_file import load_profile
from bootsim.machine.machine import Machine
from tests.requirements import need_module

DATA = Path(__file__).parent / "data" / "guest_lib" / "linux-6.1-armmp.jsonl.gz"
RECORDED = [json.loads(line) for line in gzip.decompress(DATA.read_bytes()).splitlines()]
MEMORY, MEMORY_SIZE = 0xE0030000, 0x1000
OTHER = 0xE0000000  # memory for stubs and memblock
COMPARE, SWAP = 0xE0310000, 0xE0310010  # where the recording had its callbacks


@dataclass
class Small:
    """A guest without a kernel whose callbacks are Python functions."""

    api: Api
    compared: list[list[int]] = field(default_factory=list)
    swapped: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        features = MemblockFeatures.linux_6_1()
        machine = Machine([(OTHER, 0x20000), (MEMORY, MEMORY_SIZE)])
        places, _ = MemblockAddresses.packed(OTHER + 0x10000, features)
        memblock = Memblock(machine.memory, at=places, linear=LinearMap(0, 0), features=features)
        self.guest = _Guest(machine.cpu, memblock, KernelSymbols(OTHER, exports_of(self.api), {}))
        self.guest.called = self.callback

    def callback(self, address: int, a: int, b: int, size: int = 0) -> int:
        memory = self.guest.memory
        if address == COMPARE:
            self.compared.append([a - MEMORY, b - MEMORY])
            return memory.read(a, 1)[0] - memory.read(b, 1)[0] & 0xFFFFFFFF
        assert address == SWAP
        self.swapped.append([a - MEMORY, b - MEMORY])
        one, other = memory.read(a, size), memory.read(b, size)
        memory.write(a, other)
        memory.write(b, one)
        return 0

    def call(self, name: str, *words: int) -> int:
        """What the function leaves in r0, or in r0 and r1."""
        export = self.guest.symbols.exports[name]
        prototype = parse_prototype(export.prototype)
        arguments: list[Any] = []
        for word, parameter in zip(words, prototype.parameters, strict=True):
            match parameter.kind:
                case Kind.S32:
                    arguments.append((word & 0xFFFFFFFF ^ 0x80000000) - 0x80000000)
                case Kind.BOOL | Kind.U8:
                    arguments.append(word & 0xFF)
                case Kind.VA_LIST:
                    arguments.append(va_list(self.guest.memory, word))
                case _:
                    arguments.append(word)
        result = export.serve(self.guest, *arguments) or 0
        wide = prototype.result in (Kind.U64, Kind.S64)
        return int(result) & (0xFFFFFFFFFFFFFFFF if wide else 0xFFFFFFFF)

    def put(self, offset: int, data: bytes) -> int:
        self.guest.memory.write(MEMORY + offset, data)
        return MEMORY + offset

    def bytes(self) -> bytes:
        return self.guest.memory.read(MEMORY, MEMORY_SIZE)


class _Guest(Guest):
    called: Callable[..., int]

    def call(self, address: int, *arguments: int, budget: Budget | None = None) -> int:
        return self.called(address, *arguments)


@pytest.fixture(scope="module")
def small() -> Small:
    return Small("6.1")


@pytest.fixture(scope="module")
def small_5_0() -> Small:
    return Small("5.0")


# A real kernel.


@pytest.mark.parametrize("name", sorted({call["function"] for call in RECORDED}))
def test_as_linux_6_1(small: Small, name: str) -> None:
    for call in RECORDED:
        if call["function"] != name:
            continue
        before = bytearray(b"\xaa" * MEMORY_SIZE)
        for offset, data in call["memory"]:
            before[offset : offset + len(data) // 2] = bytes.fromhex(data)
        small.put(0, bytes(before))
        small.compared.clear()
        small.swapped.clear()

        result = small.call(name, *call["args"])

        after = before.copy()
        for offset, data in call.get("changed", ()):
            after[offset : offset + len(data) // 2] = bytes.fromhex(data)
        assert result == call["result"], call
        assert small.bytes() == after, call
        assert small.compared == call.get("compared", []), call
        assert small.swapped == call.get("swapped", []), call


# Where Linux 5.0 differs.


@pytest.mark.parametrize(
    ("text", "linux_5_0", "linux_6_1"),
    [
        ("-", (1, 1), (0, 1)),
        ("-,2", (2, 2), (0, 1)),
        ("12-", (3, 2), (3, 2)),
        ("x", (0, 0), (0, 0)),
    ],
)
def test_get_option_of_a_lone_minus(
    small: Small,
    small_5_0: Small,
    text: str,
    linux_5_0: tuple[int, int],
    linux_6_1: tuple[int, int],
) -> None:
    for guest, (found, end) in ((small_5_0, linux_5_0), (small, linux_6_1)):
        at = guest.put(0x100, text.encode() + b"\0")
        pointer = guest.put(0, at.to_bytes(4, "little"))
        assert guest.call("get_option", pointer, MEMORY + 8) == found
        assert guest.guest.memory.u32(pointer) == at + end


def test_get_options_only_counts_since_linux_5_12(small: Small, small_5_0: Small) -> None:
    for guest, numbers in ((small, 6), (small_5_0, 0)):
        at = guest.put(0x100, b"1,3-6,9\0")
        guest.call("get_options", at, 0, MEMORY)
        assert guest.guest.memory.u32(MEMORY) == numbers


def test_get_option_writes_to_null_in_linux_5_0(small_5_0: Small) -> None:
    at = small_5_0.put(0x100, b"5\0")
    pointer = small_5_0.put(0, at.to_bytes(4, "little"))
    with pytest.raises(MachineFault, match="0x0"):
        small_5_0.call("get_option", pointer, 0)


def test_kstrtobool_knew_no_words_in_linux_5_0(small: Small, small_5_0: Small) -> None:
    for guest, result in ((small, 0), (small_5_0, -22 & 0xFFFFFFFF)):
        at = guest.put(0x100, b"true\0")
        assert guest.call("kstrtobool", at, MEMORY) == result


@pytest.mark.parametrize(
    ("text", "fmt", "linux_5_0", "linux_6_1"),
    [
        # Linux 5.0 reads all digits, modulo 2**32, and divides those beyond the width away,
        # by 10 where a minus hides that they are hexadecimal.
        ("123456789012", "%3u", 3197704724 // 10**9, 123),
        ("123456789012", "%3d", -((2**32 - 3197704724) // 10**9), 123),
        ("12345", "%2d", 12, 12),
        ("-5", "%1d", 0, None),
        ("-0x1f", "%4i", -3, -1),
    ],
)
def test_sscanf_with_a_width(
    small: Small,
    small_5_0: Small,
    text: str,
    fmt: str,
    linux_5_0: int,
    linux_6_1: int | None,
) -> None:
    for guest, value in ((small_5_0, linux_5_0), (small, linux_6_1)):
        guest.put(0, (MEMORY + 0x40).to_bytes(4, "little"))
        words = guest.put(0x100, text.encode() + b"\0"), guest.put(0x200, fmt.encode() + b"\0")
        assert guest.call("vsscanf", *words, MEMORY) == (value is not None)
        if value is not None:
            assert guest.guest.memory.u32(MEMORY + 0x40) == value & 0xFFFFFFFF


@given(st.lists(st.integers(0, 9), max_size=40), st.sampled_from([1, 2, 4, 12]))
def test_sort_of_linux_5_0_is_the_model_kernels(keys: list[int], size: int) -> None:
    guest = Small("5.0")
    items = [bytes([key]) + bytes([number]) * (size - 1) for number, key in enumerate(keys)]
    guest.put(0x100, b"".join(items))
    compared: list[list[bytes]] = []

    def compare(a: bytes, b: bytes) -> int:
        compared.append([a, b])
        return a[0] - b[0]

    asked: list[list[bytes]] = []

    def callback(_address: int, a: int, b: int) -> int:
        asked.append([guest.guest.memory.read(a, size), guest.guest.memory.read(b, size)])
        return asked[-1][0][0] - asked[-1][1][0] & 0xFFFFFFFF

    guest.guest.called = callback
    guest.call("sort", MEMORY + 0x100, len(items), size, COMPARE, 0)
    model_sort.sort(items, compare)

    assert guest.guest.memory.read(MEMORY + 0x100, size * len(items) or 1) == (
        b"".join(items) or guest.bytes()[0x100:0x101]
    )
    assert asked == compared


def test_sort_of_nothing_never_ends_in_linux_5_0(small: Small, small_5_0: Small) -> None:
    small.call("sort", MEMORY, 5, 0, COMPARE, 0)
    with pytest.raises(BootsimError, match=r"5 elements of 0 bytes: Linux never ends"):
        small_5_0.call("sort", MEMORY, 5, 0, COMPARE, 0)


# What has no vectors.


def test_numbers_of_a_million_digits(small: Small) -> None:
    guest = Small("6.1")
    digits = b"9" * (MEMORY_SIZE - 1)
    guest.put(0, digits + b"\0")
    assert guest.call("simple_strtoull", MEMORY, 0, 10) == int(digits[:1] * 4095) % (1 << 64)


# As C calls them.

C = r"""
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/printk.h>
#include <linux/sort.h>
#include <linux/string.h>

static int compared, swapped;

static int by_value(const void *a, const void *b)
{
	compared++;
	return *(const int *)a - *(const int *)b;
}

static void swap_ints(void *a, void *b, int size)
{
	int t = *(int *)a;

	swapped += size;
	*(int *)a = *(int *)b;
	*(int *)b = t;
}

void __init debug_lib(void)
{
	int numbers[8] = { 5, -3, 9, 0, 9, 2, 7, -8 }, i, ints[4] = { 0 };
	unsigned long long size;
	char *rest, args[] = "mem=64M \"a b\"=c quiet", *param, *val, *next = args, line[70];
	unsigned char small;
	long long wide;
	char word[8];

	sort(numbers, 8, sizeof(int), by_value, swap_ints);
	for (i = 0; i < 8; i++)
		pr_info("sorted %d\n", numbers[i]);
	pr_info("%d comparisons, %d bytes swapped\n", compared, swapped);

	size = memparse("16G@0x80000000", &rest);
	pr_info("size %llu, then %s\n", size, rest);
	pr_info("kstrtou8 %d %d\n", kstrtou8("255", 0, &small), kstrtou8("256", 0, &small));
	pr_info("kstrtoll %d %lld\n", kstrtoll("-9000000000", 10, &wide), wide);
	pr_info("rest of options %s\n", get_options("1,5-6,x", 4, ints));
	pr_info("options %d: %d %d %d\n", ints[0], ints[1], ints[2], ints[3]);
	while (*next) {
		next = next_arg(next, &param, &val);
		pr_info("parameter %s value %s\n", param, val);
	}
	i = sscanf("node 3 at 0x60000000 fast", "node %d at %llx %7s", ints, &wide, word);
	pr_info("%d: %d %llx %s\n", i, ints[0], wide, word);
	hex_dump_to_buffer("0123456789abcdef", 16, 16, 4, line, sizeof(line), true);
	pr_info("%s\n", line);
	print_hex_dump(KERN_WARNING, "dump ", DUMP_PREFIX_OFFSET, 16, 1, "0123456789abcdefghij",
	20, true);
	print_hex_dump_bytes("", DUMP_PREFIX_NONE, "xyz", 3);
}
"""

SORTED = [f"sorted {number}" for number in (-8, -3, 0, 2, 5, 7, 9, 9)]
PRINTED = [
    "size 17179869184, then @0x80000000",
    "kstrtou8 0 -34",
    "kstrtoll 0 -9000000000",
    "rest of options x",
    "options 3: 1 5 6",
    "parameter mem value 64M",
    'parameter a b" value c',
    "parameter quiet value (null)",
    "3: 3 60000000 fast",
    "33323130 37363534 62613938 66656463  0123456789abcdef",
    "dump 00000000: 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef",
    "dump 00000010: 67 68 69 6a                                      ghij",
    "78 79 7a                                         xyz",
]


@pytest.mark.parametrize("api", APIS)
def test_as_c_calls_them(tmp_path: Path, api: Api) -> None:
    need_module("ziglang")
    source = tmp_path / "lib.c"
    source.write_text(C)
    drivers = load_guest_drivers(
        [source], load_profile("linux-5.0"), GuestOptions(entry="debug_lib", api=api)
    )
    boot = bootsim.boot(drivers=drivers)
    start = boot.log.index(SORTED[0])
    lines = boot.log[start:]
    assert lines[: len(SORTED)] == SORTED
    # Counted in Linux 6.1; of the heap sort before, by the model kernel's.
    comparisons = {"5.0": comparisons_of_model([5, -3, 9, 0, 9, 2, 7, -8]), "6.1": 23}[api]
    assert lines[len(SORTED)] == f"{comparisons} comparisons, 68 bytes swapped"
    assert lines[len(SORTED) + 1 :][: len(PRINTED)] == PRINTED


def comparisons_of_model(items: list[int]) -> int:
    counted = 0

    def compare(a: int, b: int) -> int:
        nonlocal counted
        counted += 1
        return a - b

    model_sort.sort(items, compare)
    return counted


def test_endless_work_ends_with_the_budget(tmp_path: Path) -> None:
    need_module("ziglang")
    source = tmp_path / "endless.c"
    source.write_text(
        "#include <linux/sort.h>\n"
        "static int cmp(const void *a, const void *b) { return 0; }\n"
        "static void swap(void *a, void *b, int size) { }\n"
        "void debug_endless(void) { sort((void *)0x80100000, 1 << 26, 4, cmp, swap); }\n"
    )
    options = GuestOptions(budget=Budget(seconds=0.2))
    drivers = load_guest_drivers([source], load_profile("linux-5.0"), options)
    with pytest.raises((MachineFault, KernelPanic), match=r"budget of 0.2 s used up"):
        bootsim.boot(drivers=drivers)


# What is not there.


def test_what_is_missing_is_not_there() -> None:
    served = {name for api in APIS for name in exports_of(api)}
    assert not served & set(MISSING)
    assert all(reason and reason[-1] != "." and "\n" not in reason for reason in MISSING.values())


def test_the_linker_says_why(tmp_path: Path) -> None:
    need_module("ziglang")
    file = tmp_path / "slab.c"
    file.write_text("#include <linux/slab.h>\nvoid *debug_slab(void) { return __kmalloc(8, 0); }\n")
    with pytest.raises(BootsimError) as caught:
        load_guest_drivers([file], load_profile("linux-5.0"))
    assert str(caught.value) == (
        f"{file}: undefined symbol '__kmalloc', used in debug_slab(): the slab allocator comes up"
        " after mem_init(): use memblock, or __get_free_pages()"
    )
