"""A larger log buffer, where log_buf_len= or the number of CPUs asks for one.

Linux: kernel/printk/printk.c. Kernels before 5.10 go on in the new memory, as here; of later ones,
with descriptors beside the text, the memory is taken and the records stay where they are.
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
        kernel.pr_err("printk: log_buf over 2G is not supported.")
    if size:
        size = 1 << (size - 1).bit_length()
    if size > kernel.profile.config.log_buf_size:
        kernel.new_log_buf_len = size


def setup_log_buf(kernel: Kernel) -> None:
    """Take the larger buffer, with descriptors and infos where there are such, or do without."""
    sizes, memblock = kernel.profile.boot_sizes, kernel.memblock
    if sizes is None:
        return
    if not kernel.new_log_buf_len:
        _log_buf_add_cpu(kernel)
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
        if not length:
            continue
        virt = memblock.alloc_nopanic(length, _LOG_ALIGN, caller="setup_log_buf")
        if not virt:
            kind = "" if kernel.profile.features.printk == "5.0" else f"{what} "
            kernel.pr_err(f"printk: log_buf_len: {length} {kind}bytes not available")
            for phys, given in reversed(taken):
                memblock.phys_free(phys, given, caller="setup_log_buf")
            return
        taken.append((kernel.virt_to_phys(virt), length))
        kernel.use(*taken[-1], f"log buffer's {what}")
    free = None
    if kernel.profile.features.printk == "5.0":
        free = kernel.log_buf.move(taken[0][0], size)
    kernel.pr_info(f"printk: log_buf_len: {size} bytes")
    if free is not None:
        percent = 100 * free // kernel.profile.config.log_buf_size
        kernel.pr_info(f"printk: early log buf free: {free}({percent}%)")


def _log_buf_add_cpu(kernel: Kernel) -> None:
    """Ask for room for what each other CPU may say at once, if that is half the buffer or more."""
    default = kernel.profile.config.log_buf_size
    extra = (len(kernel.possible_cpus) - 1) * _LOG_CPU_MAX_BUF_LEN
    if extra <= default // 2:
        return
    for what, size in (
        ("individual max cpu contribution", _LOG_CPU_MAX_BUF_LEN),
        ("total cpu_extra contributions", extra),
        ("min size", default),
    ):
        kernel.pr_info(f"printk: log_buf_len {what}: {size} bytes")
    _update(kernel, extra + default)
