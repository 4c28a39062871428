/* SPDX-License-Identifier: GPL-2.0-only */
/* What drivers do with either kernel. */
#define pr_fmt(fmt) "both: " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/module.h>
#include <linux/of_fdt.h>
#include <linux/of_reserved_mem.h>
#include <linux/libfdt.h>
#include <linux/highmem.h>
#include <linux/initrd.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/ctype.h>
#include <linux/io.h>
#include <asm/cacheflush.h>
#include <asm/cputype.h>
#include <asm/fixmap.h>
#include <asm/sections.h>
#include <asm/setup.h>
#include <asm/tlbflush.h>

static struct resource carveout __initdata = DEFINE_RES_MEM_NAMED(0x68000000, SZ_1M, "carveout");
static unsigned long wanted __initdata = SZ_64K;

int __init debug_ranges(void)
{
	if (memblock_add(0xa0000000, SZ_16M) || memblock_remove(0xa0000000, SZ_1M))
		return -ENOMEM;
	memblock_reserve(carveout.start, resource_size(&carveout));
	memblock_trim_memory(PAGE_SIZE);
	memblock_allow_resize();
	memblock_cap_memory_range(0x60000000, 0x40000000);
	memblock_mem_limit_remove_map(0x40000000);
	memblock_enforce_memory_limit(0x30000000);
	pr_info("%pR %pa, %#x reserved\n", &carveout, &carveout.start, memblock_reserved_size());
	return 0;
}

int __init debug_marks(void)
{
	struct memblock_region *reg = memblock.memory.regions;

	memblock_mark_hotplug(reg->base, SZ_1M);
	memblock_clear_hotplug(reg->base, SZ_1M);
	memblock_mark_mirror(reg->base, SZ_1M);
	memblock_mark_nomap(reg->base, SZ_1M);
	pr_info("%d%d%d\n", memblock_is_hotpluggable(reg), memblock_is_mirror(reg),
		memblock_is_nomap(reg));
	memblock_set_region_node(reg, 0);
	return memblock_clear_nomap(reg->base, SZ_1M) ?: memblock_get_region_node(reg);
}

int __init debug_queries(void)
{
	phys_addr_t end = __pa_symbol(_end);

	pr_info("%#x-%#x, %#x\n", memblock_start_of_DRAM(), memblock_end_of_DRAM(),
		memblock_phys_mem_size());
	return memblock_is_memory(end) + memblock_is_map_memory(end) + memblock_is_reserved(end) +
	       memblock_is_region_memory(end, SZ_4K) + memblock_is_region_reserved(end, SZ_4K) +
	       memblock_overlaps_region(&memblock.reserved, end, SZ_4K);
}

int __init debug_limit(void)
{
	phys_addr_t limit = memblock_get_current_limit();
	bool bottom_up = memblock_bottom_up();

	memblock_set_current_limit(min_t(phys_addr_t, limit, 0x70000000));
	memblock_set_bottom_up(true);
	memblock.reserved.cnt = 1;
	memblock.reserved.total_size = 0;
	memblock_set_bottom_up(bottom_up);
	memblock_set_current_limit(limit);
	memblock_dump_all();
	return memblock.bottom_up;
}

int __init debug_allocations(void)
{
	phys_addr_t phys = memblock_phys_alloc(SZ_1M, SZ_4K);
	unsigned int *words = memblock_alloc(SZ_4K, SMP_CACHE_BYTES);
	unsigned long i;

	phys |= memblock_phys_alloc_try_nid(SZ_1M, SZ_4K, NUMA_NO_NODE);
	for (i = 0; i < SZ_4K / sizeof(*words); i++)
		words[i] = ~i;
	pr_info("%p is %pa, %px\n", words, &phys, memblock_alloc_raw(1, 1));
	if (!memblock_alloc_from(wanted, 0, 0x70000000) || !memblock_alloc_low(wanted, 0))
		panic("%s: no %lu bytes\n", __func__, wanted);
	if (!memblock_alloc_node(wanted, 64, 0))
		return -ENOMEM;
	if (!memblock_alloc_try_nid(wanted, 64, MEMBLOCK_LOW_LIMIT, MEMBLOCK_ALLOC_ANYWHERE, 0))
		return -ENOMEM;
	return !memblock_alloc_try_nid_raw(wanted, 64, 0, MEMBLOCK_ALLOC_ACCESSIBLE, NUMA_NO_NODE);
}

int __init debug_free_ranges(void)
{
	phys_addr_t start, end, total = 0;
	int nid;
	u64 i;

	for_each_free_mem_range(i, NUMA_NO_NODE, MEMBLOCK_NONE, &start, &end, &nid)
		total += end - start;
	for_each_free_mem_range_reverse(i, NUMA_NO_NODE, MEMBLOCK_NONE, &start, &end, NULL) {
		start = clamp(start, (phys_addr_t)0x60000000, (phys_addr_t)0x70000000);
		if (round_down(end - start, SZ_1M) < SZ_1M)
			continue;
		pr_info("[%#010x - %#010x]\n", start, end);
	}
	return total == 0;
}

int __init debug_next_mem_range(void)
{
	phys_addr_t start, end;
	u64 idx = 0;

	__next_mem_range(&idx, NUMA_NO_NODE, MEMBLOCK_NONE, &memblock.memory, &memblock.reserved,
			 &start, &end, NULL);
	idx = (u64)ULLONG_MAX;
	__next_mem_range_rev(&idx, NUMA_NO_NODE, MEMBLOCK_NONE, &memblock.memory, NULL, &start, &end,
			     NULL);
	return idx == (u64)ULLONG_MAX;
}

int __init debug_pfns(void)
{
	struct memblock_region *reg = &memblock.memory.regions[0];
	struct page *page = pfn_to_page(PFN_UP(reg->base));

	pr_info("pfn %lu-%lu, %lu-%lu, %lx %lx %lx\n", memblock_region_memory_base_pfn(reg),
		memblock_region_memory_end_pfn(reg), memblock_region_reserved_base_pfn(reg),
		memblock_region_reserved_end_pfn(reg), max_pfn, max_low_pfn, min_low_pfn);
	pr_info("page %p flags %#lx count %d mapcount %d pfn %#lx phys %pa\n", page, page->flags,
		page_count(page), page_mapcount(page), page_to_pfn(page), &carveout.start);
	return PageReserved(page) + PageBuddy(page) + (int)page_zonenum(page) +
	       (virt_to_page(high_memory - PAGE_SIZE) == page) + pfn_valid(PHYS_PFN(0x60000000));
}

int __init debug_addresses(void)
{
	void *virt = phys_to_virt(PHYS_OFFSET);

	BUILD_BUG_ON(PAGE_OFFSET != 0x80000000);
	BUG_ON(__pa(virt) != PHYS_OFFSET || __va(virt_to_phys(virt)) != virt);
	pr_info("text %p-%p data %p-%p bss %p-%p init %p-%p\n", _stext, _etext, _sdata, _edata,
		__bss_start, __bss_stop, __init_begin, __init_end);
	pr_info("vmalloc %#lx-%#lx modules %#lx fixmap %#lx-%#lx\n", VMALLOC_START, VMALLOC_END,
		MODULES_VADDR, FIXADDR_START, FIXADDR_TOP);
	return !IS_ALIGNED((unsigned long)virt, SZ_1M) || PTR_ALIGN(virt, SZ_1M) != virt;
}

int __init debug_page_tables(void)
{
	unsigned long addr = PAGE_OFFSET;
	pgd_t *pgd = pgd_offset_k(addr);
	pmd_t *pmd = pmd_off_k(addr);

	if ((pmd_val(*pmd) & PMD_TYPE_MASK) == PMD_TYPE_SECT)
		pr_info("section %08x, %08x\n", pmd_val(*pmd), pgd_val(*pgd));
	else if (!pmd_none(*pmd))
		pr_info("pte %08x\n", pte_val(*pte_offset_kernel(pmd, addr)));
	local_flush_tlb_all();
	pr_info("MIDR %08x, SCTLR %08lx, cr_alignment %lx\n", read_cpuid_id(), get_cr(), cr_alignment);
	return read_cpuid_part() != ARM_CPU_PART_CORTEX_A9;
}

int __init debug_pages(void)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO, 2);
	unsigned long addr = __get_free_page(GFP_ATOMIC);
	struct zone *zone;

	if (WARN_ON(!page) || WARN(!addr, "no page, order %d\n", get_order(PAGE_SIZE)))
		return -ENOMEM;
	memset(page_address(page), 0x5a, PAGE_SIZE << 2);
	SetPagePrivate(page);
	list_del(&page->lru);
	__free_pages(page, 2);
	free_page(addr);
	for_each_populated_zone(zone)
		pr_info("%s: %lu of %lu, %lu free\n", zone->name, zone_managed_pages(zone),
			zone->present_pages, zone->free_area[MAX_ORDER - 1].nr_free);
	return totalram_pages() < nr_free_pages();
}

static int __init show_node(unsigned long node, const char *uname, int depth, void *data)
{
	const __be32 *reg;
	int length, *count = data;

	(*count)++;
	reg = of_get_flat_dt_prop(node, "reg", &length);
	if (reg && depth == 1)
		pr_info("%s: %#llx\n", uname, dt_mem_next_cell(dt_root_addr_cells, &reg));
	return 0;
}

int __init debug_device_tree(void)
{
	const void *fdt = initial_boot_params;
	int count = 0, node, depth = 0;
	u64 base, size;

	of_scan_flat_dt(show_node, &count);
	if (fdt_check_header(fdt) || fdt_totalsize(fdt) < sizeof(struct fdt_header))
		return -EINVAL;
	for (node = 0; node >= 0; node = fdt_next_node(fdt, node, &depth))
		pr_debug("%s\n", fdt_get_name(fdt, node, NULL));
	fdt_for_each_subnode(node, fdt, fdt_path_offset(fdt, "/reserved-memory"))
		count += fdt_getprop(fdt, node, "no-map", NULL) != NULL;
	if (fdt_num_mem_rsv(fdt) && !fdt_get_mem_rsv(fdt, 0, &base, &size))
		pr_info("%s: %llx %llx\n", of_flat_dt_get_machine_name(), base, size);
	return of_flat_dt_is_compatible(of_get_flat_dt_root(), "arm,vexpress") ? count : -ENODEV;
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int __init debug_library(void)
{
	char text[COMMAND_LINE_SIZE], *rest;
	int numbers[] = { 3, 1, 2 };
	unsigned long value;

	strlcpy(text, boot_command_line, sizeof(text));
	rest = strstr(text, "mem=");
	if (rest && isdigit(rest[4]))
		wanted = (unsigned long)memparse(rest + 4, &rest);
	if (kstrtoul(skip_spaces(text), 0, &value) < 0)
		value = simple_strtoul(text, NULL, 16);
	sort(numbers, ARRAY_SIZE(numbers), sizeof(numbers[0]), compare, NULL);
	swap(numbers[0], numbers[1]);
	snprintf(text, sizeof(text), "%*ph %lu", 4, numbers, DIV_ROUND_UP(value, PAGE_SIZE));
	return max3(numbers[0], numbers[1], (int)strlen(text)) + ilog2(SZ_64K) + fls(5) + ffs(8) +
	       order_base_2(5) + (int)(BIT(3) | GENMASK(7, 4)) + is_power_of_2(64);
}

struct item {
	int value;
	struct list_head list;
};

int __init debug_list(void)
{
	struct item items[] = { { .value = 1 }, { .value = 2 } }, *item;
	LIST_HEAD(head);
	int sum = 0;

	list_add(&items[0].list, &head);
	list_add_tail(&items[1].list, &head);
	list_for_each_entry(item, &head, list)
		sum += READ_ONCE(item->value);
	WARN_ONCE(sum != 3, "sum is %d\n", sum);
	return WARN_ON_ONCE(list_empty(&head)) || list_first_entry(&head, struct item, list)->value;
}

int __init debug_log(void)
{
	int i;

	printk(KERN_ERR "error %d\n", -EINVAL);
	printk("no level\n");
	pr_emerg("e\n");
	pr_warn_once("w\n");
	for (i = 0; i < 3; i++)
		pr_cont(" %d", i);
	pr_info_ratelimited("%.*s\n", 3, "abcdef");
	print_hex_dump(KERN_INFO, "", DUMP_PREFIX_OFFSET, 16, 4, _text, 64, true);
	dump_stack();
	if (IS_ENABLED(CONFIG_OF) && !IS_ENABLED(CONFIG_64BIT))
		return 0;
	BUG();
}

int __init debug_early_mapping(void)
{
	u32 __iomem *registers = early_ioremap(0x10009000, SZ_4K);
	void *image = early_memremap(phys_initrd_start, phys_initrd_size);

	writel(readl(registers) | BIT(0), registers);
	early_iounmap(registers, SZ_4K);
	early_memunmap(image, phys_initrd_size);
	return initrd_end - initrd_start != phys_initrd_size;
}

/* What is not called, but found by the linker. */
static int __init set_wanted(char *value)
{
	return kstrtoul(value, 0, &wanted);
}
early_param("wanted", set_wanted);

static int __init set_nothing(char *value)
{
	return value == NULL;
}
__setup("nothing=", set_nothing);

static int __init both_init(void)
{
	return kzalloc(1, GFP_KERNEL) == NULL;
}
module_init(both_init);
core_initcall(debug_log);

static int __init pool_setup(struct reserved_mem *rmem)
{
	pr_info("%s: %pa, %pa bytes\n", rmem->name, &rmem->base, &rmem->size);
	return 0;
}
RESERVEDMEM_OF_DECLARE(pool, "bootsim,pool", pool_setup);

EXPORT_SYMBOL(debug_list);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A driver that tries the headers");
