/* SPDX-License-Identifier: GPL-2.0-only */
/* There is no operating system below: what is asked for by this name is in stdlib.h. */
#ifndef BOOTSIM_UNISTD_H
#define BOOTSIM_UNISTD_H

#include <stddef.h>

#endif
