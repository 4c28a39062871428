"""What a boot loader does to a device tree before it starts Linux: it fills in /chosen.

The blob is edited in place, as libfdt (and with it U-Boot and QEMU) does: a new property comes
first in its node, a new /chosen before the other subnodes, and nothing else moves or changes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from bootsim.devicetree.blob import (
    FDT_LAST_COMPATIBLE_VERSION,
    FDT_MAGIC,
    FDT_VERSION,
    Entry,
    Header,
    Token,
    entries,
    memreserve_entries,
    read_header,
)
from bootsim.errors import DeviceTreeError

_HEADER = struct.Struct(">10I")
_BEGIN_CHOSEN = struct.pack(">I8s", Token.FDT_BEGIN_NODE, b"chosen")
_END_NODE = struct.pack(">I", Token.FDT_END_NODE)


def set_chosen(
    data: bytes,
    *,
    bootargs: str | None = None,
    initrd: tuple[int, int] | None = None,
    name: str = "device tree",
) -> bytes:
    """Blob `data` with `bootargs` and `initrd` in /chosen; what is None stays as the tree has it.

    `initrd` is the physical (start, end) of the initial RAM disk, end exclusive, in bytes; it is
    written as 32-bit cells, or 64-bit ones where the root's #address-cells is 2. The blob's free
    space is used; it grows only if there is too little. Bytes past totalsize are cut off.
    Raises DeviceTreeError.
    """
    header = read_header(data, name)
    blob = data[: header.totalsize]
    place = _find_chosen(blob, header, name)
    values: dict[str, bytes] = {}
    if bootargs is not None:
        if "\0" in bootargs:
            raise DeviceTreeError(f"{name}: /chosen: bootargs with a NUL in it: {bootargs!r}")
        values["bootargs"] = bootargs.encode("utf-8", "surrogateescape") + b"\0"
    if initrd is not None:
        # libfdt's fdt_address_cells(): 2 where the root has no such property.
        size = 8 if place.address_cells in (None, 2) else 4
        start, end = initrd
        if not 0 <= start <= end < 1 << 8 * size:
            raise DeviceTreeError(
                f"{name}: /chosen: initrd from {start:#x} to {end:#x} is not a range of "
                f"{8 * size}-bit addresses"
            )
        values["linux,initrd-start"] = start.to_bytes(size, "big")
        values["linux,initrd-end"] = end.to_bytes(size, "big")
    return _edit(blob, header, place, values) if values else blob


@dataclass(slots=True)
class _Place:
    """Where /chosen is in the structure block, or is to come; offsets are the blob's."""

    exists: bool = False
    insert: int = 0  # the first thing inside /chosen, or where the node itself is to come
    properties: dict[str, Entry] = field(default_factory=dict)
    address_cells: int | None = None  # the root's
    struct_end: int = 0


def _find_chosen(blob: bytes, header: Header, name: str) -> _Place:
    place = _Place()
    in_chosen = seen_subnode = False
    for entry in entries(blob, header, name):
        match entry.token, entry.depth:
            case Token.FDT_PROP, 1 if entry.name == "#address-cells":
                if place.address_cells is None:
                    value = blob[entry.value : entry.value + entry.size]
                    place.address_cells = int.from_bytes(value, "big")
            case Token.FDT_PROP, 2 if in_chosen:
                place.properties.setdefault(entry.name, entry)
            case Token.FDT_BEGIN_NODE, 2:
                seen_subnode = True
                in_chosen = not place.exists and entry.name.split("@")[0] == "chosen"
                if in_chosen:
                    place.exists = True
                    place.insert = entry.end
            case Token.FDT_END, _:
                place.struct_end = entry.end
        if entry.depth == 1 and not seen_subnode and entry.token != Token.FDT_END_NODE:
            place.insert = entry.end
    return place


def _edit(blob: bytes, header: Header, place: _Place, values: dict[str, bytes]) -> bytes:
    """The blob with properties `values` in /chosen, its blocks one after another as dtc lays
    them out."""
    strings_end = header.off_dt_strings + header.size_dt_strings
    strings = blob[header.off_dt_strings : strings_end]
    edits: list[tuple[int, int, bytes]] = []
    added = b""
    for key, value in values.items():
        if old := place.properties.get(key):
            (name_offset,) = struct.unpack_from(">I", blob, old.offset + 8)
            edits.append((old.offset, old.end, _property(name_offset, value)))
            continue
        wanted = key.encode("ascii") + b"\0"
        name_offset = strings.find(wanted)
        if name_offset < 0:
            name_offset = len(strings)
            strings += wanted
        added = _property(name_offset, value) + added
    if not place.exists:
        added = _BEGIN_CHOSEN + added + _END_NODE
    edits.append((place.insert, place.insert, added))

    pieces = []
    done = header.off_dt_struct
    for start, end, replacement in sorted(edits):
        pieces += [blob[done:start], replacement]
        done = end
    structure = b"".join([*pieces, blob[done : place.struct_end]])
    count = len(memreserve_entries(blob, "")) + 1  # and the entry of zeros
    reserve = blob[header.off_mem_rsvmap : header.off_mem_rsvmap + 16 * count]
    return _assemble(header, reserve, structure, strings)


def _assemble(header: Header, reserve: bytes, structure: bytes, strings: bytes) -> bytes:
    off_struct = _HEADER.size + len(reserve)
    off_strings = off_struct + len(structure)
    size = off_strings + len(strings)
    totalsize = max(size, header.totalsize)
    new_header = _HEADER.pack(
        FDT_MAGIC,
        totalsize,
        off_struct,
        off_strings,
        _HEADER.size,
        FDT_VERSION,
        FDT_LAST_COMPATIBLE_VERSION,
        header.boot_cpuid_phys,
        len(strings),
        len(structure),
    )
    return b"".join((new_header, reserve, structure, strings, bytes(totalsize - size)))


def _property(name_offset: int, value: bytes) -> bytes:
    head = struct.pack(">III", Token.FDT_PROP, len(value), name_offset)
    return head + value + bytes(-len(value) % 4)
