"""Which functions of a kernel call which, by the branches in their code.

Of ARM code, as kernels without CONFIG_THUMB2_KERNEL have it: calls through pointers are not seen,
and what the compiler has inlined is its caller's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from bootsim.realkernel.image import KernelImage

# ARM ARM DDI 0406C, A8.8.18 (B) and A8.8.25 (BL): any condition, and 24 bits of words.
_BRANCH_MASK, _BRANCH = 0x0E000000, 0x0A000000
_UNCONDITIONAL = 0xF  # in the condition's place: other instructions (BLX to Thumb code)
_PC_AHEAD = 8  # bytes
_U32_MASK = 0xFFFFFFFF


def calls(image: KernelImage, function: str) -> Iterator[str]:
    """The functions that `function` branches to, in the order of its code."""
    start, end = image.symbols.range_of(function)
    code = bytes(image.code[max(start - image.text, 0) : max(end - image.text, 0)])
    for number, (word,) in enumerate(struct.iter_unpack("<I", code[: len(code) // 4 * 4])):
        if word & _BRANCH_MASK != _BRANCH or word >> 28 == _UNCONDITIONAL:
            continue
        words = (word & 0xFFFFFF) - ((word & 0x800000) << 1)
        target = start + 4 * number + _PC_AHEAD + 4 * words & _U32_MASK
        symbol = image.symbols.at(target)
        if symbol is not None and symbol.address == target:
            yield symbol.name


def reaches(image: KernelImage, function: str, target: str, *, depth: int) -> bool:
    """Whether `function` calls `target`, itself or through up to `depth` functions."""
    if function not in image.symbols or target not in image.symbols:
        return False
    called = {*calls(image, function)} - {function}
    if target in called:
        return True
    return depth > 0 and any(reaches(image, name, target, depth=depth - 1) for name in called)
