/* SPDX-License-Identifier: GPL-2.0-only */
/* Included all the same, though it comes after the early boot; Linux: arch/arm/include/asm/mach/arch.h */
#pragma once

#include <linux/types.h>
