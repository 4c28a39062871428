/* SPDX-License-Identifier: GPL-2.0-only */
/* Values that stand out where memory is misused; Linux: include/linux/poison.h */
#pragma once

#include <linux/version.h>

#define POISON_POINTER_DELTA 0
#define LIST_POISON1 ((void *)0x100)
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 2, 0)
#define LIST_POISON2 ((void *)0x122)
#else
#define LIST_POISON2 ((void *)0x200)
#endif

#define PAGE_POISON 0xaa
#define POISON_INUSE 0x5a
#define POISON_FREE 0x6b
#define POISON_END 0xa5
#define POISON_FREE_INITMEM 0xcc
