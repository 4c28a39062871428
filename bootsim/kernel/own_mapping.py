"""What the kernel needs of itself while it changes its own page tables.

Linux checks nothing of this: it goes on in its text, with its data and its stack, or dies.
"""

from __future__ import annotations

from bootsim.errors import KernelPanic
from bootsim.kernel.kernel import Kernel

# Parts of the kernel's image that it cannot do without: name, first symbol, the one behind. Without
# the end of its .bss Debian's kernel lives for a while.
OWN_BSS = ("bss", "__bss_start", "_end")
OWN_PARTS = (
    ("text", "_stext", "_etext"),
    ("rodata", "__start_rodata", "__end_rodata"),
    ("init text", "_sinittext", "_einittext"),
    ("data", "_sdata", "__bss_start"),
)


def check_own_mapping(
    kernel: Kernel,
    start: int,
    end: int,
    function: str,
    parts: tuple[tuple[str, str, str], ...] = OWN_PARTS,
) -> None:
    """Raise KernelPanic where virtual [start, end), cleared by `function`, has held the kernel.

    By the page tables in RAM.
    """
    for name, *symbols in parts:
        first, behind = map(kernel.symbol, symbols)
        at = max(start, first)
        unmapped = kernel.first_unmapped(at, min(end, behind) - at)
        if unmapped is not None:
            raise KernelPanic(
                f"{function}: Linux has unmapped {kernel.virt_to_phys(unmapped):#010x}, in its own"
                f" {name}, and dies silently"
            )
