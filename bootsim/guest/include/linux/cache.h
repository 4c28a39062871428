/* SPDX-License-Identifier: GPL-2.0-only */
/* Cache lines; Linux: include/linux/cache.h */
#pragma once

#include <linux/align.h>
#include <linux/compiler.h>
#include <asm/cache.h>

#define SMP_CACHE_BYTES L1_CACHE_BYTES
#define L1_CACHE_ALIGN(x) ALIGN(x, L1_CACHE_BYTES)

#define __read_mostly __attribute__((__section__(".data..read_mostly")))
#define __ro_after_init __attribute__((__section__(".data..ro_after_init")))
#define ____cacheline_aligned __aligned(SMP_CACHE_BYTES)
#define ____cacheline_aligned_in_smp ____cacheline_aligned
#define __cacheline_aligned \
	__attribute__((__aligned__(SMP_CACHE_BYTES), __section__(".data..cacheline_aligned")))
