/* SPDX-License-Identifier: GPL-2.0-only */
/* Mappings for a moment, through the fixmap; Linux: include/asm-generic/early_ioremap.h */
#pragma once

#include <linux/types.h>

void __iomem *early_ioremap(resource_size_t phys_addr, unsigned long size);
void early_iounmap(void __iomem *addr, unsigned long size);
void *early_memremap(resource_size_t phys_addr, unsigned long size);
void *early_memremap_ro(resource_size_t phys_addr, unsigned long size);
void early_memunmap(void *addr, unsigned long size);
