/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages; Linux: arch/arm/include/asm/page.h */
#pragma once

#include <linux/const.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE (_AC(1, UL) << PAGE_SHIFT)
#define PAGE_MASK (~((1 << PAGE_SHIFT) - 1))

#include <linux/types.h>
#include <linux/string.h>
#include <asm/pgtable-types.h>
#include <asm/memory.h>
#include <asm-generic/getorder.h>

#define clear_page(page) memset((void *)(page), 0, PAGE_SIZE)
#define copy_page(to, from) memcpy((void *)(to), (const void *)(from), PAGE_SIZE)

/* Whether the memory map describes the page frame and it is memory. */
int pfn_valid(unsigned long pfn);
