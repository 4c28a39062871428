"""What is the largest piece of memory that the buddy allocator can give, and what is left then?

    bootsim replay examples/buddy_largest_block.py

The driver hooks after the handover. It takes a block of the highest order, then one page, which
must be cut out of a larger block, and gives both back: every cut is undone by merging.
"""

from bootsim.kernel.kernel import Kernel

HOOK = "mem_init"
HIGHEST_ORDER = 10


def driver(kernel: Kernel) -> None:
    buddy = kernel.buddy
    before = buddy.nr_free_pages()
    blocks_before = sorted(buddy.free_blocks())

    large = kernel.alloc_pages(HIGHEST_ORDER)
    kernel.pr_info(f"order {HIGHEST_ORDER}: pfn {large:#x}, {4 << HIGHEST_ORDER} KiB")
    small = kernel.alloc_pages(0)
    kernel.pr_info(f"order 0: pfn {small:#x}")
    kernel.pr_info(f"taken: {before - buddy.nr_free_pages()} pages")

    kernel.free_pages(small, 0)
    kernel.free_pages(large, HIGHEST_ORDER)
    same = sorted(buddy.free_blocks()) == blocks_before
    kernel.pr_info(f"given back: all blocks as before: {same}")
