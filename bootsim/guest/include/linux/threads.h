/* SPDX-License-Identifier: GPL-2.0-only */
/* How many CPUs there can be; Linux: include/linux/threads.h */
#pragma once

#include <linux/kconfig.h>

#define NR_CPUS CONFIG_NR_CPUS
