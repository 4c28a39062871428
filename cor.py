def driver(kernel):
    m = kernel.memblock
    m.reserved.cnt = 5000
