/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's scalar types, and heads of lists; Linux: include/linux/types.h */
#pragma once

#include <linux/compiler.h>
#include <linux/stddef.h>
#include <asm/types.h>

typedef _Bool bool;

typedef __SIZE_TYPE__ size_t;
typedef __PTRDIFF_TYPE__ ssize_t;
typedef __PTRDIFF_TYPE__ ptrdiff_t;
typedef unsigned long uintptr_t;
typedef long intptr_t;

typedef long long loff_t;
typedef long off_t;
typedef int pid_t;
typedef unsigned int uid_t;
typedef unsigned int gid_t;
typedef unsigned short umode_t;
typedef u32 dev_t;

typedef unsigned char unchar, u_char;
typedef unsigned short ushort, u_short;
typedef unsigned int uint, u_int;
typedef unsigned long ulong, u_long;

typedef u8 uint8_t, u_int8_t;
typedef u16 uint16_t, u_int16_t;
typedef u32 uint32_t, u_int32_t;
typedef u64 uint64_t, u_int64_t;
typedef s8 int8_t;
typedef s16 int16_t;
typedef s32 int32_t;
typedef s64 int64_t;

typedef __u16 __le16, __be16, __sum16;
typedef __u32 __le32, __be32, __wsum;
typedef __u64 __le64, __be64;

/* Addresses of memory and of devices. */
typedef u32 phys_addr_t;
typedef phys_addr_t resource_size_t;
typedef phys_addr_t dma_addr_t;

typedef u64 sector_t;
typedef unsigned long pgoff_t;
typedef unsigned long irq_hw_number_t;
typedef unsigned int gfp_t;
typedef unsigned int slab_flags_t;
typedef unsigned int fmode_t;

typedef struct {
	int counter;
} atomic_t;

/* One of <linux/list.h>'s rings: the head and each member. */
struct list_head {
	struct list_head *next, *prev;
};

struct hlist_head {
	struct hlist_node *first;
};

struct hlist_node {
	struct hlist_node *next, **pprev;
};

#define BITS_PER_BYTE 8
#define BITS_TO_LONGS(bits) (((bits) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define DECLARE_BITMAP(name, bits) unsigned long name[BITS_TO_LONGS(bits)]

#define __bitwise
#define __bitwise__
