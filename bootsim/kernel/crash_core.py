"""crashkernel=: room for the kernel that runs when this one has crashed.

Linux: kernel/crash_core.c (parse_crashkernel), arch/arm/kernel/setup.c (reserve_crashkernel).
"""

from __future__ import annotations

from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memory import PAGE_SHIFT, SECTION_SIZE, round_up
from bootsim.kernel.params import memparse
from bootsim.trace import Refusal

CRASH_ALIGN = 128 << 20
_NAME = "crashkernel="
_SUFFIXES = (",high", ",low")
_U32_MASK = 0xFFFFFFFF


def reserve_crashkernel(kernel: Kernel) -> None:
    """Reserve what the last crashkernel= on the command line asks for."""
    variables = kernel.vars
    total = (variables.max_low_pfn - variables.min_low_pfn) << PAGE_SHIFT & _U32_MASK
    size, base = parse_crashkernel(kernel, kernel.boot_command_line, total)
    if not size:
        return
    asked, (start, end, align) = size, (CRASH_ALIGN, variables.arm_lowmem_limit, CRASH_ALIGN)
    if base:
        start, end, align = base, base + size, SECTION_SIZE
    memblock, asked = kernel.memblock, asked & _U32_MASK
    if kernel.profile.features.alloc_ranges == "start-and-end":
        found = memblock.phys_alloc_range(
            asked, align, start & _U32_MASK, end & _U32_MASK, caller="setup_arch"
        )
    else:
        found = memblock.find_in_range(start & _U32_MASK, end & _U32_MASK, asked, align)
        if base and found != base:
            found = 0
        if found:
            memblock.reserve(found, asked, caller="setup_arch")
    if not found:
        asked, start, end = (number & _U32_MASK for number in (asked, start, end))
        kernel.refuse(Refusal("crashkernel", base, asked, start=start, end=end, align=align))
        why = "memory is in use" if base else "No suitable area found"
        kernel.pr_err(f"crashkernel reservation failed - {why}.")
        return
    base = base or found
    kernel.use(found, asked, "crash kernel")
    kernel.pr_info(
        f"Reserving {size >> 20}MB of memory at {base >> 20}MB for crashkernel"
        f" (System RAM: {total >> 20}MB)"
    )


def parse_crashkernel(kernel: Kernel, cmdline: str, system_ram: int) -> tuple[int, int]:
    """(size, base) in bytes: of `size[@base]`, or of the range in `range:size,...[@base]` that
    holds `system_ram`. A size of 0 stands for none, and for what is malformed."""
    text = _last_crashkernel(cmdline)
    if text is None:
        if _NAME in cmdline:
            words = f"each has {' or '.join(_SUFFIXES)}, which ARM does not look at"
            kernel.refuse(Refusal("crashkernel-format", 0, 0, other=words))
        return 0, 0
    if ":" in text.split(" ", 1)[0]:
        return _parse_mem(kernel, text, round_up(system_ram, CRASH_ALIGN))
    size, rest = memparse(text)
    if rest == text:
        return _malformed(kernel, "crashkernel: memory value expected")
    if rest.startswith("@"):
        return size, memparse(rest[1:])[0]
    if rest and not rest.startswith(" "):
        return _malformed(kernel, f"crashkernel: unrecognized char: {rest[0]}")
    return size, 0


def _malformed(kernel: Kernel, words: str) -> tuple[int, int]:
    kernel.refuse(Refusal("crashkernel-format", 0, 0, other=words))
    kernel.pr_warn(words)
    return 0, 0


def _last_crashkernel(cmdline: str) -> str | None:
    """What follows the last crashkernel= that has no suffix for high or low memory."""
    found, at = None, cmdline.find(_NAME)
    while at >= 0:
        if not cmdline[at:].split(" ", 1)[0].endswith(_SUFFIXES):
            found = cmdline[at + len(_NAME) :]
        at = cmdline.find(_NAME, at + 1)
    return found


class _Malformed(Exception):
    """What Linux says of a value that it cannot read."""


def _parse_mem(kernel: Kernel, text: str, total: int) -> tuple[int, int]:
    """parse_crashkernel_mem(): start-[end]:size,start-[end]:size[@base]."""
    try:
        size, rest = _matching_range("," + text, total)
        if not size:
            kernel.pr_info("crashkernel size resulted in zero bytes")
            return 0, 0
        _, at, base = rest.split(" ", 1)[0].partition("@")
        return size, _number(base, "Memory value expected after '@'")[0] if at else 0
    except _Malformed as error:
        return _malformed(kernel, str(error))


def _matching_range(rest: str, total: int) -> tuple[int, str]:
    """The size for `total` bytes of memory, 0 if no range has it, and what follows."""
    while rest.startswith(","):
        start, rest = _number(rest[1:], "crashkernel: Memory value expected")
        if not rest.startswith("-"):
            raise _Malformed("crashkernel: '-' expected")
        rest, end = rest[1:], 1 << 64
        if not rest.startswith(":"):
            end, rest = _number(rest, "crashkernel: Memory value expected")
            if end <= start:
                raise _Malformed("crashkernel: end <= start")
        if not rest.startswith(":"):
            raise _Malformed("crashkernel: ':' expected")
        size, rest = _number(rest[1:], "Memory value expected")
        if size >= total:
            raise _Malformed("crashkernel: invalid size")
        if start <= total < end:
            return size, rest
    return 0, rest


def _number(text: str, complaint: str) -> tuple[int, str]:
    value, rest = memparse(text)
    if rest == text:
        raise _Malformed(complaint)
    return value, rest
