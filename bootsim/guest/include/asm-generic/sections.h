/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of the kernel image; Linux: include/asm-generic/sections.h */
#pragma once

#include <linux/compiler.h>
#include <linux/types.h>

extern char _text[], _stext[], _etext[];
extern char _sinittext[], _einittext[];
extern char __init_begin[], __init_end[];
extern char __start_rodata[], __end_rodata[];
extern char _sdata[], _edata[];
extern char __bss_start[], __bss_stop[];
extern char _end[];

static inline bool memory_contains(void *begin, void *end, void *virt, size_t size)
{
	return virt >= begin && virt + size <= end;
}

static inline bool memory_intersects(void *begin, void *end, void *virt, size_t size)
{
	return virt < end && virt + size > begin;
}

static inline bool init_section_contains(void *virt, size_t size)
{
	return memory_contains(__init_begin, __init_end, virt, size);
}

static inline bool init_section_intersects(void *virt, size_t size)
{
	return memory_intersects(__init_begin, __init_end, virt, size);
}
