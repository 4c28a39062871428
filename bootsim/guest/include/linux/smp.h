/* SPDX-License-Identifier: GPL-2.0-only */
/* CPUs, of which the boot has one; Linux: include/linux/smp.h */
#pragma once

#include <linux/cpumask.h>
#include <linux/threads.h>

#define raw_smp_processor_id() 0
#define smp_processor_id() 0
#define get_cpu() 0
#define put_cpu() barrier()
