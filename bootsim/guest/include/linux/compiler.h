/* SPDX-License-Identifier: GPL-2.0-only */
/* What code tells its compiler; Linux: include/linux/compiler.h */
#pragma once

#include <linux/compiler_types.h>

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)
#define unreachable() __builtin_unreachable()

#define barrier() __asm__ __volatile__("" : : : "memory")
#define barrier_data(pointer) __asm__ __volatile__("" : : "r"(pointer) : "memory")
#define barrier_before_unreachable() ((void)0)

/* One access, neither torn nor repeated nor left out. */
#define READ_ONCE(object) (*(const volatile typeof(object) *)&(object))
#define WRITE_ONCE(object, value) ((void)(*(volatile typeof(object) *)&(object) = (value)))
#define data_race(expression) (expression)

/* The address of a symbol, plus an offset, that the compiler knows nothing about. */
#define RELOC_HIDE(pointer, offset) ({ \
	unsigned long __hidden; \
	__asm__("" : "=r"(__hidden) : "0"(pointer)); \
	(typeof(pointer))(__hidden + (offset)); \
})
#define OPTIMIZER_HIDE_VAR(variable) __asm__("" : "=r"(variable) : "0"(variable))
#define absolute_pointer(value) RELOC_HIDE((void *)(value), 0)

/* Whether an expression is constant: only then is (void *)0 a null pointer that has no type. */
#define __is_constexpr(expression) \
	_Generic(1 ? (void *)((long)(expression) * 0l) : (int *)0, int *: 1, void *: 0)

/* 0, and an error if the argument is a pointer. */
#define __must_be_array(array) \
	(0 * sizeof(struct { \
		_Static_assert(!__same_type((array), &(array)[0]), "not an array"); \
		int member; \
	}))

/* The linker keeps what it does not see used. */
#define __ADDRESSABLE(symbol) \
	static void *__attribute__((__section__(".discard.addressable"), __used__)) \
		__addressable_##symbol = (void *)&symbol;
