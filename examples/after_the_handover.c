// SPDX-License-Identifier: GPL-2.0-only
/*
 * My driver wants 20 KiB in one piece, once memblock is gone: what does it
 * get, what does that cost, and what is in that memory?
 *
 *	bootsim replay examples/after_the_handover.c --hook mem_init
 *
 * The buddy allocator gives blocks of 2^order pages, so five pages cost eight:
 *
 *     page                     0   1   2   3   4   5   6   7
 *     __get_free_pages()     |###|###|###|###|###|...|...|...|   order 3
 *     alloc_pages_exact()    |###|###|###|###|###|               the tail is freed
 *
 * alloc_pages_exact() takes such a block, too, cuts it and gives the tail back.
 *
 * Who gets a page gets what its last owner left in it, unless it asks for
 * zeroes; and a page just freed is often the next to be given out.
 */

#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/string.h>

#define WANTED (20 * SZ_1K)

static unsigned long free_before __initdata;

/* What has been taken out of the free lists, in KiB. */
static unsigned long __init taken(void)
{
	return (free_before - nr_free_pages()) << (PAGE_SHIFT - 10);
}

static void __init show_cost(void)
{
	unsigned int order = get_order(WANTED);
	unsigned long block;
	phys_addr_t phys;
	void *exact;

	block = __get_free_pages(GFP_KERNEL, order);
	phys = virt_to_phys((void *)block);
	pr_info("__get_free_pages(): order %u at %pa, %lu KiB for %d KiB\n",
		order, &phys, taken(), WANTED / SZ_1K);
	free_pages(block, order);

	exact = alloc_pages_exact(WANTED, GFP_KERNEL);
	phys = virt_to_phys(exact);
	pr_info("alloc_pages_exact(): at %pa, %lu KiB for %d KiB\n",
		&phys, taken(), WANTED / SZ_1K);
	free_pages_exact(exact, WANTED);
}

static void __init show_contents(void)
{
	struct page *first, *next;

	first = alloc_page(GFP_KERNEL);
	strcpy(page_address(first), "my secret");
	__free_page(first);

	next = alloc_page(GFP_KERNEL);
	pr_info("alloc_page(): %s page, it says \"%s\"\n",
		next == first ? "the same" : "another", (char *)page_address(next));
	__free_page(next);

	next = alloc_page(GFP_KERNEL | __GFP_ZERO);
	pr_info("with __GFP_ZERO: %s page, it says \"%s\"\n",
		next == first ? "the same" : "another", (char *)page_address(next));
	__free_page(next);
}

int __init debug_after_the_handover(void)
{
	free_before = nr_free_pages();
	show_cost();
	show_contents();
	pr_info("given back: %lu KiB are missing\n", taken());
	return 0;
}
