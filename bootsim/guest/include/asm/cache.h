/* SPDX-License-Identifier: GPL-2.0-only */
/* Cache lines of this CPU; Linux: arch/arm/include/asm/cache.h */
#pragma once

#include <linux/kconfig.h>

#define L1_CACHE_SHIFT CONFIG_ARM_L1_CACHE_SHIFT
#define L1_CACHE_BYTES (1 << L1_CACHE_SHIFT)
#define ARCH_DMA_MINALIGN L1_CACHE_BYTES
