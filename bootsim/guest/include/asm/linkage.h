/* SPDX-License-Identifier: GPL-2.0-only */
/* How symbols are linked; Linux: arch/arm/include/asm/linkage.h */
#pragma once

#include <linux/linkage.h>
