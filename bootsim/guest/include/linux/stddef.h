/* SPDX-License-Identifier: GPL-2.0-only */
/* NULL, bool's values, offsets in structures; Linux: include/linux/stddef.h */
#pragma once

#include <linux/version.h>

#undef NULL
#define NULL ((void *)0)

enum {
	false = 0,
	true = 1
};

#undef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#define sizeof_field(type, member) sizeof(((type *)0)->member)
#define offsetofend(type, member) (offsetof(type, member) + sizeof_field(type, member))

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 5, 0)
#define FIELD_SIZEOF(type, member) sizeof_field(type, member)
#endif
