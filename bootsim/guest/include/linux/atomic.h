/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters; Linux: include/linux/atomic.h. The boot has one CPU: nothing comes between. */
#pragma once

#include <linux/types.h>
#include <asm/barrier.h>

#define ATOMIC_INIT(value) { (value) }

static inline int atomic_read(const atomic_t *v)
{
	return READ_ONCE(v->counter);
}

static inline void atomic_set(atomic_t *v, int value)
{
	WRITE_ONCE(v->counter, value);
}

static inline int atomic_add_return(int value, atomic_t *v)
{
	return v->counter += value;
}

static inline int atomic_xchg(atomic_t *v, int value)
{
	int was = atomic_read(v);

	atomic_set(v, value);
	return was;
}

static inline int atomic_cmpxchg(atomic_t *v, int expected, int value)
{
	int was = atomic_read(v);

	if (was == expected)
		atomic_set(v, value);
	return was;
}

#define atomic_add(value, v) ((void)atomic_add_return(value, v))
#define atomic_sub(value, v) ((void)atomic_add_return(-(value), v))
#define atomic_inc(v) ((void)atomic_add_return(1, v))
#define atomic_dec(v) ((void)atomic_add_return(-1, v))
#define atomic_sub_return(value, v) atomic_add_return(-(value), v)
#define atomic_inc_return(v) atomic_add_return(1, v)
#define atomic_dec_return(v) atomic_add_return(-1, v)
#define atomic_inc_and_test(v) (atomic_inc_return(v) == 0)
#define atomic_dec_and_test(v) (atomic_dec_return(v) == 0)
#define atomic_sub_and_test(value, v) (atomic_sub_return(value, v) == 0)
#define atomic_add_negative(value, v) (atomic_add_return(value, v) < 0)

/* A long is as wide as an int. */
typedef atomic_t atomic_long_t;
#define ATOMIC_LONG_INIT(value) ATOMIC_INIT(value)
#define atomic_long_read(v) ((long)atomic_read(v))
#define atomic_long_set(v, value) atomic_set(v, (int)(value))
#define atomic_long_add(value, v) atomic_add((int)(value), v)
#define atomic_long_sub(value, v) atomic_sub((int)(value), v)
#define atomic_long_inc(v) atomic_inc(v)
#define atomic_long_dec(v) atomic_dec(v)

#define xchg(pointer, value) ({ \
	typeof(*(pointer)) __was = *(pointer); \
	*(pointer) = (value); \
	__was; \
})
#define cmpxchg(pointer, expected, value) ({ \
	typeof(*(pointer)) __was = *(pointer); \
	if (__was == (expected)) \
		*(pointer) = (value); \
	__was; \
})
