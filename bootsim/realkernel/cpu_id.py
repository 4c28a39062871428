"""Which CPU a real kernel thinks it boots on: that of the board's tree, not the emulator's.

On a board the CPU that boots has an id, which its tree lists. The emulated one is number 0 and has
no others beside it, and cannot be told otherwise: so where a kernel has just found out its CPU's
id, it gets the board's (arch/arm/kernel/setup.c and devtree.c; ARM ARM DDI 0406C, B4.1.106).
"""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.realkernel.image import KernelImage

_ASKING = ("smp_setup_processor_id", "arm_dt_init_cpu_maps")
# What `is_smp() ? read_cpuid_mpidr() & MPIDR_HWID_BITMASK : 0` becomes: A8.8.18, A8.8.107, A8.8.22.
_BEQ, _BEQ_MASK = 0x0A000000, 0xFF000000  # beq behind the bic
_MRC_MPIDR, _MRC_MASK = 0xEE100FB0, 0xFFFF0FFF  # mrc p15, 0, rt, c0, c0, 5
_BIC_HWID, _BIC_MASK = 0xE3C004FF, 0xFFF00FFF  # bic rd, rn, #0xff000000
_OVER_TWO = 1  # a branch to the third word behind it, as it is encoded


def ids_found(image: KernelImage) -> Iterator[tuple[int, int]]:
    """Where the kernel has found out its CPU's id: virtual address, number of the register with it.

    None for code of another shape, which then boots on CPU 0.
    """
    for name in filter(image.symbols.__contains__, _ASKING):
        start, end = image.symbols.range_of(name)
        words = image.code[start - image.text : end - image.text]
        for at in range(0, len(words) - 11, 4):
            branch, read, mask = (
                int.from_bytes(words[at + n : at + n + 4], "little") for n in (0, 4, 8)
            )
            skips = branch & _BEQ_MASK == _BEQ and branch & 0xFFFFFF == _OVER_TWO
            reads = read & _MRC_MASK == _MRC_MPIDR and mask & _BIC_MASK == _BIC_HWID
            if skips and reads:
                yield start + at + 12, mask >> 12 & 15
