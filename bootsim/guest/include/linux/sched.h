/* SPDX-License-Identifier: GPL-2.0-only */
/* Tasks, of which the boot has one; Linux: include/linux/sched.h */
#pragma once

#include <linux/mm_types.h>
#include <linux/types.h>

#define TASK_COMM_LEN 16

/* Waiting is over at once: nothing else can run. */
#define schedule() barrier()
#define cond_resched() 0
