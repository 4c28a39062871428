/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's configuration, and how C code asks for it; Linux: include/linux/kconfig.h */
#pragma once

#include <generated/autoconf.h>

/*
 * 1 if the macro is defined as 1, else 0, as a constant. Pasting a 1 makes a name that expands to
 * an additional argument, which moves the 1 to second place.
 */
#define __config_pasted_1 0,
#define __config_second(ignored, value, ...) value
#define __config_choose(moved) __config_second(moved 1, 0, 0)
#define __config_paste(value) __config_choose(__config_pasted_##value)
#define __is_defined(macro) __config_paste(macro)

#define IS_BUILTIN(option) __is_defined(option)
#define IS_MODULE(option) __is_defined(option##_MODULE)
#define IS_ENABLED(option) (IS_BUILTIN(option) || IS_MODULE(option))
#define IS_REACHABLE(option) IS_BUILTIN(option)
