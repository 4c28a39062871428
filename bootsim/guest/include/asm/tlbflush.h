/* SPDX-License-Identifier: GPL-2.0-only */
/* The translations that the CPU keeps; Linux: arch/arm/include/asm/tlbflush.h */
#pragma once

#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/page.h>

/* TLBIALL and TLBIMVA: ARM ARM DDI 0406C, B4.2.2. */
static inline void local_flush_tlb_all(void)
{
	dsb(nshst);
	__asm__ __volatile__("mcr p15, 0, %0, c8, c7, 0" : : "r"(0) : "memory");
	dsb(nsh);
	isb();
}

static inline void local_flush_tlb_kernel_page(unsigned long addr)
{
	dsb(nshst);
	__asm__ __volatile__("mcr p15, 0, %0, c8, c7, 1" : : "r"(addr & PAGE_MASK) : "memory");
	dsb(nsh);
	isb();
}

static inline void local_flush_tlb_kernel_range(unsigned long start, unsigned long end)
{
	for (start &= PAGE_MASK; start < end; start += PAGE_SIZE)
		local_flush_tlb_kernel_page(start);
}

#define flush_tlb_all() local_flush_tlb_all()
#define flush_tlb_kernel_page(addr) local_flush_tlb_kernel_page(addr)
#define flush_tlb_kernel_range(start, end) local_flush_tlb_kernel_range(start, end)
