"""Names of page, allocation and mapping flags as the kernel prints them.

Linux 6.1: include/trace/events/mmflags.h, include/linux/gfp_types.h, include/linux/mm.h, for a
32-bit machine without CONFIG_KASAN_HW_TAGS and CONFIG_MEM_SOFT_DIRTY.
"""

from __future__ import annotations

from typing import Final

from bootsim.kernel.mm_types import PageFlag

# Masks with their names in the order in which the kernel tries them: the first that is wholly set
# is printed and taken away.
FlagNames = tuple[tuple[int, bytes], ...]

_PAGE_FLAG_ORDER = (
    "locked waiters error referenced uptodate dirty lru active workingset slab owner_priv_1 arch_1 "
    "reserved private private_2 writeback head mappedtodisk reclaim swapbacked unevictable mlocked"
)
_GFP_BITS = (
    "DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS ZERO ATOMIC DIRECT_RECLAIM KSWAPD_RECLAIM "
    "WRITE NOWARN RETRY_MAYFAIL NOFAIL NORETRY MEMALLOC COMP NOMEMALLOC HARDWALL THISNODE ACCOUNT "
    "ZEROTAGS"
)
_GFP_ORDER = (
    "HIGHMEM DMA32 HIGH ATOMIC IO FS NOWARN RETRY_MAYFAIL NOFAIL NORETRY COMP ZERO NOMEMALLOC "
    "MEMALLOC HARDWALL THISNODE RECLAIMABLE MOVABLE ACCOUNT WRITE RECLAIM DIRECT_RECLAIM "
    "KSWAPD_RECLAIM ZEROTAGS"
)
_VMA_BITS = (
    "read write exec shared mayread maywrite mayexec mayshare growsdown uffd_missing pfnmap - "
    "uffd_wp locked io seqread randread dontcopy dontexpand lockonfault account noreserve hugetlb "
    "sync arch_1 wipeonfork dontdump - mixedmap hugepage nohugepage mergeable"
)


def _bits(names: str) -> FlagNames:
    """Flags by number, from bit 0 on; "-" is a bit without a name."""
    return tuple((1 << bit, name.encode()) for bit, name in enumerate(names.split()) if name != "-")


def _gfp_flag_names() -> FlagNames:
    bit = {name.decode(): mask for mask, name in _bits(_GFP_BITS)}
    bit["RECLAIM"] = bit["DIRECT_RECLAIM"] | bit["KSWAPD_RECLAIM"]
    kernel = bit["RECLAIM"] | bit["IO"] | bit["FS"]
    user = kernel | bit["HARDWALL"]
    movable = user | bit["HIGHMEM"] | bit["MOVABLE"]
    light = (movable | bit["COMP"] | bit["NOMEMALLOC"] | bit["NOWARN"]) & ~bit["RECLAIM"]
    combined = {
        "GFP_TRANSHUGE": light | bit["DIRECT_RECLAIM"],
        "GFP_TRANSHUGE_LIGHT": light,
        "GFP_HIGHUSER_MOVABLE": movable,
        "GFP_HIGHUSER": user | bit["HIGHMEM"],
        "GFP_USER": user,
        "GFP_KERNEL_ACCOUNT": kernel | bit["ACCOUNT"],
        "GFP_KERNEL": kernel,
        "GFP_NOFS": bit["RECLAIM"] | bit["IO"],
        "GFP_ATOMIC": bit["HIGH"] | bit["ATOMIC"] | bit["KSWAPD_RECLAIM"],
        "GFP_NOIO": bit["RECLAIM"],
        "GFP_NOWAIT": bit["KSWAPD_RECLAIM"],
        "GFP_DMA": bit["DMA"],
    }
    # DMA32 is printed as GFP_DMA32, the other single bits with two underscores.
    for name in _GFP_ORDER.split():
        combined[f"GFP_{name}" if name == "DMA32" else f"__GFP_{name}"] = bit[name]
    return tuple((mask, name.encode()) for name, mask in combined.items())


def _page_flag_names() -> FlagNames:
    return tuple((int(PageFlag[name.upper()]), name.encode()) for name in _PAGE_FLAG_ORDER.split())


PAGE_FLAG_NAMES: Final[FlagNames] = _page_flag_names()
PAGEFLAGS_MASK: Final = (1 << len(PAGE_FLAG_NAMES)) - 1
GFP_FLAG_NAMES_6_1: Final[FlagNames] = _gfp_flag_names()
VMA_FLAG_NAMES_6_1: Final[FlagNames] = _bits(_VMA_BITS)
