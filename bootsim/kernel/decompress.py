"""What a zImage writes to before Linux starts: nobody looks whether something lies there.

Linux: arch/arm/boot/compressed/head.S.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bootsim.kernel.memory import round_up
from bootsim.machine.memory import Range

_PG_DIR = 0x4000  # the page table right below the kernel: cache_on, and later head.S
_MALLOC_SIZE = 64 << 10  # the decompressor's heap, above its stack
_STACK_SIZE = 4 << 10  # .stack, behind its .bss
_RELOC_CODE = 0x400  # between `restart` and `reloc_code_end`, rounded up: less in all builds
_MOVE_ALIGN = 256
_TREE_ALIGN = 8


@dataclass(frozen=True, slots=True)
class Written:
    """Memory that is written to, and by what."""

    what: str
    place: Range


def written_by_zimage(
    kernel: Range, image_size: int, zimage: Range | None = None, appended: int = 0
) -> Iterator[Written]:
    """All memory that is overwritten up to start_kernel().

    `kernel` is what Linux takes from _text to _end, of which `image_size` bytes are unpacked and
    the rest cleared as .bss; `zimage` is where the boot loader put that, with a tree of `appended`
    bytes right behind it. Without `zimage` only what any kernel writes.
    """
    yield Written("the first page table", Range(kernel.base - _PG_DIR, _PG_DIR))
    yield Written("the unpacked kernel", Range(kernel.base, image_size))
    if zimage is not None:
        to = zimage_moves_to(kernel, image_size, zimage, appended)
        working = _STACK_SIZE + _MALLOC_SIZE
        size = zimage.size + round_up(appended, _TREE_ALIGN)
        if to is None:
            yield Written("the decompressor's stack and heap", Range(zimage.base + size, working))
        else:
            yield Written("the zImage, moved out of its own way", Range(to, size + working))
    bss = Range(kernel.base + image_size, kernel.size - image_size)
    yield Written("the kernel's .bss", bss)


def zimage_moves_to(kernel: Range, image_size: int, zimage: Range, appended: int = 0) -> int | None:
    """Where a zImage goes that lies where it unpacks to; None where it can stay.

    Parameters as above. It keeps an appended tree out of the way of .bss as well.
    """
    size = zimage.size + round_up(appended, _TREE_ALIGN)
    bss = kernel.size - image_size
    unpacked = image_size + (max(bss - zimage.size, 0) if appended else 0)
    end = zimage.base + size + _STACK_SIZE + _MALLOC_SIZE + _PG_DIR
    if kernel.base >= end or kernel.base + unpacked <= zimage.base:
        return None
    return round_up(kernel.base + unpacked + _RELOC_CODE, _MOVE_ALIGN)
