/* SPDX-License-Identifier: GPL-2.0-only */
/* The device tree on ARM; Linux: arch/arm/include/asm/prom.h */
#pragma once

#include <linux/of.h>
#include <linux/of_fdt.h>
