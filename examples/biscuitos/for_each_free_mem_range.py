"""Which ranges are free, from the bottom up?

    bootsim replay examples/biscuitos/for_each_free_mem_range.py --append earlycon

Two pieces of the one bank are reserved, so three ranges are free: below, between and above them.
They are counted nowhere: an iterator computes them from `memory` and `reserved` as it goes.
"""

from bootsim.kernel.kernel import NUMA_NO_NODE, Kernel


def driver(kernel: Kernel) -> None:
    memblock = kernel.memblock
    flags = memblock.choose_memblock_flags()

    memblock.reserve(0x64000000, 0x100000)
    memblock.reserve(0x64300000, 0x100000)
    for start, end, _nid in memblock.for_each_free_mem_range(NUMA_NO_NODE, flags):
        kernel.pr_info(f"Region: [{start:#x} - {end:#x}]")

    memblock.reserved.cnt = 1
    memblock.reserved.total_size = 0
