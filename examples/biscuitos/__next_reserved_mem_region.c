// SPDX-License-Identifier: GPL-2.0-only
/*
 * What does one step of the iterator over reserved regions give?
 *
 *	bootsim replay examples/biscuitos/__next_reserved_mem_region.c --append earlycon
 *
 * The first region, with its *last byte*: 0x68ffffff, where the table itself
 * tells base and size. Up to Linux 5.9, for_each_reserved_mem_region() steps
 * with it.
 *
 *                0x60000000   0x68000000      0x78000000       0xa0000000
 *     memory     |=============================================|
 *     reserved                |###|           |#####|
 *     idx        0 ---------> 1 ------------> 2 -----------> ULLONG_MAX
 *                                 0x69000000        0x7a000000
 */

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/sizes.h>

int __init debug___next_reserved_mem_region(void)
{
	struct memblock_region *reg;
	phys_addr_t start, end;
	u64 idx = 0;

	memblock_reserve(0x68000000, SZ_16M);
	memblock_reserve(0x78000000, SZ_32M);
	for_each_memblock(reserved, reg)
		pr_info("Region: %#x - %#x\n", reg->base, reg->base + reg->size);

	__next_reserved_mem_region(&idx, &start, &end);
	if (idx != (u64)ULLONG_MAX)
		pr_info("Next-Region: %#x - %#x\n", start, end);

	memblock.reserved.cnt = 1;
	memblock.reserved.total_size = 0;
	return 0;
}
