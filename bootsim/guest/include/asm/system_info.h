/* SPDX-License-Identifier: GPL-2.0-only */
/* The system the kernel runs on; Linux: arch/arm/include/asm/system_info.h */
#pragma once

#include <linux/compiler.h>

#define CPU_ARCH_UNKNOWN 0
#define CPU_ARCH_ARMv3 1
#define CPU_ARCH_ARMv4 2
#define CPU_ARCH_ARMv4T 3
#define CPU_ARCH_ARMv5 4
#define CPU_ARCH_ARMv5T 5
#define CPU_ARCH_ARMv5TE 6
#define CPU_ARCH_ARMv5TEJ 7
#define CPU_ARCH_ARMv6 8
#define CPU_ARCH_ARMv7 9
#define CPU_ARCH_ARMv7M 10

/* Every CPU that bootsim emulates is one of ARMv7. */
#define cpu_architecture() CPU_ARCH_ARMv7
