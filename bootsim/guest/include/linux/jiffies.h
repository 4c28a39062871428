/* SPDX-License-Identifier: GPL-2.0-only */
/* The clock, which does not tick in the early boot; Linux: include/linux/jiffies.h */
#pragma once

#include <linux/types.h>

#define HZ CONFIG_HZ
#define INITIAL_JIFFIES ((unsigned long)(unsigned int)(-300 * HZ))
#define jiffies INITIAL_JIFFIES
