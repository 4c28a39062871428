"""What does one step of the iterator over reserved regions give?

    bootsim replay examples/biscuitos/__next_reserved_mem_region.py --append earlycon

The first region, with its *last byte*: 0x68ffffff, where the table itself tells base and size. Up
to Linux 5.9 this is what for_each_reserved_mem_region() steps with. In Python the index goes in
and the next index comes out.
"""

from bootsim.kernel.kernel import Kernel


def driver(kernel: Kernel) -> None:
    memblock = kernel.memblock

    memblock.reserve(0x68000000, 0x1000000)
    memblock.reserve(0x78000000, 0x2000000)
    for reg in memblock.for_each_memblock("reserved"):
        kernel.pr_info(f"Region: {reg.base:#x} - {reg.base + reg.size:#x}")

    step = memblock.next_reserved_mem_region(0)
    if step is not None:
        _idx, start, end = step
        kernel.pr_info(f"Next-Region: {start:#x} - {end:#x}")

    memblock.reserved.cnt = 1
    memblock.reserved.total_size = 0
