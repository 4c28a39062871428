"""Can I add RAM that the device tree does not know of?

    bootsim replay examples/biscuitos/memblock_add.py --append earlycon

memblock believes anything: 256 MiB at 0xb0000000 become a second region of memory, though there
is nothing on the bus. Kept, it would be used; so the driver takes it out again by writing into the
table, and has allocations end where the real bank ends.
"""

from bootsim.kernel.kernel import Kernel


def driver(kernel: Kernel) -> None:
    memblock = kernel.memblock

    for reg in memblock.for_each_memblock("memory"):
        kernel.pr_info(f"Region: {reg.base:#x} - {reg.base + reg.size:#x}")

    kernel.pr_info("Add pseudo memory")
    memblock.add(0xB0000000, 0x10000000)
    for reg in memblock.for_each_memblock("memory"):
        kernel.pr_info(f"Region: {reg.base:#x} - {reg.base + reg.size:#x}")

    first = memblock.memory[0]
    memblock.memory.cnt = 1
    memblock.memory.total_size = first.size
    memblock.current_limit = first.base + first.size
