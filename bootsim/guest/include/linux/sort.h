/* SPDX-License-Identifier: GPL-2.0-only */
/* Sorting arrays; Linux: include/linux/sort.h */
#pragma once

#include <linux/types.h>

/* `swap` may be NULL: elements are swapped as they are. */
void sort(void *base, size_t num, size_t size, int (*cmp)(const void *a, const void *b),
	  void (*swap)(void *a, void *b, int size));
