/* SPDX-License-Identifier: GPL-2.0-only */
/* ISO C11, 7.2. May be included again with another NDEBUG, so that there is no guard. */
#undef assert
#ifdef NDEBUG
#define assert(condition) ((void)0)
#else
#define assert(condition) \
	((condition) ? (void)0 : __assert_fail(#condition, __FILE__, __LINE__, __func__))
#endif

#ifndef static_assert
#define static_assert _Static_assert
#endif

void __assert_fail(const char *condition, const char *file, unsigned int line,
		   const char *function) __attribute__((__noreturn__));
