/* SPDX-License-Identifier: GPL-2.0-only */
/* Logarithms to base 2; Linux: include/linux/log2.h */
#pragma once

#include <linux/bitops.h>

/* Of a constant they are constants. */
#define ilog2(n) \
	((int)(__builtin_constant_p(n) ? ((n) < 2 ? 0 : 63 - __builtin_clzll((n) | 1)) : \
	       sizeof(n) <= 4 ? fls((u32)(n)) - 1 : fls64(n) - 1))
#define order_base_2(n) ((n) > 1 ? ilog2((n) - 1) + 1 : 0)
#define roundup_pow_of_two(n) ((n) == 1 ? 1UL : 1UL << (ilog2((n) - 1) + 1))
#define rounddown_pow_of_two(n) (1UL << ilog2(n))

static inline bool is_power_of_2(unsigned long n)
{
	return n != 0 && (n & (n - 1)) == 0;
}
