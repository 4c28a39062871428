/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that the linear map has no room for; Linux: include/linux/highmem.h */
#pragma once

#include <linux/mm.h>

/* Before kmap() works, only pages of the linear map can be had: NULL for others. */
static inline void *kmap(struct page *page)
{
	return PageHighMem(page) ? NULL : page_address(page);
}

#define kunmap(page) ((void)(page))
#define kmap_atomic(page) kmap(page)
#define kunmap_atomic(addr) ((void)(addr))
#define kmap_local_page(page) kmap(page)
#define kunmap_local(addr) ((void)(addr))
#define clear_highpage(page) clear_page(kmap(page))
