/* SPDX-License-Identifier: GPL-2.0-only */
/* Multiples of a power of two; Linux: include/linux/align.h */
#pragma once

#include <linux/const.h>

#define __ALIGN_KERNEL_MASK(x, mask) (((x) + (mask)) & ~(mask))
#define __ALIGN_KERNEL(x, a) __ALIGN_KERNEL_MASK(x, (typeof(x))(a) - 1)
#define __ALIGN_MASK(x, mask) __ALIGN_KERNEL_MASK(x, mask)

#define ALIGN(x, a) __ALIGN_KERNEL(x, a)
#define ALIGN_DOWN(x, a) __ALIGN_KERNEL((x) - ((a) - 1), a)
#define PTR_ALIGN(pointer, a) ((typeof(pointer))ALIGN((unsigned long)(pointer), a))
#define PTR_ALIGN_DOWN(pointer, a) ((typeof(pointer))ALIGN_DOWN((unsigned long)(pointer), a))
#define IS_ALIGNED(x, a) (((x) & ((typeof(x))(a) - 1)) == 0)
