// SPDX-License-Identifier: GPL-2.0-only
/*
 * How do I allocate physical memory below an address?
 *
 *	bootsim replay examples/biscuitos/memblock_alloc_base.c --append earlycon
 *
 * memblock_alloc_base() of Linux 5.0 takes the highest free block below its
 * last argument, and panics where there is none. ARCH_LOW_ADDRESS_LIMIT is
 * the end of the address space on ARM, so the block is the top of RAM. (Linux
 * 5.1 dropped the function; memblock_phys_alloc_range() took its place.)
 *
 *                0x60000000                              0xa0000000   0xffffffff
 *     memory     |=======================================|            :
 *     asked for  <----------------------------------------------------:
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

int __init debug_memblock_alloc_base(void)
{
	phys_addr_t addr;

	show_reserved();

	addr = memblock_alloc_base(SZ_1M, PAGE_SIZE, ARCH_LOW_ADDRESS_LIMIT);
	pr_info("Find address: %#x\n", addr);

	show_reserved();
	return 0;
}
