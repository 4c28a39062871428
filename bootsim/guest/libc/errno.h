/* SPDX-License-Identifier: GPL-2.0-only */
/* ISO C11, 7.5. */
#ifndef BOOTSIM_ERRNO_H
#define BOOTSIM_ERRNO_H

#include <asm/errno.h>

extern int errno;

#endif
