/* SPDX-License-Identifier: GPL-2.0-only */
/* Page tables; Linux: arch/arm/include/asm/pgtable.h, pgtable-2level.h */
#pragma once

#include <linux/const.h>
#include <linux/mm_types.h>
#include <asm/memory.h>
#include <asm/pgtable-hwdef.h>

#define PTRS_PER_PTE 512
#define PTRS_PER_PMD 1
#define PTRS_PER_PGD 2048
#define PTE_HWTABLE_PTRS PTRS_PER_PTE
#define PTE_HWTABLE_OFF (PTE_HWTABLE_PTRS * sizeof(pte_t))
#define PTE_HWTABLE_SIZE (PTRS_PER_PTE * sizeof(u32))

#define PMD_SHIFT 21
#define PMD_SIZE (1UL << PMD_SHIFT)
#define PMD_MASK (~(PMD_SIZE - 1))
#define PUD_SHIFT PMD_SHIFT
#define PUD_SIZE PMD_SIZE
#define PGDIR_SHIFT 21
#define PGDIR_SIZE (1UL << PGDIR_SHIFT)
#define PGDIR_MASK (~(PGDIR_SIZE - 1))
#define SECTION_SHIFT 20
#define SECTION_SIZE (1UL << SECTION_SHIFT)
#define SECTION_MASK (~(SECTION_SIZE - 1))
#define SUPERSECTION_SHIFT 24
#define SUPERSECTION_SIZE (1UL << SUPERSECTION_SHIFT)
#define SUPERSECTION_MASK (~(SUPERSECTION_SIZE - 1))
#define USER_PTRS_PER_PGD (TASK_SIZE / PGDIR_SIZE)
#define FIRST_USER_ADDRESS (PAGE_SIZE * 2)

#define VMALLOC_OFFSET (8 * 1024 * 1024)
#define VMALLOC_START (((unsigned long)high_memory + VMALLOC_OFFSET) & ~(VMALLOC_OFFSET - 1))
#define VMALLOC_END 0xff800000UL

/* Second-level entries as Linux keeps them, beside those that the MMU reads. */
#define L_PTE_VALID (_AT(pteval_t, 1) << 0)
#define L_PTE_PRESENT (_AT(pteval_t, 1) << 0)
#define L_PTE_YOUNG (_AT(pteval_t, 1) << 1)
#define L_PTE_MT_UNCACHED (_AT(pteval_t, 0x00) << 2)
#define L_PTE_MT_BUFFERABLE (_AT(pteval_t, 0x01) << 2)
#define L_PTE_MT_WRITETHROUGH (_AT(pteval_t, 0x02) << 2)
#define L_PTE_MT_WRITEBACK (_AT(pteval_t, 0x03) << 2)
#define L_PTE_MT_DEV_SHARED (_AT(pteval_t, 0x04) << 2)
#define L_PTE_MT_MINICACHE (_AT(pteval_t, 0x06) << 2)
#define L_PTE_MT_WRITEALLOC (_AT(pteval_t, 0x07) << 2)
#define L_PTE_MT_DEV_WC (_AT(pteval_t, 0x09) << 2)
#define L_PTE_MT_DEV_CACHED (_AT(pteval_t, 0x0b) << 2)
#define L_PTE_MT_DEV_NONSHARED (_AT(pteval_t, 0x0c) << 2)
#define L_PTE_MT_VECTORS (_AT(pteval_t, 0x0f) << 2)
#define L_PTE_MT_MASK (_AT(pteval_t, 0x0f) << 2)
#define L_PTE_DIRTY (_AT(pteval_t, 1) << 6)
#define L_PTE_RDONLY (_AT(pteval_t, 1) << 7)
#define L_PTE_USER (_AT(pteval_t, 1) << 8)
#define L_PTE_XN (_AT(pteval_t, 1) << 9)
#define L_PTE_SHARED (_AT(pteval_t, 1) << 10)
#define L_PTE_NONE (_AT(pteval_t, 1) << 11)

extern pgd_t swapper_pg_dir[PTRS_PER_PGD];
extern struct page *empty_zero_page;
#define ZERO_PAGE(vaddr) (empty_zero_page)

/* From level to level: the upper ones are one table. */
#define pgd_index(addr) ((addr) >> PGDIR_SHIFT)
#define pgd_offset(mm, addr) ((mm)->pgd + pgd_index(addr))
#define pgd_offset_k(addr) (swapper_pg_dir + pgd_index(addr))
#define pgd_none(pgd) 0
#define pgd_bad(pgd) 0
#define pgd_present(pgd) 1
#define pud_none(pud) 0
#define pud_bad(pud) 0
#define pud_present(pud) 1

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 6, 0)
#define p4d_none(p4d) 0
#define p4d_bad(p4d) 0
#define p4d_present(p4d) 1

static inline p4d_t *p4d_offset(pgd_t *pgd, unsigned long addr)
{
	(void)addr;
	return (p4d_t *)pgd;
}

static inline pud_t *pud_offset(p4d_t *p4d, unsigned long addr)
{
	(void)addr;
	return (pud_t *)p4d;
}
#else
static inline pud_t *pud_offset(pgd_t *pgd, unsigned long addr)
{
	(void)addr;
	return (pud_t *)pgd;
}
#endif

static inline pmd_t *pmd_offset(pud_t *pud, unsigned long addr)
{
	(void)addr;
	return (pmd_t *)pud;
}

static inline pmd_t *pmd_off_k(unsigned long addr)
{
	return (pmd_t *)pgd_offset_k(addr);
}

#define pmd_none(pmd) (!pmd_val(pmd))
#define pmd_present(pmd) (pmd_val(pmd))
#define pmd_bad(pmd) (pmd_val(pmd) & 2)
#define pmd_large(pmd) (pmd_val(pmd) & 2)
#define pmd_leaf(pmd) (pmd_val(pmd) & 2)
#define pmd_pfn(pmd) __phys_to_pfn(pmd_val(pmd) & PHYS_MASK)
#define pmd_page(pmd) pfn_to_page(pmd_pfn(pmd))
#define pmd_addr_end(addr, end) (end)
#define pud_addr_end(addr, end) (end)
#define pgd_addr_end(addr, end) ({ \
	unsigned long __boundary = ((addr) + PGDIR_SIZE) & PGDIR_MASK; \
	__boundary - 1 < (end) - 1 ? __boundary : (end); \
})

static inline pte_t *pmd_page_vaddr(pmd_t pmd)
{
	return __va(pmd_val(pmd) & PAGE_MASK);
}

static inline unsigned long pte_index(unsigned long addr)
{
	return addr >> PAGE_SHIFT & (PTRS_PER_PTE - 1);
}

static inline pte_t *pte_offset_kernel(pmd_t *pmd, unsigned long addr)
{
	return pmd_page_vaddr(*pmd) + pte_index(addr);
}

static inline pte_t *virt_to_kpte(unsigned long addr)
{
	pmd_t *pmd = pmd_off_k(addr);

	return pmd_none(*pmd) ? NULL : pte_offset_kernel(pmd, addr);
}

#define pte_isset(pte, bits) ((pte_val(pte) & (bits)) != 0)
#define pte_none(pte) (!pte_val(pte))
#define pte_present(pte) pte_isset(pte, L_PTE_PRESENT)
#define pte_valid(pte) pte_isset(pte, L_PTE_VALID)
#define pte_write(pte) (!pte_isset(pte, L_PTE_RDONLY))
#define pte_dirty(pte) pte_isset(pte, L_PTE_DIRTY)
#define pte_young(pte) pte_isset(pte, L_PTE_YOUNG)
#define pte_exec(pte) (!pte_isset(pte, L_PTE_XN))
#define pte_pfn(pte) ((pte_val(pte) & PHYS_MASK) >> PAGE_SHIFT)
#define pte_page(pte) pfn_to_page(pte_pfn(pte))
#define pfn_pte(pfn, prot) __pte(__pfn_to_phys(pfn) | pgprot_val(prot))
#define mk_pte(page, prot) pfn_pte(page_to_pfn(page), prot)
