// SPDX-License-Identifier: GPL-2.0-only
/*
 * Can I add RAM that the device tree does not know of?
 *
 *	bootsim replay examples/biscuitos/memblock_add.c --append earlycon
 *
 * memblock believes anything: 256 MiB at 0xb0000000 become a second region of
 * memory, though there is nothing on the bus. Kept, it would be used; so the
 * driver takes it out again by writing into the table, and has allocations
 * end where the real bank ends.
 *
 *                0x60000000              0xa0000000  0xb0000000  0xc0000000
 *     memory     |=======================|           |===========|
 *     on the bus |:::::::::::::::::::::::|
 *     limit                              ^
 */

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/sizes.h>

static void __init show_memory(void)
{
	struct memblock_region *reg;

	for_each_memblock(memory, reg)
		pr_info("Region: %#x - %#x\n", reg->base, reg->base + reg->size);
}

int __init debug_memblock_add(void)
{
	struct memblock_region *bank = &memblock.memory.regions[0];

	show_memory();

	pr_info("Add pseudo memory\n");
	memblock_add(0xb0000000, SZ_256M);
	show_memory();

	memblock.memory.cnt = 1;
	memblock.memory.total_size = bank->size;
	memblock.current_limit = bank->base + bank->size;
	return 0;
}
