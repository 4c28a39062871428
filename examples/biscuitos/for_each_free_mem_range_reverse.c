// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which ranges are free, from the top down?
 *
 *	bootsim replay examples/biscuitos/for_each_free_mem_range_reverse.c --append earlycon
 *
 * It reserves two pieces and walks what is free around them, as a top-down
 * allocation does to find the highest place:
 *
 *                0x60000000   0x64000000   0x64300000          0xa0000000
 *     memory     |=============================================|
 *     reserved                |###|        |###|
 *     free       |---- 3 -----|   |-- 2 ---|   |------ 1 ------|
 *                                 0x64100000   0x64400000
 *
 * Winding the table back by hand leaves the first region's base and size in
 * their place. With cnt at 1 and total_size at 0, the 1 MiB at 0x64000000 is
 * reserved for the rest of the boot, and counted nowhere.
 */

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/sizes.h>

int __init debug_for_each_free_mem_range_reverse(void)
{
	phys_addr_t start, end;
	u64 idx;

	memblock_reserve(0x64000000, SZ_1M);
	memblock_reserve(0x64300000, SZ_1M);
	for_each_free_mem_range_reverse(idx, NUMA_NO_NODE, MEMBLOCK_NONE,
					&start, &end, NULL)
		pr_info("Region: [%#x - %#x]\n", start, end);

	memblock.reserved.cnt = 1;
	memblock.reserved.total_size = 0;
	return 0;
}
