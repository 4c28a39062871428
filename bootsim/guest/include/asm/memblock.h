/* SPDX-License-Identifier: GPL-2.0-only */
/* memblock on ARM; Linux: arch/arm/include/asm/memblock.h */
#pragma once

#include <linux/memblock.h>
