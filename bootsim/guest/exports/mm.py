"""Pages and mappings, for guest code: mm/page_alloc.c, mm/early_ioremap.c, arch/arm/mm/init.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import KernelPanic
from bootsim.guest.exports import Export
from bootsim.kernel.early_ioremap import early_ioremap, early_iounmap, early_memremap
from bootsim.kernel.init import pfn_valid
from bootsim.kernel.memory import PAGE_SHIFT
from bootsim.kernel.page_alloc import Gfp

if TYPE_CHECKING:
    from bootsim.guest.guest import Guest

_U32 = 0xFFFFFFFF
_GFP_ZERO_5_0 = 0x8000  # include/linux/gfp.h before the flags were numbered anew


def _gfp(guest: Guest, gfp: int) -> int:
    """The flags that a guest asks with, as the page allocator here knows them."""
    if guest.symbols.api == "5.0":
        zero = Gfp.ZERO if gfp & _GFP_ZERO_5_0 else 0
        gfp = gfp & ~(_GFP_ZERO_5_0 | Gfp.ZERO) | zero
    return gfp


def _alloc_pages(guest: Guest, gfp: int, order: int, _nid: int, _mask: int, *, caller: str) -> int:
    """The struct page of the first page, 0 for none."""
    buddy = guest.kernel.buddy
    if order >= buddy.max_order:
        return 0  # after a WARN_ON_ONCE() where __GFP_NOWARN is not set
    pfn = buddy.alloc_pages(order, _gfp(guest, gfp), caller=caller)
    return 0 if pfn is None else buddy.pfn_to_page(pfn)


def _get_free_pages(guest: Guest, gfp: int, order: int, *, caller: str) -> int:
    buddy = guest.kernel.buddy
    return (
        buddy.get_free_pages(order, _gfp(guest, gfp), caller=caller)
        if order < buddy.max_order
        else 0
    )


def _get_zeroed_page(guest: Guest, gfp: int, *, caller: str) -> int:
    return guest.kernel.buddy.get_free_pages(0, _gfp(guest, gfp) | Gfp.ZERO, caller=caller)


def _free_pages_of(guest: Guest, page: int, order: int, *, caller: str) -> None:
    mem_map = guest.kernel.buddy.mem_map
    entry, rest = divmod(page - mem_map.virt, mem_map.page_size)
    if rest or not 0 <= entry < mem_map.count:
        raise KernelPanic(f"__free_pages({page:#010x}) called by {caller}: that is no struct page")
    guest.kernel.buddy.free_pages(mem_map.start_pfn + entry, order, caller=caller)


def _free_pages(guest: Guest, addr: int, order: int, *, caller: str) -> None:
    if addr:
        pfn = guest.kernel.virt_to_phys(addr) >> PAGE_SHIFT
        guest.kernel.buddy.free_pages(pfn, order, caller=caller)


def _alloc_pages_exact(guest: Guest, size: int, gfp: int, *, caller: str) -> int:
    return guest.kernel.buddy.alloc_pages_exact(size, _gfp(guest, gfp), caller=caller)


def _free_pages_exact(guest: Guest, virt: int, size: int, *, caller: str) -> None:
    guest.kernel.buddy.free_pages_exact(virt, size, caller=caller)


def _pfn_valid_5_0(guest: Guest, pfn: int) -> bool:
    """Whether `pfn` is mapped memory: with CONFIG_HAVE_ARCH_PFN_VALID memblock is asked."""
    return pfn <= _U32 >> PAGE_SHIFT and guest.memblock.is_map_memory(pfn << PAGE_SHIFT)


def _pfn_valid(guest: Guest, pfn: int) -> bool:
    return pfn_valid(guest.memblock, pfn)


def _early_memremap(guest: Guest, phys: int, size: int) -> int:
    return early_memremap(guest.kernel, phys, size)


def _early_ioremap(guest: Guest, phys: int, size: int) -> int:
    return early_ioremap(guest.kernel, phys, size)


def _early_iounmap(guest: Guest, addr: int, size: int) -> None:
    early_iounmap(guest.kernel, addr, size)


def _kernel_text_address(guest: Guest, addr: int) -> bool:
    symbol = guest.kernel.symbol
    return symbol("_stext") <= addr < symbol("_etext") or symbol("_sinittext") <= addr < symbol(
        "_einittext"
    )


_PAGES = "gfp_t gfp, unsigned int order, int preferred_nid, nodemask_t *nodemask"

EXPORTS = (
    Export(f"struct page *__alloc_pages_nodemask({_PAGES})", _alloc_pages, "5.0", asks_caller=True),
    Export(f"struct page *__alloc_pages({_PAGES})", _alloc_pages, "6.1", asks_caller=True),
    Export(
        "void __free_pages(struct page *page, unsigned int order)",
        _free_pages_of,
        asks_caller=True,
    ),
    Export(
        "unsigned long __get_free_pages(gfp_t gfp, unsigned int order)",
        _get_free_pages,
        asks_caller=True,
    ),
    Export("unsigned long get_zeroed_page(gfp_t gfp)", _get_zeroed_page, asks_caller=True),
    Export(
        "void free_pages(unsigned long addr, unsigned int order)", _free_pages, asks_caller=True
    ),
    Export("void *alloc_pages_exact(size_t size, gfp_t gfp)", _alloc_pages_exact, asks_caller=True),
    Export("void free_pages_exact(void *virt, size_t size)", _free_pages_exact, asks_caller=True),
    Export("int pfn_valid(unsigned long pfn)", _pfn_valid_5_0, "5.0"),
    Export("int pfn_valid(unsigned long pfn)", _pfn_valid, "6.1"),
    Export("void *early_memremap(resource_size_t phys_addr, unsigned long size)", _early_memremap),
    Export(
        "void *early_memremap_ro(resource_size_t phys_addr, unsigned long size)", _early_memremap
    ),
    Export("void early_memunmap(void *addr, unsigned long size)", _early_iounmap),
    Export("void *early_ioremap(resource_size_t phys_addr, unsigned long size)", _early_ioremap),
    Export("void early_iounmap(void *addr, unsigned long size)", _early_iounmap),
    Export("int kernel_text_address(unsigned long addr)", _kernel_text_address),
    Export("int core_kernel_text(unsigned long addr)", _kernel_text_address),
)
