"""Which ranges are free, from the top down? The driver that the author's boot log was made with.

    bootsim replay examples/biscuitos/for_each_free_mem_range_reverse.py --append earlycon

It reserves two pieces, walks what is free between them, and then winds memblock's table back as
the author did: cnt to 1 and total_size to 0. The first region's base and size stay, so that
0x64000000-0x640fffff is reserved for the rest of the boot, and counted nowhere.
"""

from bootsim.kernel.kernel import NUMA_NO_NODE, Kernel


def driver(kernel: Kernel) -> None:
    memblock = kernel.memblock

    memblock.reserve(0x64000000, 0x100000)
    memblock.reserve(0x64300000, 0x100000)
    for start, end, _nid in memblock.for_each_free_mem_range_reverse(NUMA_NO_NODE):
        kernel.pr_info(f"Region: [{start:#x} - {end:#x}]")

    memblock.reserved.cnt = 1
    memblock.reserved.total_size = 0
