/* SPDX-License-Identifier: GPL-2.0-only */
/* The width of a long; Linux: include/asm-generic/bitsperlong.h */
#pragma once

#define BITS_PER_LONG 32
#define BITS_PER_LONG_LONG 64
