/* SPDX-License-Identifier: GPL-2.0-only */
/* The integer types that a kernel's exported headers are written in. */
#ifndef BOOTSIM_ASM_TYPES_H
#define BOOTSIM_ASM_TYPES_H

typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;

#endif
