/* SPDX-License-Identifier: GPL-2.0-only */
/* From a member to its structure; Linux: include/linux/container_of.h */
#pragma once

#include <linux/build_bug.h>
#include <linux/stddef.h>

#define container_of(pointer, type, member) ({ \
	_Static_assert(__same_type(*(pointer), ((type *)0)->member) || \
		       __same_type(*(pointer), void), "container_of: pointer is of another type"); \
	(type *)((char *)(pointer) - offsetof(type, member)); \
})
