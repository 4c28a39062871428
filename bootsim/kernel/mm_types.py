"""struct page and the memory map as they lie in RAM.

Linux: include/linux/mm_types.h (struct page), include/linux/page-flags.h, mm/page_alloc.c
(__init_single_page). Everything here is a view of emulated RAM: what guest code writes there is
what these classes read.
"""

from __future__ import annotations

import ctypes
from array import array
from enum import IntFlag

from bootsim.errors import BootsimError
from bootsim.machine.memory import PhysMemory

WORD = 4
# Pages initialised at a time: what they take stays in the host's caches meanwhile.
_CHUNK = 4096


class PageFlag(IntFlag):
    """enum pageflags, include/linux/page-flags.h: the same numbers in 5.0 and 6.1."""

    LOCKED = 1 << 0
    REFERENCED = 1 << 1
    UPTODATE = 1 << 2
    DIRTY = 1 << 3
    LRU = 1 << 4
    ACTIVE = 1 << 5
    WORKINGSET = 1 << 6
    WAITERS = 1 << 7
    ERROR = 1 << 8
    SLAB = 1 << 9
    OWNER_PRIV_1 = 1 << 10
    ARCH_1 = 1 << 11
    RESERVED = 1 << 12
    PRIVATE = 1 << 13
    PRIVATE_2 = 1 << 14
    WRITEBACK = 1 << 15
    HEAD = 1 << 16
    MAPPEDTODISK = 1 << 17
    RECLAIM = 1 << 18
    SWAPBACKED = 1 << 19
    UNEVICTABLE = 1 << 20
    MLOCKED = 1 << 21

    @property
    def names(self) -> list[str]:
        """The flags that are set, in the kernel's lower case."""
        return [flag.name.lower() for flag in PageFlag if flag in self and flag.name]


PG_RESERVED = int(PageFlag.RESERVED)
PAGE_FLAGS_CHECK_AT_PREP = (1 << 22) - 1  # every flag; zone and node lie above them
PAGE_FLAGS_CHECK_AT_FREE = int(
    PageFlag.LRU
    | PageFlag.LOCKED
    | PageFlag.PRIVATE
    | PageFlag.PRIVATE_2
    | PageFlag.WRITEBACK
    | PageFlag.RESERVED
    | PageFlag.SLAB
    | PageFlag.ACTIVE
    | PageFlag.UNEVICTABLE
    | PageFlag.MLOCKED
)

# page->page_type, include/linux/page-flags.h: a type's bit is clear while the page is of that type.
PAGE_TYPE_BASE = 0xF0000000
PAGE_TYPE_NONE = 0xFFFFFFFF  # also _mapcount -1: mapped nowhere
PAGE_TYPE_BUDDY = 0xFFFFFF7F
PAGE_TYPE_BUDDY_MASK = PAGE_TYPE_BASE | 0x80  # PG_buddy


class PageAllocError(BootsimError):
    """The page allocator was asked for the impossible, or found its RAM damaged."""

    exit_code = 1


class ListHead(ctypes.LittleEndianStructure):
    """struct list_head: virtual addresses of the next and the previous list head."""

    next: int
    prev: int
    _fields_ = [("next", ctypes.c_uint32), ("prev", ctypes.c_uint32)]


class StructPage(ctypes.LittleEndianStructure):
    """struct page of a 32-bit kernel; CONFIG_MEMCG adds a word after these 32 bytes.

    `page_type` is _mapcount too; `private` holds the order of a free block.
    """

    flags: int
    lru: ListHead
    mapping: int
    index: int
    private: int
    page_type: int
    refcount: int
    _fields_ = [
        ("flags", ctypes.c_uint32),
        ("lru", ListHead),
        ("mapping", ctypes.c_uint32),
        ("index", ctypes.c_uint32),
        ("private", ctypes.c_uint32),
        ("page_type", ctypes.c_uint32),
        ("refcount", ctypes.c_int32),
    ]


LRU_OFFSET = 4  # of page.lru, in bytes


class MemMap:
    """The node's array of struct page.

    Entry i describes pfn `start_pfn` + i. The columns (flags, next, prev ...) are strided
    memoryviews of the array: one field of every page, indexed by entry, at the host's speed.
    """

    def __init__(
        self,
        memory: PhysMemory,
        *,
        phys: int,
        virt: int,
        start_pfn: int,
        count: int,
        page_size: int,
    ) -> None:
        """`count` structs of `page_size` bytes at physical address `phys`, virtual `virt`."""
        self.memory = memory
        self.phys = phys
        self.virt = virt
        self.start_pfn = start_pfn
        self.count = count
        self.page_size = page_size
        self.words = memory.words(phys, count * page_size // WORD)
        stride = page_size // WORD
        self.flags = self.words[0::stride]
        self.next = self.words[1::stride]
        self.prev = self.words[2::stride]
        self.mapping = self.words[3::stride]
        self.private = self.words[5::stride]
        self.page_type = self.words[6::stride]
        self.refcount = self.words[7::stride]

    @property
    def end_pfn(self) -> int:
        return self.start_pfn + self.count

    def page_virt(self, entry: int) -> int:
        """Virtual address of the struct page `entry`."""
        return self.virt + entry * self.page_size

    def struct(self, entry: int) -> StructPage:
        """The struct page `entry` itself; what is assigned to its fields goes to RAM."""
        address = self.phys + entry * self.page_size
        return StructPage.from_buffer(self.memory.view(address, ctypes.sizeof(StructPage)))

    def init_pages(self, first: int, count: int, flags: int) -> None:
        """Initialise `count` entries from `first` on, as __init_single_page() does each.

        The first word is `flags`, the page is referenced once, mapped nowhere, and its lru points
        to itself; all else is zero.
        """
        blank = array("I", bytes(self.page_size))
        blank[0], blank[6], blank[7] = flags, PAGE_TYPE_NONE, 1
        pattern = memoryview(blank.tobytes() * min(count, _CHUNK)).cast("I")
        words = self.page_size // WORD
        for start, lru in self._lru_addresses(first, count):
            length = len(lru)
            self.words[start * words : (start + length) * words] = pattern[: length * words]
            self.next[start : start + length] = lru
            self.prev[start : start + length] = lru

    def init_lru(self, first: int, count: int) -> None:
        """Make the lru of `count` entries from `first` on point to itself (INIT_LIST_HEAD)."""
        for start, lru in self._lru_addresses(first, count):
            self.next[start : start + len(lru)] = lru
            self.prev[start : start + len(lru)] = lru

    def _lru_addresses(self, first: int, count: int) -> list[tuple[int, memoryview]]:
        """Addresses of the lru of `count` entries, in chunks: (first entry, addresses).

        All entries of a chunk move on by the same amount, so that adding one large number to the
        chunk before gives the next: no carry passes a word, since addresses end below 4 GiB.
        """
        size = self.page_size
        length = min(count, _CHUNK)
        base = self.page_virt(first) + LRU_OFFSET
        chunk = int.from_bytes(array("I", range(base, base + length * size, size)), "little")
        step = int.from_bytes(array("I", [length * size]) * length, "little")
        chunks = []
        for start in range(first, first + count, _CHUNK):
            addresses = memoryview(chunk.to_bytes(WORD * length, "little")).cast("I")
            chunks.append((start, addresses[: first + count - start]))
            chunk += step
        return chunks

    def all_are(self, column: memoryview, entry: int, count: int, value: int) -> bool:
        """Whether a column has `value` for `count` entries from `entry` on."""
        if count == 1:
            return bool(column[entry] == value)
        return column[entry : entry + count] == _repeat(value, count)

    def fill(self, column: memoryview, entries: slice, value: int) -> None:
        """Set a column to `value` for `entries`."""
        part = column[entries]
        part[:] = _repeat(value, len(part))


def _repeat(value: int, count: int) -> memoryview:
    """`count` words of `value`."""
    return memoryview(value.to_bytes(WORD, "little") * count).cast("I")
