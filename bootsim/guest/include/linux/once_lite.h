/* SPDX-License-Identifier: GPL-2.0-only */
/* Doing something once, without locks; Linux: include/linux/once_lite.h */
#pragma once

#include <linux/types.h>

/* Calls func(...) the first time that the condition holds; its value is the condition. */
#define DO_ONCE_LITE_IF(condition, func, ...) ({ \
	static bool __attribute__((__section__(".data.once"))) __already_done; \
	bool __met = !!(condition); \
	if (unlikely(__met && !__already_done)) { \
		__already_done = true; \
		func(__VA_ARGS__); \
	} \
	unlikely(__met); \
})
#define DO_ONCE_LITE(func, ...) DO_ONCE_LITE_IF(true, func, ##__VA_ARGS__)
