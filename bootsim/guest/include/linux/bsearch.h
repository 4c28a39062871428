/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding in sorted arrays; Linux: include/linux/bsearch.h */
#pragma once

#include <linux/types.h>

/* The element that `cmp` finds equal to `key`, or NULL. */
void *bsearch(const void *key, const void *base, size_t num, size_t size,
	      int (*cmp)(const void *key, const void *element));
