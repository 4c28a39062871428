"""ARM page tables in the short-descriptor format: descriptors, and the walk the hardware makes.

Source: ARM Architecture Reference Manual, ARMv7-A and ARMv7-R edition, DDI 0406C, B3.5 (formats and
walk), B3.7 (permissions), B3.8 (memory attributes). Addresses and sizes are in bytes.

As Linux sets a Cortex-A9 up: TTBCR.N = 0, so that TTBR0 translates everything; SCTLR.AFE = 0, so
that AP[2:0] are three permission bits; SCTLR.TRE = 1, so that TEX[0], C and B are an index into
PRRR and NMRR. A Cortex-A9 has no PXN (ID_MMFR0.VMSA = 3): a first-level descriptor of type 0b11 is
a fault to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import ClassVar

from bootsim.errors import BootsimError, MemoryAccessError
from bootsim.machine.memory import PhysMemory, Range

SMALL_PAGE_SIZE = 1 << 12
LARGE_PAGE_SIZE = 1 << 16
SECTION_SIZE = 1 << 20
SUPERSECTION_SIZE = 1 << 24

L1_ENTRIES = 4096
L1_SIZE = 4 * L1_ENTRIES  # and its alignment, with TTBCR.N = 0
L2_ENTRIES = 256
L2_SIZE = 4 * L2_ENTRIES  # and its alignment

# What Linux writes into PRRR and NMRR: arch/arm/mm/proc-v7-2level.S.
LINUX_PRRR = 0xFF0A81A8
LINUX_NMRR = 0x40E040E0


class AP(IntEnum):
    """AP[2:0] (B3.7.1, table B3-8): what privileged code may do, and what user code."""

    NO_ACCESS = 0b000
    KERNEL_RW = 0b001
    KERNEL_RW_USER_R = 0b010
    RW = 0b011
    RESERVED = 0b100
    KERNEL_R = 0b101
    R_DEPRECATED = 0b110
    R = 0b111

    def allows(self, access: str, *, privileged: bool) -> bool:
        """Whether an access, "read", "write" or "fetch", passes; a fetch needs read permission."""
        return ("w" if access == "write" else "r") in self.rights(privileged=privileged)

    def rights(self, *, privileged: bool) -> str:
        """ "rw", "r" or ""."""
        kernel, user = _RIGHTS[self]
        return kernel if privileged else user


_RIGHTS = {
    AP.NO_ACCESS: ("", ""),
    AP.KERNEL_RW: ("rw", ""),
    AP.KERNEL_RW_USER_R: ("rw", "r"),
    AP.RW: ("rw", "rw"),
    AP.RESERVED: ("", ""),
    AP.KERNEL_R: ("r", ""),
    AP.R_DEPRECATED: ("r", "r"),
    AP.R: ("r", "r"),
}


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a section or page descriptor says beside its address (B3.5.1)."""

    ap: AP = AP.NO_ACCESS
    xn: bool = False
    tex: int = 0
    c: bool = False
    b: bool = False
    s: bool = False
    ng: bool = False

    @property
    def permissions(self) -> str:
        """Privileged and user rights and execution, as "rwx/---"."""

        def side(*, privileged: bool) -> str:
            rights = self.ap.rights(privileged=privileged)
            execute = "r" in rights and not self.xn
            return "".join(
                letter if has else "-"
                for letter, has in (("r", "r" in rights), ("w", "w" in rights), ("x", execute))
            )

        return f"{side(privileged=True)}/{side(privileged=False)}"

    def memory_type(self, prrr: int = LINUX_PRRR, nmrr: int = LINUX_NMRR) -> str:
        """The memory type with TEX remap (B3.8.3), by default as Linux programs it.

        One of "strongly-ordered", "device" and, for normal memory, "uncached", "write-back
        write-allocate", "write-through", "write-back": the inner cacheability, with the outer one
        after a slash where it differs.
        """
        n = (self.tex & 1) << 2 | self.c << 1 | self.b
        kind = prrr >> 2 * n & 3
        if kind != 2:
            return ("strongly-ordered", "device", "", "reserved")[kind]
        names = ("uncached", "write-back write-allocate", "write-through", "write-back")
        inner, outer = names[nmrr >> 2 * n & 3], names[nmrr >> 2 * n + 16 & 3]
        return inner if inner == outer else f"{inner}/{outer}"


@dataclass(frozen=True, slots=True)
class Fault:
    """A descriptor that maps nothing; `word` is kept as software uses its bits for its own."""

    name: ClassVar[str] = "fault"
    word: int = 0

    def encode(self) -> int:
        return self.word


@dataclass(frozen=True, slots=True)
class PageTable:
    """First level: the entry points to a second-level table of 256 entries (1 KiB)."""

    name: ClassVar[str] = "page table"
    base: int
    domain: int = 0
    ns: bool = False

    def encode(self) -> int:
        _check_base(self, self.base, L2_SIZE)
        return self.base | _domain(self.domain) << 5 | self.ns << 3 | 0b01


@dataclass(frozen=True, slots=True)
class Section:
    """First level: 1 MiB."""

    name: ClassVar[str] = "section"
    size: ClassVar[int] = SECTION_SIZE
    base: int
    attributes: Attributes
    domain: int = 0
    ns: bool = False

    def encode(self) -> int:
        _check_base(self, self.base, SECTION_SIZE)
        bits = _encode_l1_attributes(self.attributes)
        return self.base | self.ns << 19 | bits | _domain(self.domain) << 5 | 0b10


@dataclass(frozen=True, slots=True)
class Supersection:
    """First level: 16 MiB, in 16 equal entries; physical addresses of 40 bits; always domain 0."""

    name: ClassVar[str] = "supersection"
    size: ClassVar[int] = SUPERSECTION_SIZE
    base: int
    attributes: Attributes
    ns: bool = False
    domain: ClassVar[int] = 0

    def encode(self) -> int:
        _check_base(self, self.base, SUPERSECTION_SIZE, bits=40)
        low, middle, high = self.base & 0xFFFFFFFF, self.base >> 32 & 0xF, self.base >> 36
        bits = _encode_l1_attributes(self.attributes)
        return low | middle << 20 | self.ns << 19 | 1 << 18 | bits | high << 5 | 0b10


@dataclass(frozen=True, slots=True)
class LargePage:
    """Second level: 64 KiB, in 16 equal entries."""

    name: ClassVar[str] = "large page"
    size: ClassVar[int] = LARGE_PAGE_SIZE
    base: int
    attributes: Attributes

    def encode(self) -> int:
        _check_base(self, self.base, LARGE_PAGE_SIZE)
        attributes = self.attributes
        bits = _encode_l2_attributes(attributes)
        return self.base | attributes.xn << 15 | _tex(attributes) << 12 | bits | 0b01


@dataclass(frozen=True, slots=True)
class SmallPage:
    """Second level: 4 KiB."""

    name: ClassVar[str] = "small page"
    size: ClassVar[int] = SMALL_PAGE_SIZE
    base: int
    attributes: Attributes

    def encode(self) -> int:
        _check_base(self, self.base, SMALL_PAGE_SIZE)
        attributes = self.attributes
        bits = _encode_l2_attributes(attributes)
        return self.base | _tex(attributes) << 6 | bits | 0b10 | attributes.xn


Leaf = Section | Supersection | LargePage | SmallPage
L1Entry = Fault | PageTable | Section | Supersection
L2Entry = Fault | LargePage | SmallPage


def decode_l1(word: int) -> L1Entry:
    """What a first-level descriptor says (B3.5.1, figure B3-4)."""
    kind = word & 3
    if kind == 0b01:
        return PageTable(word & -L2_SIZE & 0xFFFFFFFF, word >> 5 & 0xF, bool(word & 1 << 3))
    if kind != 0b10:
        return Fault(word)
    attributes = Attributes(
        ap=AP(word >> 13 & 4 | word >> 10 & 3),
        xn=bool(word & 1 << 4),
        tex=word >> 12 & 7,
        c=bool(word & 1 << 3),
        b=bool(word & 1 << 2),
        s=bool(word & 1 << 16),
        ng=bool(word & 1 << 17),
    )
    ns = bool(word & 1 << 19)
    if word & 1 << 18:
        base = word & 0xFF000000 | (word >> 20 & 0xF) << 32 | (word >> 5 & 0xF) << 36
        return Supersection(base, attributes, ns)
    return Section(word & 0xFFF00000, attributes, word >> 5 & 0xF, ns)


def decode_l2(word: int) -> L2Entry:
    """What a second-level descriptor says (B3.5.1, figure B3-5)."""
    kind = word & 3
    if kind == 0:
        return Fault(word)
    attributes = Attributes(
        ap=AP(word >> 7 & 4 | word >> 4 & 3),
        xn=bool(word & (1 << 15 if kind == 1 else 1)),
        tex=word >> (12 if kind == 1 else 6) & 7,
        c=bool(word & 1 << 3),
        b=bool(word & 1 << 2),
        s=bool(word & 1 << 10),
        ng=bool(word & 1 << 11),
    )
    if kind == 1:
        return LargePage(word & 0xFFFF0000, attributes)
    return SmallPage(word & 0xFFFFF000, attributes)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A descriptor that a walk read: its level (1 or 2), its physical address and its bits."""

    level: int
    address: int
    word: int

    def __str__(self) -> str:
        return f"L{self.level} descriptor {self.word:#010x} at {self.address:#010x}"


@dataclass(frozen=True, slots=True)
class Translation:
    """Where a virtual address leads, and the descriptors that say so."""

    virt: int
    phys: int
    entry: Leaf
    domain: int
    descriptors: tuple[Descriptor, ...]

    @property
    def attributes(self) -> Attributes:
        return self.entry.attributes

    @property
    def size(self) -> int:
        """Bytes that the last descriptor maps."""
        return self.entry.size

    def refusal(self, access: str, dacr: int, *, privileged: bool) -> str | None:
        """Why the hardware stops this access ("read", "write", "fetch"), or None if it does not.

        Domains as in DACR (B3.12.3): no access stops all, client checks the permissions, manager
        checks none.
        """
        rule = dacr >> 2 * self.domain & 3
        if rule == 3:
            return None
        if rule != 1:
            return f"domain fault, domain {self.domain} has no access (DACR {dacr:#010x})"
        attributes = self.attributes
        if not attributes.ap.allows(access, privileged=privileged):
            return f"permission fault, mapped {attributes.permissions}"
        if access == "fetch" and attributes.xn:
            return "permission fault, mapped execute-never"
        return None


class TranslationFault(BootsimError):
    """The walk of `virt` ended at `descriptor`, which maps nothing, or outside RAM (None)."""

    def __init__(self, virt: int, level: int, found: str, descriptor: Descriptor | None) -> None:
        self.virt = virt
        self.level = level
        self.descriptor = descriptor
        self.found = found
        super().__init__(f"no translation of {virt:#010x}: {found}")


def table_base(ttbr0: int, ttbcr: int = 0) -> int:
    """Physical address of the first-level table; raises BootsimError unless TTBCR is 0."""
    if ttbcr & ~0x30:  # PD0 and PD1 only matter with a second table; N and EAE change the walk
        raise BootsimError(
            f"TTBCR is {ttbcr:#010x}: only short descriptors with N = 0 are understood"
        )
    return ttbr0 & -L1_SIZE & 0xFFFFFFFF


def walk(memory: PhysMemory, ttbr0: int, virt: int, *, ttbcr: int = 0) -> Translation:
    """Translate `virt` as the hardware does (B3.5.5); permissions are not checked.

    Raises TranslationFault naming the level and the descriptor.
    """
    first = _read_descriptor(memory, virt, 1, table_base(ttbr0, ttbcr) + (virt >> 20) * 4)
    l1 = decode_l1(first.word)
    if isinstance(l1, Fault):
        raise TranslationFault(virt, 1, str(first), first)
    if not isinstance(l1, PageTable):
        return Translation(virt, l1.base + virt % l1.size, l1, l1.domain, (first,))
    second = _read_descriptor(memory, virt, 2, l1.base + (virt >> 12) % L2_ENTRIES * 4)
    l2 = decode_l2(second.word)
    if isinstance(l2, Fault):
        raise TranslationFault(virt, 2, f"{second}, through {first}", second)
    return Translation(virt, l2.base + virt % l2.size, l2, l1.domain, (first, second))


def physical_ranges(
    memory: PhysMemory, ttbr0: int, virt: int, size: int, *, ttbcr: int = 0
) -> Iterator[Range]:
    """The physical ranges behind `size` bytes at `virt`, in order; raises TranslationFault."""
    while size > 0:
        found = walk(memory, ttbr0, virt & 0xFFFFFFFF, ttbcr=ttbcr)
        length = min(size, found.size - virt % found.size)
        yield Range(found.phys, length)
        virt += length
        size -= length


@dataclass(frozen=True, slots=True)
class Mapping:
    """A range of virtual addresses that descriptors of one kind map in one piece."""

    virt: int
    phys: int
    size: int
    kind: str
    attributes: Attributes
    domain: int

    @property
    def end(self) -> int:
        return self.virt + self.size


def mappings(memory: PhysMemory, ttbr0: int, *, ttbcr: int = 0) -> Iterator[Mapping]:
    """All that a table maps, ascending; neighbours that continue one another are one Mapping.

    A page table that lies outside RAM maps nothing. Raises MemoryAccessError if the first-level
    table itself does.
    """
    last: Mapping | None = None
    for mapping in _leaves(memory, table_base(ttbr0, ttbcr)):
        if last is not None and mapping == replace(
            last, virt=last.end, phys=last.phys + last.size, size=mapping.size
        ):
            last = replace(last, size=last.size + mapping.size)
            continue
        if last is not None:
            yield last
        last = mapping
    if last is not None:
        yield last


def page_tables(memory: PhysMemory, ttbr0: int, *, ttbcr: int = 0) -> Iterator[tuple[int, int]]:
    """The second-level tables in RAM: the virtual address that each maps from, and its own,
    physical. Raises MemoryAccessError if the first-level table lies outside RAM.
    """
    for index, word in enumerate(memory.words(table_base(ttbr0, ttbcr), L1_ENTRIES)):
        entry = decode_l1(word)
        if isinstance(entry, PageTable) and memory.contains(entry.base, L2_SIZE):
            yield index << 20, entry.base


def _leaves(memory: PhysMemory, table: int) -> Iterator[Mapping]:
    for index, word in enumerate(memory.words(table, L1_ENTRIES)):
        if not word & 3:
            continue
        l1 = decode_l1(word)
        if isinstance(l1, PageTable):
            yield from _pages(memory, index << 20, l1)
        elif not isinstance(l1, Fault):
            yield _slot(index << 20, SECTION_SIZE, l1, l1.domain)


def _pages(memory: PhysMemory, virt: int, table: PageTable) -> Iterator[Mapping]:
    if not memory.contains(table.base, L2_SIZE):
        return
    for index, word in enumerate(memory.words(table.base, L2_ENTRIES)):
        entry = decode_l2(word)
        if not isinstance(entry, Fault):
            yield _slot(virt + (index << 12), SMALL_PAGE_SIZE, entry, table.domain)


def _slot(virt: int, size: int, leaf: Leaf, domain: int) -> Mapping:
    """What one entry of a table maps: for the 16-fold kinds, its sixteenth."""
    phys = leaf.base + virt % leaf.size
    return Mapping(virt, phys, size, leaf.name, leaf.attributes, domain)


def _read_descriptor(memory: PhysMemory, virt: int, level: int, address: int) -> Descriptor:
    try:
        return Descriptor(level, address, memory.read_u32(address))
    except MemoryAccessError:
        found = f"its L{level} descriptor at {address:#010x} is not in RAM"
        raise TranslationFault(virt, level, found, None) from None


def _encode_l1_attributes(attributes: Attributes) -> int:
    return (
        attributes.ng << 17
        | attributes.s << 16
        | (attributes.ap & 4) << 13
        | _tex(attributes) << 12
        | (attributes.ap & 3) << 10
        | attributes.xn << 4
        | attributes.c << 3
        | attributes.b << 2
    )


def _encode_l2_attributes(attributes: Attributes) -> int:
    return (
        attributes.ng << 11
        | attributes.s << 10
        | (attributes.ap & 4) << 7
        | (attributes.ap & 3) << 4
        | attributes.c << 3
        | attributes.b << 2
    )


def _domain(domain: int) -> int:
    if not 0 <= domain < 16:
        raise BootsimError(f"domain {domain}: there are 0 to 15")
    return domain


def _tex(attributes: Attributes) -> int:
    if not 0 <= attributes.tex < 8:
        raise BootsimError(f"TEX {attributes.tex}: it has 3 bits")
    return attributes.tex


def _check_base(entry: PageTable | Leaf, base: int, align: int, *, bits: int = 32) -> None:
    if base % align or not 0 <= base < 1 << bits:
        raise BootsimError(
            f"{entry.name} at {base:#x}: not a multiple of {align:#x} below 2^{bits}"
        )
