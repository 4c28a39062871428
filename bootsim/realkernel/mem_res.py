"""Where a running kernel says that it lies: what /proc/iomem shows of it.

Linux: arch/arm/kernel/setup.c, mem_res[] and request_standard_resources(); include/linux/ioport.h.
"""

from __future__ import annotations

from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.contents import WORD, constants, find

_KERNEL_DATA = b"Kernel data\0"
_NAME = 2 * WORD  # struct resource, with addresses of 32 bits: start, end, name


def kernel_data(boot: RealBoot) -> tuple[int, int] | None:
    """Virtual [start, end) of the kernel's data, _sdata to _end, once it has made that known."""
    image = boot.image
    for text in find(image.code, _KERNEL_DATA, start=constants(image)):
        pointer = (image.text + text).to_bytes(WORD, "little")
        for at in find(image.code, pointer, align=WORD, start=constants(image)):
            phys = boot.linear.virt_to_phys(image.text + at - _NAME)
            found = boot.memory.read(phys, _NAME)
            start, last = (
                boot.linear.phys_to_virt(int.from_bytes(found[n : n + WORD], "little"))
                for n in (0, WORD)
            )
            if image.text <= start < last + 1 <= image.end:
                return start, last + 1
    return None
