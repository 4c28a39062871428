/* SPDX-License-Identifier: GPL-2.0-only */
/* Saying things less often; Linux: include/linux/ratelimit.h */
#pragma once

#include <linux/printk.h>
