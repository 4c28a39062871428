"""What becomes of a reservation that touches, overlaps or swallows earlier ones?

    bootsim replay examples/biscuitos/memblock_reserve.py --append earlycon

Twelve ranges are reserved one after the other, and the table is shown after each: what touches or
overlaps becomes one region, a range that is reserved already changes nothing, and regions stay
sorted by address. The table is wound back at the end, so that the boot starts afresh.
"""

from bootsim.kernel.kernel import Kernel

STEPS = (
    ("Scan first region:", 0x60000000, 0x200000),
    ("Scan behine and disjunct region:", 0x62000000, 0x200000),
    ("Scan behine and conjunct region:", 0x62200000, 0x200000),
    ("Scan behine but contain regions:", 0x62300000, 0x200000),
    ("Scan contain but equal regions:", 0x62000000, 0x600000),
    ("Scan region which contain exist one:", 0x61000000, 0x2000000),
    ("Scan region which contain new one:", 0x62000000, 0x1000000),
    ("Scan region which contain and head of regions:", 0x61000000, 0x1000000),
    ("Scan equal region:", 0x61000000, 0x2000000),
    ("Scan forware and contain regions:", 0x60F00000, 0x200000),
    ("Scan forward and conjunct regions:", 0x60E00000, 0x100000),
    ("Scan forware and disjunct regions:", 0x60A00000, 0x100000),
)


def driver(kernel: Kernel) -> None:
    memblock = kernel.memblock

    _show(kernel)
    for title, base, size in STEPS:
        memblock.reserve(base, size)
        kernel.pr_info(title)
        _show(kernel)

    memblock.reserved.cnt = 1
    memblock.reserved.total_size = 0


def _show(kernel: Kernel) -> None:
    for reg in kernel.memblock.for_each_memblock("reserved"):
        kernel.pr_info(f"Region [{reg.base:#x} -- {reg.base + reg.size:#x}]")
