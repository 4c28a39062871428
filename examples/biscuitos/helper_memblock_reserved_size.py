"""How much memory is reserved by now?

    bootsim replay examples/biscuitos/helper_memblock_reserved_size.py --append earlycon

memblock_reserved_size() is the sum over all reserved regions: here 208 MiB and 32 MiB.
"""

from bootsim.kernel.kernel import Kernel


def driver(kernel: Kernel) -> None:
    memblock = kernel.memblock

    memblock.reserve(0x80000000, 0xD000000)
    memblock.reserve(0x90000000, 0x2000000)
    kernel.pr_info("Memory Regions:")
    for reg in memblock.for_each_memblock("memory"):
        kernel.pr_info(f"Region: {reg.base:#x} - {reg.base + reg.size:#x}")
    kernel.pr_info("Reserved Regions:")
    for reg in memblock.for_each_memblock("reserved"):
        kernel.pr_info(f"Region: {reg.base:#x} - {reg.base + reg.size:#x}")

    kernel.pr_info(f"Reserved Memory total size: {memblock.reserved_size():#x}")
