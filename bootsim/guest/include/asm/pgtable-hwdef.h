/* SPDX-License-Identifier: GPL-2.0-only */
/* Page tables as the MMU reads them; Linux: arch/arm/include/asm/pgtable-2level-hwdef.h */
#pragma once

#include <linux/const.h>
#include <asm/pgtable-types.h>

/* First level: a table of pages, or 1 MiB (ARM ARM DDI 0406C, B3.5.1). */
#define PMD_TYPE_MASK _AT(pmdval_t, 3)
#define PMD_TYPE_FAULT _AT(pmdval_t, 0)
#define PMD_TYPE_TABLE _AT(pmdval_t, 1)
#define PMD_TYPE_SECT _AT(pmdval_t, 2)
#define PMD_BIT4 (_AT(pmdval_t, 1) << 4)
#define PMD_DOMAIN(x) (_AT(pmdval_t, x) << 5)
#define PMD_DOMAIN_MASK PMD_DOMAIN(0x0f)
#define PMD_SECT_PXN (_AT(pmdval_t, 1) << 0)
#define PMD_SECT_BUFFERABLE (_AT(pmdval_t, 1) << 2)
#define PMD_SECT_CACHEABLE (_AT(pmdval_t, 1) << 3)
#define PMD_SECT_XN (_AT(pmdval_t, 1) << 4)
#define PMD_SECT_AP_WRITE (_AT(pmdval_t, 1) << 10)
#define PMD_SECT_AP_READ (_AT(pmdval_t, 1) << 11)
#define PMD_SECT_TEX(x) (_AT(pmdval_t, x) << 12)
#define PMD_SECT_APX (_AT(pmdval_t, 1) << 15)
#define PMD_SECT_S (_AT(pmdval_t, 1) << 16)
#define PMD_SECT_nG (_AT(pmdval_t, 1) << 17)
#define PMD_SECT_SUPER (_AT(pmdval_t, 1) << 18)
#define PMD_SECT_UNCACHED _AT(pmdval_t, 0)
#define PMD_SECT_BUFFERED PMD_SECT_BUFFERABLE
#define PMD_SECT_WT PMD_SECT_CACHEABLE
#define PMD_SECT_WB (PMD_SECT_CACHEABLE | PMD_SECT_BUFFERABLE)
#define PMD_SECT_WBWA (PMD_SECT_TEX(1) | PMD_SECT_WB)
#define PMD_SECT_CACHE_MASK PMD_SECT_WBWA

/* Second level: 64 KiB or 4 KiB (B3.5.1). */
#define PTE_TYPE_MASK _AT(pteval_t, 3)
#define PTE_TYPE_FAULT _AT(pteval_t, 0)
#define PTE_TYPE_LARGE _AT(pteval_t, 1)
#define PTE_TYPE_SMALL _AT(pteval_t, 2)
#define PTE_BUFFERABLE (_AT(pteval_t, 1) << 2)
#define PTE_CACHEABLE (_AT(pteval_t, 1) << 3)
#define PTE_EXT_XN (_AT(pteval_t, 1) << 0)
#define PTE_EXT_AP_MASK (_AT(pteval_t, 3) << 4)
#define PTE_EXT_AP0 (_AT(pteval_t, 1) << 4)
#define PTE_EXT_AP1 (_AT(pteval_t, 2) << 4)
#define PTE_EXT_TEX(x) (_AT(pteval_t, x) << 6)
#define PTE_EXT_APX (_AT(pteval_t, 1) << 9)
#define PTE_EXT_SHARED (_AT(pteval_t, 1) << 10)
#define PTE_EXT_NG (_AT(pteval_t, 1) << 11)

#define PHYS_MASK (~0UL)
