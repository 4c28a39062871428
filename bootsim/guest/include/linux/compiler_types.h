/* SPDX-License-Identifier: GPL-2.0-only */
/* Annotations that every kernel source may use; Linux: include/linux/compiler_types.h */
#pragma once

#include <linux/kconfig.h>
#include <linux/compiler_attributes.h>

/* `inline` means in the kernel: never a function of its own, and no warning if it is not used. */
#define inline inline __gnu_inline __maybe_unused
#define __inline inline
#define __inline__ inline

/* Since 5.10 a section's name is a string. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 10, 0)
#define __section(name) __attribute__((__section__(name)))
#else
#define __section(name) __attribute__((__section__(#name)))
#endif

/* What sparse checks, and a compiler does not. */
#define __user
#define __kernel
#define __iomem
#define __percpu
#define __rcu
#define __safe
#define __force
#define __nocast
#define __private
#define __must_hold(lock)
#define __acquires(lock)
#define __releases(lock)
#define __acquire(lock) ((void)0)
#define __release(lock) ((void)0)

#define notrace
#define noinstr noinline
#define asmlinkage
#define __noclone
#define __no_sanitize_address
#define __compiletime_assert(condition, message) _Static_assert(condition, message)
#define noinline_for_stack noinline
#define asm_inline asm
#define asm_volatile_goto(...) asm goto(__VA_ARGS__)

#define __same_type(a, b) __builtin_types_compatible_p(typeof(a), typeof(b))
