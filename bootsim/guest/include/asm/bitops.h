/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding and changing bits; Linux: arch/arm/include/asm/bitops.h */
#pragma once

#include <linux/bitops.h>
