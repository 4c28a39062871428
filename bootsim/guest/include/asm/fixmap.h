/* SPDX-License-Identifier: GPL-2.0-only */
/* Virtual addresses that have a fixed use; Linux: arch/arm/include/asm/fixmap.h */
#pragma once

#include <linux/const.h>
#include <linux/version.h>
#include <asm/page.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
#define FIXADDR_START 0xffc80000UL
#else
#define FIXADDR_START 0xffc00000UL
#endif
#define FIXADDR_END 0xfff00000UL
#define FIXADDR_TOP (FIXADDR_END - PAGE_SIZE)

#define __fix_to_virt(index) (FIXADDR_TOP - ((unsigned long)(index) << PAGE_SHIFT))
#define __virt_to_fix(addr) ((FIXADDR_TOP - ((addr) & PAGE_MASK)) >> PAGE_SHIFT)
#define fix_to_virt(index) __fix_to_virt(index)
#define virt_to_fix(addr) __virt_to_fix(addr)

/* The first is the early console's. */
enum fixed_addresses {
	FIX_EARLYCON_MEM_BASE,
	__end_of_permanent_fixed_addresses
};
