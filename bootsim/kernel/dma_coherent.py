"""Coherent DMA memory: no-map pools that a device has for itself.

Linux: kernel/dma/coherent.c.
"""

from __future__ import annotations

from bootsim.kernel.kernel import Kernel, ReservedMem

EINVAL = 22


def rmem_dma_setup(kernel: Kernel, region: ReservedMem) -> int:
    """Make a no-map pool a coherent DMA pool; 0 or a negative errno."""
    props = region.node.props
    if "reusable" in props:
        return -EINVAL
    if "no-map" not in props:
        kernel.pr_err("Reserved memory: regions without no-map are not yet supported")
        return -EINVAL
    kernel.pr_info(
        f"Reserved memory: created DMA memory pool at {region.base:#010x},"
        f" size {region.size >> 20} MiB"
    )
    return 0
