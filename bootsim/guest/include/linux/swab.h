/* SPDX-License-Identifier: GPL-2.0-only */
/* Bytes in the other order; Linux: include/linux/swab.h */
#pragma once

#include <linux/types.h>

#define swab16(x) __builtin_bswap16(x)
#define swab32(x) __builtin_bswap32(x)
#define swab64(x) __builtin_bswap64(x)
