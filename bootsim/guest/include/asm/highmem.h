/* SPDX-License-Identifier: GPL-2.0-only */
/* Where pages outside of the linear map are mapped; Linux: arch/arm/include/asm/highmem.h */
#pragma once

#include <asm/fixmap.h>
#include <asm/pgtable.h>

#define PKMAP_BASE (PAGE_OFFSET - PMD_SIZE)
#define LAST_PKMAP PTRS_PER_PTE
#define PKMAP_NR(virt) (((virt) - PKMAP_BASE) >> PAGE_SHIFT)
#define PKMAP_ADDR(nr) (PKMAP_BASE + ((nr) << PAGE_SHIFT))
