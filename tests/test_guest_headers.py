"""The headers that guest code includes, held against the model's layouts and what drivers do."""

from __future__ import annotations

import ctypes
import errno
import itertools
import re
import struct
import subprocess
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pytest

from bootsim.kernel.layout import memblock_layout
from bootsim.kernel.mm_types import LRU_OFFSET, PAGE_TYPE_BUDDY, ListHead, PageFlag, StructPage
from bootsim.kernel.mmzone import FreeArea, StructPglistData, StructZone
from bootsim.machine.cpu import Cpu
from bootsim.machine.memory import PhysMemory
from tests.requirements import need_module

ROOT = Path(__file__).parents[1]
INCLUDE = ROOT / "bootsim" / "guest" / "include"
CODE = ROOT / "tests" / "data" / "guest_headers"
HEADERS = sorted(str(path.relative_to(INCLUDE)) for path in INCLUDE.rglob("*.h"))
VERSIONS = {"5.0": 0x050000, "6.1": 0x060100}
OTHER = {"5.0": "6.1", "6.1": "5.0"}

each_version = pytest.mark.parametrize("version", VERSIONS)


def zig() -> str:
    return str(Path(str(need_module("ziglang").__file__)).parent / "zig")


def clang(version: str, *arguments: str, source: str | None = None) -> tuple[int, str, str]:
    """Compile for that kernel as drivers are compiled; the status, and what was printed."""
    target = ["--target=arm-none-eabi", "-mcpu=cortex-a9", "-marm", "-mfloat-abi=soft"]
    language = ["-std=gnu11", "-O2", "-ffreestanding", "-nostdinc", "-fno-strict-aliasing"]
    kernel = [f"-DLINUX_VERSION_CODE={VERSIONS[version]}", "-D__KERNEL__", "-I", str(INCLUDE)]
    given = [*arguments, *(["-x", "c", "-"] if source is not None else [])]
    done = subprocess.run(
        [zig(), "clang", *target, *language, *kernel, *given],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def accept(version: str, *arguments: str, source: str | None = None) -> None:
    """The compiler has nothing to say."""
    status, _, words = clang(version, "-Wall", "-Wextra", "-Werror", *arguments, source=source)
    assert words == ""
    assert status == 0


def asserts(conditions: Sequence[str]) -> str:
    """C that compiles if the conditions hold."""
    return "".join(f'_Static_assert({condition}, "");\n' for condition in conditions)


def including(*headers: str) -> str:
    return "".join(f"#include <{header}>\n" for header in headers)


# Each header.


@each_version
def test_each_header_stands_alone(version: str, tmp_path: Path) -> None:
    files = []
    for header in HEADERS:
        files.append(tmp_path / (header.replace("/", "_") + ".c"))
        files[-1].write_text(including(header))
    # The compiler proper takes all of them at once, where its driver starts one for each.
    target = ["-triple", "armv7-none-eabi", "-target-cpu", "cortex-a9", "-fgnuc-version=4.2.1"]
    kernel = ["-std=gnu11", "-ffreestanding", f"-DLINUX_VERSION_CODE={VERSIONS[version]}"]
    checks = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", str(INCLUDE)]
    command = [zig(), "clang", "-cc1", *target, *kernel, *checks, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


@each_version
@pytest.mark.parametrize(
    "options",
    [
        ["-DCONFIG_NUMA"],
        ["-DCONFIG_HIGHMEM", "-DCONFIG_ZONE_DMA", "-DCONFIG_MEMCG"],
        ["-DDEBUG", "-DCONFIG_DEBUG_VM", "-DCONFIG_MEMTEST", "-DCONFIG_HAVE_MEMBLOCK_PHYS_MAP"],
    ],
)
def test_headers_with_options(version: str, options: list[str]) -> None:
    accept(version, "-fsyntax-only", *options, source=including(*HEADERS, *reversed(HEADERS)))


@pytest.mark.parametrize("header", HEADERS)
def test_header_says_what_it_is(header: str) -> None:
    licence, comment, *lines = (INCLUDE / header).read_text().splitlines()
    assert licence == "/* SPDX-License-Identifier: GPL-2.0-only */"
    assert comment.startswith("/*")
    assert lines.count("#pragma once") == 1
    assert max(map(len, lines)) <= 100
    assert all(line == line.rstrip() for line in lines)


def test_a_version_is_needed() -> None:
    source = including("linux/version.h")
    status, _, words = clang("5.0", "-ULINUX_VERSION_CODE", "-fsyntax-only", source=source)
    assert status
    assert "LINUX_VERSION_CODE is not defined" in words


# Layouts: what Python reads and writes is what C does.


def field_asserts(
    c_type: str, layout: type[ctypes.Structure], renamed: dict[str, str]
) -> list[str]:
    """Each field of a ctypes structure lies where C has it."""
    conditions = []
    for name, *_ in layout._fields_:
        member = renamed.get(name, name)
        conditions += [
            f"__builtin_offsetof({c_type}, {member}) == {getattr(layout, name).offset}",
            f"sizeof((({c_type} *)0)->{member}) == {getattr(layout, name).size}",
        ]
    return conditions


@each_version
@pytest.mark.parametrize("numa", [False, True])
def test_memblock_layout(version: str, numa: bool) -> None:
    layout = memblock_layout(numa=numa)
    conditions = [
        *field_asserts("struct memblock_region", layout.region, {}),
        *field_asserts("struct memblock_type", layout.type_, {}),
        *field_asserts("struct memblock", layout.memblock, {}),
        f"sizeof(struct memblock_region) == {layout.region_size}",
        f"sizeof(struct memblock_type) == {layout.type_size}",
        f"sizeof(struct memblock) == {ctypes.sizeof(layout.memblock)}",
    ]
    source = including("linux/memblock.h") + asserts(conditions)
    accept(version, "-fsyntax-only", *(["-DCONFIG_NUMA"] if numa else []), source=source)


def test_physmem_is_a_member_in_5_0() -> None:
    layout = memblock_layout(physmem_member=True)
    conditions = field_asserts("struct memblock", layout.memblock, {})
    source = including("linux/memblock.h") + asserts(conditions)
    accept("5.0", "-fsyntax-only", "-DCONFIG_HAVE_MEMBLOCK_PHYS_MAP", source=source)


@each_version
def test_page_and_zone_layout(version: str) -> None:
    zones, order = 2, 11
    zone_size = ctypes.sizeof(StructZone) + order * ctypes.sizeof(FreeArea)
    after = zones * zone_size
    conditions = [
        *field_asserts("struct page", StructPage, {"refcount": "_refcount"}),
        *field_asserts("struct zone", StructZone, {"nr_free_pages": "vm_stat"}),
        *field_asserts("struct list_head", ListHead, {}),
        *field_asserts("struct free_area", FreeArea, {}),
        f"offsetof(struct page, lru) == {LRU_OFFSET}",
        f"sizeof(struct page) == {ctypes.sizeof(StructPage)}",
        f"offsetof(struct zone, free_area) == {ctypes.sizeof(StructZone)}",
        f"sizeof(struct zone) == {zone_size}",
        f"MAX_NR_ZONES == {zones} && MAX_ORDER == {order}",
        f"sizeof(pg_data_t) == {after + ctypes.sizeof(StructPglistData)}",
        f"(PAGE_TYPE_BASE | PG_buddy) == (PAGE_TYPE_BASE | ~{PAGE_TYPE_BUDDY:#x}u)",
        *(
            f"offsetof(pg_data_t, {name}) == {after + getattr(StructPglistData, name).offset}"
            for name, *_ in StructPglistData._fields_
        ),
        *(
            f"1u << PG_{flag.name.lower()} == {flag.value:#x}"  # type: ignore[union-attr]
            for flag in PageFlag
        ),
    ]
    accept(version, "-fsyntax-only", source=including("linux/mm.h") + asserts(conditions))


def test_page_with_memcg() -> None:
    source = including("linux/mm.h") + asserts(["sizeof(struct page) == 36"])
    accept("6.1", "-fsyntax-only", "-DCONFIG_MEMCG", source=source)


# Values.


def test_error_numbers() -> None:
    """ARM's are the generic ones, which Python has too."""
    text = (INCLUDE / "asm" / "errno.h").read_text()
    numbers = {name: int(value) for name, value in re.findall(r"#define (E\w+) (\d+)", text)}
    assert len(numbers) > 40
    assert numbers == {name: getattr(errno, name) for name in numbers}


# As page allocation failures print them in kernel logs: mode:0x6000c0(GFP_KERNEL).
GFP = {
    "5.0": {"GFP_KERNEL": 0x6000C0, "GFP_ATOMIC": 0x480020, "GFP_NOWAIT": 0x400000},
    "6.1": {"GFP_KERNEL": 0xCC0, "GFP_ATOMIC": 0xA20, "GFP_NOWAIT": 0x800},
}


@each_version
def test_gfp_flags(version: str) -> None:
    conditions = [f"{name} == {value:#x}" for name, value in GFP[version].items()]
    accept(version, "-fsyntax-only", source=including("linux/gfp.h") + asserts(conditions))


@each_version
def test_constants(version: str) -> None:
    accept(version, "-fsyntax-only", "-DCONFIG_A", "-DCONFIG_B_MODULE", str(CODE / "constants.c"))


LINKER_SCRIPT = """
SECTIONS {
    . = 0x60000000;
    .checks : { *(.checks) QUAD(0) }
    .rest : { *(.text .text.*) *(.rodata .rodata.*) *(.data .data.*) *(.bss .bss.*) }
    /DISCARD/ : { *(.ARM.*) }
}
"""


@each_version
@pytest.mark.parametrize("options", [[], ["-DCONFIG_NUMA"]])
def test_functions(version: str, options: list[str], tmp_path: Path) -> None:
    source, code, script = CODE / "functions.c", tmp_path / "functions.bin", tmp_path / "flat.lds"
    script.write_text(LINKER_SCRIPT)
    accept(version, *options, "-c", str(source), "-o", str(tmp_path / "functions.o"))
    link = ["ld.lld", "-T", str(script), "--oformat=binary", "-o", str(code)]
    subprocess.run([zig(), *link, str(tmp_path / "functions.o")], check=True)

    memory = PhysMemory([(0x60000000, 1 << 20)])
    memory.write(0x60000000, code.read_bytes())
    cpu = Cpu(memory)
    cpu.set_register(13, 0x60100000)
    table = struct.iter_unpack("<II", memory.read(0x60000000, 8 * 100))
    checks = dict(itertools.takewhile(any, table))
    assert len(checks) >= 40
    assert [line for line, check in checks.items() if cpu.call(check) != 1] == []


# What drivers do.

# Functions of mm/memblock.c that are static, or have another name, in one version or in both.
STATIC = {
    "5.0": {
        *("memblock_addrs_overlap", "memblock_alloc_range_nid"),
        *("__for_each_mem_range", "__for_each_mem_range_rev"),
    },
    "6.1": {
        *("memblock_find_in_range", "memblock_find_in_range_node", "choose_memblock_flags"),
        *("memblock_add_range", "memblock_dbg"),
    },
}
INTERNAL = re.compile("memblock_search|__memblock_find_range_.*|early_memblock|memblock_debug_show")


@each_version
def test_all_of_memblock_is_there(version: str) -> None:
    """Each function of MEMBLOCK.md is where its version has it, and only there."""
    table = (ROOT / "bootsim" / "kernel" / "MEMBLOCK.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", table, re.MULTILINE))
    names = [name for name in rows if not INTERNAL.fullmatch(name)]
    wanted = {name for name in names if version in rows[name]} - STATIC[version]
    source = including("linux/memblock.h") + "".join(
        f"#ifndef {name}\nvoid *use_{name} = (void *){name};\n#endif\n" for name in names
    )
    options = ["-DCONFIG_NUMA", "-DCONFIG_HAVE_MEMBLOCK_PHYS_MAP", "-ferror-limit=0"]
    _, _, words = clang(version, "-fsyntax-only", *options, source=source)
    unknown = set(re.findall(r"use of undeclared identifier '(\w+)'", words))
    assert len(names) > 90
    assert set(names) - unknown == wanted


@each_version
@pytest.mark.parametrize("name", ["both", "own"])
def test_drivers_compile(version: str, name: str) -> None:
    file = CODE / ("both.c" if name == "both" else f"linux-{version}.c")
    status, _, words = clang(version, "-Wall", "-Werror", "-fsyntax-only", str(file))
    assert (status, words) == (0, "")


@each_version
def test_drivers_of_the_other_kernel_do_not_compile(version: str) -> None:
    """No function of them: each uses what moved."""
    file = CODE / f"linux-{OTHER[version]}.c"
    lines = file.read_text().splitlines()
    starts = [number for number, line in enumerate(lines, 1) if line.startswith("int __init ")]
    status, _, words = clang(version, "-ferror-limit=0", "-fsyntax-only", "-Wall", str(file))
    wrong = {int(number) for number in re.findall(rf"{file.name}:(\d+):\d+: error: ", words)}
    assert status
    assert len(starts) >= 18
    fine = [
        lines[start - 1]
        for start, following in zip(starts, [*starts[1:], len(lines) + 1], strict=True)
        if not wrong & set(range(start, following))
    ]
    assert fine == []


@pytest.mark.parametrize(
    ("statement", "warning"),
    [
        ('pr_info("%s\\n", 5);', "-Wformat"),
        ('WARN(1, "%d\\n", "text");', "-Wformat"),
        ('panic("%d %d\\n", 1);', "-Wformat-insufficient-args"),
        ("(void)min(1u, 1ull << 40);", "distinct pointer types"),
        ("(void)ARRAY_SIZE(pointer);", "not an array"),
        ("BUILD_BUG_ON(sizeof(long) == 4);", "BUILD_BUG_ON failed"),
        ("(void)container_of(pointer, struct page, lru);", "pointer is of another type"),
        ("kstrtoint(pointer, 0, NULL);", "-Wunused-result"),
        ("for_each_reserved_mem_region(pointer) ;", "for_each_reserved_mem_region"),
    ],
)
def test_misuse_is_seen(statement: str, warning: str) -> None:
    source = including("linux/memblock.h") + f"void use(char *pointer) {{ {statement} }}\n"
    status, _, words = clang("5.0", "-Wall", "-Werror", "-fsyntax-only", source=source)
    assert status
    assert warning in words


@each_version
def test_what_the_linker_finds(version: str, tmp_path: Path) -> None:
    """Init calls, parameters and reserved-memory handlers lie in the kernel's sections."""
    elffile = need_module("elftools.elf.elffile")
    target = tmp_path / "both.o"
    status, _, words = clang(version, "-c", str(CODE / "both.c"), "-o", str(target))
    assert (status, words) == (0, "")
    elf = elffile.ELFFile(BytesIO(target.read_bytes()))

    def section(name: str) -> bytes:
        return bytes(elf.get_section_by_name(name).data())

    names = [symbol.name for symbol in elf.get_section_by_name(".symtab").iter_symbols()]
    assert len(section(".initcall6.init")) == len(section(".initcall1.init")) == 4
    assert {"__initcall_both_init6", "__initcall_debug_log1"} <= set(names)
    assert len(section(".init.setup")) == 2 * 12
    assert [section(".init.setup")[offset] for offset in (8, 20)] == [1, 0]
    assert section(".init.rodata").split(b"\0")[:2] == [b"wanted", b"nothing="]
    table = section("__reservedmem_of_table")
    assert len(table) == 196
    assert table[64:192].rstrip(b"\0") == b"bootsim,pool"
    assert "debug_ranges" in names
    assert section(".init.data").count((0x68000000).to_bytes(4, "little")) == 1
