/* SPDX-License-Identifier: GPL-2.0-only */
/* What DMA reaches; Linux: arch/arm/include/asm/dma.h */
#pragma once

#include <linux/types.h>
#include <asm/memory.h>

#ifdef CONFIG_ZONE_DMA
extern phys_addr_t arm_dma_zone_size;
#define MAX_DMA_ADDRESS \
	(arm_dma_zone_size && arm_dma_zone_size < 0x100000000ull - PAGE_OFFSET ? \
	 PAGE_OFFSET + arm_dma_zone_size : 0xfffffffful)
#else
#define MAX_DMA_ADDRESS 0xffffffffUL
#endif
