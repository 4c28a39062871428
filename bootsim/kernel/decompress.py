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


@dataclass(frozen=True, slots=True)
class Written:
    """Memory that is written to, and by what."""

    what: str
    place: Range


def written_by_zimage(
    kernel: Range, image_size: int, zimage: Range | None = None
) -> Iterator[Written]:
    """All memory that is overwritten up to start_kernel().

    `kernel` is what Linux takes from _text to _end, of which `image_size` bytes are unpacked and
    the rest cleared as .bss; `zimage` is where the boot loader put that. A zImage that lies where
    it unpacks to moves itself behind that before. Without `zimage` only what any kernel writes.
    """
    yield Written("the first page table", Range(kernel.base - _PG_DIR, _PG_DIR))
    yield Written("the unpacked kernel", Range(kernel.base, image_size))
    if zimage is not None:
        working = _STACK_SIZE + _MALLOC_SIZE
        end = zimage.end + working + _PG_DIR
        if kernel.base >= end or kernel.base + image_size <= zimage.base:
            yield Written("the decompressor's stack and heap", Range(zimage.end, working))
        else:
            to = round_up(kernel.base + image_size + _RELOC_CODE, _MOVE_ALIGN)
            moved = Range(to, zimage.size + working)
            yield Written("the zImage, moved out of its own way,", moved)
    bss = Range(kernel.base + image_size, kernel.size - image_size)
    yield Written("the kernel's .bss", bss)
