/* SPDX-License-Identifier: GPL-2.0-only */
/* Integers of a given width; Linux: include/asm-generic/int-ll64.h */
#pragma once

#include <asm/bitsperlong.h>

typedef signed char __s8;
typedef unsigned char __u8;
typedef signed short __s16;
typedef unsigned short __u16;
typedef signed int __s32;
typedef unsigned int __u32;
typedef signed long long __s64;
typedef unsigned long long __u64;

typedef __s8 s8;
typedef __u8 u8;
typedef __s16 s16;
typedef __u16 u16;
typedef __s32 s32;
typedef __u32 u32;
typedef __s64 s64;
typedef __u64 u64;

#define S8_C(value) value
#define U8_C(value) value##U
#define S16_C(value) value
#define U16_C(value) value##U
#define S32_C(value) value
#define U32_C(value) value##U
#define S64_C(value) value##LL
#define U64_C(value) value##ULL
