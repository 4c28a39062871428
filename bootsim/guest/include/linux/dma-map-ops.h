/* SPDX-License-Identifier: GPL-2.0-only */
/* The contiguous memory of DMA, since 5.10 declared here; Linux: include/linux/dma-map-ops.h */
#pragma once

#include <linux/cma.h>

extern struct cma *dma_contiguous_default_area;

void dma_contiguous_reserve(phys_addr_t addr_limit);
int dma_contiguous_reserve_area(phys_addr_t size, phys_addr_t base, phys_addr_t limit,
				struct cma **res_cma, bool fixed);
