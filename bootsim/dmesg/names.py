"""What memory is taken for, by what the log says around it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bootsim.dmesg.tree import TreeFacts
from bootsim.dmesg.words import function_of
from bootsim.machine.memory import Range
from bootsim.trace import DEVICE_TREE, KERNEL_IMAGE, PG_DIR, RAMDISK

_ADDRESS = r"0x([0-9a-f]{1,16})"
_CMA = re.compile(rf"^cma: Reserved (\d+) MiB at {_ADDRESS}")
_POOL = re.compile(
    rf"^(?:OF: reserved mem|Reserved memory): created (\w+) memory pool at {_ADDRESS}"
)
_NODE = re.compile(r"^OF: reserved mem: initialized node ([^\s,]+), compatible id ")
_PLACED = re.compile(  # from 6.4 on
    rf"^OF: reserved mem: {_ADDRESS}\.\.{_ADDRESS} \(\d+ KiB\) (?:no)?map (?:non-)?reusable (\S+)"
)
_HASH = re.compile(r"^(\S.*?) hash table entries: \d+ \(order: -?\d+, (\d+) bytes")
_CRASH = re.compile(r"^Reserving (\d+)MB of (?:low )?memory at (\d+)MB for crashkernel")

# arch/arm/kernel/head.S: swapper_pg_dir lies right below the kernel's text offset.
_PG_DIR_SIZE, _PG_DIR_OFFSET = 0x4000, 0x4000
_LPAE_PG_DIR_SIZE, _LPAE_PG_DIR_OFFSET = 0x5000, 0x3000
_RESERVED = "/reserved-memory/"
_KERNEL_DISTANCE = 2 << 20  # from swapper_pg_dir to where the image is reserved: less than this
_CALLERS = {
    "memblock_double_array": "memblock's own regions",
    "alloc_node_mem_map": "memory map",
    "arm_mm_memblock_reserve": PG_DIR,
    "reserve_initrd_mem": RAMDISK,
    "early_init_fdt_reserve_self": DEVICE_TREE,
}


def is_pg_dir(span: Range) -> bool:
    """Whether `span` is where ARM Linux has its first page table."""
    place = (span.size, span.base & 0xFFFF)
    return place in (
        (_PG_DIR_SIZE, _PG_DIR_OFFSET),
        (_LPAE_PG_DIR_SIZE, _LPAE_PG_DIR_OFFSET),
    )


def boot_names(spans: list[Range]) -> dict[Range, str]:
    """Those of the reserved `spans` that ARM Linux's own image explains: its table, and itself."""
    names: dict[Range, str] = {}
    table = next((span for span in spans if is_pg_dir(span)), None)
    if table is not None:
        names[table] = PG_DIR
        for span in spans:
            if table.end <= span.base < table.end + _KERNEL_DISTANCE:
                names[span] = KERNEL_IMAGE
                break
    return names


def name_of(span: Range, caller: str, tree: TreeFacts | None) -> str:
    """What `span` is reserved for by `caller`; at the least, by whom."""
    function = function_of(caller)
    if function in _CALLERS:
        return _CALLERS[function]
    if tree is not None and (what := tree.what(span)):
        return what
    return f"{function}()"


class Names:
    """What later lines call the memory that earlier ones took."""

    def __init__(self) -> None:
        self._pool: tuple[int, str] | None = None  # where, and what kind

    def told(self, text: str) -> Iterator[tuple[int | None, int | None, str]]:
        """(base, size, name) by the line `text`; None for what the line leaves open."""
        if match := _CMA.match(text):
            yield int(match[2], 16), int(match[1]) << 20, "CMA area"
        elif match := _POOL.match(text):
            self._pool = int(match[2], 16), match[1]
            yield self._pool[0], None, f"{match[1]} memory pool"
        elif match := _NODE.match(text):
            if self._pool is not None:
                base, kind = self._pool
                yield base, None, f"{'CMA area ' if kind == 'CMA' else _RESERVED}{match[1]}"
            self._pool = None
        elif match := _PLACED.match(text):
            base, last = int(match[1], 16), int(match[2], 16)
            yield base, last + 1 - base, f"{_RESERVED}{match[3]}"
        elif match := _HASH.match(text):
            yield None, int(match[2]), f"{match[1]} hash"
        elif match := _CRASH.match(text):
            yield int(match[2]) << 20, int(match[1]) << 20, "crash kernel"
