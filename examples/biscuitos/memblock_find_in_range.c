// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where would an allocation go, from the top down and from the bottom up?
 *
 *	bootsim replay examples/biscuitos/memblock_find_in_range.c --symbol _end=0x80b95258
 *
 * memblock_find_in_range() finds a place and reserves nothing. From the top
 * down it is the end of memory; from the bottom up Linux 5.0 starts at the
 * first aligned address above the kernel's end, and in a window of its own,
 * at the window's start.
 *
 *                0x60000000   0x64000000   0x64300000          0xa0000000
 *     memory     |=============================================|
 *     kernel     |/////|      :            :                   :
 *     reserved         :      |###|        |###|               :
 *     top-down         :          :        :                |##|
 *     bottom-up         |##|      :        :
 *     window            :         |##|-----|
 *                       0x60b96000
 *                                 0x64100000
 *
 * The build that the published lines come from ended at 0x60b95258, hence
 * --symbol: the profile's _end is that of another build.
 */

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/sizes.h>
#include <asm/sections.h>

int __init debug_memblock_find_in_range(void)
{
	bool bottom_up = memblock_bottom_up();
	struct memblock_region *reg;
	phys_addr_t addr;

	memblock_reserve(0x64000000, SZ_1M);
	memblock_reserve(0x64300000, SZ_1M);

	for_each_memblock(memory, reg)
		pr_info("Memory-Region:   %#x - %#x\n", reg->base, reg->base + reg->size);
	for_each_memblock(reserved, reg)
		pr_info("Reserved-Region: %#x - %#x\n", reg->base, reg->base + reg->size);
	pr_info("Kernel End addr: %#x\n", __pa_symbol(_end));

	memblock_set_bottom_up(false);
	addr = memblock_find_in_range(MEMBLOCK_LOW_LIMIT, ARCH_LOW_ADDRESS_LIMIT,
				      SZ_1M, PAGE_SIZE);
	pr_info("Top-down Addre:  %#x\n", addr);

	memblock_set_bottom_up(true);
	addr = memblock_find_in_range(MEMBLOCK_LOW_LIMIT, ARCH_LOW_ADDRESS_LIMIT,
				      SZ_1M, PAGE_SIZE);
	pr_info("Bottom-up Addr:  %#x\n", addr);

	addr = memblock_find_in_range(0x64100000, 0x64300000, SZ_1M, PAGE_SIZE);
	pr_info("Speical Address: %#x\n", addr);

	memblock.reserved.cnt = 1;
	memblock.reserved.total_size = 0;
	memblock_set_bottom_up(bottom_up);
	return 0;
}
