/* SPDX-License-Identifier: GPL-2.0-only */
/* What the boot loader says; Linux: arch/arm/include/asm/setup.h, uapi/asm/setup.h */
#pragma once

#include <linux/types.h>

#define COMMAND_LINE_SIZE 1024
