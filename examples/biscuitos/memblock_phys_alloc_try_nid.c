// SPDX-License-Identifier: GPL-2.0-only
/*
 * What does memblock_phys_alloc_try_nid() give, before anything is reserved?
 *
 *	bootsim replay examples/biscuitos/memblock_phys_alloc_try_nid.c --append earlycon
 *
 * Right after the command line was kept, memblock knows the RAM and nothing
 * is reserved yet: the table's one region is the empty dummy. An allocation
 * comes from the top of memory and takes the dummy's place.
 *
 *                0x60000000                              0xa0000000
 *     memory     |=======================================|
 *     reserved                                        |##|
 *                                                     0x9ff00000
 */

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/sizes.h>

static void __init show_reserved(void)
{
	struct memblock_region *reg;

	for_each_memblock(reserved, reg)
		pr_info("Region: %#x - %#x\n", reg->base, reg->base + reg->size);
}

int __init debug_memblock_phys_alloc_try_nid(void)
{
	phys_addr_t addr;

	show_reserved();

	addr = memblock_phys_alloc_try_nid(SZ_1M, PAGE_SIZE, NUMA_NO_NODE);
	pr_info("Find address: %#x\n", addr);

	show_reserved();
	return 0;
}
