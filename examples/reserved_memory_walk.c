// SPDX-License-Identifier: GPL-2.0-only
/*
 * "Memory: 1012008K/1048576K available": who has the other 36568K?
 *
 *	bootsim replay examples/reserved_memory_walk.c --hook mem_init
 *
 * memblock knows what is reserved, not for whom. So the driver asks those who
 * reserve: the linker's symbols for the kernel, the flat device tree for
 * itself and for /reserved-memory, the page allocator for its memory map. It
 * lays their claims over memblock's regions. What nobody claims was allocated
 * from memblock: page tables, the unflattened tree, per-cpu areas, hashes, and
 * above all the area of CMA, which gets its pages back later in the boot.
 *
 *     reserved      |################|      |##################|
 *     claims        |= kernel image =|      |= memory map =|
 *     unclaimed                                            |...|
 *
 * A page that a region touches is lost as a whole. A range of /reserved-memory
 * that is no-map, or lies outside of RAM, is not in memblock.memory, and so is
 * no part of the sum.
 */

#include <linux/init.h>
#include <linux/initrd.h>
#include <linux/kernel.h>
#include <linux/libfdt.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/of_fdt.h>
#include <linux/pfn.h>
#include <asm/pgtable.h>
#include <asm/sections.h>

struct claim {
	const char *who;
	phys_addr_t base;
	phys_addr_t end;
};

static struct claim claims[32] __initdata;
static int nr_claims __initdata;

static void __init claim(const char *who, phys_addr_t base, phys_addr_t size)
{
	if (size && nr_claims < ARRAY_SIZE(claims))
		claims[nr_claims++] = (struct claim){ who, base, base + size };
}

/* Called for each child of /reserved-memory: its ranges, if it names any. */
static int __init claim_node(unsigned long node, const char *uname, void *data)
{
	int cells = dt_root_addr_cells + dt_root_size_cells;
	const __be32 *reg, *end;
	phys_addr_t base, size;
	int len;

	reg = of_get_flat_dt_prop(node, "reg", &len);
	if (!reg)
		return 0;

	for (end = reg + len / sizeof(*reg); end - reg >= cells;) {
		base = dt_mem_next_cell(dt_root_addr_cells, &reg);
		size = dt_mem_next_cell(dt_root_size_cells, &reg);
		claim(uname, base, size);
	}
	return 0;
}

static void __init gather_claims(void)
{
	unsigned long root = of_get_flat_dt_root();
	int node;

	claim("kernel page directory", __pa_symbol(swapper_pg_dir),
	      PTRS_PER_PGD * sizeof(pgd_t));
	claim("kernel image", __pa_symbol(_stext), _end - _stext);
	claim("device tree", __pa(initial_boot_params), fdt_totalsize(initial_boot_params));
	claim("initrd", phys_initrd_start, phys_initrd_size);
	claim("memory map", __pa(mem_map), node_spanned_pages(0) * sizeof(struct page));

	node = of_get_flat_dt_subnode_by_name(root, "reserved-memory");
	if (node >= 0)
		of_scan_flat_dt_subnodes(node, claim_node, NULL);
}

/* Print what of a reserved region is whose. */
static void __init show_region(const struct memblock_region *reg)
{
	phys_addr_t end = reg->base + reg->size, last = end - 1;
	phys_addr_t unclaimed = reg->size;
	const struct claim *c;

	pr_info("%pa..%pa\n", &reg->base, &last);
	for (c = claims; c < claims + nr_claims; c++) {
		phys_addr_t from = max(reg->base, c->base);
		phys_addr_t to = min(end, c->end);

		if (from < to) {
			pr_info("%12u bytes  %s\n", to - from, c->who);
			unclaimed -= to - from;
		}
	}
	if (unclaimed)
		pr_info("%12u bytes  allocated from memblock\n", unclaimed);
}

int __init debug_reserved_memory_walk(void)
{
	unsigned long pfn, seen = 0, pages = 0;
	struct memblock_region *reg;
	const struct claim *c;

	gather_claims();
	for_each_memblock(reserved, reg) {
		show_region(reg);
		/* Regions may share a page. */
		for (pfn = max_t(unsigned long, seen, PFN_DOWN(reg->base)); pfn < PFN_UP(reg->base + reg->size); pfn++)
			if (memblock_is_memory(PFN_PHYS(pfn)))
				pages++;
		seen = pfn;
	}

	for (c = claims; c < claims + nr_claims; c++)
		if (!memblock_overlaps_region(&memblock.memory, c->base, c->end - c->base))
			pr_info("%s is not in memblock.memory\n", c->who);

	pr_info("reserved: %lu pages, %luK\n", pages, pages << (PAGE_SHIFT - 10));
	pr_info("RAM less what the page allocator got: %luK\n",
		(PFN_DOWN(memblock_phys_mem_size()) - totalram_pages()) << (PAGE_SHIFT - 10));
	return 0;
}
