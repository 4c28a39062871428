// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can I ask memblock, and what does it answer early in the boot?
 *
 *	bootsim replay examples/biscuitos/memblock_information.c --append earlycon
 *
 * Its regions and their sums, where RAM starts and ends, whether an address or
 * a range is memory or reserved, what kind of memory a region is, and how far
 * and in which direction allocations go: no limit, from the top down.
 *
 *                0x60000000     0x80000000      0x90000000     0xa0000000
 *     memory     |=============================================|
 *     reserved                  |###########|   |##|
 *     addresses    ^            ^ ^         0x8d000000
 *         0x62000000   0x80000000 0x81000000       0x92000000
 */

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/sizes.h>

static void __init show_tables(void)
{
	struct memblock_region *reg;

	pr_info("Memory Regions:\n");
	for_each_memblock(memory, reg)
		pr_info("Region: %#x - %#x\n", reg->base, reg->base + reg->size);
	pr_info("Reserved Regions:\n");
	for_each_memblock(reserved, reg)
		pr_info("Region: %#x - %#x\n", reg->base, reg->base + reg->size);
}

static void __init show_sums(void)
{
	pr_info("Phyiscal Memory total size: %#x\n", memblock_phys_mem_size());
	pr_info("Reserved Memory total size: %#x\n", memblock_reserved_size());
	pr_info("Start address of DRAM:      %#x\n", memblock_start_of_DRAM());
	pr_info("End address of DRAM:        %#x\n", memblock_end_of_DRAM());
}

static void __init show_addresses(void)
{
	phys_addr_t addr = 0x81000000;
	phys_addr_t size = SZ_1M;

	if (memblock_is_reserved(addr))
		pr_info("Address: %#x in reserved.\n", addr);

	addr = 0x62000000;
	if (memblock_is_memory(addr))
		pr_info("Address: %#x in memory.\n", addr);
	if (memblock_is_region_memory(addr, size))
		pr_info("Region: [%#x - %#x] in memblock.memory.\n", addr, addr + size);

	addr = 0x80000000;
	if (memblock_is_region_reserved(addr, size))
		pr_info("Region: [%#x - %#x] in memblock.reserved.\n", addr, addr + size);
}

static void __init show_bank(struct memblock_region *bank)
{
	int nid = memblock_get_region_node(bank);

	pr_info("MEMBLOCK memory.regions[0] is%s hotpluggable.\n",
		memblock_is_hotpluggable(bank) ? "" : " not");
	pr_info("MEMBLOCK memory.regions[0] is%s mirror.\n",
		memblock_is_mirror(bank) ? "" : " not");
	pr_info("MEMBLOCK memory.regions[0] is%s nomap.\n",
		memblock_is_nomap(bank) ? "" : " not");
	pr_info("MEMBLOCK memory.regions[0] nid: %#x\n", nid);
	memblock_set_region_node(bank, nid);
}

int __init debug_memblock_helper(void)
{
	phys_addr_t limit;
	bool bottom_up;

	memblock_reserve(0x80000000, 0xd000000);
	memblock_reserve(0x90000000, SZ_32M);
	show_tables();
	show_sums();
	show_addresses();

	limit = memblock_get_current_limit();
	pr_info("MEMBLOCK current_limit: %#x\n", limit);
	memblock_set_current_limit(limit);

	show_bank(&memblock.memory.regions[0]);

	bottom_up = memblock_bottom_up();
	pr_info("MEMBLOCK direction: %s\n", bottom_up ? "bottom-up" : "top-down");
	memblock_set_bottom_up(bottom_up);
	return 0;
}
