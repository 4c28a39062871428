/* SPDX-License-Identifier: GPL-2.0-only */
/* What must not happen, and what should not; Linux: include/linux/bug.h */
#pragma once

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <asm/bug.h>
