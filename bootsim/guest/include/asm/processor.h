/* SPDX-License-Identifier: GPL-2.0-only */
/* The CPU; Linux: arch/arm/include/asm/processor.h */
#pragma once

#include <linux/compiler.h>

#define cpu_relax() barrier()

static inline void prefetch(const void *pointer)
{
	__builtin_prefetch(pointer);
}

#define prefetchw(pointer) __builtin_prefetch(pointer, 1)
