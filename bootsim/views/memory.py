"""Regions, the memory map and raw RAM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bootsim.errors import BootsimError
from bootsim.kernel.memblock_log import debugfs_lines
from bootsim.machine.disasm import disassemble
from bootsim.views import View, size_text
from bootsim.views.booted import Booted
from bootsim.views.categories import CATEGORIES, FREE, category
from bootsim.views.owners import Owned, owners_of, ownership

Paint = Callable[[str, str], str]

_STRIP_CELLS = 64
_HEXDUMP_MAX, _DISASM_MAX = 16 << 20, 1 << 16
_FLAGS = ((1, "hotplug"), (2, "mirror"), (4, "nomap"), (8, "driver-managed"))


def regions(boot: Booted) -> View:
    """memblock's two tables, each region with its size, flags and owners."""
    data: dict[str, Any] = {}
    lines: list[str] = []
    for name, table in (("memory", boot.memblock.memory), ("reserved", boot.memblock.reserved)):
        entries: list[dict[str, Any]] = []
        lines.append(f"{name}: {table.cnt} of {table.max} regions, {size_text(table.total_size)}")
        for index, region in enumerate(table):
            flags = flag_names(region.flags)
            owned = name == "reserved" and region.size
            owners = owners_of(boot, region.base, region.end) if owned else []
            entries.append(
                {"base": region.base, "size": region.size, "flags": flags, "owners": owners}
            )
            last = region.base + max(region.size - 1, 0)
            text = f"{index:4}: {region.base:#010x}..{last:#010x} {size_text(region.size):>10}"
            lines.append("  ".join([text, *filter(None, [*flags, _owners_text(owners)])]))
        data[name] = {
            "cnt": table.cnt,
            "max": table.max,
            "total_size": table.total_size,
            "regions": entries,
        }
    return View(data, lines)


def flag_names(flags: int) -> list[str]:
    """The names of a region's flags."""
    return [text for bit, text in _FLAGS if flags & bit]


def debugfs(boot: Booted, table: str | None = None) -> View:
    """/sys/kernel/debug/memblock/TABLE, or all of that directory (memblock_debug_show)."""
    memblock = boot.memblock
    tables = {"memory": memblock.memory, "reserved": memblock.reserved}
    shown = tables if table is None else {table: tables[table]}
    data: dict[str, list[dict[str, int]]] = {}
    lines: list[str] = []
    for name, regions_ in shown.items():
        if table is None:
            lines.append(f"/sys/kernel/debug/memblock/{name}:")
        data[name] = [{"base": r.base, "size": r.size} for r in regions_]
        lines += debugfs_lines(regions_, memblock.features)
    return View(data, lines)


def memory_map(boot: Booted, paint: Paint = lambda _letter, text: text) -> View:
    """A picture of RAM: a strip to scale for each bank, then each piece with its owner.

    `paint(letter, text)` colours a piece of the picture.
    """
    pieces = ownership(boot)
    lines: list[str] = []
    for bank in boot.memory.banks:
        inside = [p for p in pieces if bank.base <= p.base < bank.end]
        cell = max(bank.size // _STRIP_CELLS, 1)
        letters = (
            _letter(inside, bank.base + n * cell, bank.base + (n + 1) * cell)
            for n in range(_STRIP_CELLS)
        )
        strip = "".join(paint(letter, letter) for letter in letters)
        lines.append(
            f"{bank.base:#010x} |{strip}| {bank.end - 1:#010x}"
            f"   {size_text(bank.size)}, {size_text(cell)} a letter"
        )
    shown = {category(piece) for piece in pieces}
    lines.append(" " * 11 + "  ".join(f"{c.letter} {c.title}" for c in CATEGORIES if c in shown))
    lines.append("")
    for piece in pieces:
        mark = category(piece).letter
        lines.append(
            f"{piece.base:#010x}-{piece.end - 1:#010x} {size_text(piece.size):>10}"
            f"  {paint(mark, mark)} {piece.owner}"
        )
    data = [
        {"base": p.base, "size": p.size, "owner": p.owner, "reserved": p.reserved} for p in pieces
    ]
    return View(data, lines)


def hexdump(boot: Booted, address: int, length: int, *, virtual: bool) -> View:
    """`length` bytes at `address`, 16 a line; unreadable pages of a virtual range are an error."""
    _check_amount(length, _HEXDUMP_MAX, "bytes")
    content = boot.read(address, length, virtual=virtual)
    lines: list[str] = []
    previous: bytes | None = None
    for offset in range(0, length, 16):
        part = content[offset : offset + 16]
        if part == previous and offset + 16 < length:
            if lines[-1] != "*":
                lines.append("*")
            continue
        previous = part
        pairs = part.hex(" ")
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        lines.append(f"{address + offset:08x}  {pairs[:23]:23}  {pairs[24:]:23}  |{text}|")
    return View({"address": address, "virtual": virtual, "bytes": content.hex()}, lines)


def disasm(boot: Booted, address: int, count: int, *, virtual: bool) -> View:
    """`count` ARM instructions at `address`."""
    _check_amount(count, _DISASM_MAX, "instructions")
    content = boot.read(address, 4 * count, virtual=virtual)
    data: list[dict[str, object]] = []
    lines: list[str] = []
    for offset in range(0, 4 * count, 4):
        code, at = content[offset : offset + 4], address + offset
        word, text = int.from_bytes(code, "little"), disassemble(code, at, thumb=False)
        data.append({"address": at, "word": word, "text": text})
        lines.append(f"{at:08x}:  {word:08x}  {text or 'undefined'}")
    return View(data, lines)


def _check_amount(asked: int, limit: int, what: str) -> None:
    if asked > limit:
        raise BootsimError(f"{asked} {what} at once: {limit} at the most")


def iomem(boot: Booted) -> View:
    """RAM in the form of /proc/iomem (arch/arm/kernel/setup.c request_standard_resources).

    Devices register theirs long after the handover.
    """
    inner = boot.sections
    lines: list[str] = []
    data: list[dict[str, object]] = []
    for region in boot.memblock.memory:
        if not region.size:
            continue
        end = region.base + region.size
        lines.append(f"{region.base:08x}-{end - 1:08x} : System RAM")
        children = [(n, b, e) for n, b, e in inner if region.base <= b and e <= end]
        lines.extend(f"  {b:08x}-{e - 1:08x} : {n}" for n, b, e in children)
        data.append(
            {
                "name": "System RAM",
                "base": region.base,
                "size": region.size,
                "children": [{"name": n, "base": b, "size": e - b} for n, b, e in children],
            }
        )
    return View(data, lines)


def _owners_text(owners: list[str]) -> str:
    """The owners in one line, a crowd of page tables counted."""
    tables = [owner for owner in owners if owner.startswith("page table")]
    if len(tables) > 1:
        owners = [*(owner for owner in owners if owner not in tables), f"{len(tables)} page tables"]
    return ", ".join(owners)


def _letter(pieces: list[Owned], base: int, end: int) -> str:
    """The letter of what takes most of [base, end), what is small and reserved before free."""
    shares: dict[str, int] = {}
    for piece in pieces:
        overlap = min(piece.end, end) - max(piece.base, base)
        if overlap > 0:
            letter = category(piece).letter
            shares[letter] = shares.get(letter, 0) + overlap
    owned = {letter: size for letter, size in shares.items() if letter != FREE.letter}
    if owned:
        return max(owned, key=lambda letter: owned[letter])
    return FREE.letter
