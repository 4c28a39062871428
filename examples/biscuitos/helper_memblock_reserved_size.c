// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much memory is reserved by now?
 *
 *	bootsim replay examples/biscuitos/helper_memblock_reserved_size.c --append earlycon
 *
 * memblock_reserved_size() is the sum over all reserved regions: here 208 MiB
 * and 32 MiB.
 *
 *                0x60000000     0x80000000      0x90000000     0xa0000000
 *     memory     |=============================================|
 *     reserved                  |###########| + |##|
 *                               0xd000000     + 0x2000000 = 0xf000000
 */

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/sizes.h>

int __init debug_memblock_reserved_size(void)
{
	struct memblock_region *reg;

	memblock_reserve(0x80000000, 0xd000000);
	memblock_reserve(0x90000000, SZ_32M);
	pr_info("Memory Regions:\n");
	for_each_memblock(memory, reg)
		pr_info("Region: %#x - %#x\n", reg->base, reg->base + reg->size);
	pr_info("Reserved Regions:\n");
	for_each_memblock(reserved, reg)
		pr_info("Region: %#x - %#x\n", reg->base, reg->base + reg->size);

	pr_info("Reserved Memory total size: %#x\n", memblock_reserved_size());
	return 0;
}
