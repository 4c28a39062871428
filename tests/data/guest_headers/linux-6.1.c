/* SPDX-License-Identifier: GPL-2.0-only */
/* What drivers do with Linux 6.1, and could not with 5.0. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>

int __init debug_for_each_mem_region(void)
{
	struct memblock_region *reg;

	for_each_mem_region(reg)
		pr_info("Region: %#x - %#x\n", reg->base, reg->base + reg->size);
	return 0;
}

int __init debug_for_each_reserved_mem_region(void)
{
	struct memblock_region *reg;

	for_each_reserved_mem_region(reg)
		pr_info("Region: %#x - %#x\n", reg->base, reg->base + reg->size);
	return 0;
}

int __init debug_for_each_mem_range(void)
{
	phys_addr_t start, end;
	u64 i;

	for_each_mem_range(i, &start, &end)
		pr_info("%#x - %#x\n", start, end);
	return 0;
}

int __init debug_for_each_mem_range_rev(void)
{
	phys_addr_t start, end;
	u64 i;

	for_each_mem_range_rev(i, &start, &end)
		pr_info("%#x - %#x\n", start, end);
	return 0;
}

int __init debug_for_each_mem_range_of(void)
{
	phys_addr_t start, end;
	u64 i;

	__for_each_mem_range(i, &memblock.memory, NULL, NUMA_NO_NODE, MEMBLOCK_NONE, &start, &end,
			     NULL)
		pr_info("%#x - %#x\n", start, end);
	return 0;
}

int __init debug_for_each_reserved_mem_range(void)
{
	phys_addr_t start, end;
	u64 i;

	for_each_reserved_mem_range(i, &start, &end)
		pr_info("%#x - %#x\n", start, end);
	return 0;
}

int __init debug_for_each_mem_pfn_range(void)
{
	unsigned long start_pfn, end_pfn;
	int i, nid;

	for_each_mem_pfn_range(i, MAX_NUMNODES, &start_pfn, &end_pfn, &nid)
		pr_info("node %d: %lu-%lu\n", nid, start_pfn, end_pfn);
	return 0;
}

int __init debug_search_pfn_nid(void)
{
	unsigned long start_pfn, end_pfn;

	return memblock_search_pfn_nid(PFN_DOWN(0x60000000), &start_pfn, &end_pfn);
}

int __init debug_set_node(void)
{
	return memblock_set_node(0x60000000, 0x100000, &memblock.memory, 0);
}

int __init debug_add_node(void)
{
	return memblock_add_node(0x60000000, 0x100000, 0, MEMBLOCK_DRIVER_MANAGED);
}

int __init debug_driver_managed(void)
{
	return memblock_is_driver_managed(&memblock.memory.regions[0]);
}

int __init debug_phys_alloc_range(void)
{
	return !memblock_phys_alloc_range(0x100000, 0x1000, 0x60000000, 0x70000000);
}

int __init debug_alloc_range_nid(void)
{
	return !memblock_alloc_range_nid(0x100000, 0x1000, 0, 0, NUMA_NO_NODE, false);
}

int __init debug_alloc_exact_nid_raw(void)
{
	return !memblock_alloc_exact_nid_raw(0x100000, 0x1000, 0, 0, 0);
}

int __init debug_phys_free(void)
{
	return memblock_phys_free(memblock_phys_alloc(0x100000, 0x1000), 0x100000);
}

int __init debug_memblock_free(void)
{
	void *block = memblock_alloc(0x1000, 64);

	memblock_free(block, 0x1000);
	return 0;
}

int __init debug_addrs_overlap(void)
{
	return memblock_addrs_overlap(0x60000000, 0x1000, 0x60000800, 0x1000);
}

int __init debug_walk(void)
{
	p4d_t *p4d = p4d_offset(pgd_offset_k(PAGE_OFFSET), PAGE_OFFSET);

	return pmd_none(*pmd_offset(pud_offset(p4d, PAGE_OFFSET), PAGE_OFFSET));
}
