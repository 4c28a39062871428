"""bootsim: see what an ARM32 Linux kernel does with physical memory before the buddy allocator."""
