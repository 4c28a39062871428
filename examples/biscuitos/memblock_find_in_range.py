"""Where would an allocation go, from the top down and from the bottom up?

    bootsim replay examples/biscuitos/memblock_find_in_range.py --symbol _end=0x80b95258

memblock_find_in_range() finds a place and reserves nothing. From the top down it is the end of
memory; from the bottom up Linux 5.0 starts at the first aligned address above the kernel's end,
and in a window of its own, at the window's start. The author's build ended at 0x60b95258, hence
--symbol: the profile's _end is that of another build.
"""

from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memblock import MEMBLOCK_LOW_LIMIT


def driver(kernel: Kernel) -> None:
    memblock = kernel.memblock
    low, high = MEMBLOCK_LOW_LIMIT, memblock.features.arch_low_address_limit

    memblock.reserve(0x64000000, 0x100000)
    memblock.reserve(0x64300000, 0x100000)
    end = kernel.pa_symbol("_end")
    bottom_up = memblock.bottom_up()

    for reg in memblock.for_each_memblock("memory"):
        kernel.pr_info(f"Memory-Region:   {reg.base:#x} - {reg.base + reg.size:#x}")
    for reg in memblock.for_each_memblock("reserved"):
        kernel.pr_info(f"Reserved-Region: {reg.base:#x} - {reg.base + reg.size:#x}")
    kernel.pr_info(f"Kernel End addr: {end:#x}")

    memblock.set_bottom_up(False)
    addr = memblock.find_in_range(low, high, 0x100000, 0x1000)
    kernel.pr_info(f"Top-down Addre:  {addr:#x}")

    memblock.set_bottom_up(True)
    addr = memblock.find_in_range(low, high, 0x100000, 0x1000)
    kernel.pr_info(f"Bottom-up Addr:  {addr:#x}")

    memblock.set_bottom_up(True)
    addr = memblock.find_in_range(0x64100000, 0x64300000, 0x100000, 0x1000)
    kernel.pr_info(f"Speical Address: {addr:#x}")

    memblock.reserved.cnt = 1
    memblock.reserved.total_size = 0
    memblock.set_bottom_up(bottom_up)
