"""Is there RAM at this address?

    bootsim replay examples/biscuitos/helper_memblock_is_memory.py --append earlycon

memblock_is_memory() tells, whether or not the address is reserved: 0x62000000 lies in the bank.
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

    addr = 0x62000000
    if memblock.is_memory(addr):
        kernel.pr_info(f"Address: {addr:#x} in memory.")
