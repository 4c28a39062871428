/* SPDX-License-Identifier: GPL-2.0-only */
/* ISO C11, 7.20, for a machine whose long and pointers have 32 bits. */
#ifndef BOOTSIM_STDINT_H
#define BOOTSIM_STDINT_H

typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long long int64_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef __INTPTR_TYPE__ intptr_t;
typedef __UINTPTR_TYPE__ uintptr_t;
typedef long long intmax_t;
typedef unsigned long long uintmax_t;

#define INT8_MIN (-INT8_MAX - 1)
#define INT8_MAX 0x7f
#define UINT8_MAX 0xff
#define INT16_MIN (-INT16_MAX - 1)
#define INT16_MAX 0x7fff
#define UINT16_MAX 0xffff
#define INT32_MIN (-INT32_MAX - 1)
#define INT32_MAX 0x7fffffff
#define UINT32_MAX 0xffffffffU
#define INT64_MIN (-INT64_MAX - 1)
#define INT64_MAX 0x7fffffffffffffffLL
#define UINT64_MAX 0xffffffffffffffffULL
#define SIZE_MAX 0xffffffffU
#define UINTPTR_MAX 0xffffffffU

#endif
