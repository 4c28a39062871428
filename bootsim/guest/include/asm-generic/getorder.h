/* SPDX-License-Identifier: GPL-2.0-only */
/* How many pages hold a size, as a power of two; Linux: include/asm-generic/getorder.h */
#pragma once

#include <linux/log2.h>
#include <asm/page.h>

static inline __attribute_const__ int get_order(unsigned long size)
{
	return fls_long((size - 1) >> PAGE_SHIFT);
}
