/* SPDX-License-Identifier: GPL-2.0-only */
/* The allocator of the early boot; Linux: include/linux/memblock.h of 5.0 and of 6.1 */
#pragma once

#include <linux/init.h>
#include <linux/mm.h>
#include <asm/dma.h>

extern unsigned long max_low_pfn;
extern unsigned long min_low_pfn;
extern unsigned long max_pfn;
extern unsigned long long max_possible_pfn;

#define INIT_MEMBLOCK_REGIONS 128
#define INIT_PHYSMEM_REGIONS 4

enum memblock_flags {
	MEMBLOCK_NONE = 0x0,
	MEMBLOCK_HOTPLUG = 0x1,
	MEMBLOCK_MIRROR = 0x2,
	MEMBLOCK_NOMAP = 0x4,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
	MEMBLOCK_DRIVER_MANAGED = 0x8,
#endif
};

#if defined(CONFIG_HAVE_MEMBLOCK_NODE_MAP) || \
	(LINUX_VERSION_CODE >= KERNEL_VERSION(5, 8, 0) && defined(CONFIG_NUMA))
#define __MEMBLOCK_HAS_NODES 1
#endif

/* Physical addresses [base, base + size). */
struct memblock_region {
	phys_addr_t base;
	phys_addr_t size;
	enum memblock_flags flags;
#ifdef __MEMBLOCK_HAS_NODES
	int nid;
#endif
};

/* `cnt` regions in an array that has room for `max`, in order, together `total_size` bytes. */
struct memblock_type {
	unsigned long cnt;
	unsigned long max;
	phys_addr_t total_size;
	struct memblock_region *regions;
	char *name;
};

struct memblock {
	bool bottom_up;
	phys_addr_t current_limit;
	struct memblock_type memory;
	struct memblock_type reserved;
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 9, 0) && defined(CONFIG_HAVE_MEMBLOCK_PHYS_MAP)
	struct memblock_type physmem;
#endif
};

extern struct memblock memblock;

#ifdef CONFIG_ARCH_DISCARD_MEMBLOCK
#define __init_memblock __meminit
#define __initdata_memblock __meminitdata
#else
#define __init_memblock
#define __initdata_memblock
#endif

/* Where to allocate. */
#define MEMBLOCK_ALLOC_ANYWHERE (~(phys_addr_t)0)
#define MEMBLOCK_ALLOC_ACCESSIBLE 0
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 17, 0)
#define MEMBLOCK_ALLOC_NOLEAKTRACE 1
#else
#define MEMBLOCK_ALLOC_KASAN 1
#endif
#define MEMBLOCK_LOW_LIMIT 0
#define ARCH_LOW_ADDRESS_LIMIT 0xffffffffUL

/* What is memory, and what of it is taken. */
int memblock_add(phys_addr_t base, phys_addr_t size);
int memblock_remove(phys_addr_t base, phys_addr_t size);
int memblock_reserve(phys_addr_t base, phys_addr_t size);
void memblock_trim_memory(phys_addr_t align);
void memblock_allow_resize(void);
void memblock_enforce_memory_limit(phys_addr_t memory_limit);
void memblock_cap_memory_range(phys_addr_t base, phys_addr_t size);
void memblock_mem_limit_remove_map(phys_addr_t limit);

int memblock_mark_hotplug(phys_addr_t base, phys_addr_t size);
int memblock_clear_hotplug(phys_addr_t base, phys_addr_t size);
int memblock_mark_mirror(phys_addr_t base, phys_addr_t size);
int memblock_mark_nomap(phys_addr_t base, phys_addr_t size);
int memblock_clear_nomap(phys_addr_t base, phys_addr_t size);

bool memblock_overlaps_region(struct memblock_type *type, phys_addr_t base, phys_addr_t size);
bool memblock_is_memory(phys_addr_t addr);
bool memblock_is_map_memory(phys_addr_t addr);
bool memblock_is_region_memory(phys_addr_t base, phys_addr_t size);
bool memblock_is_reserved(phys_addr_t addr);
bool memblock_is_region_reserved(phys_addr_t base, phys_addr_t size);
phys_addr_t memblock_phys_mem_size(void);
phys_addr_t memblock_reserved_size(void);
phys_addr_t memblock_start_of_DRAM(void);
phys_addr_t memblock_end_of_DRAM(void);
void memblock_set_current_limit(phys_addr_t limit);
phys_addr_t memblock_get_current_limit(void);

/* Physical addresses, of memory that is not cleared. */
phys_addr_t memblock_phys_alloc_try_nid(phys_addr_t size, phys_addr_t align, int nid);

/* Virtual addresses; memory of the _raw ones is not cleared. */
void *memblock_alloc_try_nid(phys_addr_t size, phys_addr_t align, phys_addr_t min_addr,
			     phys_addr_t max_addr, int nid);
void *memblock_alloc_try_nid_raw(phys_addr_t size, phys_addr_t align, phys_addr_t min_addr,
				 phys_addr_t max_addr, int nid);

/* The ranges of one table that another does not have, from range to range. */
void __next_mem_range(u64 *idx, int nid, enum memblock_flags flags, struct memblock_type *type_a,
		      struct memblock_type *type_b, phys_addr_t *out_start, phys_addr_t *out_end,
		      int *out_nid);
void __next_mem_range_rev(u64 *idx, int nid, enum memblock_flags flags,
			  struct memblock_type *type_a, struct memblock_type *type_b,
			  phys_addr_t *out_start, phys_addr_t *out_end, int *out_nid);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
int memblock_add_node(phys_addr_t base, phys_addr_t size, int nid, enum memblock_flags flags);
int memblock_phys_free(phys_addr_t base, phys_addr_t size);
void memblock_free(void *ptr, size_t size);
void memblock_free_late(phys_addr_t base, phys_addr_t size);
unsigned long memblock_addrs_overlap(phys_addr_t base1, phys_addr_t size1, phys_addr_t base2,
				     phys_addr_t size2);
void memblock_free_all(void);
void memblock_dump_all(void);
phys_addr_t memblock_phys_alloc_range(phys_addr_t size, phys_addr_t align, phys_addr_t start,
				      phys_addr_t end);
phys_addr_t memblock_alloc_range_nid(phys_addr_t size, phys_addr_t align, phys_addr_t start,
				     phys_addr_t end, int nid, bool exact_nid);
void *memblock_alloc_exact_nid_raw(phys_addr_t size, phys_addr_t align, phys_addr_t min_addr,
				   phys_addr_t max_addr, int nid);

static inline phys_addr_t memblock_phys_alloc(phys_addr_t size, phys_addr_t align)
{
	return memblock_phys_alloc_range(size, align, 0, MEMBLOCK_ALLOC_ACCESSIBLE);
}
#else
extern int memblock_debug;
#define memblock_dbg(fmt, ...) do { \
	if (memblock_debug) \
		printk(KERN_INFO pr_fmt(fmt), ##__VA_ARGS__); \
} while (0)

int memblock_add_node(phys_addr_t base, phys_addr_t size, int nid);
int memblock_add_range(struct memblock_type *type, phys_addr_t base, phys_addr_t size, int nid,
		       enum memblock_flags flags);
int memblock_free(phys_addr_t base, phys_addr_t size);
void __memblock_free_early(phys_addr_t base, phys_addr_t size);
void __memblock_free_late(phys_addr_t base, phys_addr_t size);
unsigned long memblock_free_all(void);
phys_addr_t memblock_mem_size(unsigned long limit_pfn);
void __memblock_dump_all(void);

enum memblock_flags choose_memblock_flags(void);
phys_addr_t memblock_find_in_range_node(phys_addr_t size, phys_addr_t align, phys_addr_t start,
					phys_addr_t end, int nid, enum memblock_flags flags);
phys_addr_t memblock_find_in_range(phys_addr_t start, phys_addr_t end, phys_addr_t size,
				   phys_addr_t align);
phys_addr_t memblock_phys_alloc(phys_addr_t size, phys_addr_t align);
phys_addr_t memblock_phys_alloc_nid(phys_addr_t size, phys_addr_t align, int nid);
phys_addr_t memblock_alloc_range(phys_addr_t size, phys_addr_t align, phys_addr_t start,
				 phys_addr_t end, enum memblock_flags flags);
phys_addr_t memblock_alloc_base_nid(phys_addr_t size, phys_addr_t align, phys_addr_t max_addr,
				    int nid, enum memblock_flags flags);
phys_addr_t memblock_alloc_base(phys_addr_t size, phys_addr_t align, phys_addr_t max_addr);
phys_addr_t __memblock_alloc_base(phys_addr_t size, phys_addr_t align, phys_addr_t max_addr);
void *memblock_alloc_try_nid_nopanic(phys_addr_t size, phys_addr_t align, phys_addr_t min_addr,
				     phys_addr_t max_addr, int nid);

void __next_reserved_mem_region(u64 *idx, phys_addr_t *out_start, phys_addr_t *out_end);

static inline void memblock_dump_all(void)
{
	if (memblock_debug)
		__memblock_dump_all();
}

static inline void memblock_free_early(phys_addr_t base, phys_addr_t size)
{
	__memblock_free_early(base, size);
}

static inline void memblock_free_early_nid(phys_addr_t base, phys_addr_t size, int nid)
{
	(void)nid;
	__memblock_free_early(base, size);
}

static inline void memblock_free_late(phys_addr_t base, phys_addr_t size)
{
	__memblock_free_late(base, size);
}

static inline void memblock_set_region_flags(struct memblock_region *r, enum memblock_flags flags)
{
	r->flags |= flags;
}

static inline void memblock_clear_region_flags(struct memblock_region *r,
					       enum memblock_flags flags)
{
	r->flags &= ~flags;
}

static inline void *memblock_alloc_nopanic(phys_addr_t size, phys_addr_t align)
{
	return memblock_alloc_try_nid_nopanic(size, align, MEMBLOCK_LOW_LIMIT,
					      MEMBLOCK_ALLOC_ACCESSIBLE, NUMA_NO_NODE);
}

static inline void *memblock_alloc_low_nopanic(phys_addr_t size, phys_addr_t align)
{
	return memblock_alloc_try_nid_nopanic(size, align, MEMBLOCK_LOW_LIMIT,
					      ARCH_LOW_ADDRESS_LIMIT, NUMA_NO_NODE);
}

static inline void *memblock_alloc_from_nopanic(phys_addr_t size, phys_addr_t align,
						phys_addr_t min_addr)
{
	return memblock_alloc_try_nid_nopanic(size, align, min_addr, MEMBLOCK_ALLOC_ACCESSIBLE,
					      NUMA_NO_NODE);
}

static inline void *memblock_alloc_node_nopanic(phys_addr_t size, int nid)
{
	return memblock_alloc_try_nid_nopanic(size, SMP_CACHE_BYTES, MEMBLOCK_LOW_LIMIT,
					      MEMBLOCK_ALLOC_ACCESSIBLE, nid);
}
#endif

static inline void *memblock_alloc(phys_addr_t size, phys_addr_t align)
{
	return memblock_alloc_try_nid(size, align, MEMBLOCK_LOW_LIMIT, MEMBLOCK_ALLOC_ACCESSIBLE,
				      NUMA_NO_NODE);
}

static inline void *memblock_alloc_raw(phys_addr_t size, phys_addr_t align)
{
	return memblock_alloc_try_nid_raw(size, align, MEMBLOCK_LOW_LIMIT,
					  MEMBLOCK_ALLOC_ACCESSIBLE, NUMA_NO_NODE);
}

static inline void *memblock_alloc_from(phys_addr_t size, phys_addr_t align, phys_addr_t min_addr)
{
	return memblock_alloc_try_nid(size, align, min_addr, MEMBLOCK_ALLOC_ACCESSIBLE,
				      NUMA_NO_NODE);
}

static inline void *memblock_alloc_low(phys_addr_t size, phys_addr_t align)
{
	return memblock_alloc_try_nid(size, align, MEMBLOCK_LOW_LIMIT, ARCH_LOW_ADDRESS_LIMIT,
				      NUMA_NO_NODE);
}

static inline void *memblock_alloc_node(phys_addr_t size, phys_addr_t align, int nid)
{
	return memblock_alloc_try_nid(size, align, MEMBLOCK_LOW_LIMIT, MEMBLOCK_ALLOC_ACCESSIBLE,
				      nid);
}

/* Whether to allocate from the bottom of memory up. */
static inline void memblock_set_bottom_up(bool enable)
{
	memblock.bottom_up = enable;
}

static inline bool memblock_bottom_up(void)
{
	return memblock.bottom_up;
}

/* Marks and nodes of a region. */
static inline bool memblock_is_hotpluggable(struct memblock_region *m)
{
	return m->flags & MEMBLOCK_HOTPLUG;
}

static inline bool memblock_is_mirror(struct memblock_region *m)
{
	return m->flags & MEMBLOCK_MIRROR;
}

static inline bool memblock_is_nomap(struct memblock_region *m)
{
	return m->flags & MEMBLOCK_NOMAP;
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
static inline bool memblock_is_driver_managed(struct memblock_region *m)
{
	return m->flags & MEMBLOCK_DRIVER_MANAGED;
}
#endif

static inline void memblock_set_region_node(struct memblock_region *r, int nid)
{
#ifdef __MEMBLOCK_HAS_NODES
	r->nid = nid;
#else
	(void)r;
	(void)nid;
#endif
}

static inline int memblock_get_region_node(const struct memblock_region *r)
{
#ifdef __MEMBLOCK_HAS_NODES
	return r->nid;
#else
	(void)r;
	return 0;
#endif
}

/* Page frames: those whole within a region of memory, those that a reserved region touches. */
static inline unsigned long memblock_region_memory_base_pfn(const struct memblock_region *reg)
{
	return PFN_UP(reg->base);
}

static inline unsigned long memblock_region_memory_end_pfn(const struct memblock_region *reg)
{
	return PFN_DOWN(reg->base + reg->size);
}

static inline unsigned long memblock_region_reserved_base_pfn(const struct memblock_region *reg)
{
	return PFN_DOWN(reg->base);
}

static inline unsigned long memblock_region_reserved_end_pfn(const struct memblock_region *reg)
{
	return PFN_UP(reg->base + reg->size);
}

/* The regions of a table. */
#define __for_each_region(table, region) \
	for (region = (table).regions; region < (table).regions + (table).cnt; region++)

/* The ranges of type_a that type_b does not have; a NULL in the place of what is not wanted. */
#define __for_each_range(next, first, i, type_a, type_b, nid, flags, p_start, p_end, p_nid) \
	for (i = (first), next(&i, nid, flags, type_a, type_b, p_start, p_end, p_nid); \
	     i != (u64)ULLONG_MAX; \
	     next(&i, nid, flags, type_a, type_b, p_start, p_end, p_nid))

#define for_each_free_mem_range(i, nid, flags, p_start, p_end, p_nid) \
	__for_each_range(__next_mem_range, 0, i, &memblock.memory, &memblock.reserved, nid, flags, \
			 p_start, p_end, p_nid)
#define for_each_free_mem_range_reverse(i, nid, flags, p_start, p_end, p_nid) \
	__for_each_range(__next_mem_range_rev, (u64)ULLONG_MAX, i, &memblock.memory, \
			 &memblock.reserved, nid, flags, p_start, p_end, p_nid)

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 10, 0)
#define __for_each_mem_range(i, type_a, type_b, nid, flags, p_start, p_end, p_nid) \
	__for_each_range(__next_mem_range, 0, i, type_a, type_b, nid, flags, p_start, p_end, p_nid)
#define __for_each_mem_range_rev(i, type_a, type_b, nid, flags, p_start, p_end, p_nid) \
	__for_each_range(__next_mem_range_rev, (u64)ULLONG_MAX, i, type_a, type_b, nid, flags, \
			 p_start, p_end, p_nid)
#define for_each_mem_range(i, p_start, p_end) \
	__for_each_mem_range(i, &memblock.memory, NULL, NUMA_NO_NODE, \
			     MEMBLOCK_HOTPLUG | MEMBLOCK_DRIVER_MANAGED, p_start, p_end, NULL)
#define for_each_mem_range_rev(i, p_start, p_end) \
	__for_each_mem_range_rev(i, &memblock.memory, NULL, NUMA_NO_NODE, \
				 MEMBLOCK_HOTPLUG | MEMBLOCK_DRIVER_MANAGED, p_start, p_end, NULL)
#define for_each_reserved_mem_range(i, p_start, p_end) \
	__for_each_mem_range(i, &memblock.reserved, NULL, NUMA_NO_NODE, MEMBLOCK_NONE, p_start, \
			     p_end, NULL)
#define for_each_mem_region(region) __for_each_region(memblock.memory, region)
#define for_each_reserved_mem_region(region) __for_each_region(memblock.reserved, region)
#else
#define for_each_mem_range(i, type_a, type_b, nid, flags, p_start, p_end, p_nid) \
	__for_each_range(__next_mem_range, 0, i, type_a, type_b, nid, flags, p_start, p_end, p_nid)
#define for_each_mem_range_rev(i, type_a, type_b, nid, flags, p_start, p_end, p_nid) \
	__for_each_range(__next_mem_range_rev, (u64)ULLONG_MAX, i, type_a, type_b, nid, flags, \
			 p_start, p_end, p_nid)
#define for_each_reserved_mem_region(i, p_start, p_end) \
	for (i = 0UL, __next_reserved_mem_region(&i, p_start, p_end); i != (u64)ULLONG_MAX; \
	     __next_reserved_mem_region(&i, p_start, p_end))
#define for_each_memblock(memblock_type, region) __for_each_region(memblock.memblock_type, region)
#define for_each_memblock_type(i, memblock_type, rgn) \
	for (i = 0, rgn = &(memblock_type)->regions[0]; i < (memblock_type)->cnt; \
	     i++, rgn = &(memblock_type)->regions[i])
#endif

/* Nodes, which Linux had to 5.7 only where a region has one. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 8, 0) || defined(__MEMBLOCK_HAS_NODES)
int memblock_search_pfn_nid(unsigned long pfn, unsigned long *start_pfn, unsigned long *end_pfn);
void __next_mem_pfn_range(int *idx, int nid, unsigned long *out_start_pfn,
			  unsigned long *out_end_pfn, int *out_nid);
int memblock_set_node(phys_addr_t base, phys_addr_t size, struct memblock_type *type, int nid);

#define for_each_mem_pfn_range(i, nid, p_start, p_end, p_nid) \
	for (i = -1, __next_mem_pfn_range(&i, nid, p_start, p_end, p_nid); i >= 0; \
	     __next_mem_pfn_range(&i, nid, p_start, p_end, p_nid))
#endif

/* Memory that is there, whatever of it the kernel is allowed to use. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 9, 0) && defined(CONFIG_HAVE_MEMBLOCK_PHYS_MAP)
extern struct memblock_type physmem;
int memblock_physmem_add(phys_addr_t base, phys_addr_t size);

#define for_each_physmem_range(i, type, p_start, p_end) \
	__for_each_range(__next_mem_range, 0, i, &physmem, type, NUMA_NO_NODE, MEMBLOCK_NONE, \
			 p_start, p_end, NULL)
#endif

#ifdef CONFIG_MEMTEST
void early_memtest(phys_addr_t start, phys_addr_t end);
#else
static inline void early_memtest(phys_addr_t start, phys_addr_t end)
{
	(void)start;
	(void)end;
}
#endif
