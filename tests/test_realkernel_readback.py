"""struct memblock of real kernels, found and read: against their own logs and symbol tables."""

from __future__ import annotations

import dataclasses
import re
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.errors import BootsimError
from bootsim.kernel.memory import LinearMap
from bootsim.machine.memory import PhysMemory
from bootsim.realkernel.image import KernelImage, load_kernel_image
from bootsim.realkernel.readback import find_memblock, memblock_place
from bootsim.realkernel.ringbuffer import find_log, read_log
from bootsim.realkernel.symbols import Symbols
from tests.kernel_extracts import EXTRACTS, load_extract, made_image
from tests.requirements import need_kernel

TEXT, PHYS = 0xC0008000, 0x60008000
LINEAR = LinearMap(0x60000000, 0xC0000000)
NAMES, AT, MEMORY_REGIONS = 0x100, 0x400, 0x1000
SIZE = 0x4000


@pytest.mark.parametrize("name", EXTRACTS)
def test_tables_are_what_the_kernel_logged(name: str) -> None:
    extract = load_extract(name)
    place = memblock_place(extract.image)
    assert place is not None
    if extract.system_map:
        assert place.virt == extract.system_map["memblock"]
    memblock = find_memblock(extract.memory, extract.linear, extract.image, place)
    assert memblock is not None
    assert (memblock.memory.name, memblock.reserved.name) == ("memory", "reserved")
    # The log: memblock_reserve() of each range (memblock=debug), the dump before.
    reserved: set[int] = set()
    for record in read_log(extract.memory, extract.linear, find_log(extract.image)):
        dumped = re.search(r"^ memory\[0x0\]\t\[(\w+)-(\w+)\], (\w+) bytes", record.text)
        if dumped:
            base, _, size = (int(number, 16) for number in dumped.groups())
            assert [(region.base, region.size) for region in memblock.memory] == [(base, size)]
        taken = re.match(
            r"memblock_reserve: \[(\w+)-(\w+)\]|^ reserved\[\w+\]\t\[(\w+)", record.text
        )
        if taken:
            reserved.add(int(taken[1] or taken[3], 16))
    assert len(reserved) > 10
    assert {region.base for region in memblock.reserved} <= reserved
    for table in memblock.tables:
        assert table.total_size == sum(region.size for region in table)
        assert table.canonical


@pytest.mark.parametrize("name", EXTRACTS)
def test_a_symbol_wins_and_must_be_right(name: str) -> None:
    extract = load_extract(name)
    found = memblock_place(extract.image)
    assert found is not None
    right = _with_symbol(extract.image, found.virt)
    assert memblock_place(right) is not None
    assert memblock_place(_with_symbol(extract.image, found.virt + 4)) is None
    assert memblock_place(_with_symbol(extract.image, 0)) is None


def _with_symbol(image: KernelImage, virt: int) -> KernelImage:
    return dataclasses.replace(image, symbols=Symbols.pack([virt], b"D", [b"memblock"]))


def test_none_where_ram_holds_something_else() -> None:
    extract = load_extract(EXTRACTS[0])
    place = memblock_place(extract.image)
    assert place is not None
    phys = extract.linear.virt_to_phys(place.virt)
    extract.memory.fill(phys & -4096, 4096, 0xCC)  # as freed __init memory may be
    assert find_memblock(extract.memory, extract.linear, extract.image) is None
    elsewhere = PhysMemory([(0x10000000, 0x1000)])
    assert find_memblock(elsewhere, extract.linear, extract.image) is None


# Made images: the struct as include/linux/memblock.h has it, packed by hand.


def initial(*, lpae: bool, cnt: int = 1, room: int = 128, apart: int = 0x600) -> bytearray:
    """An image with nothing in it but struct memblock and its strings.

    0x100 "memory" "reserved", 0x400 memblock, 0x1000 the first array, `apart` bytes on the second.
    """
    code = bytearray(SIZE)
    code[NAMES : NAMES + 16] = b"memory\0reserved\0"
    tables = b""
    for regions, name in ((MEMORY_REGIONS, NAMES), (MEMORY_REGIONS + apart, NAMES + 7)):
        total = struct.pack("<Q" if lpae else "<I", 0)
        tables += struct.pack("<II", cnt, room) + total
        tables += struct.pack("<II", TEXT + regions, TEXT + name)
    start = struct.pack("<B7xQ", 0, (1 << 64) - 1) if lpae else struct.pack("<B3xI", 0, 0xFFFFFFFF)
    code[AT : AT + len(start + tables)] = start + tables
    return code


def image_of(code: bytearray) -> KernelImage:
    return made_image(code, text=TEXT, end=TEXT + SIZE, version=(6, 1))


@pytest.mark.parametrize(
    ("lpae", "apart", "region_size", "numa"),
    [(False, 0x600, 12, False), (False, 0x800, 16, True), (True, 0xC00, 24, False)],
)
def test_layouts(lpae: bool, apart: int, region_size: int, numa: bool) -> None:
    place = memblock_place(image_of(initial(lpae=lpae, apart=apart)))
    assert place is not None
    assert place.virt == TEXT + AT
    assert place.layout.address_bits == (64 if lpae else 32)
    assert (place.layout.region_size, place.layout.numa) == (region_size, numa)


def test_a_table_without_a_dummy_region() -> None:
    assert memblock_place(image_of(initial(lpae=False, cnt=0))) is not None  # since 6.10


def test_two_of_them_are_none() -> None:
    code = initial(lpae=False)
    code[0x800:0x840] = code[AT : AT + 0x40]
    assert memblock_place(image_of(code)) is None


def test_regions_with_flags_and_a_moved_array() -> None:
    """memblock_double_array() has put the reserved regions elsewhere, LPAE has 40-bit addresses."""
    code = initial(lpae=True)
    memory = PhysMemory([(0x60000000, 0x100000)])
    memory.write(PHYS, code)
    moved = 0xC0080000
    table = PHYS + AT + 16 + 24  # struct memblock_type reserved
    memory.write(table, struct.pack("<IIQI", 2, 256, 0x3000, moved))
    regions = [(0x60001000, 0x1000, 0), (0x880000000, 0x2000, 4)]
    for index, region in enumerate(regions):
        memory.write(0x60080000 + 24 * index, struct.pack("<QQI4x", *region))
    memblock = find_memblock(memory, LINEAR, image_of(code))
    assert memblock is not None
    assert [region[:3] for region in memblock.reserved] == regions
    assert memblock.reserved.max == 256


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 0x3F), st.integers(0, 255)), min_size=1, max_size=8))
def test_damage_is_none_or_an_error(writes: list[tuple[int, int]]) -> None:
    code = initial(lpae=False)
    image = image_of(code)
    memory = PhysMemory([(0x60000000, 0x10000)])
    memory.write(PHYS, code)
    for offset, byte in writes:
        memory.view(PHYS + AT + offset, 1)[0] = byte
    memblock = find_memblock(memory, LINEAR, image)
    if memblock is not None:
        for table in memblock.tables:
            try:
                assert len(list(table)) == table.cnt <= table.max
            except BootsimError as error:
                assert "corrupt" in str(error)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=0x400), st.integers(0, 0x100))
def test_any_bytes_are_no_memblock(content: bytes, at: int) -> None:
    code = bytearray(SIZE)
    code[at : at + len(content)] = content
    assert memblock_place(image_of(code)) is None


def test_debians_kernel_has_one() -> None:
    image = load_kernel_image(need_kernel())
    place = memblock_place(image)
    assert place is not None
    assert place.layout.region_size == 12
    assert place.memory_regions - place.reserved_regions == 128 * 12
