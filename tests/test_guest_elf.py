"""Reading object files: as pyelftools reads them; damaged ones, in one line."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bootsim.driver import Driver
from bootsim.errors import BootsimError, KernelPanic, MachineFault
from bootsim.guest.driver import GuestOptions, kernel_symbols, load_guest_drivers
from bootsim.guest.elf import FileKind, ObjectFile, read_elf
from bootsim.guest.guest import Budget
from bootsim.kernel.profile_file import load_profile
from bootsim.simulate import Boot
from tests.guests import ARM, compile_object, lld
from tests.requirements import need_module
from tests.trees import board

PROFILE = load_profile("linux-5.0")
SMALL = board((0x60000000, 64 << 20))
BUDGET = Budget(instructions=20_000, seconds=1.0)
SECONDS_MAX = 3.0  # of one damaged file, report included

SOURCE = r"""
int printk(const char *fmt, ...);
static int numbers[4] = { 1, 2, 3, 4 };
static int *volatile nowhere;
static int zeroed[100];

static __attribute__((noinline)) int store(int n)
{
	zeroed[n & 3] = numbers[n & 3];
	return n ? *(volatile int *)nowhere : zeroed[0];
}

void debug_elf(void)
{
	printk("stored %d\n", store(2));
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elf")


@pytest.fixture(scope="module")
def object_path(folder: Path) -> Path:
    source = folder / "driver.c"
    source.write_text(SOURCE)
    options = "-fno-asynchronous-unwind-tables", "-fno-omit-frame-pointer"
    return compile_object(source, folder / "driver.o", *ARM, "-g", *options)


@pytest.fixture(scope="module")
def program_path(folder: Path, object_path: Path) -> Path:
    addresses = kernel_symbols(PROFILE, "5.0").addresses()
    return lld(
        folder / "driver.elf",
        *("--image-base=0x80200000", "-e", "debug_elf", "--defsym"),
        *(f"printk={addresses['printk']:#x}", object_path),
    )


@pytest.fixture(scope="module")
def shared_path(folder: Path) -> Path:
    source = folder / "shared.c"
    source.write_text(SOURCE)
    compile_object(source, folder / "shared.o", *ARM, "-fPIC", "-g")
    return lld(folder / "driver.so", "-shared", folder / "shared.o")


Paths = dict[str, Path]


@pytest.fixture(scope="module")
def paths(object_path: Path, program_path: Path, shared_path: Path) -> Paths:
    return {"o": object_path, "elf": program_path, "so": shared_path}


# As pyelftools reads them.


@pytest.mark.parametrize("kind", ["o", "elf", "so"])
def test_as_pyelftools_reads_it(paths: Paths, kind: str) -> None:
    found = read_elf(paths[kind].read_bytes(), kind)
    with paths[kind].open("rb") as stream:
        elf: Any = need_module("elftools.elf.elffile").ELFFile(stream)
        assert found.kind.name == elf["e_type"].removeprefix("ET_")
        assert found.entry == (elf["e_entry"] if found.kind is not FileKind.REL else 0)
        assert [
            (s.name, s.value, s.size, s.section, s.type, s.binding) for s in found.symbols
        ] == symbols(elf.get_section_by_name(".symtab"))
        if found.kind is FileKind.REL:
            check_sections(found, elf)
        else:
            loaded = [s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"]
            assert [(s.address, s.size, s.align, s.data) for s in found.sections] == [
                (s["p_vaddr"], s["p_memsz"], s["p_align"], s.data()) for s in loaded
            ]
        if kind == "so":
            patches = [
                relocation
                for header in elf.iter_sections()
                if header["sh_type"] == "SHT_REL"
                for relocation in header.iter_relocations()
            ]
            assert [(r.offset, r.type, r.symbol) for r in found.relocations] == [
                (r["r_offset"], r["r_info_type"], r["r_info_sym"]) for r in patches
            ]
            assert len(found.dynamic_symbols) == len(symbols(elf.get_section_by_name(".dynsym")))


def symbols(table: Any) -> list[tuple[str, int, int, int, str, str]]:
    special = {"SHN_UNDEF": 0, "SHN_ABS": 0xFFF1, "SHN_COMMON": 0xFFF2}
    return [
        (
            symbol.name if symbol["st_name"] else "",
            symbol["st_value"],
            symbol["st_size"],
            special.get(symbol["st_shndx"], symbol["st_shndx"]),
            symbol["st_info"]["type"],
            symbol["st_info"]["bind"],
        )
        for symbol in table.iter_symbols()
    ]


def check_sections(found: ObjectFile, elf: Any) -> None:
    headers = list(elf.iter_sections())
    taken = [number for number, header in enumerate(headers) if header["sh_flags"] & 2]
    assert [section.index for section in found.sections] == taken
    for section in found.sections:
        header = headers[section.index]
        assert (section.name, section.size) == (header.name, header["sh_size"])
        assert section.align == max(header["sh_addralign"], 1)
        assert section.data == (None if header["sh_type"] == "SHT_NOBITS" else header.data())
        table = elf.get_section_by_name(f".rel{header.name}")
        assert [(r.offset, r.type, r.symbol, r.addend) for r in section.relocations] == [
            (r["r_offset"], r["r_info_type"], r["r_info_sym"], None)
            for r in (table.iter_relocations() if table else ())
        ]


# Damage.


def patched(data: bytes, offset: int, form: str, *values: int) -> bytes:
    content = bytearray(data)
    struct.pack_into(form, content, offset, *values)
    return bytes(content)


def header_offset(data: bytes, name: str) -> int:
    """Where the header of section `name` is in the file."""
    import io  # noqa: PLC0415

    elf: Any = need_module("elftools.elf.elffile").ELFFile(io.BytesIO(data))
    return int(elf["e_shoff"] + elf["e_shentsize"] * elf.get_section_index(name))


def in_section(name: str, field: int, value: int) -> Callable[[bytes], bytes]:
    """Damage the word `field` of the header of section `name` (Elf32_Shdr)."""
    return lambda data: patched(data, header_offset(data, name) + 4 * field, "<I", value)


def in_content(name: str, offset: int, form: str, value: int) -> Callable[[bytes], bytes]:
    def damage(data: bytes) -> bytes:
        (start,) = struct.unpack_from("<I", data, header_offset(data, name) + 16)
        return patched(data, start + offset, form, value)

    return damage


def in_header(offset: int, form: str, value: int) -> Callable[[bytes], bytes]:
    return lambda data: patched(data, offset, form, value)


SH_TYPE, SH_FLAGS, SH_OFFSET, SH_SIZE, SH_LINK, SH_INFO, SH_ALIGN, SH_ENTSIZE = (
    1,
    2,
    4,
    5,
    6,
    7,
    8,
    9,
)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda _data: b"", "not an ELF file: it begins with nothing"),
        (lambda _data: b"\x7fEL", "not an ELF file: it begins with 7f 45 4c"),
        (lambda data: data[:51], "the ELF header ends at 0x34, the file at 0x33"),
        (in_header(4, "<B", 2), "expected a 32-bit little-endian ELF file"),
        (in_header(5, "<B", 2), "expected a 32-bit little-endian ELF file"),
        (in_header(18, "<H", 62), r"expected code for ARM \(machine 40\), found machine 62"),
        (in_header(16, "<H", 4), "expected an object or a program, found an ELF file of type 4"),
        (in_header(46, "<H", 0), "section headers of 0 bytes: expected 40"),
        (in_header(46, "<H", 41), "section headers of 41 bytes: expected 40"),
        (in_header(48, "<H", 0xFFFF), r"the section header \d+ of 65535 ends at 0x"),
        (in_header(32, "<I", 0xFFFFFFF0), "the section header 0 of .* ends at 0x100000018"),
        (in_header(50, "<H", 0xFFFF), "section 65535 is to hold names, and is no string table"),
        (in_section(".text", 0, 0xFFFFFF), "a name at 0xffffff of 0x.* bytes of names"),
        (in_section(".text", SH_OFFSET, 0xFFFFFF00), r"section \d+ '.text' ends at 0x"),
        (in_section(".text", SH_SIZE, 0xFFFFFFFF), r"section \d+ '.text' ends at 0x"),
        (in_section(".text", SH_ALIGN, 3), r"section \d+ '.text' is to be aligned to 0x3"),
        (in_section(".text", SH_ALIGN, 1 << 31), "is to be aligned to 0x80000000"),
        (
            in_section(".text", SH_SIZE, 0x10),
            r"a relocation at 0x\w+ of section \d+ '.text', which",
        ),
        (in_section(".text", SH_TYPE, 8), r"'.text', which has 0x0 bytes"),
        (
            in_section(".symtab", SH_ENTSIZE, 0),
            "in entries of 0: expected at most 131072 entries of 16",
        ),
        (in_section(".symtab", SH_SIZE, 17), "has 0x11 bytes in entries of 16"),
        (in_section(".symtab", SH_SIZE, 1 << 32 - 1), r"'.symtab' ends at 0x"),
        (in_section(".symtab", SH_LINK, 999), "section 999 is to hold names"),
        (in_section(".symtab", SH_TYPE, 1), r"a relocation with symbol \d+ of 0"),
        (in_section(".rel.text", SH_ENTSIZE, 0), "in entries of 0: expected at most"),
        (in_section(".rel.text", SH_INFO, 999), "relocations for section 999 of"),
        (in_section(".strtab", SH_SIZE, 1), "a name at 0x"),
        (in_content(".symtab", 16 + 14, "<H", 0x7FFF), "lies in section 32767 of"),
        (in_content(".symtab", 16, "<I", 0x7FFFFFFF), "a name at 0x7fffffff of"),
        (in_content(".rel.text", 4, "<I", 0xFFFFFF1C), "a relocation with symbol 16777215 of"),
        (in_content(".rel.text", 0, "<I", 0xFFFFFFFE), "a relocation at 0xfffffffe of section"),
    ],
)
def test_damaged_objects(object_path: Path, damage: Callable[[bytes], bytes], words: str) -> None:
    data = damage(object_path.read_bytes())
    with pytest.raises(BootsimError, match=rf"^bad\.o: .*{words}") as caught:
        read_elf(data, "bad.o")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (4, 1 << 31, r"segment \d has 0x80000000 bytes at 0x"),
        (5, 0xFFFFFFFF, r"segment \d at 0x802\w+ passes 4 GiB"),
        (5, 1, r"segment \d has 0x\w+ bytes at 0x0 for 0x1 bytes of memory"),
        (7, 3, r"segment \d is to be aligned to 0x3"),
    ],
)
def test_damaged_programs(program_path: Path, field: int, value: int, words: str) -> None:
    data = program_path.read_bytes()
    (table,) = struct.unpack_from("<I", data, 28)
    number = next(n for n in range(8) if struct.unpack_from("<I", data, table + 32 * n)[0] == 1)
    with pytest.raises(BootsimError, match=words):
        read_elf(patched(data, table + 32 * number + 4 * field, "<I", value), "bad.elf")


def test_a_shared_file_without_section_headers(shared_path: Path) -> None:
    data = patched(patched(shared_path.read_bytes(), 32, "<I", 0), 46, "<HHH", 0, 0, 0)
    with pytest.raises(BootsimError, match="no section headers, which tell where to relocate it"):
        read_elf(data, "bad.so")


def memory_taken(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(BootsimError):
            action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x80000000, 0x10000000])
def test_a_huge_bss_takes_no_memory(object_path: Path, folder: Path, size: int) -> None:
    """A section that takes no bytes of the file may claim 4 GiB."""
    path = folder / "huge.o"
    path.write_bytes(in_section(".bss", SH_SIZE, size)(object_path.read_bytes()))
    assert memory_taken(lambda: load_guest_drivers([path], PROFILE)) < 80 << 20


@pytest.mark.parametrize("size", [0x70000000, 0x7FDFFF00])
def test_a_huge_segment_takes_no_memory(program_path: Path, folder: Path, size: int) -> None:
    data = program_path.read_bytes()
    (table,) = struct.unpack_from("<I", data, 28)
    for number in range(struct.unpack_from("<H", data, 44)[0]):
        if struct.unpack_from("<I", data, table + 32 * number)[0] == 1:
            data = patched(data, table + 32 * number + 20, "<I", size)
            break
    path = folder / "huge.elf"
    path.write_bytes(data)
    assert memory_taken(lambda: load_guest_drivers([path], PROFILE)) < 80 << 20


def test_segments_that_lie_over_each_other(program_path: Path, folder: Path) -> None:
    """Each claims 5 MiB, at the same address."""
    data = program_path.read_bytes()
    (table,) = struct.unpack_from("<I", data, 28)
    for number in range(struct.unpack_from("<H", data, 44)[0]):
        data = patched(data, table + 32 * number, "<I", 1)
        data = patched(data, table + 32 * number + 8, "<IIII", 0x80200000, 0, 0, 5 << 20)
        data = patched(data, table + 32 * number + 28, "<I", 0x1000)
    path = folder / "overlap.elf"
    path.write_bytes(data)
    with pytest.raises(BootsimError, match=r"segment 1 at 0x80200000 lies over another"):
        load_guest_drivers([path], PROFILE)


def test_sections_that_share_their_bytes_are_no_bomb() -> None:
    """60,000 sections with the same 1 MiB of content."""
    count, size = 60_000, 1 << 20
    names = b"\0.text\0.names\0"
    content = names + bytes(size)
    sections_at = 52 + len(content)
    header = struct.pack(
        "<4sBBB9xHHIIIIIHHHHHH",
        *(b"\x7fELF", 1, 1, 1, 1, 40, 1, 0, 0, sections_at, 0x5000000, 52, 0, 0, 40, count, 0),
    )
    table = struct.pack("<10I", 7, 3, 0, 0, 52, len(names), 0, 0, 1, 0)
    text = struct.pack("<10I", 1, 1, 6, 0, 52 + len(names), size, 0, 0, 4, 0)
    data = header + content + table + text * (count - 1)
    start = time.monotonic()
    with pytest.raises(BootsimError, match=r"^bomb\.o: sections or segments overlap in the file$"):
        read_elf(data, "bomb.o")
    assert time.monotonic() - start < 2


# Files that may or may not be sound: one line, or they load and run to some end.


def load_and_run(path: Path) -> str:
    """What comes of a driver: refused, reported, returned."""
    try:
        drivers: list[Driver] = load_guest_drivers([path], PROFILE, GuestOptions(budget=BUDGET))
    except BootsimError as error:
        assert error.exit_code == 2
        assert str(error)
        return "refused"
    try:
        Boot(dtb=SMALL, profile=PROFILE, drivers=drivers, until="cmd_line").run()
    except (MachineFault, KernelPanic) as error:
        assert error.exit_code == 1
        assert "\n" not in str(error)
        return "reported"
    return "returned"


def check_damaged(path: Path, data: bytes, what: str) -> str:
    path.write_bytes(data)
    start = time.monotonic()
    try:
        outcome = load_and_run(path)
    except Exception as error:
        raise AssertionError(f"{what}: {error!r}") from error
    assert time.monotonic() - start < SECONDS_MAX, what
    return outcome


@pytest.mark.parametrize("kind", ["o", "elf", "so"])
def test_the_sound_file_is_reported(paths: Paths, kind: str) -> None:
    assert load_and_run(paths[kind]) == "reported"


@pytest.mark.parametrize("kind", ["o", "elf", "so"])
def test_truncated(paths: Paths, folder: Path, kind: str) -> None:
    """At each length up to the end of the headers, and then at a hundred more."""
    data = paths[kind].read_bytes()
    lengths = [*range(200), *range(200, len(data), max(len(data) // 100, 1)), len(data) - 1]
    path = folder / f"short.{kind}"
    outcomes = {check_damaged(path, data[:length], f"{length} bytes") for length in lengths}
    assert outcomes == {"refused"}


@pytest.mark.parametrize(
    ("first", "count"),
    [(0, 40), pytest.param(40, 200, marks=pytest.mark.slow)],
    ids=["some", "many"],
)
@pytest.mark.parametrize("kind", ["o", "elf", "so"])
def test_flipped_bits(paths: Paths, folder: Path, kind: str, first: int, count: int) -> None:
    data = paths[kind].read_bytes()
    path = folder / f"flipped.{kind}"
    outcomes = []
    for seed in range(first, first + count):
        random = Random(seed)
        damaged = bytearray(data)
        tables = random.random() < 0.5  # where one bit does the most
        for _ in range(random.choice((1, 1, 2, 8))):
            at = random.randrange(len(data))
            if tables:
                at = random.choice((random.randrange(52), -random.randrange(1, 1200))) % len(data)
            damaged[at] ^= 1 << random.randrange(8)
        outcomes.append(check_damaged(path, bytes(damaged), f"seed {seed}"))
    assert {"refused", "reported"} <= set(outcomes)


# Damaged debug information: the report comes all the same.

DEBUG = (".debug_line", ".debug_frame", ".debug_info", ".debug_abbrev", ".debug_str")


def section_range(data: bytes, name: str) -> tuple[int, int]:
    start, size = struct.unpack_from("<II", data, header_offset(data, name) + 16)
    return start, size


@pytest.mark.parametrize(
    ("first", "count"),
    [(0, 8), pytest.param(8, 25, marks=pytest.mark.slow)],
    ids=["some", "many"],
)
@pytest.mark.parametrize("name", DEBUG)
def test_flipped_bits_in_debug_information(
    object_path: Path, folder: Path, name: str, first: int, count: int
) -> None:
    data = object_path.read_bytes()
    start, size = section_range(data, name)
    path = folder / "debug.o"
    for seed in range(first, first + count):
        random = Random(seed)
        damaged = bytearray(data)
        for _ in range(random.choice((1, 4, 40))):
            damaged[start + random.randrange(size)] = random.getrandbits(8)
        assert check_damaged(path, bytes(damaged), f"seed {seed}") == "reported"


def test_endless_tables_in_debug_information(object_path: Path, folder: Path) -> None:
    """Of DWARF 5: 2**35 directories that take no bytes each."""
    data = bytearray(object_path.read_bytes())
    start, _ = section_range(bytes(data), ".debug_line")
    assert data[start + 4] == 5
    formats = start + 18 + data[start + 17] - 1  # behind standard_opcode_lengths
    data[formats : formats + 7] = b"\0\xff\xff\xff\xff\x7f\0"
    assert check_damaged(folder / "endless.o", bytes(data), "endless") == "reported"


def test_many_symbols_are_read_and_linked_in_time(folder: Path) -> None:
    """20,000 functions that overlap, and as many references to what nobody defines."""
    names = "".join(
        f".set f{n}, base + {n * 4}\n.globl f{n}\n.type f{n}, %function\n.size f{n}, 0x40000\n"
        for n in range(20_000)
    )
    source = folder / "many.S"
    source.write_text(f".text\nbase:\n{names}\n.rept 20000\n.word missing\n.endr\n")
    path = compile_object(source, folder / "many.o")
    start = time.process_time()  # of this process: what else the machine does is no matter
    with pytest.raises(BootsimError, match="undefined symbol 'missing'"):
        load_guest_drivers([path], PROFILE)
    shared = lld(folder / "many.so", "-shared", "-z", "notext", path)
    with pytest.raises(BootsimError, match="undefined symbol 'missing'"):
        load_guest_drivers([shared], PROFILE)
    assert time.process_time() - start < SECONDS_MAX
