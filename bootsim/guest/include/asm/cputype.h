/* SPDX-License-Identifier: GPL-2.0-only */
/* Which CPU this is; Linux: arch/arm/include/asm/cputype.h */
#pragma once

#include <asm/cp15.h>

/* The part of MIDR that names implementer and part: ARM ARM DDI 0406C, B4.1.105. */
#define ARM_CPU_PART_MASK 0xff00fff0
#define ARM_CPU_PART_CORTEX_A5 0x4100c050
#define ARM_CPU_PART_CORTEX_A7 0x4100c070
#define ARM_CPU_PART_CORTEX_A8 0x4100c080
#define ARM_CPU_PART_CORTEX_A9 0x4100c090
#define ARM_CPU_PART_CORTEX_A15 0x4100c0f0
#define ARM_CPU_IMP_ARM 0x41

#define MPIDR_HWID_BITMASK 0xffffff
#define MPIDR_INVALID (~MPIDR_HWID_BITMASK)
#define MPIDR_LEVEL_BITS 8
#define MPIDR_LEVEL_MASK ((1 << MPIDR_LEVEL_BITS) - 1)
#define MPIDR_AFFINITY_LEVEL(mpidr, level) \
	((mpidr) >> (MPIDR_LEVEL_BITS * (level)) & MPIDR_LEVEL_MASK)

extern unsigned int processor_id;

static inline unsigned int read_cpuid_id(void)
{
	return __read_cp15(0, c0, c0, 0);
}

static inline unsigned int read_cpuid_cachetype(void)
{
	return __read_cp15(0, c0, c0, 1);
}

static inline unsigned int read_cpuid_mpidr(void)
{
	return __read_cp15(0, c0, c0, 5);
}

static inline unsigned int read_cpuid_implementor(void)
{
	return read_cpuid_id() >> 24;
}

static inline unsigned int read_cpuid_revision(void)
{
	return read_cpuid_id() & 0xf;
}

static inline unsigned int read_cpuid_part(void)
{
	return read_cpuid_id() & ARM_CPU_PART_MASK;
}
