/* SPDX-License-Identifier: GPL-2.0-only */
/* What drivers did with Linux 5.0, and no longer can. */
#include <linux/bootmem.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>

int __init debug_for_each_memblock(void)
{
	struct memblock_region *reg;

	for_each_memblock(reserved, reg)
		pr_info("Region: %#x - %#x\n", reg->base, reg->base + reg->size);
	return 0;
}

int __init debug_for_each_memblock_type(void)
{
	struct memblock_type *type = &memblock.memory;
	struct memblock_region *rgn;
	int i;

	for_each_memblock_type(i, type, rgn)
		pr_info("%s[%d]: %#x, %#x bytes\n", type->name, i, rgn->base, rgn->size);
	return 0;
}

int __init debug_for_each_mem_range(void)
{
	phys_addr_t start, end;
	u64 i;

	for_each_mem_range(i, &memblock.memory, &memblock.reserved, NUMA_NO_NODE, MEMBLOCK_NONE,
			   &start, &end, NULL)
		pr_info("%#x - %#x\n", start, end);
	return 0;
}

int __init debug_for_each_mem_range_rev(void)
{
	phys_addr_t start, end;
	u64 i;

	for_each_mem_range_rev(i, &memblock.memory, NULL, NUMA_NO_NODE, MEMBLOCK_NONE, &start, &end,
			       NULL)
		pr_info("%#x - %#x\n", start, end);
	return 0;
}

int __init debug_for_each_reserved_mem_region(void)
{
	phys_addr_t start, end;
	u64 i;

	for_each_reserved_mem_region(i, &start, &end)
		pr_info("%#x - %#x\n", start, end);
	return 0;
}

int __init debug_next_reserved_mem_region(void)
{
	phys_addr_t start, end;
	u64 idx = 0;

	__next_reserved_mem_region(&idx, &start, &end);
	return idx == 0;
}

int __init debug_choose_memblock_flags(void)
{
	enum memblock_flags flags = choose_memblock_flags();

	return flags & MEMBLOCK_MIRROR;
}

int __init debug_find_in_range(void)
{
	phys_addr_t addr;

	addr = memblock_find_in_range(0x60000000, 0x70000000, 0x100000, 0x1000);
	return memblock_reserve(addr, 0x100000);
}

int __init debug_find_in_range_node(void)
{
	phys_addr_t addr;

	addr = memblock_find_in_range_node(0x100000, 0x1000, __pa_symbol(_end),
					   MEMBLOCK_ALLOC_ACCESSIBLE, NUMA_NO_NODE, MEMBLOCK_NONE);
	return memblock_reserve(addr, 0x100000);
}

int __init debug_add_node(void)
{
	return memblock_add_node(0x60000000, 0x100000, 0);
}

int __init debug_add_range(void)
{
	return memblock_add_range(&memblock.reserved, 0x60000000, 0x100000, 0, MEMBLOCK_NONE);
}

int __init debug_alloc_range(void)
{
	return !memblock_alloc_range(0x100000, 0x1000, 0x60000000, 0x70000000, MEMBLOCK_NONE);
}

int __init debug_alloc_base(void)
{
	return !memblock_alloc_base(0x100000, 0x1000, 0x70000000);
}

int __init debug_alloc_base_nopanic(void)
{
	return !__memblock_alloc_base(0x100000, 0x1000, 0x70000000);
}

int __init debug_alloc_base_nid(void)
{
	return !memblock_alloc_base_nid(0x100000, 0x1000, 0, NUMA_NO_NODE, MEMBLOCK_NONE);
}

int __init debug_phys_alloc_nid(void)
{
	return !memblock_phys_alloc_nid(0x100000, 0x1000, NUMA_NO_NODE);
}

int __init debug_alloc_nopanic(void)
{
	return !memblock_alloc_nopanic(0x100000, 0x1000);
}

int __init debug_alloc_low_nopanic(void)
{
	return !memblock_alloc_low_nopanic(0x100000, 0x1000);
}

int __init debug_alloc_from_nopanic(void)
{
	return !memblock_alloc_from_nopanic(0x100000, 0x1000, 0x60000000);
}

int __init debug_alloc_node_nopanic(void)
{
	return !memblock_alloc_node_nopanic(0x100000, 0);
}

int __init debug_alloc_try_nid_nopanic(void)
{
	return !memblock_alloc_try_nid_nopanic(0x100000, 0x1000, 0, 0, NUMA_NO_NODE);
}

int __init debug_memblock_free(void)
{
	return memblock_free(memblock_phys_alloc(0x100000, 0x1000), 0x100000);
}

int __init debug_memblock_free_early(void)
{
	memblock_free_early(0x60000000, 0x1000);
	return 0;
}

int __init debug_mem_size(void)
{
	return memblock_mem_size(PFN_DOWN(0x70000000)) == 0;
}

int __init debug_region_flags(void)
{
	memblock_set_region_flags(&memblock.memory.regions[0], MEMBLOCK_HOTPLUG);
	memblock_clear_region_flags(&memblock.memory.regions[0], MEMBLOCK_HOTPLUG);
	return 0;
}

int __init debug_memblock_debug(void)
{
	memblock_dbg("memblock_debug is %d\n", memblock_debug);
	return 0;
}
