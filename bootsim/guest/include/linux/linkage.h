/* SPDX-License-Identifier: GPL-2.0-only */
/* How symbols are linked; Linux: include/linux/linkage.h */
#pragma once

#include <linux/compiler_types.h>
#include <linux/export.h>
#include <linux/stringify.h>

#define __page_aligned_data __attribute__((__section__(".data..page_aligned"), __aligned__(4096)))
#define __page_aligned_bss __attribute__((__section__(".bss..page_aligned"), __aligned__(4096)))
