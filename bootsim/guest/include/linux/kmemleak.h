/* SPDX-License-Identifier: GPL-2.0-only */
/* The leak detector, which is not built in; Linux: include/linux/kmemleak.h */
#pragma once

#include <linux/types.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 0, 0)
#define kmemleak_alloc_phys(phys, size, gfp) ((void)(phys), (void)(size), (void)(gfp))
#else
#define kmemleak_alloc_phys(phys, size, min_count, gfp) \
	((void)(phys), (void)(size), (void)(min_count), (void)(gfp))
#endif

static inline void kmemleak_free_part_phys(phys_addr_t phys, size_t size)
{
	(void)phys;
	(void)size;
}

static inline void kmemleak_ignore_phys(phys_addr_t phys)
{
	(void)phys;
}

static inline void kmemleak_ignore(const void *pointer)
{
	(void)pointer;
}
