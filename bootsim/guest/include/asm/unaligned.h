/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers wherever they lie; Linux: include/asm-generic/unaligned.h */
#pragma once

#include <asm/byteorder.h>

#define __unaligned_as(type, pointer) \
	(((const struct { type value; } __attribute__((__packed__)) *)(pointer))->value)

#define get_unaligned(pointer) __unaligned_as(typeof(*(pointer)), pointer)
#define get_unaligned_le16(pointer) le16_to_cpu(__unaligned_as(u16, pointer))
#define get_unaligned_le32(pointer) le32_to_cpu(__unaligned_as(u32, pointer))
#define get_unaligned_le64(pointer) le64_to_cpu(__unaligned_as(u64, pointer))
#define get_unaligned_be16(pointer) be16_to_cpu(__unaligned_as(u16, pointer))
#define get_unaligned_be32(pointer) be32_to_cpu(__unaligned_as(u32, pointer))
#define get_unaligned_be64(pointer) be64_to_cpu(__unaligned_as(u64, pointer))
