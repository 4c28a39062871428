/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether the CPU takes interrupts; Linux: arch/arm/include/asm/irqflags.h */
#pragma once

#include <linux/irqflags.h>
