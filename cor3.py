HOOK = "bootmem_init"


def driver(kernel):
    kernel.memory.fill(kernel.buddy.mem_map.phys, 0x100000, 0xFF)
