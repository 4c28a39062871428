/* SPDX-License-Identifier: GPL-2.0-only */
/* BUG() and WARN(); Linux: arch/arm/include/asm/bug.h, include/asm-generic/bug.h */
#pragma once

#include <linux/once_lite.h>
#include <linux/panic.h>
#include <linux/printk.h>

void __bug(const char *file, int line) __noreturn;

#define BUG() __bug(__FILE__, __LINE__)
#define BUG_ON(condition) do { \
	if (unlikely(condition)) \
		BUG(); \
} while (0)

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 6, 0)
__printf(4, 5) void warn_slowpath_fmt(const char *file, int line, unsigned int taint,
				      const char *fmt, ...);
#define __WARN() warn_slowpath_fmt(__FILE__, __LINE__, TAINT_WARN, NULL)
#define __WARN_taint(taint, ...) warn_slowpath_fmt(__FILE__, __LINE__, taint, __VA_ARGS__)
#define __WARN_printf(...) __WARN_taint(TAINT_WARN, __VA_ARGS__)
#else
void warn_slowpath_null(const char *file, int line);
__printf(3, 4) void warn_slowpath_fmt(const char *file, int line, const char *fmt, ...);
__printf(4, 5) void warn_slowpath_fmt_taint(const char *file, int line, unsigned int taint,
					    const char *fmt, ...);
#define __WARN() warn_slowpath_null(__FILE__, __LINE__)
#define __WARN_taint(taint, ...) warn_slowpath_fmt_taint(__FILE__, __LINE__, taint, __VA_ARGS__)
#define __WARN_printf(...) warn_slowpath_fmt(__FILE__, __LINE__, __VA_ARGS__)
#endif

/* Each is an expression whose value is the condition. */
#define __WARN_IF(condition, warning) ({ \
	bool __warned_of = !!(condition); \
	if (unlikely(__warned_of)) \
		warning; \
	unlikely(__warned_of); \
})
#define WARN_ON(condition) __WARN_IF(condition, __WARN())
#define WARN(condition, ...) __WARN_IF(condition, __WARN_printf(__VA_ARGS__))
#define WARN_TAINT(condition, taint, ...) __WARN_IF(condition, __WARN_taint(taint, __VA_ARGS__))
#define WARN_ON_ONCE(condition) DO_ONCE_LITE_IF(condition, WARN_ON, 1)
#define WARN_ONCE(condition, ...) DO_ONCE_LITE_IF(condition, WARN, 1, __VA_ARGS__)
#define WARN_TAINT_ONCE(condition, taint, ...) \
	DO_ONCE_LITE_IF(condition, WARN_TAINT, 1, taint, __VA_ARGS__)
#define WARN_ON_SMP(condition) ({ 0; })
