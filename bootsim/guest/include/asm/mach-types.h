/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers of machines, before device trees; Linux: include/generated/mach-types.h */
#pragma once

extern unsigned int __machine_arch_type;
#define machine_arch_type __machine_arch_type

#define MACH_TYPE_VEXPRESS 2272
#define machine_is_vexpress() (machine_arch_type == MACH_TYPE_VEXPRESS)
