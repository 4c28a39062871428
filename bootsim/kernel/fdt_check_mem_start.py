"""Where the kernel's decompressor takes RAM to begin.

Linux: arch/arm/boot/compressed, head.S and fdt_check_mem_start.c.
"""

from __future__ import annotations

from bootsim.kernel.libfdt import Fdt, FdtNode
from bootsim.kernel.memory import PMD_SIZE, round_up

_AUTO_ZRELADDR_MASK = 0xF8000000  # head.S: RAM is thought to begin at a multiple of 128 MiB
_CELLS_MAX = 2
_U32 = 0xFFFFFFFF


def mem_start_of(pc: int) -> int:
    """The start of RAM by the place of the zImage alone, physical address `pc` in it."""
    return pc & _AUTO_ZRELADDR_MASK


def fdt_check_mem_start(mem_start: int, fdt: Fdt) -> int:
    """The start of RAM: `mem_start` if the tree has memory there, else where its lowest begins.

    Physical addresses; the latter is rounded up to 2 MiB. All memory nodes count, whatever their
    status; with linux,usable-memory-range in /chosen only what lies in it, and `mem_start` does not
    count then. `mem_start`, too, if the tree has no memory.
    """
    address_cells, size_cells = _cells(fdt.root, "address"), _cells(fdt.root, "size")
    if max(address_cells, size_cells) > _CELLS_MAX:
        return mem_start
    chosen = fdt.root.find("/chosen")
    value = chosen.props.get("linux,usable-memory-range", b"") if chosen is not None else b""
    usable = next(iter(_entries(value, address_cells, size_cells)), None)
    if usable is not None and (not usable[1] or usable[0] > _U32):
        return mem_start
    lowest = _U32
    for node in fdt.root.walk():
        if node.string("device_type") != "memory":
            continue
        reg = node.props.get("linux,usable-memory", node.props.get("reg", b""))
        for base, size in _entries(reg, address_cells, size_cells):
            if not size or base > _U32:
                continue
            if usable is None and base <= mem_start < base + size:
                return mem_start
            if usable is not None:
                end = min(base + size, usable[0] + usable[1])
                base = max(base, usable[0])
                if end <= base:
                    continue
            lowest = min(lowest, base)
    return mem_start if lowest == _U32 else round_up(lowest, PMD_SIZE) & _U32


def _cells(root: FdtNode, what: str) -> int:
    value = root.props.get(f"#{what}-cells", b"")
    return int.from_bytes(value[:4], "big") if len(value) >= 4 else 1


def _entries(value: bytes, address_cells: int, size_cells: int) -> list[tuple[int, int]]:
    address, entry = 4 * address_cells, 4 * (address_cells + size_cells)
    if not entry:
        return []
    return [
        (
            int.from_bytes(value[at : at + address], "big"),
            int.from_bytes(value[at + address : at + entry], "big"),
        )
        for at in range(0, len(value) - entry + 1, entry)
    ]
