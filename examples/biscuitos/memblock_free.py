"""Can I give back half of what was reserved?

    bootsim replay examples/biscuitos/memblock_free.py --append earlycon

Yes: memblock_free() takes any range out of `reserved`, and the region is cut. Up to Linux 5.15 its
argument is a physical address; from 5.16 that function is memblock_phys_free().
"""

from bootsim.kernel.kernel import Kernel


def driver(kernel: Kernel) -> None:
    memblock = kernel.memblock

    memblock.reserve(0x78000000, 0x2000000)
    for reg in memblock.for_each_memblock("reserved"):
        kernel.pr_info(f"Region: {reg.base:#x} - {reg.base + reg.size:#x}")

    kernel.pr_info("Free special region.")
    memblock.free(0x78000000, 0x1000000)
    for reg in memblock.for_each_memblock("reserved"):
        kernel.pr_info(f"Region: {reg.base:#x} - {reg.base + reg.size:#x}")

    memblock.reserved.cnt = 1
    memblock.reserved.total_size = 0
