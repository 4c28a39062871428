def driver(kernel):
    kernel.memory.fill(kernel.fdt.initial_boot_params, 0x1000, 0xFF)
    kernel.memory.fill(kernel.pa_symbol("memblock"), 48, 0xFF)
