/* SPDX-License-Identifier: GPL-2.0-only */
/* The end; Linux: include/linux/panic.h */
#pragma once

#include <linux/types.h>

__printf(1, 2) void panic(const char *fmt, ...) __noreturn __cold;

extern int oops_in_progress;

/* What a kernel has done that makes its reports less to be trusted. */
#define TAINT_PROPRIETARY_MODULE 0
#define TAINT_FORCED_MODULE 1
#define TAINT_CPU_OUT_OF_SPEC 2
#define TAINT_FORCED_RMMOD 3
#define TAINT_MACHINE_CHECK 4
#define TAINT_BAD_PAGE 5
#define TAINT_USER 6
#define TAINT_DIE 7
#define TAINT_OVERRIDDEN_ACPI_TABLE 8
#define TAINT_WARN 9
#define TAINT_CRAP 10
#define TAINT_FIRMWARE_WORKAROUND 11
#define TAINT_OOT_MODULE 12
#define TAINT_UNSIGNED_MODULE 13
