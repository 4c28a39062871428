/* SPDX-License-Identifier: GPL-2.0-only */
/* Caches, which the emulated CPU keeps coherent; Linux: arch/arm/include/asm/cacheflush.h */
#pragma once

#include <linux/mm_types.h>
#include <asm/barrier.h>

#define flush_cache_all() dsb()
#define flush_cache_louis() dsb()
#define flush_icache_range(start, end) do { \
	(void)(start); \
	(void)(end); \
	dsb(); \
	isb(); \
} while (0)
#define flush_dcache_page(page) ((void)(page))
#define __cpuc_flush_dcache_area(addr, size) ((void)(addr), (void)(size))
