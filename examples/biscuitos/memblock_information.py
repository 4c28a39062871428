"""What can I ask memblock, and what does it answer early in the boot?

    bootsim replay examples/biscuitos/memblock_information.py --append earlycon

Its regions and their sums, where RAM starts and ends, whether an address or a range is memory or
reserved, what kind of memory a region is, and how far and in which direction allocations go: no
limit, from the top down.
"""

from bootsim.kernel.kernel import Kernel


def driver(kernel: Kernel) -> None:
    memblock, say = kernel.memblock, kernel.pr_info

    memblock.reserve(0x80000000, 0xD000000)
    memblock.reserve(0x90000000, 0x2000000)
    say("Memory Regions:")
    for reg in memblock.for_each_memblock("memory"):
        say(f"Region: {reg.base:#x} - {reg.base + reg.size:#x}")
    say("Reserved Regions:")
    for reg in memblock.for_each_memblock("reserved"):
        say(f"Region: {reg.base:#x} - {reg.base + reg.size:#x}")

    say(f"Phyiscal Memory total size: {memblock.phys_mem_size():#x}")
    say(f"Reserved Memory total size: {memblock.reserved_size():#x}")
    say(f"Start address of DRAM:      {memblock.start_of_DRAM():#x}")
    say(f"End address of DRAM:        {memblock.end_of_DRAM():#x}")

    addr, size = 0x81000000, 0x100000
    if memblock.is_reserved(addr):
        say(f"Address: {addr:#x} in reserved.")
    addr = 0x62000000
    if memblock.is_memory(addr):
        say(f"Address: {addr:#x} in memory.")
    if memblock.is_region_memory(addr, size):
        say(f"Region: [{addr:#x} - {addr + size:#x}] in memblock.memory.")
    addr = 0x80000000
    if memblock.is_region_reserved(addr, size):
        say(f"Region: [{addr:#x} - {addr + size:#x}] in memblock.reserved.")

    limit = memblock.get_current_limit()
    say(f"MEMBLOCK current_limit: {limit:#x}")
    memblock.set_current_limit(limit)

    bank = memblock.memory[0]
    say(f"MEMBLOCK memory.regions[0] is{_not(memblock.is_hotpluggable(bank))} hotpluggable.")
    say(f"MEMBLOCK memory.regions[0] is{_not(memblock.is_mirror(bank))} mirror.")
    say(f"MEMBLOCK memory.regions[0] is{_not(memblock.is_nomap(bank))} nomap.")
    nid = memblock.get_region_node(bank)
    say(f"MEMBLOCK memory.regions[0] nid: {nid:#x}")
    memblock.set_region_node(memblock.memory, 0, nid)

    bottom_up = memblock.bottom_up()
    say(f"MEMBLOCK direction: {'bottom-up' if bottom_up else 'top-down'}")
    memblock.set_bottom_up(bottom_up)


def _not(answer: bool) -> str:
    return "" if answer else " not"
