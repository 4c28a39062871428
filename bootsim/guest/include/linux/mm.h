/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory management; Linux: include/linux/mm.h */
#pragma once

#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mmdebug.h>
#include <linux/mmzone.h>
#include <linux/page-flags.h>
#include <linux/pfn.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <asm/page.h>
#include <asm/processor.h>
#include <asm/sections.h>

#define PAGE_ALIGN(addr) ALIGN(addr, PAGE_SIZE)
#define PAGE_ALIGN_DOWN(addr) ALIGN_DOWN(addr, PAGE_SIZE)
#define PAGE_ALIGNED(addr) IS_ALIGNED((unsigned long)(addr), PAGE_SIZE)
#define offset_in_page(p) ((unsigned long)(p) & ~PAGE_MASK)
#define nth_page(page, n) ((page) + (n))

#define lm_alias(symbol) __va(__pa_symbol(symbol))

extern unsigned long max_mapnr;

/* What the page allocator was given, and what of it is free: summed over the zones. */
static inline unsigned long totalram_pages(void)
{
	unsigned long pages = 0;
	struct zone *zone;

	for_each_zone(zone)
		pages += zone_managed_pages(zone);
	return pages;
}

static inline unsigned long nr_free_pages(void)
{
	unsigned long pages = 0;
	struct zone *zone;

	for_each_zone(zone)
		pages += zone_page_state(zone, NR_FREE_PAGES);
	return pages;
}

static inline int page_count(struct page *page)
{
	return atomic_read(&page->_refcount);
}

static inline void init_page_count(struct page *page)
{
	atomic_set(&page->_refcount, 1);
}

static inline void get_page(struct page *page)
{
	atomic_inc(&page->_refcount);
}

static inline void put_page(struct page *page)
{
	__free_page(page);
}

static inline int page_mapcount(struct page *page)
{
	return atomic_read(&page->_mapcount) + 1;
}

/* page->flags holds the zone in its highest bits, as few as number the zones. */
#define __ZONES_SHIFT (MAX_NR_ZONES < 2 ? 0 : MAX_NR_ZONES <= 2 ? 1 : 2)

static inline enum zone_type page_zonenum(const struct page *page)
{
	return __ZONES_SHIFT ? (enum zone_type)(page->flags >> (BITS_PER_LONG - __ZONES_SHIFT)) : 0;
}

static inline struct zone *page_zone(const struct page *page)
{
	return &NODE_DATA(0)->node_zones[page_zonenum(page)];
}

static inline int page_to_nid(const struct page *page)
{
	(void)page;
	return 0;
}

static inline void *lowmem_page_address(const struct page *page)
{
	return __va(PFN_PHYS(page_to_pfn((struct page *)page)));
}

#define page_address(page) lowmem_page_address(page)
