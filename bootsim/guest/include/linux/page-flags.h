/* SPDX-License-Identifier: GPL-2.0-only */
/* What page->flags say; Linux: include/linux/page-flags.h */
#pragma once

#include <linux/bitops.h>
#include <linux/mm_types.h>
#include <linux/mmzone.h>

enum pageflags {
	PG_locked,
	PG_referenced,
	PG_uptodate,
	PG_dirty,
	PG_lru,
	PG_active,
	PG_workingset,
	PG_waiters,
	PG_error,
	PG_slab,
	PG_owner_priv_1,
	PG_arch_1,
	PG_reserved,
	PG_private,
	PG_private_2,
	PG_writeback,
	PG_head,
	PG_mappedtodisk,
	PG_reclaim,
	PG_swapbacked,
	PG_unevictable,
	PG_mlocked,
	__NR_PAGEFLAGS
};

#define __PAGE_FLAG_TEST(Name, flag) \
	static inline int Page##Name(struct page *page) \
	{ \
		return test_bit(flag, &page->flags); \
	}
#define __PAGE_FLAG(Name, flag) \
	__PAGE_FLAG_TEST(Name, flag) \
	static inline void SetPage##Name(struct page *page) \
	{ \
		__set_bit(flag, &page->flags); \
	} \
	static inline void ClearPage##Name(struct page *page) \
	{ \
		__clear_bit(flag, &page->flags); \
	} \
	static inline void __SetPage##Name(struct page *page) \
	{ \
		__set_bit(flag, &page->flags); \
	} \
	static inline void __ClearPage##Name(struct page *page) \
	{ \
		__clear_bit(flag, &page->flags); \
	}

__PAGE_FLAG(Referenced, PG_referenced)
__PAGE_FLAG(Uptodate, PG_uptodate)
__PAGE_FLAG(Dirty, PG_dirty)
__PAGE_FLAG(LRU, PG_lru)
__PAGE_FLAG(Active, PG_active)
__PAGE_FLAG(Slab, PG_slab)
__PAGE_FLAG(Reserved, PG_reserved)
__PAGE_FLAG(Private, PG_private)
__PAGE_FLAG(SwapBacked, PG_swapbacked)
__PAGE_FLAG_TEST(Locked, PG_locked)
__PAGE_FLAG_TEST(Writeback, PG_writeback)
__PAGE_FLAG_TEST(Head, PG_head)
__PAGE_FLAG_TEST(Unevictable, PG_unevictable)
__PAGE_FLAG_TEST(Mlocked, PG_mlocked)

/* A page's type lies where mapped pages have their count: its bit is clear while it is set. */
#define PAGE_TYPE_BASE 0xf0000000
#define PAGE_MAPCOUNT_RESERVE -128
#define PG_buddy 0x00000080

static inline int PageBuddy(struct page *page)
{
	return (page->page_type & (PAGE_TYPE_BASE | PG_buddy)) == PAGE_TYPE_BASE;
}

static inline int PageTail(struct page *page)
{
	return READ_ONCE(page->compound_head) & 1;
}

static inline int PageCompound(struct page *page)
{
	return PageHead(page) || PageTail(page);
}

static inline int PageHighMem(struct page *page)
{
#ifdef CONFIG_HIGHMEM
	return virt_to_pfn(high_memory - 1) < page_to_pfn(page);
#else
	(void)page;
	return 0;
#endif
}
