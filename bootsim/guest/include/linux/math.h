/* SPDX-License-Identifier: GPL-2.0-only */
/* Rounding and dividing; Linux: include/linux/math.h */
#pragma once

#include <linux/types.h>
#include <asm/div64.h>

/* To a multiple of a power of two. */
#define __round_mask(x, y) ((typeof(x))((y) - 1))
#define round_up(x, y) ((((x) - 1) | __round_mask(x, y)) + 1)
#define round_down(x, y) ((x) & ~__round_mask(x, y))

/* To a multiple of anything. */
#define roundup(x, y) ({ \
	typeof(y) __multiple = (y); \
	((x) + (__multiple - 1)) / __multiple * __multiple; \
})
#define rounddown(x, y) ({ \
	typeof(x) __rounded = (x); \
	__rounded - __rounded % (y); \
})

#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define DIV_ROUND_DOWN_ULL(n, d) ({ \
	unsigned long long __quotient = (n); \
	do_div(__quotient, d); \
	__quotient; \
})
#define DIV_ROUND_UP_ULL(n, d) DIV_ROUND_DOWN_ULL((unsigned long long)(n) + (d) - 1, d)
#define DIV_ROUND_CLOSEST(n, d) ({ \
	typeof(n) __n = (n); \
	typeof(d) __d = (d); \
	((typeof(n))-1 > 0 || (typeof(d))-1 > 0 || (__n > 0) == (__d > 0)) ? \
		(__n + __d / 2) / __d : (__n - __d / 2) / __d; \
})

#define mult_frac(x, numerator, denominator) ({ \
	typeof(x) __whole = (x) / (denominator); \
	typeof(x) __rest = (x) % (denominator); \
	__whole * (numerator) + __rest * (numerator) / (denominator); \
})

#define abs(x) ({ \
	typeof(x) __of = (x); \
	__of < 0 ? -__of : __of; \
})

#define sector_div(n, base) do_div(n, base)
