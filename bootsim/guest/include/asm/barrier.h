/* SPDX-License-Identifier: GPL-2.0-only */
/* The order of memory accesses; Linux: arch/arm/include/asm/barrier.h */
#pragma once

#include <linux/compiler.h>

#define isb(option) __asm__ __volatile__("isb " #option : : : "memory")
#define dsb(option) __asm__ __volatile__("dsb " #option : : : "memory")
#define dmb(option) __asm__ __volatile__("dmb " #option : : : "memory")
#define sev() __asm__ __volatile__("sev" : : : "memory")
#define wfe() __asm__ __volatile__("wfe" : : : "memory")
#define wfi() __asm__ __volatile__("wfi" : : : "memory")

#define mb() dsb()
#define rmb() dsb()
#define wmb() dsb(st)
#define dma_rmb() dmb(osh)
#define dma_wmb() dmb(oshst)

/* Between CPUs, of which the boot has one. */
#define smp_mb() barrier()
#define smp_rmb() barrier()
#define smp_wmb() barrier()
#define smp_store_release(pointer, value) do { \
	barrier(); \
	WRITE_ONCE(*(pointer), value); \
} while (0)
#define smp_load_acquire(pointer) ({ \
	typeof(*(pointer)) __loaded = READ_ONCE(*(pointer)); \
	barrier(); \
	__loaded; \
})
