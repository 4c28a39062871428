"""A larger log buffer, where log_buf_len= asks for one.

Linux: kernel/printk/printk.c. The memory is taken; the records stay where they are.
"""

from __future__ import annotations

from bootsim.kernel.kernel import Kernel
from bootsim.kernel.params import memparse

EINVAL = 22
_PRB_AVGBITS = 5  # a descriptor for each 32 bytes of text
_LOG_ALIGN = 4
_LOG_BUF_LEN_MAX = 1 << 31
_LOG_CPU_MAX_BUF_LEN = 1 << 12  # CONFIG_LOG_CPU_MAX_BUF_SHIFT


def log_buf_len_setup(kernel: Kernel, value: str | None) -> int:
    """log_buf_len=: bytes, rounded up to a power of two; less than there is does nothing."""
    if value is None:
        return -EINVAL
    _update(kernel, memparse(value)[0])
    return 0


def _update(kernel: Kernel, size: int) -> None:
    if size > _LOG_BUF_LEN_MAX:
        size = _LOG_BUF_LEN_MAX
        kernel.pr_err("log_buf over 2G is not supported.")
    if size:
        size = 1 << (size - 1).bit_length()
    if size > kernel.profile.config.log_buf_size:
        kernel.new_log_buf_len = size


def setup_log_buf(kernel: Kernel) -> None:
    """Take the larger buffer, its descriptors and infos, or do without."""
    sizes, memblock = kernel.profile.boot_sizes, kernel.memblock
    if sizes is None:
        return
    default = kernel.profile.config.log_buf_size
    extra = (len(kernel.possible_cpus) - 1) * _LOG_CPU_MAX_BUF_LEN
    if not kernel.new_log_buf_len and extra > default // 2:
        _update(kernel, extra + default)
    size = kernel.new_log_buf_len
    if not size:
        return
    count = size >> _PRB_AVGBITS
    taken: list[tuple[int, int]] = []
    for what, length in (
        ("text", size),
        ("desc", count * sizes.prb_desc),
        ("info", count * sizes.printk_info),
    ):
        virt = memblock.alloc(length, _LOG_ALIGN, caller="setup_log_buf")
        if not virt:
            kernel.pr_err(f"log_buf_len: {length} {what} bytes not available")
            for phys, given in reversed(taken):
                memblock.phys_free(phys, given, caller="setup_log_buf")
            return
        taken.append((kernel.virt_to_phys(virt), length))
        kernel.use(*taken[-1], f"log buffer's {what}")
    kernel.pr_info(f"log_buf_len: {size} bytes")
