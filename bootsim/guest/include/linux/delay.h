/* SPDX-License-Identifier: GPL-2.0-only */
/* Waiting, which takes no time here; Linux: include/linux/delay.h */
#pragma once

#include <linux/math.h>
#include <linux/types.h>

#define ndelay(nsecs) ((void)(nsecs))
#define udelay(usecs) ((void)(usecs))
#define mdelay(msecs) ((void)(msecs))
