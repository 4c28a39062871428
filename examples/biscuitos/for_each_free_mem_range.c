// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which ranges are free, from the bottom up?
 *
 *	bootsim replay examples/biscuitos/for_each_free_mem_range.c --append earlycon
 *
 * Two pieces of the one bank are reserved, so three ranges are free: below,
 * between and above them. They are counted nowhere: an iterator computes them
 * from memory and reserved as it goes, and its index holds a place in each.
 *
 *                0x60000000   0x64000000   0x64300000          0xa0000000
 *     memory     |=============================================|
 *     reserved                |###|        |###|
 *     free       |---- 1 -----|   |-- 2 ---|   |------ 3 ------|
 *                                 0x64100000   0x64400000
 */

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/sizes.h>

int __init debug_for_each_free_mem_range(void)
{
	enum memblock_flags flags = choose_memblock_flags();
	phys_addr_t start, end;
	u64 idx;

	memblock_reserve(0x64000000, SZ_1M);
	memblock_reserve(0x64300000, SZ_1M);
	for_each_free_mem_range(idx, NUMA_NO_NODE, flags, &start, &end, NULL)
		pr_info("Region: [%#x - %#x]\n", start, end);

	memblock.reserved.cnt = 1;
	memblock.reserved.total_size = 0;
	return 0;
}
