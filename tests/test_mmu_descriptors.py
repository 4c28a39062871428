"""Page-table descriptors against the ARM ARM's figures and the words that Linux writes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootsim.errors import BootsimError, MemoryAccessError
from bootsim.machine import mmu
from bootsim.machine.memory import PhysMemory, Range
from bootsim.machine.mmu import AP, Attributes

RAM = 0x60000000
TABLE = RAM + 0x4000
L2 = RAM + 0x8000

KERNEL_RW_WBWA = Attributes(AP.KERNEL_RW, tex=1, c=True, b=True, s=True)

# Words of a Linux kernel on a Cortex-A9 with SMP, put together by hand from the bits in
# arch/arm/include/asm/pgtable-2level-hwdef.h, and what they mean by DDI 0406C, figure B3-4.
L1_WORDS = [
    # the first page table: SECT | B | C | AP_WRITE | AP_READ | TEX(1) | S
    (0x60011C0E, mmu.Section(0x60000000, Attributes(AP.RW, tex=1, c=True, b=True, s=True))),
    # lowmem, MT_MEMORY_RWX: SECT | AP_WRITE | TEX(1) | C | B | S
    (0x6001140E, mmu.Section(0x60000000, KERNEL_RW_WBWA)),
    # lowmem, MT_MEMORY_RW: the same, execute-never
    (
        0x6011141E,
        mmu.Section(0x60100000, Attributes(AP.KERNEL_RW, True, 1, True, True, True)),
    ),
    # MT_MEMORY_RO after mark_rodata_ro: APX | AP_WRITE
    (0x6021941E, mmu.Section(0x60200000, Attributes(AP.KERNEL_R, True, 1, True, True, True))),
    # MT_DEVICE, DOMAIN_IO (2): SECT | AP_WRITE | XN | B | S
    (
        0x10010456,
        mmu.Section(0x10000000, Attributes(AP.KERNEL_RW, True, 0, False, True, True), domain=2),
    ),
    # page tables of the kernel and of DOMAIN_USER (1)
    (0x6FFFC801, mmu.PageTable(0x6FFFC800)),
    (0x6FFFC821, mmu.PageTable(0x6FFFC800, domain=1)),
    (0x6FFFC809, mmu.PageTable(0x6FFFC800, ns=True)),
    (0x000E0402, mmu.Supersection(0, Attributes(AP.KERNEL_RW, ng=True), ns=True)),
    # PA[31:24], PA[35:32] in bits 23:20, PA[39:36] in bits 8:5
    (0x61340522, mmu.Supersection(0x9361000000, Attributes(AP.KERNEL_RW))),
    (0x00000000, mmu.Fault()),
    (0xFFFFFFFC, mmu.Fault(0xFFFFFFFC)),
    (0x60011C0F, mmu.Fault(0x60011C0F)),  # PXN: a Cortex-A9 has none
]
# Second level, figure B3-5; the bits are those of cpu_v7_set_pte_ext.
L2_WORDS = [
    # a kernel page: AP0 | S | TEX(1) | C | B
    (0x6FFFF45E, mmu.SmallPage(0x6FFFF000, KERNEL_RW_WBWA)),
    # the vectors: read-only for all, execute allowed, not global
    (
        0x6FFFEE7E,
        mmu.SmallPage(0x6FFFE000, Attributes(AP.R, False, 1, True, True, True, True)),
    ),
    (0x6FFFF45F, mmu.SmallPage(0x6FFFF000, Attributes(AP.KERNEL_RW, True, 1, True, True, True))),
    (0x6FFF941D, mmu.LargePage(0x6FFF0000, Attributes(AP.KERNEL_RW, True, 1, True, True, True))),
    (0x6FFF0031, mmu.LargePage(0x6FFF0000, Attributes(AP.RW))),
    (0x00000000, mmu.Fault()),
    (0xFFFFFFFC, mmu.Fault(0xFFFFFFFC)),
]


def word_id(value: object) -> str:
    return f"{value:#010x}" if isinstance(value, int) else ""


@pytest.mark.parametrize(("word", "entry"), L1_WORDS, ids=word_id)
def test_first_level(word: int, entry: mmu.L1Entry) -> None:
    assert mmu.decode_l1(word) == entry
    assert entry.encode() == word


@pytest.mark.parametrize(("word", "entry"), L2_WORDS, ids=word_id)
def test_second_level(word: int, entry: mmu.L2Entry) -> None:
    assert mmu.decode_l2(word) == entry
    assert entry.encode() == word


# Bits that software may use or that must be zero; all the others survive.
L1_IGNORED = {mmu.PageTable: 1 << 9 | 1 << 4 | 1 << 2, mmu.Section: 1 << 9}
L1_IGNORED[mmu.Supersection] = 1 << 9


@given(st.integers(0, 0xFFFFFFFF))
def test_every_first_level_word_is_kept(word: int) -> None:
    entry = mmu.decode_l1(word)
    assert entry.encode() == word & ~L1_IGNORED.get(type(entry), 0)


@given(st.integers(0, 0xFFFFFFFF))
def test_every_second_level_word_is_kept(word: int) -> None:
    entry = mmu.decode_l2(word)
    ignored = 0x1C0 if isinstance(entry, mmu.LargePage) else 0
    assert entry.encode() == word & ~ignored


@pytest.mark.parametrize(
    "entry",
    [
        mmu.Section(0x60001000, Attributes()),
        mmu.Section(1 << 32, Attributes()),
        mmu.Section(RAM, Attributes(), domain=16),
        mmu.Section(RAM, Attributes(tex=8)),
        mmu.Supersection(1 << 40, Attributes()),
        mmu.PageTable(0x60000200),
        mmu.SmallPage(0x800, Attributes()),
        mmu.LargePage(0x1000, Attributes()),
    ],
)
def test_what_no_descriptor_can_hold(entry: mmu.Section) -> None:
    with pytest.raises(BootsimError):
        entry.encode()


# DDI 0406C, table B3-8.
@pytest.mark.parametrize(
    ("ap", "permissions"),
    [
        (0b000, "---/---"),
        (0b001, "rwx/---"),
        (0b010, "rwx/r-x"),
        (0b011, "rwx/rwx"),
        (0b101, "r-x/---"),
        (0b111, "r-x/r-x"),
    ],
)
def test_permissions(ap: int, permissions: str) -> None:
    assert Attributes(AP(ap)).permissions == permissions
    assert Attributes(AP(ap), xn=True).permissions == permissions.replace("x", "-")


# The table in arch/arm/mm/proc-v7-2level.S of Linux: n = TEX[0], C, B.
@pytest.mark.parametrize(
    ("n", "kind"),
    [
        (0b000, "strongly-ordered"),
        (0b001, "uncached"),
        (0b010, "write-through"),
        (0b011, "write-back"),
        (0b100, "device"),
        (0b111, "write-back write-allocate"),
    ],
)
def test_memory_types_as_linux_programs_them(n: int, kind: str) -> None:
    attributes = Attributes(tex=n >> 2, c=bool(n & 2), b=bool(n & 1))
    assert attributes.memory_type() == kind


def test_inner_and_outer_cacheability_apart() -> None:
    # n = 0 normal; inner write-through (2), outer write-back (3).
    assert Attributes().memory_type(prrr=2, nmrr=3 << 16 | 2) == "write-through/write-back"


@pytest.fixture
def memory() -> PhysMemory:
    memory = PhysMemory([(RAM, 1 << 20)])
    put(memory, 0x80000000, 0x60011C0E)
    put(memory, 0x80100000, 0x60111C0E)
    put(memory, 0x80200000, 0x60311C0E)  # not the next physical section
    put(memory, 0x80300000, 0x6041140E)  # nor the same attributes
    for index in range(16):
        put(memory, 0x90000000 + (index << 20), 0x61040402)  # one supersection
    put(memory, 0xC0000000, L2 | 1 << 5 | 1)
    put(memory, 0xC0100000, 0x70000001)  # a table where there is no memory
    pages = [0] * 256
    pages[0:2] = [0x6000045E, 0x6000145E]
    pages[16:32] = [0x60020031] * 16
    memory.write(L2, struct.pack("<256I", *pages))
    return memory


def put(memory: PhysMemory, virt: int, word: int) -> None:
    memory.write_u32(TABLE + (virt >> 20) * 4, word)


@pytest.mark.parametrize(
    ("virt", "phys", "size", "kind", "domain", "levels"),
    [
        (0x80000000, 0x60000000, 1 << 20, "section", 0, 1),
        (0x801FFFFF, 0x601FFFFF, 1 << 20, "section", 0, 1),
        (0x90ABCDEF, 0x61ABCDEF, 1 << 24, "supersection", 0, 1),
        (0xC0001004, 0x60001004, 1 << 12, "small page", 1, 2),
        (0xC001F123, 0x6002F123, 1 << 16, "large page", 1, 2),
    ],
)
def test_walk(
    memory: PhysMemory, virt: int, phys: int, size: int, kind: str, domain: int, levels: int
) -> None:
    found = mmu.walk(memory, TABLE | 0x6A, virt)  # TTBR0 has attributes below the base
    assert (found.phys, found.size, found.entry.name) == (phys, size, kind)
    assert found.domain == domain
    assert [d.level for d in found.descriptors] == [1, 2][:levels]
    assert found.descriptors[0].address == TABLE + (virt >> 20) * 4


def test_failed_walks_name_the_descriptor(memory: PhysMemory) -> None:
    with pytest.raises(mmu.TranslationFault, match="L1 descriptor 0x00000000 at 0x60004000") as f:
        mmu.walk(memory, TABLE, 0x1234)
    assert (f.value.level, f.value.virt) == (1, 0x1234)
    with pytest.raises(mmu.TranslationFault, match="L2 descriptor 0x00000000 at 0x60008008") as f:
        mmu.walk(memory, TABLE, 0xC0002000)
    assert f.value.level == 2
    with pytest.raises(mmu.TranslationFault, match="at 0x70000000 is not in RAM"):
        mmu.walk(memory, TABLE, 0xC0100000)
    with pytest.raises(mmu.TranslationFault, match="its L1 descriptor at 0x50000000 is not"):
        mmu.walk(memory, 0x50000000, 0)


@pytest.mark.parametrize("ttbcr", [1, 7, 1 << 31])
def test_only_one_table_and_short_descriptors_are_walked(memory: PhysMemory, ttbcr: int) -> None:
    with pytest.raises(BootsimError, match="TTBCR"):
        mmu.walk(memory, TABLE, 0x80000000, ttbcr=ttbcr)


def test_mappings_are_joined_where_they_continue(memory: PhysMemory) -> None:
    found = [(m.virt, m.phys, m.size, m.kind) for m in mmu.mappings(memory, TABLE)]
    assert found == [
        (0x80000000, 0x60000000, 2 << 20, "section"),
        (0x80200000, 0x60300000, 1 << 20, "section"),
        (0x80300000, 0x60400000, 1 << 20, "section"),
        (0x90000000, 0x61000000, 1 << 24, "supersection"),
        (0xC0000000, 0x60000000, 2 << 12, "small page"),
        (0xC0010000, 0x60020000, 1 << 16, "large page"),
    ]
    with pytest.raises(MemoryAccessError):
        list(mmu.mappings(memory, 0x50000000))


def test_physical_ranges_cross_mappings(memory: PhysMemory) -> None:
    assert list(mmu.physical_ranges(memory, TABLE, 0x801FFFF0, 0x20)) == [
        Range(0x601FFFF0, 0x10),
        Range(0x60300000, 0x10),
    ]
    with pytest.raises(mmu.TranslationFault):
        list(mmu.physical_ranges(memory, TABLE, 0x803FFFF0, 0x20))


# DDI 0406C, B3.12.3 (domains) and B3.7.1 (permissions).
@pytest.mark.parametrize(
    ("ap", "xn", "dacr", "access", "privileged", "refusal"),
    [
        (AP.KERNEL_RW, False, 1, "write", True, None),
        (AP.KERNEL_RW, False, 1, "read", False, "permission fault"),
        (AP.KERNEL_R, False, 1, "write", True, "permission fault"),
        (AP.KERNEL_R, False, 1, "fetch", True, None),
        (AP.KERNEL_R, True, 1, "fetch", True, "execute-never"),
        (AP.NO_ACCESS, True, 3, "fetch", False, None),  # manager: nothing is checked
        (AP.RW, False, 0, "read", True, "domain fault"),
        (AP.RW, False, 2, "read", True, "domain fault"),  # reserved: as no access
        (AP.NO_ACCESS, False, 1, "fetch", True, "permission fault"),
    ],
)
def test_refusals(
    ap: AP, xn: bool, dacr: int, access: str, privileged: bool, refusal: str | None
) -> None:
    entry = mmu.Section(RAM, Attributes(ap, xn))
    found = mmu.Translation(RAM, RAM, entry, entry.domain, ())
    reason = found.refusal(access, dacr, privileged=privileged)
    assert reason is None if refusal is None else refusal in str(reason)
