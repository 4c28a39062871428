/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a value has the type it should have; Linux: include/linux/typecheck.h */
#pragma once

/* 1; the compiler warns if the types differ. */
#define typecheck(type, value) ({ \
	type __wanted; \
	typeof(value) __got; \
	(void)(&__wanted == &__got); \
	1; \
})

#define typecheck_fn(type, function) ({ \
	typeof(type) __wanted = function; \
	(void)__wanted; \
})
