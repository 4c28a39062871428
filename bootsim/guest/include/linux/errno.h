/* SPDX-License-Identifier: GPL-2.0-only */
/* Why a function failed; Linux: include/linux/errno.h */
#pragma once

#include <asm/errno.h>

#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ENOIOCTLCMD 515
#define EPROBE_DEFER 517
#define ENOTSUPP 524
