"""How do I allocate physical memory below an address?

    bootsim replay examples/biscuitos/memblock_alloc_base.py --append earlycon

memblock_alloc_base() of Linux 5.0 takes the highest free block below its last argument, and panics
where there is none. ARCH_LOW_ADDRESS_LIMIT is the end of the address space on ARM, so the block is
the top of RAM. (Linux 5.1 dropped the function; memblock_phys_alloc_range() took its place.)
"""

from bootsim.kernel.kernel import Kernel


def driver(kernel: Kernel) -> None:
    memblock = kernel.memblock

    for reg in memblock.for_each_memblock("reserved"):
        kernel.pr_info(f"Region: {reg.base:#x} - {reg.base + reg.size:#x}")

    addr = memblock.alloc_base(0x100000, 0x1000, memblock.features.arch_low_address_limit)
    kernel.pr_info(f"Find address: {addr:#x}")

    for reg in memblock.for_each_memblock("reserved"):
        kernel.pr_info(f"Region: {reg.base:#x} - {reg.base + reg.size:#x}")
