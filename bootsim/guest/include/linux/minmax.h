/* SPDX-License-Identifier: GPL-2.0-only */
/* The smaller, the larger, and what lies between; Linux: include/linux/minmax.h */
#pragma once

#include <linux/compiler.h>

/* 1; the compiler warns if the types of the two differ. */
#define __minmax_same(x, y) (sizeof((typeof(x) *)1 == (typeof(y) *)1) != 0)
#define __minmax_constant(x, y) (__minmax_same(x, y) && __is_constexpr(x) && __is_constexpr(y))

/* Either argument is evaluated once; of constants the result is one. */
#define __minmax_once(x, y, op, a, b) ({ \
	typeof(x) a = (x); \
	typeof(y) b = (y); \
	a op b ? a : b; \
})
#define __minmax_named(x, y, op, number) \
	__minmax_once(x, y, op, __minmax_x##number, __minmax_y##number)
#define __minmax_unique(x, y, op, number) __minmax_named(x, y, op, number)
#define __minmax(x, y, op) \
	__builtin_choose_expr(__minmax_constant(x, y), (x) op (y) ? (x) : (y), \
			      __minmax_unique(x, y, op, __COUNTER__))

#define min(x, y) __minmax(x, y, <)
#define max(x, y) __minmax(x, y, >)
#define min_t(type, x, y) min((type)(x), (type)(y))
#define max_t(type, x, y) max((type)(x), (type)(y))
#define min3(x, y, z) min((typeof(x))min(x, y), z)
#define max3(x, y, z) max((typeof(x))max(x, y), z)

/* The smaller of those that are not zero. */
#define min_not_zero(x, y) ({ \
	typeof(x) __mnz_x = (x); \
	typeof(y) __mnz_y = (y); \
	__mnz_x == 0 ? __mnz_y : __mnz_y == 0 ? __mnz_x : min(__mnz_x, __mnz_y); \
})

#define clamp(value, low, high) min((typeof(value))max(value, low), high)
#define clamp_t(type, value, low, high) min_t(type, max_t(type, value, low), high)
#define clamp_val(value, low, high) clamp_t(typeof(value), value, low, high)

#define swap(a, b) do { \
	typeof(a) __swapped = (a); \
	(a) = (b); \
	(b) = __swapped; \
} while (0)
