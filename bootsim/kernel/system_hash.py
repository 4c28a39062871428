"""Hash tables that are made before there is a page allocator.

Linux: mm/page_alloc.c (alloc_large_system_hash), fs/dcache.c, fs/inode.c.
"""

from __future__ import annotations

from bootsim.errors import KernelPanic
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE, round_up
from bootsim.kernel.page_alloc import get_order

_HLIST_HEAD = 4  # bytes of struct hlist_head and struct hlist_bl_head
_POINTER = 4
_DENTRY_SCALE, _INODE_SCALE, _STACK_HASH_SCALE = 13, 14, 14
_MAX_ENTRIES = 0x80000000
_PAGES_PER_MIB = (1 << 20) // PAGE_SIZE


def vfs_caches_init_early(kernel: Kernel) -> None:
    """The hashes of names and of inodes."""
    for name, scale, parameter in (
        ("Dentry cache", _DENTRY_SCALE, "dhash_entries"),
        ("Inode-cache", _INODE_SCALE, "ihash_entries"),
    ):
        entries = kernel.hash_entries.get(parameter, 0)
        alloc_large_system_hash(kernel, name, _HLIST_HEAD, entries, scale)


def stack_depot_early_init(kernel: Kernel) -> None:
    """The table of stack traces, if someone wants it before there is slab (lib/stackdepot.c)."""
    known = kernel.profile.features.stack_depot
    wanted = known and kernel.switches["stack_depot_want_early_init"]
    if wanted and not kernel.switches["stack_depot_disable"]:
        low, high = 1 << 12, 1 << 20  # STACK_HASH_ORDER_MIN, STACK_HASH_ORDER_MAX
        alloc_large_system_hash(
            kernel, "stackdepot", _POINTER, 0, _STACK_HASH_SCALE, low_limit=low, high_limit=high
        )


def alloc_large_system_hash(
    kernel: Kernel,
    name: str,
    bucketsize: int,
    entries: int,
    scale: int,
    *,
    low_limit: int = 0,
    high_limit: int = 0,
) -> int:
    """A zeroed hash (HASH_EARLY): its physical address.

    One bucket for 2**scale bytes of lowmem, unless `entries` are asked for; at most `high_limit`
    of them, or 1/16 of memory.
    Raises KernelPanic with Linux's words where not even a page is left.
    """
    node = kernel.buddy.node
    if not entries:
        entries = round_up(node.nr_kernel_pages, _PAGES_PER_MIB)
        shift = scale - PAGE_SHIFT
        entries = entries >> shift if shift > 0 else entries << -shift
        if entries * bucketsize < PAGE_SIZE:
            entries = PAGE_SIZE // bucketsize
    entries = 1 << (entries - 1).bit_length()
    largest = high_limit or (node.nr_all_pages << PAGE_SHIFT >> 4) // bucketsize
    entries = min(max(entries, low_limit), largest, _MAX_ENTRIES)
    log2qty = entries.bit_length() - 1
    align, caller = kernel.memblock.features.smp_cache_bytes, "alloc_large_system_hash"
    while True:
        size = bucketsize << log2qty
        virt = kernel.memblock.alloc_nopanic(size, align, caller=caller)
        if virt or size <= PAGE_SIZE:
            break
        log2qty -= 1
    if not virt:
        raise KernelPanic.panic(f"Failed to allocate {name} hash table")
    phys = kernel.virt_to_phys(virt)
    kernel.use(phys, size, f"{name} hash")
    mapping = "" if kernel.profile.features.page_alloc == "5.0" else ", linear"
    kernel.pr_info(
        f"{name} hash table entries: {1 << log2qty} (order: {get_order(size)}, {size} bytes"
        f"{mapping})"
    )
    return phys
