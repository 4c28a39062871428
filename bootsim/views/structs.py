"""C structures as they lie in RAM, and the struct page of one page frame."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

from bootsim.boot import Boot
from bootsim.errors import BootsimError
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE
from bootsim.views import View
from bootsim.views.owners import owners_of

STRUCTS = ("memblock", "pglist_data", "zone")


def struct(boot: Boot, name: str) -> View:
    """Structure `name` of the booted kernel, field by field with offsets and addresses."""
    data: list[dict[str, Any]] = []
    lines: list[str] = []
    for title, phys, value in _instances(boot, name):
        virt = boot.started_kernel.phys_to_virt(phys)
        lines.append(f"struct {title} at {phys:#010x} (virtual {virt:#010x}),"
                     f" {ctypes.sizeof(value)} bytes")
        fields = list(_fields(value))
        lines.extend(f"  {offset:#06x}  {path:32} {_text(item)}" for path, offset, item in fields)
        data.append(
            {
                "struct": title,
                "address": phys,
                "virtual": virt,
                "size": ctypes.sizeof(value),
                "fields": {path: item for path, _, item in fields},
            }
        )
    return View(data, lines)


def page(boot: Boot, pfn: int) -> View:
    """The struct page of `pfn`, decoded, and who owns the page."""
    allocator = boot.buddy
    described = allocator.describe(pfn)
    start = pfn << PAGE_SHIFT
    owners = owners_of(boot, start, start + PAGE_SIZE)
    data = {"pfn": pfn, "address": start, "owners": owners, **described}
    lines = [f"pfn {pfn:#x}: physical {start:#010x}-{start + PAGE_SIZE - 1:#010x}"]
    lines.append(f"  owner         {', '.join(owners)}")
    lines.extend(f"  {name:12}  {_text(value)}" for name, value in described.items())
    return View(data, lines)


def _instances(boot: Boot, name: str) -> Iterator[tuple[str, int, ctypes.Structure]]:
    if name == "memblock":
        yield "memblock", boot.started_kernel.pa_symbol("memblock"), boot.memblock.struct
    elif name in ("zone", "pglist_data"):
        yield from boot.buddy.structs(name)
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


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:#x}"
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return str(value)
