/* SPDX-License-Identifier: GPL-2.0-only */
/* Conditions that the compiler checks; Linux: include/linux/build_bug.h */
#pragma once

#include <linux/compiler.h>

/* An error if the condition holds; the second is an expression of value 0. */
#define BUILD_BUG_ON_MSG(condition, message) _Static_assert(!(condition), message)
#define BUILD_BUG_ON(condition) BUILD_BUG_ON_MSG(condition, "BUILD_BUG_ON failed: " #condition)
#define BUILD_BUG_ON_ZERO(condition) ((int)(sizeof(struct { int : -!!(condition); }) * 0))
#define BUILD_BUG_ON_NOT_POWER_OF_2(n) BUILD_BUG_ON((n) == 0 || ((n) & ((n) - 1)) != 0)
#define BUILD_BUG_ON_INVALID(expression) ((void)sizeof((long)(expression)))
#define BUILD_BUG() BUILD_BUG_ON_MSG(1, "BUILD_BUG failed")

#define static_assert(condition, ...) __static_assert_of(condition, ##__VA_ARGS__, #condition)
#define __static_assert_of(condition, message, ...) _Static_assert(condition, message)
