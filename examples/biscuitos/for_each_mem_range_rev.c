// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is in one table and not in another, from the top down?
 *
 *	bootsim replay examples/biscuitos/for_each_mem_range_rev.c --append earlycon
 *
 * for_each_mem_range_rev() of Linux 5.0 takes any two tables. With memory and
 * reserved it gives the free ranges; for_each_free_mem_range_reverse() is
 * short for just that.
 *
 *                0x60000000   0x64000000   0x64300000          0xa0000000
 *     type_a     |=============================================|  memory
 *     type_b                  |###|        |###|                  reserved
 *     a - b      |---- 3 -----|   |-- 2 ---|   |------ 1 ------|
 *                                 0x64100000   0x64400000
 */

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/sizes.h>

int __init debug_for_each_mem_range_rev(void)
{
	enum memblock_flags flags = choose_memblock_flags();
	phys_addr_t start, end;
	u64 idx;

	memblock_reserve(0x64000000, SZ_1M);
	memblock_reserve(0x64300000, SZ_1M);
	for_each_mem_range_rev(idx, &memblock.memory, &memblock.reserved,
			       NUMA_NO_NODE, flags, &start, &end, NULL)
		pr_info("Region: [%#x - %#x]\n", start, end);

	memblock.reserved.cnt = 1;
	memblock.reserved.total_size = 0;
	return 0;
}
