"""What is in one table and not in another, from the top down?

    bootsim replay examples/biscuitos/for_each_mem_range_rev.py --append earlycon

for_each_mem_range_rev() of Linux 5.0 takes any two tables. With `memory` and `reserved` it gives
the free ranges; for_each_free_mem_range_reverse() is short for just that. In Python the form of
eight arguments is called each_mem_range_rev().
"""

from bootsim.kernel.kernel import NUMA_NO_NODE, Kernel


def driver(kernel: Kernel) -> None:
    memblock = kernel.memblock
    flags = memblock.choose_memblock_flags()

    memblock.reserve(0x64000000, 0x100000)
    memblock.reserve(0x64300000, 0x100000)
    ranges = memblock.each_mem_range_rev(memblock.memory, memblock.reserved, NUMA_NO_NODE, flags)
    for start, end, _nid in ranges:
        kernel.pr_info(f"Region: [{start:#x} - {end:#x}]")

    memblock.reserved.cnt = 1
    memblock.reserved.total_size = 0
