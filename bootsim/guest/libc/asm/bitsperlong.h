/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef BOOTSIM_ASM_BITSPERLONG_H
#define BOOTSIM_ASM_BITSPERLONG_H

#define __BITS_PER_LONG 32

/* What the kernel's tools add to it, if they are there. */
#if __has_include(<asm-generic/bitsperlong.h>)
#include <asm-generic/bitsperlong.h>
#endif

#endif
