"""C structures as they lie in RAM, and the struct page of one page frame."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Iterator
from typing import Any

from bootsim.errors import BootsimError
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE
from bootsim.kernel.mm_types import PageAllocError
from bootsim.views import View
from bootsim.views.booted import Booted
from bootsim.views.owners import owners_of

STRUCTS = ("memblock", "zone")


def struct(boot: Booted, name: str) -> View:
    """Structure `name` of the booted kernel, field by field with offsets and addresses."""
    data: list[dict[str, Any]] = []
    lines: list[str] = []
    for title, virt, value in _instances(boot, name):
        phys = boot.linear.virt_to_phys(virt)
        overlaid = isinstance(value, ctypes.Structure)
        size = ctypes.sizeof(value) if overlaid else None
        told = "" if size is None else f", {size} bytes"
        lines.append(f"struct {title} at {phys:#010x} (virtual {virt:#010x}){told}")
        fields = list(_fields(value) if overlaid else _counts(value))
        lines.extend(
            f"  {_offset(offset)}  {path:32} {_text(item)}" for path, offset, item in fields
        )
        data.append(
            {
                "struct": title,
                "address": phys,
                "virtual": virt,
                "size": size,
                "fields": {path: item for path, _, item in fields},
            }
        )
    return View(data, lines)


def page(boot: Booted, pfn: int) -> View:
    """The struct page of `pfn`, decoded, and who owns the page."""
    try:
        info = boot.buddy.page(pfn)
    except PageAllocError as error:
        raise BootsimError(str(error)) from error
    start = pfn << PAGE_SHIFT
    owners = owners_of(boot, start, start + PAGE_SIZE)
    block = info.block
    data: dict[str, Any] = {
        "pfn": pfn,
        "physical": start,
        "page": info.address,
        "state": info.state.name.lower(),
        "owners": owners,
        "zone": info.zone,
        "node": info.node,
        "flags": [flag.name for flag in info.flags],
        "block": None if block is None else {"pfn": block.pfn, "order": block.order},
        "fields": {path: item for path, _, item in _fields(info.struct)},
    }
    lines = [f"pfn {pfn:#x}: physical {start:#010x}-{start + PAGE_SIZE - 1:#010x}"]
    lines.append(f"  {data['state']}, zone {info.zone}, node {info.node}: {', '.join(owners)}")
    if block is not None:
        lines.append(f"  in the free block of order {block.order} at pfn {block.pfn:#x}")
    lines.append(f"struct page at virtual {info.address:#010x}")
    lines.extend(
        f"  {offset:#06x}  {path:12} {_text(item)}" for path, offset, item in _fields(info.struct)
    )
    return View(data, lines)


def _instances(boot: Booted, name: str) -> Iterator[tuple[str, int, Any]]:
    """(title, virtual address, contents) of each structure called `name`.

    The contents lie over RAM, or are what was read of a real kernel's, whose layout is its own.
    """
    if name == "memblock":
        memblock = boot.memblock
        at = memblock.at.memblock
        overlay = memblock.layout.memblock.from_buffer(
            boot.memory.view(at, ctypes.sizeof(memblock.layout.memblock))
        )
        yield "memblock", boot.linear.phys_to_virt(at), overlay
    elif name == "zone":
        for zone in boot.buddy.zones:
            yield f"zone {zone.name}", zone.virt, zone.struct
    else:
        raise BootsimError(f"no struct '{name}': there are {', '.join(STRUCTS)}")


def _fields(
    value: ctypes.Structure, path: str = "", base: int = 0
) -> Iterator[tuple[str, int, int | bool]]:
    """(path, offset in bytes, value) of each plain field, nested structures gone into."""
    for name, *_ in value._fields_:
        offset = base + getattr(type(value), name).offset
        item = getattr(value, name)
        if isinstance(item, ctypes.Structure):
            yield from _fields(item, f"{path}{name}.", offset)
        else:
            yield f"{path}{name}", offset, item


def _counts(value: Any) -> Iterator[tuple[str, None, int]]:
    """(name, no offset, value) of each field that was read."""
    for field in dataclasses.fields(value):
        yield field.name, None, getattr(value, field.name)


def _offset(offset: int | None) -> str:
    return " " * 6 if offset is None else f"{offset:#06x}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:#x}"
    return str(value)
