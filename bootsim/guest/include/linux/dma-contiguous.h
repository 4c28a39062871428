/* SPDX-License-Identifier: GPL-2.0-only */
/* The contiguous memory of DMA, to 5.9; Linux: include/linux/dma-contiguous.h */
#pragma once

#include <linux/dma-map-ops.h>
