/* SPDX-License-Identifier: GPL-2.0-only */
/* The linear map: virtual and physical addresses; Linux: arch/arm/include/asm/memory.h */
#pragma once

#include <linux/compiler.h>
#include <linux/const.h>
#include <linux/sizes.h>
#include <linux/types.h>
#include <asm/page.h>

#define PAGE_OFFSET UL(CONFIG_PAGE_OFFSET)
#define KERNEL_OFFSET PAGE_OFFSET
#define TASK_SIZE (PAGE_OFFSET - UL(SZ_16M))
#define TASK_UNMAPPED_BASE ((TASK_SIZE / 3 + SZ_16M - 1) & ~(UL(SZ_16M) - 1))
#define MODULES_VADDR (PAGE_OFFSET - SZ_16M)
#ifdef CONFIG_HIGHMEM
#define MODULES_END (PAGE_OFFSET - PMD_SIZE)
#else
#define MODULES_END PAGE_OFFSET
#endif
#define VECTORS_BASE UL(0xffff0000)

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
#define FDT_FIXED_BASE UL(0xff800000)
#define FDT_FIXED_SIZE (2 * SECTION_SIZE)
#define FDT_VIRT_BASE(physbase) ((void *)(FDT_FIXED_BASE | (physbase) % SECTION_SIZE))
#endif

#define KERNEL_START _stext
#define KERNEL_END _end

/* Where RAM begins: head.S sets it, patching the code that converts addresses. */
extern unsigned long __pv_phys_pfn_offset;

#define PHYS_PFN_OFFSET __pv_phys_pfn_offset
#define PHYS_OFFSET ((phys_addr_t)__pv_phys_pfn_offset << PAGE_SHIFT)
#define ARCH_PFN_OFFSET PHYS_PFN_OFFSET

static inline phys_addr_t __virt_to_phys(unsigned long x)
{
	return (phys_addr_t)(x - PAGE_OFFSET) + PHYS_OFFSET;
}

static inline unsigned long __phys_to_virt(phys_addr_t x)
{
	return (unsigned long)(x - PHYS_OFFSET) + PAGE_OFFSET;
}

static inline phys_addr_t virt_to_phys(const volatile void *x)
{
	return __virt_to_phys((unsigned long)x);
}

static inline void *phys_to_virt(phys_addr_t x)
{
	return (void *)__phys_to_virt(x);
}

#define __virt_to_phys_nodebug(x) __virt_to_phys(x)
#define __phys_addr_symbol(x) __virt_to_phys(x)
#define __pa(x) __virt_to_phys((unsigned long)(x))
#define __pa_symbol(x) __phys_addr_symbol(RELOC_HIDE((unsigned long)(x), 0))
#define __pa_symbol_nodebug(x) __pa_symbol(x)
#define __va(x) ((void *)__phys_to_virt((phys_addr_t)(x)))

#define __pfn_to_phys(pfn) ((phys_addr_t)(pfn) << PAGE_SHIFT)
#define __phys_to_pfn(phys) ((unsigned long)((phys) >> PAGE_SHIFT))
#define virt_to_pfn(kaddr) \
	((((unsigned long)(kaddr) - PAGE_OFFSET) >> PAGE_SHIFT) + PHYS_PFN_OFFSET)
#define pfn_to_kaddr(pfn) __va((phys_addr_t)(pfn) << PAGE_SHIFT)

/* The memory map: a struct page for each page frame. */
extern struct page *mem_map;
extern void *high_memory;

#define __pfn_to_page(pfn) (mem_map + ((pfn) - ARCH_PFN_OFFSET))
#define __page_to_pfn(page) ((unsigned long)((page) - mem_map) + ARCH_PFN_OFFSET)
#define pfn_to_page(pfn) __pfn_to_page(pfn)
#define page_to_pfn(page) __page_to_pfn(page)
#define page_to_phys(page) __pfn_to_phys(page_to_pfn(page))
#define phys_to_page(phys) pfn_to_page(__phys_to_pfn(phys))
#define virt_to_page(kaddr) pfn_to_page(virt_to_pfn(kaddr))
#define virt_addr_valid(kaddr) \
	((unsigned long)(kaddr) >= PAGE_OFFSET && \
	 (unsigned long)(kaddr) < (unsigned long)high_memory && pfn_valid(virt_to_pfn(kaddr)))
