/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether the CPU takes interrupts; Linux: arch/arm/include/asm/irqflags.h */
#pragma once

#include <linux/compiler.h>
#include <linux/types.h>

/* ARM ARM, B1.3.3: CPSR.I, set while interrupts are masked. */
#define __CPSR_I 0x80ul

static inline unsigned long arch_local_save_flags(void)
{
	unsigned long flags;

	__asm__ __volatile__("mrs %0, cpsr" : "=r"(flags) : : "memory");
	return flags;
}

static inline void arch_local_irq_disable(void)
{
	__asm__ __volatile__("cpsid i" : : : "memory");
}

static inline void arch_local_irq_enable(void)
{
	__asm__ __volatile__("cpsie i" : : : "memory");
}

#define local_irq_disable() arch_local_irq_disable()
#define local_irq_enable() arch_local_irq_enable()
#define local_save_flags(flags) ((void)((flags) = arch_local_save_flags()))
#define local_irq_save(flags) do { \
	(flags) = arch_local_save_flags(); \
	arch_local_irq_disable(); \
} while (0)
#define local_irq_restore(flags) do { \
	if (!((flags) & __CPSR_I)) \
		arch_local_irq_enable(); \
} while (0)
#define irqs_disabled_flags(flags) (((flags) & __CPSR_I) != 0)
#define irqs_disabled() irqs_disabled_flags(arch_local_save_flags())
