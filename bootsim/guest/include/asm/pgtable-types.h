/* SPDX-License-Identifier: GPL-2.0-only */
/* What page tables are made of; Linux: arch/arm/include/asm/pgtable-2level-types.h */
#pragma once

#include <linux/types.h>

/* Linux pairs two first-level entries of 1 MiB, so that their second levels fill one page. */
typedef u32 pteval_t;
typedef u32 pmdval_t;

typedef pteval_t pte_t;
typedef pmdval_t pmd_t;
typedef pmdval_t pgd_t[2];
typedef pteval_t pgprot_t;
typedef struct page *pgtable_t;

#define pte_val(x) (x)
#define pmd_val(x) (x)
#define pgd_val(x) ((x)[0])
#define pgprot_val(x) (x)
#define __pte(x) (x)
#define __pmd(x) (x)
#define __pgprot(x) (x)

/* The levels between them, which this MMU does not have. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 6, 0)
typedef struct {
	pgd_t pgd;
} p4d_t;
typedef struct {
	p4d_t p4d;
} pud_t;
#define p4d_val(x) pgd_val((x).pgd)
#define pud_val(x) p4d_val((x).p4d)
#else
typedef struct {
	pgd_t pgd;
} pud_t;
#define pud_val(x) pgd_val((x).pgd)
#endif
