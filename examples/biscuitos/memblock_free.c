// SPDX-License-Identifier: GPL-2.0-only
/*
 * Can I give back half of what was reserved?
 *
 *	bootsim replay examples/biscuitos/memblock_free.c --append earlycon
 *
 * Yes: memblock_free() takes any range out of reserved, and the region is
 * cut. Up to Linux 5.15 its argument is a physical address; from 5.16 that
 * function is memblock_phys_free().
 *
 *                0x60000000   0x78000000                       0xa0000000
 *     memory     |=============================================|
 *     reserved                |###########|
 *     freed                   |-----|
 *     reserved                      |#####|
 *                                   0x79000000
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

int __init debug_memblock_free(void)
{
	memblock_reserve(0x78000000, SZ_32M);
	show_reserved();

	pr_info("Free special region.\n");
	memblock_free(0x78000000, SZ_16M);
	show_reserved();

	memblock.reserved.cnt = 1;
	memblock.reserved.total_size = 0;
	return 0;
}
