/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters; Linux: arch/arm/include/asm/atomic.h */
#pragma once

#include <linux/atomic.h>
