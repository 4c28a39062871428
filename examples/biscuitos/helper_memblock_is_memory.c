// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is there RAM at this address?
 *
 *	bootsim replay examples/biscuitos/helper_memblock_is_memory.c --append earlycon
 *
 * memblock_is_memory() tells, whether or not the address is reserved:
 * 0x62000000 lies in the bank.
 *
 *                0x60000000     0x80000000      0x90000000     0xa0000000
 *     memory     |=============================================|
 *     reserved                  |###########|   |##|
 *     addr         ^                        0x8d000000
 *                  0x62000000                      0x92000000
 */

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/sizes.h>

int __init debug_memblock_is_memory(void)
{
	phys_addr_t addr = 0x62000000;
	struct memblock_region *reg;

	memblock_reserve(0x80000000, 0xd000000);
	memblock_reserve(0x90000000, SZ_32M);
	pr_info("Memory Regions:\n");
	for_each_memblock(memory, reg)
		pr_info("Region: %#x - %#x\n", reg->base, reg->base + reg->size);
	pr_info("Reserved Regions:\n");
	for_each_memblock(reserved, reg)
		pr_info("Region: %#x - %#x\n", reg->base, reg->base + reg->size);

	if (memblock_is_memory(addr))
		pr_info("Address: %#x in memory.\n", addr);
	return 0;
}
