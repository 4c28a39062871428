/* SPDX-License-Identifier: GPL-2.0-only */
/* Strings, of which ARM has none of its own here; Linux: arch/arm/include/asm/string.h */
#pragma once

#include <linux/string.h>
