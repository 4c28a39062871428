/* SPDX-License-Identifier: GPL-2.0-only */
/* Checks that CONFIG_DEBUG_VM turns on; Linux: include/linux/mmdebug.h */
#pragma once

#include <linux/bug.h>

struct page;

#ifdef CONFIG_DEBUG_VM
#define VM_BUG_ON(condition) BUG_ON(condition)
#define VM_WARN_ON(condition) ((void)WARN_ON(condition))
#define VM_WARN_ON_ONCE(condition) ((void)WARN_ON_ONCE(condition))
#else
#define VM_BUG_ON(condition) BUILD_BUG_ON_INVALID(condition)
#define VM_WARN_ON(condition) BUILD_BUG_ON_INVALID(condition)
#define VM_WARN_ON_ONCE(condition) BUILD_BUG_ON_INVALID(condition)
#endif
#define VM_BUG_ON_PAGE(condition, page) VM_BUG_ON(condition)
