"""What does memblock_phys_alloc_try_nid() give, before anything is reserved?

    bootsim replay examples/biscuitos/memblock_phys_alloc_try_nid.py --append earlycon

The driver runs right after the command line was kept: memblock knows the RAM, and nothing is
reserved yet. An allocation comes from the top of memory and becomes the first reserved region.
"""

from bootsim.kernel.kernel import NUMA_NO_NODE, Kernel


def driver(kernel: Kernel) -> None:
    memblock = kernel.memblock

    for reg in memblock.for_each_memblock("reserved"):
        kernel.pr_info(f"Region: {reg.base:#x} - {reg.base + reg.size:#x}")

    addr = memblock.phys_alloc_try_nid(0x100000, 0x1000, NUMA_NO_NODE)
    kernel.pr_info(f"Find address: {addr:#x}")

    for reg in memblock.for_each_memblock("reserved"):
        kernel.pr_info(f"Region: {reg.base:#x} - {reg.base + reg.size:#x}")
