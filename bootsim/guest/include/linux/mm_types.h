/* SPDX-License-Identifier: GPL-2.0-only */
/* struct page; Linux: include/linux/mm_types.h */
#pragma once

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <asm/page.h>

struct address_space;
struct kmem_cache;

/*
 * One page frame: 32 bytes, and a word more with CONFIG_MEMCG. The five words behind the flags
 * belong to whoever owns the page.
 */
struct page {
	unsigned long flags;
	union {
		struct {
			struct list_head lru;
			struct address_space *mapping;
			pgoff_t index;
			unsigned long private;
		};
		struct {
			unsigned long compound_head;
			unsigned char compound_dtor;
			unsigned char compound_order;
			atomic_t compound_mapcount;
		};
		struct {
			struct list_head slab_list;
			struct kmem_cache *slab_cache;
			void *freelist;
			void *s_mem;
		};
	};
	union {
		atomic_t _mapcount;
		unsigned int page_type;
		unsigned int active;
		int units;
	};
	atomic_t _refcount;
#ifdef CONFIG_MEMCG
	unsigned long memcg_data;
#endif
};

#define STRUCT_PAGE_MAX_SHIFT order_base_2(sizeof(struct page))
#define page_private(page) ((page)->private)

static inline void set_page_private(struct page *page, unsigned long private)
{
	page->private = private;
}

/* An address space, of which the boot knows one: the kernel's. */
struct mm_struct {
	pgd_t *pgd;
	unsigned long start_code, end_code, start_data, end_data;
	unsigned long start_brk, brk, start_stack;
};

extern struct mm_struct init_mm;
