/* SPDX-License-Identifier: GPL-2.0-only */
/* Dividing 64 bits by 32; Linux: include/asm-generic/div64.h */
#pragma once

#include <linux/types.h>

/* Leaves the quotient in n, a variable of 64 bits; its value is the remainder. */
#define do_div(n, base) ({ \
	u32 __base = (base); \
	u32 __remainder = (u32)((n) % __base); \
	(n) /= __base; \
	__remainder; \
})
