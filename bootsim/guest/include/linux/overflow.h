/* SPDX-License-Identifier: GPL-2.0-only */
/* Arithmetic that says when it does not fit; Linux: include/linux/overflow.h */
#pragma once

#include <linux/limits.h>
#include <linux/types.h>

/* Whether the true result does not fit into *sum, which gets what fits. */
#define check_add_overflow(a, b, sum) __builtin_add_overflow(a, b, sum)
#define check_sub_overflow(a, b, difference) __builtin_sub_overflow(a, b, difference)
#define check_mul_overflow(a, b, product) __builtin_mul_overflow(a, b, product)

/* A number of bytes, SIZE_MAX if it is larger. */
static inline size_t array_size(size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? SIZE_MAX : bytes;
}

#define struct_size(pointer, member, count) \
	(sizeof(*(pointer)) + array_size(count, sizeof((pointer)->member[0])))
