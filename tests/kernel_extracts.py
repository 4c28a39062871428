"""Pieces of real kernels' images and RAM, put back where they were (tests/data/realkernel_ram)."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE, LinearMap
from bootsim.machine.memory import PhysMemory
from bootsim.realkernel.image import KernelImage
from bootsim.realkernel.symbols import Symbols

DATA = Path(__file__).parent / "data" / "realkernel_ram"
EXTRACTS = tuple(sorted(path.stem for path in DATA.glob("*.xz")))


@dataclass(frozen=True, slots=True)
class Extract:
    """A kernel that has come to kmem_cache_init(). `system_map` has symbols that `image` has not:
    none of those that the kernel itself carries are data."""

    image: KernelImage
    memory: PhysMemory
    linear: LinearMap
    system_map: Mapping[str, int]


def made_image(
    code: bytes | bytearray,
    *,
    text: int,
    end: int,
    version: tuple[int, int],
    symbols: Mapping[str, int] | None = None,
    page_offset: int = 0xC0000000,
) -> KernelImage:
    """An image of `code` at virtual `text`."""
    named = symbols or {}
    return KernelImage(
        name="test",
        kind="Image",
        code=memoryview(bytes(code)),
        text=text,
        page_offset=page_offset,
        text_offset=text - page_offset,
        end=end,
        banner="",
        version=version,
        symbols=Symbols.pack(
            list(named.values()), b"T" * len(named), [name.encode() for name in named]
        ),
        digest="",
    )


@cache
def _stored(name: str) -> tuple[dict[str, Any], KernelImage, bytes]:
    """The header of a file, its image, and the pages of RAM."""
    content = lzma.decompress((DATA / f"{name}.xz").read_bytes())
    line, _, pages = content.partition(b"\n")
    head = json.loads(line)
    code = bytearray(head["code_size"])
    for number, page in _pages(head["image"], pages):
        start = number << PAGE_SHIFT
        code[start : start + PAGE_SIZE] = page[: len(code) - start]
    image = made_image(
        code,
        text=head["text"],
        end=head["end"],
        version=tuple(head["version"]),
        symbols=head["symbols"],
        page_offset=head["page_offset"],
    )
    return head, image, pages[len(head["image"]) * PAGE_SIZE :]


def load_extract(name: str) -> Extract:
    """The extract `name`, in RAM of its own."""
    head, image, pages = _stored(name)
    base, ram = head["ram"]
    memory = PhysMemory([(base, ram)])
    for number, page in _pages(head["pages"], pages):
        memory.write(number << PAGE_SHIFT, page)
    return Extract(image, memory, LinearMap(base, head["page_offset"]), head.get("system_map", {}))


def _pages(numbers: Iterable[int], content: bytes) -> Iterable[tuple[int, bytes]]:
    for index, number in enumerate(numbers):
        yield number, content[index << PAGE_SHIFT : (index + 1) << PAGE_SHIFT]
