/* SPDX-License-Identifier: GPL-2.0-only */
/* What the headers' functions return, run on the emulated CPU. */
#include <linux/ctype.h>
#include <linux/ioport.h>
#include <linux/memblock.h>
#include <linux/of.h>
#include <asm/cputype.h>
#include <asm/unaligned.h>

/* A function of each, and where it is. */
struct check {
	int line;
	int (*holds)(void);
};

#define HOLDS(...) HOLDS_IN(__LINE__, __VA_ARGS__)
#define HOLDS_IN(line, ...) HOLDS_NAMED(line, __VA_ARGS__)
#define HOLDS_NAMED(number, ...) \
	static int holds##number(void) \
	{ \
		return __VA_ARGS__; \
	} \
	static const struct check check##number \
		__attribute__((__used__, __section__(".checks"))) = { number, holds##number };

HOLDS(fls(0) == 0 && fls(1) == 1 && fls(0x80000000) == 32 && fls64(1ull << 40) == 41)
HOLDS(ffs(0) == 0 && ffs(8) == 4 && __ffs(8) == 3 && __fls(8) == 3 && ffz(7) == 3)
HOLDS(hweight32(0xf0f0f0f0) == 16 && hweight32(~0u) == 32 && hweight64(0x8000000000000001ull) == 2)
HOLDS(rol32(0x80000001, 1) == 3 && ror32(3, 1) == 0x80000001 && rol32(5, 0) == 5)
HOLDS(get_order(1) == 0 && get_order(4096) == 0 && get_order(4097) == 1 && get_order(0x100000) == 8)
HOLDS(is_power_of_2(64) && !is_power_of_2(0) && !is_power_of_2(65))
HOLDS(clamp(5, 1, 3) == 3 && clamp_t(u32, 5, 7, 9) == 7 && min3(3, 1, 2) == 1 && max3(3, 1, 2) == 3)
HOLDS(min_not_zero(0u, 4u) == 4 && min_not_zero(3u, 4u) == 3 && abs(-5) == 5)
HOLDS(roundup(10, 6) == 12 && rounddown(10, 6) == 6)
HOLDS(DIV_ROUND_CLOSEST(-7, 2) == -4 && DIV_ROUND_CLOSEST(7u, 2) == 4 && mult_frac(7, 3, 2) == 10)
HOLDS(({
	u64 n = 1000000000007ull;
	u32 rest = do_div(n, 1000);
	n == 1000000000 && rest == 7;
}))
HOLDS(({
	int a = 1, b = 2;
	swap(a, b);
	a == 2 && b == 1;
}))
HOLDS(({
	unsigned long bits[2] = { 0x10, 1 };
	find_first_bit(bits, 64) == 4 && find_next_bit(bits, 64, 5) == 32;
}))
HOLDS(({
	atomic_t v = ATOMIC_INIT(1);
	atomic_inc(&v);
	atomic_dec_and_test(&v) == 0 && atomic_read(&v) == 1;
}))
HOLDS(IS_ERR(ERR_PTR(-ENOMEM)) && !IS_ERR((void *)0x80000000))
HOLDS(PTR_ERR(ERR_PTR(-EBUSY)) == -EBUSY && IS_ERR_OR_NULL(NULL))
HOLDS(isspace('\t') && isxdigit('F') && !isalpha('1') && toupper('a') == 'A' && tolower('-') == '-')
HOLDS(ispunct('!') && !isgraph(' ') && isprint(' ') && !isprint(0x7f))
HOLDS(({
	struct page page;
	container_of(&page.lru, struct page, lru) == &page;
}))
HOLDS(printk_get_level(KERN_ERR "x") == '3' && printk_get_level("x") == 0)
HOLDS(*printk_skip_level(KERN_CONT "x") == 'x' && *printk_skip_headers(KERN_DEFAULT "x") == 'x')
HOLDS(({
	u8 bytes[] = { 0, 1, 2, 3, 4 };
	get_unaligned_be32(bytes + 1) == 0x01020304;
}))
HOLDS(({
	__be32 cells[] = { cpu_to_be32(1), cpu_to_be32(2) };
	of_read_number(cells, 2) == 0x100000002ull;
}))
HOLDS(({
	LIST_HEAD(head);
	struct list_head a, b;
	list_add(&a, &head);
	list_add_tail(&b, &head);
	list_del(&a);
	head.next == &b && b.next == &head && a.prev == LIST_POISON2 && list_is_singular(&head);
}))
HOLDS(({
	struct resource r = DEFINE_RES_MEM(0x1000, 0x2000);
	r.end == 0x2fff && resource_size(&r) == 0x2000;
}))
HOLDS(({
	struct memblock_region r = { .base = 0x60000800, .size = 0x2000, .flags = MEMBLOCK_NOMAP };
	memblock_set_region_node(&r, 5);
	memblock_region_memory_base_pfn(&r) == 0x60001 &&
		memblock_region_memory_end_pfn(&r) == 0x60002 &&
		memblock_region_reserved_base_pfn(&r) == 0x60000 &&
		memblock_region_reserved_end_pfn(&r) == 0x60003 &&
		memblock_is_nomap(&r) && !memblock_is_hotpluggable(&r) &&
		memblock_get_region_node(&r) == (IS_ENABLED(CONFIG_NUMA) ? 5 : 0);
}))
HOLDS(({
	struct page p = { .page_type = 0xffffff7f };
	SetPageReserved(&p);
	PageBuddy(&p) && PageReserved(&p);
}))
HOLDS(({
	struct page p = { .page_type = 0xffffffff, .flags = 1u << 31 };
	!PageBuddy(&p) && page_zonenum(&p) == 1;
}))
HOLDS(({
	pgd_t table[2048];
	struct mm_struct mm = { .pgd = table };
	&pgd_offset(&mm, 0x80200000ul)[0][1] == &table[1025][1];
}))
HOLDS(read_cpuid_id() == 0x410fc090 && read_cpuid_part() == ARM_CPU_PART_CORTEX_A9)
HOLDS((get_cr() & (CR_M | CR_TE)) == 0 && irqs_disabled())
HOLDS(({
	unsigned long flags, before;
	local_irq_enable();
	before = arch_local_save_flags();
	local_irq_save(flags);
	local_irq_restore(flags);
	mb();
	flags == before && !irqs_disabled();
}))

/* Iterators, over tables of this file's own: what they ask for, and when they end. */
static struct memblock_region regions[] = { { .base = 1 }, { .base = 2 }, { .base = 4 } };
struct memblock memblock = {
	.memory = { .cnt = 2, .regions = regions },
	.reserved = { .cnt = 3, .regions = regions },
};

static struct {
	u64 first;
	int nid, calls;
	enum memblock_flags flags;
	struct memblock_type *type_a, *type_b;
} asked;

/* Gives two ranges. */
static void step(u64 *idx)
{
	if (asked.calls == 0)
		asked.first = *idx;
	asked.calls++;
	*idx = asked.calls == 3 ? (u64)ULLONG_MAX : (u64)asked.calls;
	asked.calls %= 3;
}

void __next_mem_range(u64 *idx, int nid, enum memblock_flags flags, struct memblock_type *type_a,
		      struct memblock_type *type_b, phys_addr_t *out_start, phys_addr_t *out_end,
		      int *out_nid)
{
	step(idx);
	asked.nid = nid;
	asked.flags = flags;
	asked.type_a = type_a;
	asked.type_b = type_b;
	*out_start = 0x60000000;
	*out_end = 0x70000000;
	if (out_nid)
		*out_nid = 7;
}

void __next_mem_range_rev(u64 *idx, int nid, enum memblock_flags flags,
			  struct memblock_type *type_a, struct memblock_type *type_b,
			  phys_addr_t *out_start, phys_addr_t *out_end, int *out_nid)
{
	__next_mem_range(idx, nid, flags, type_a, type_b, out_start, out_end, out_nid);
}

#define RANGES(first_idx, wanted_nid, wanted_flags, a, b, iterator, ...) \
	HOLDS(({ \
		phys_addr_t start = 0, end = 0; \
		int count = 0, nid = 7; \
		u64 i; \
		iterator(i, __VA_ARGS__) \
			count += start == 0x60000000 && end == 0x70000000 && nid == 7; \
		count == 2 && asked.first == (first_idx) && asked.nid == (wanted_nid) && \
			asked.flags == (wanted_flags) && asked.type_a == (a) && asked.type_b == (b); \
	}))

RANGES(0, 3, MEMBLOCK_MIRROR, &memblock.memory, &memblock.reserved, for_each_free_mem_range, 3,
       MEMBLOCK_MIRROR, &start, &end, &nid)
RANGES(ULLONG_MAX, 3, MEMBLOCK_NONE, &memblock.memory, &memblock.reserved,
       for_each_free_mem_range_reverse, 3, MEMBLOCK_NONE, &start, &end, NULL)

#define REGIONS(sum, iterator, ...) \
	HOLDS(({ \
		struct memblock_region *reg; \
		phys_addr_t bases = 0; \
		iterator(__VA_ARGS__ reg) \
			bases += reg->base; \
		bases == (sum); \
	}))
#define COMMA ,

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 10, 0)
RANGES(0, NUMA_NO_NODE, MEMBLOCK_HOTPLUG | MEMBLOCK_DRIVER_MANAGED, &memblock.memory, NULL,
       for_each_mem_range, &start, &end)
RANGES(ULLONG_MAX, NUMA_NO_NODE, MEMBLOCK_HOTPLUG | MEMBLOCK_DRIVER_MANAGED, &memblock.memory, NULL,
       for_each_mem_range_rev, &start, &end)
RANGES(0, NUMA_NO_NODE, MEMBLOCK_NONE, &memblock.reserved, NULL, for_each_reserved_mem_range,
       &start, &end)
RANGES(0, 5, MEMBLOCK_NOMAP, &memblock.reserved, &memblock.memory, __for_each_mem_range,
       &memblock.reserved, &memblock.memory, 5, MEMBLOCK_NOMAP, &start, &end, &nid)
RANGES(ULLONG_MAX, 5, MEMBLOCK_NOMAP, &memblock.reserved, NULL, __for_each_mem_range_rev,
       &memblock.reserved, NULL, 5, MEMBLOCK_NOMAP, &start, &end, &nid)
REGIONS(3, for_each_mem_region,)
REGIONS(7, for_each_reserved_mem_region,)

void __next_mem_pfn_range(int *idx, int nid, unsigned long *out_start_pfn,
			  unsigned long *out_end_pfn, int *out_nid)
{
	*idx = *idx < 1 ? *idx + 1 : -1;
	*out_start_pfn = nid;
	*out_end_pfn = *out_nid = 9;
}

HOLDS(({
	unsigned long start_pfn, end_pfn;
	int i, nid, count = 0;
	for_each_mem_pfn_range(i, 5, &start_pfn, &end_pfn, &nid)
		count += start_pfn == 5 && end_pfn == 9 && nid == 9;
	count == 2;
}))
#else
RANGES(0, 5, MEMBLOCK_NOMAP, &memblock.reserved, &memblock.memory, for_each_mem_range,
       &memblock.reserved, &memblock.memory, 5, MEMBLOCK_NOMAP, &start, &end, &nid)
RANGES(ULLONG_MAX, 5, MEMBLOCK_NOMAP, &memblock.memory, NULL, for_each_mem_range_rev,
       &memblock.memory, NULL, 5, MEMBLOCK_NOMAP, &start, &end, NULL)
REGIONS(3, for_each_memblock, memory COMMA)
REGIONS(7, for_each_memblock, reserved COMMA)

void __next_reserved_mem_region(u64 *idx, phys_addr_t *out_start, phys_addr_t *out_end)
{
	step(idx);
	*out_start = 0x60000000;
	*out_end = 0x60ffffff;
}

HOLDS(({
	phys_addr_t start, end, sum = 0;
	u64 i;
	for_each_reserved_mem_region(i, &start, &end)
		sum += end - start;
	sum == 2 * 0xffffff && asked.first == 0;
}))
HOLDS(({
	struct memblock_type *type = &memblock.reserved;
	struct memblock_region *rgn;
	unsigned long i;
	phys_addr_t sum = 0;
	for_each_memblock_type(i, type, rgn)
		sum += rgn->base * (i + 1);
	sum == 1 + 2 * 2 + 3 * 4;
}))
#endif
