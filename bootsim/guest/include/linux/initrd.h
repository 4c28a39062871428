/* SPDX-License-Identifier: GPL-2.0-only */
/* The initial RAM disk; Linux: include/linux/initrd.h */
#pragma once

#include <linux/types.h>

/* Where it lies: virtual addresses, once it is reserved; physical ones before. */
extern unsigned long initrd_start, initrd_end;
extern phys_addr_t phys_initrd_start;
extern unsigned long phys_initrd_size;
