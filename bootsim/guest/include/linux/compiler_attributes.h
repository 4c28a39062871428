/* SPDX-License-Identifier: GPL-2.0-only */
/* Attributes under the kernel's names; Linux: include/linux/compiler_attributes.h */
#pragma once

#define __alias(symbol) __attribute__((__alias__(#symbol)))
#define __aligned(bytes) __attribute__((__aligned__(bytes)))
#define __aligned_largest __attribute__((__aligned__))
#define __always_inline inline __attribute__((__always_inline__))
#define __assume_aligned(...) __attribute__((__assume_aligned__(__VA_ARGS__)))
#define __cold __attribute__((__cold__))
#define __attribute_const__ __attribute__((__const__))
#define __gnu_inline __attribute__((__gnu_inline__))
#define __malloc __attribute__((__malloc__))
#define __always_unused __attribute__((__unused__))
#define __maybe_unused __attribute__((__unused__))
#define __must_check __attribute__((__warn_unused_result__))
#define __noreturn __attribute__((__noreturn__))
#define __packed __attribute__((__packed__))
#define __printf(format_index, first) __attribute__((__format__(printf, format_index, first)))
#define __scanf(format_index, first) __attribute__((__format__(scanf, format_index, first)))
#define __pure __attribute__((__pure__))
#define __used __attribute__((__used__))
#define __visible
#define __weak __attribute__((__weak__))
#define __deprecated
#define __mode(mode) __attribute__((__mode__(mode)))
#define fallthrough __attribute__((__fallthrough__))
#define noinline __attribute__((__noinline__))
