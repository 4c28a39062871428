"""What lies in a kernel's image, looked for by its contents.

Linux: arch/arm/kernel/vmlinux.lds.S. Code comes first, then constants, then what only the boot
needs, code before data, then data. Even a kernel whose symbols are but functions has the symbols in
between, so that a search need not go through all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from mmap import mmap

from bootsim.realkernel.image import KernelImage

WORD = 4


def find(
    where: bytes | memoryview | mmap,
    what: bytes,
    *,
    align: int = 1,
    start: int = 0,
    end: int | None = None,
) -> Iterator[int]:
    """The offsets in [start, end), multiples of `align`, at which the bytes `what` are."""
    pattern = re.compile(re.escape(what), re.DOTALL)
    for match in pattern.finditer(where, start, len(where) if end is None else end):
        if match.start() % align == 0:
            yield match.start()


def constants(image: KernelImage) -> int:
    """The offset in the image behind its code: constants and data are found from there on."""
    return _offset(image, "_etext")


def data(image: KernelImage) -> int:
    """The offset in the image behind its __init code: data, __init or not, are from there on."""
    return _offset(image, "_einittext")


def word(image: KernelImage, virt: int) -> int | None:
    """The word that the image has at virtual address `virt`, None outside of it."""
    offset = virt - image.text
    if offset < 0 or offset + WORD > len(image.code):
        return None
    return int.from_bytes(image.code[offset : offset + WORD], "little")


def string_is(image: KernelImage, virt: int, text: str) -> bool:
    """Whether the image has the C string `text` at virtual address `virt`."""
    offset, wanted = virt - image.text, text.encode() + b"\0"
    return offset >= 0 and image.code[offset : offset + len(wanted)] == wanted


def _offset(image: KernelImage, symbol: str) -> int:
    virt = image.symbols.get(symbol)
    return 0 if virt is None else max(virt - image.text, 0)
