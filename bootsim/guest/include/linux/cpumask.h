/* SPDX-License-Identifier: GPL-2.0-only */
/* Sets of CPUs; Linux: include/linux/cpumask.h */
#pragma once

#include <linux/bitops.h>
#include <linux/threads.h>

typedef struct cpumask {
	DECLARE_BITMAP(bits, NR_CPUS);
} cpumask_t;

#define nr_cpumask_bits NR_CPUS
#define cpumask_bits(mask) ((mask)->bits)
#define cpumask_test_cpu(cpu, mask) test_bit(cpu, cpumask_bits(mask))
#define cpumask_set_cpu(cpu, mask) __set_bit(cpu, cpumask_bits(mask))
#define cpumask_clear_cpu(cpu, mask) __clear_bit(cpu, cpumask_bits(mask))
#define cpumask_first(mask) find_first_bit(cpumask_bits(mask), NR_CPUS)
#define cpumask_next(cpu, mask) find_next_bit(cpumask_bits(mask), NR_CPUS, (cpu) + 1)
#define for_each_cpu(cpu, mask) \
	for ((cpu) = cpumask_first(mask); (cpu) < NR_CPUS; (cpu) = cpumask_next(cpu, mask))
