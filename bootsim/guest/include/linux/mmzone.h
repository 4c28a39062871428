/* SPDX-License-Identifier: GPL-2.0-only */
/* Nodes and zones; Linux: include/linux/mmzone.h */
#pragma once

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/spinlock.h>
#include <asm/page.h>

/* Free blocks have 2^0 .. 2^(MAX_ORDER - 1) pages. */
#ifdef CONFIG_ARCH_FORCE_MAX_ORDER
#define MAX_ORDER CONFIG_ARCH_FORCE_MAX_ORDER
#elif defined(CONFIG_FORCE_MAX_ZONEORDER)
#define MAX_ORDER CONFIG_FORCE_MAX_ZONEORDER
#else
#define MAX_ORDER 11
#endif
#define MAX_ORDER_NR_PAGES (1 << (MAX_ORDER - 1))
#define pageblock_order (MAX_ORDER - 1)
#define pageblock_nr_pages (1UL << pageblock_order)

enum zone_type {
#ifdef CONFIG_ZONE_DMA
	ZONE_DMA,
#endif
	ZONE_NORMAL,
#ifdef CONFIG_HIGHMEM
	ZONE_HIGHMEM,
#endif
	ZONE_MOVABLE,
	__MAX_NR_ZONES
};
#define MAX_NR_ZONES __MAX_NR_ZONES

/*
 * The model's structures: the fields that it keeps, in its order, with one free list an order where
 * Linux has one for each migrate type.
 */
struct free_area {
	struct list_head free_list[1];
	unsigned long nr_free;
};

enum zone_stat_item {
	NR_FREE_PAGES,
	NR_VM_ZONE_STAT_ITEMS
};

struct zone {
	struct pglist_data *zone_pgdat;
	unsigned long *pageblock_flags;
	unsigned long zone_start_pfn;
	atomic_long_t managed_pages;
	unsigned long spanned_pages;
	unsigned long present_pages;
	const char *name;
	int initialized;
	atomic_long_t vm_stat[NR_VM_ZONE_STAT_ITEMS];
	struct free_area free_area[MAX_ORDER];
};

typedef struct pglist_data {
	struct zone node_zones[MAX_NR_ZONES];
	int nr_zones;
	struct page *node_mem_map;
	unsigned long node_start_pfn;
	unsigned long node_present_pages;
	unsigned long node_spanned_pages;
	int node_id;
} pg_data_t;

extern struct pglist_data contig_page_data;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0)
static inline struct pglist_data *NODE_DATA(int nid)
{
	(void)nid;
	return &contig_page_data;
}
#else
#define NODE_DATA(nid) (&contig_page_data)
#endif
#define NODE_MEM_MAP(nid) mem_map

#define node_present_pages(nid) (NODE_DATA(nid)->node_present_pages)
#define node_spanned_pages(nid) (NODE_DATA(nid)->node_spanned_pages)
#define node_start_pfn(nid) (NODE_DATA(nid)->node_start_pfn)
#define node_end_pfn(nid) pgdat_end_pfn(NODE_DATA(nid))
#define zone_idx(zone) ((zone) - (zone)->zone_pgdat->node_zones)

static inline unsigned long pgdat_end_pfn(pg_data_t *pgdat)
{
	return pgdat->node_start_pfn + pgdat->node_spanned_pages;
}

static inline unsigned long zone_managed_pages(struct zone *zone)
{
	return (unsigned long)atomic_long_read(&zone->managed_pages);
}

static inline unsigned long zone_end_pfn(const struct zone *zone)
{
	return zone->zone_start_pfn + zone->spanned_pages;
}

static inline bool zone_spans_pfn(const struct zone *zone, unsigned long pfn)
{
	return zone->zone_start_pfn <= pfn && pfn < zone_end_pfn(zone);
}

static inline bool zone_is_initialized(struct zone *zone)
{
	return zone->initialized;
}

static inline bool zone_is_empty(struct zone *zone)
{
	return zone->spanned_pages == 0;
}

static inline bool populated_zone(struct zone *zone)
{
	return zone->present_pages != 0;
}

static inline bool managed_zone(struct zone *zone)
{
	return zone_managed_pages(zone) != 0;
}

static inline unsigned long zone_page_state(struct zone *zone, enum zone_stat_item item)
{
	return (unsigned long)atomic_long_read(&zone->vm_stat[item]);
}

static inline int is_highmem_idx(enum zone_type idx)
{
#ifdef CONFIG_HIGHMEM
	return idx == ZONE_HIGHMEM;
#else
	(void)idx;
	return 0;
#endif
}

#define is_highmem(zone) is_highmem_idx(zone_idx(zone))

/* All nodes, of which there is one, and their zones in order. */
#define first_online_pgdat() NODE_DATA(0)
#define for_each_online_pgdat(pgdat) \
	for (pgdat = first_online_pgdat(); pgdat; pgdat = NULL)
#define for_each_zone(zone) \
	for (zone = NODE_DATA(0)->node_zones; zone < NODE_DATA(0)->node_zones + MAX_NR_ZONES; zone++)
#define for_each_populated_zone(zone) \
	for_each_zone(zone) \
		if (populated_zone(zone))
