/* SPDX-License-Identifier: GPL-2.0-only */
/* Walking page tables; Linux: include/linux/pgtable.h */
#pragma once

#include <linux/pfn.h>
#include <asm/pgtable.h>
