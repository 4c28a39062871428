/* SPDX-License-Identifier: GPL-2.0-only */
/* What every kernel source uses; Linux: include/linux/kernel.h */
#pragma once

#include <linux/align.h>
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/kstrtox.h>
#include <linux/limits.h>
#include <linux/linkage.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/panic.h>
#include <linux/printk.h>
#include <linux/stdarg.h>
#include <linux/stddef.h>
#include <linux/stringify.h>
#include <linux/typecheck.h>
#include <linux/types.h>
#include <asm/byteorder.h>

#define STACK_MAGIC 0xdeadbeef

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]) + __must_be_array(array))
#define PTR_IF(condition, pointer) ((condition) ? (pointer) : NULL)
#define upper_32_bits(n) ((u32)((u64)(n) >> 32))
#define lower_32_bits(n) ((u32)(n))
#define upper_16_bits(n) ((u16)((n) >> 16))
#define lower_16_bits(n) ((u16)(n))
#define u64_to_user_ptr(n) ((void *)(uintptr_t)(n))
#define REPEAT_BYTE(byte) ((~0ul / 0xff) * (byte))

#define READ 0
#define WRITE 1

#define might_sleep() ((void)0)
#define might_sleep_if(condition) ((void)0)
#define might_fault() ((void)0)
#define cant_sleep() ((void)0)

/* Where the caller is, and where the code goes on. */
#define _RET_IP_ ((unsigned long)__builtin_return_address(0))
#define _THIS_IP_ ({ \
	__label__ __here; \
__here: \
	(unsigned long)&&__here; \
})

/* How far the system has come. */
extern enum system_states {
	SYSTEM_BOOTING,
	SYSTEM_SCHEDULING,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 17, 0)
	SYSTEM_FREEING_INITMEM,
#endif
	SYSTEM_RUNNING,
	SYSTEM_HALT,
	SYSTEM_POWER_OFF,
	SYSTEM_RESTART,
	SYSTEM_SUSPEND
} system_state;

__printf(2, 3) int sprintf(char *buf, const char *fmt, ...);
__printf(2, 0) int vsprintf(char *buf, const char *fmt, va_list args);
__printf(3, 4) int snprintf(char *buf, size_t size, const char *fmt, ...);
__printf(3, 0) int vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
__printf(3, 4) int scnprintf(char *buf, size_t size, const char *fmt, ...);
__printf(3, 0) int vscnprintf(char *buf, size_t size, const char *fmt, va_list args);
__scanf(2, 3) int sscanf(const char *buf, const char *fmt, ...);
__scanf(2, 0) int vsscanf(const char *buf, const char *fmt, va_list args);

/* Numbers with K, M, G ... behind them; lists of them; whether a word is among those given. */
unsigned long long memparse(const char *text, char **retptr);
int get_option(char **str, int *pint);
char *get_options(const char *str, int nints, int *ints);
bool parse_option_str(const char *str, const char *option);
char *next_arg(char *args, char **param, char **val);

/* Digits and bytes. */
int hex_to_bin(char digit);
int __must_check hex2bin(u8 *dst, const char *src, size_t count);
char *bin2hex(char *dst, const void *src, size_t count);

/* Whether an address lies in the kernel's code. */
int core_kernel_text(unsigned long addr);
int kernel_text_address(unsigned long addr);

#define trace_printk(fmt, ...) no_printk(fmt, ##__VA_ARGS__)
