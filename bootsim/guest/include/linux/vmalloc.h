/* SPDX-License-Identifier: GPL-2.0-only */
/* vmalloc(), which comes after the early boot; Linux: include/linux/vmalloc.h */
#pragma once

#include <linux/gfp.h>
#include <linux/types.h>
#include <asm/page.h>

void *vmalloc(unsigned long size);
void *vzalloc(unsigned long size);
void vfree(const void *addr);
