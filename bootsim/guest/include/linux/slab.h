/* SPDX-License-Identifier: GPL-2.0-only */
/* kmalloc(), which comes after the early boot; Linux: include/linux/slab.h */
#pragma once

#include <linux/gfp.h>
#include <linux/types.h>

void *__kmalloc(size_t size, gfp_t flags);
void kfree(const void *block);

static inline void *kmalloc(size_t size, gfp_t flags)
{
	return __kmalloc(size, flags);
}

static inline void *kzalloc(size_t size, gfp_t flags)
{
	return __kmalloc(size, flags | __GFP_ZERO);
}

static inline void *kmalloc_array(size_t n, size_t size, gfp_t flags)
{
	return size && n > (size_t)-1 / size ? NULL : __kmalloc(n * size, flags);
}

static inline void *kcalloc(size_t n, size_t size, gfp_t flags)
{
	return kmalloc_array(n, size, flags | __GFP_ZERO);
}

bool slab_is_available(void);
