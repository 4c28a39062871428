/* SPDX-License-Identifier: GPL-2.0-only */
/* The system control register; Linux: arch/arm/include/asm/cp15.h */
#pragma once

#include <asm/barrier.h>

/* Bits of SCTLR: ARM ARM DDI 0406C, B4.1.130. */
#define CR_M (1 << 0)
#define CR_A (1 << 1)
#define CR_C (1 << 2)
#define CR_W (1 << 3)
#define CR_P (1 << 4)
#define CR_D (1 << 5)
#define CR_L (1 << 6)
#define CR_B (1 << 7)
#define CR_S (1 << 8)
#define CR_R (1 << 9)
#define CR_F (1 << 10)
#define CR_Z (1 << 11)
#define CR_I (1 << 12)
#define CR_V (1 << 13)
#define CR_RR (1 << 14)
#define CR_L4 (1 << 15)
#define CR_DT (1 << 16)
#define CR_HA (1 << 17)
#define CR_IT (1 << 18)
#define CR_ST (1 << 19)
#define CR_FI (1 << 21)
#define CR_U (1 << 22)
#define CR_XP (1 << 23)
#define CR_VE (1 << 24)
#define CR_EE (1 << 25)
#define CR_TRE (1 << 28)
#define CR_AFE (1 << 29)
#define CR_TE (1 << 30)

extern unsigned long cr_alignment;

/* Coprocessor 15's register crn, opc1, crm, opc2. */
#define __read_cp15(opc1, crn, crm, opc2) ({ \
	unsigned long __register; \
	__asm__ __volatile__("mrc p15, " #opc1 ", %0, " #crn ", " #crm ", " #opc2 \
			     : "=r"(__register)); \
	__register; \
})
#define __write_cp15(opc1, crn, crm, opc2, value) do { \
	__asm__ __volatile__("mcr p15, " #opc1 ", %0, " #crn ", " #crm ", " #opc2 \
			     : : "r"(value) : "memory"); \
	isb(); \
} while (0)

static inline unsigned long get_cr(void)
{
	return __read_cp15(0, c1, c0, 0);
}

static inline void set_cr(unsigned long value)
{
	__write_cp15(0, c1, c0, 0, value);
}

static inline unsigned int get_auxcr(void)
{
	return __read_cp15(0, c1, c0, 1);
}

static inline unsigned int get_copro_access(void)
{
	return __read_cp15(0, c1, c0, 2);
}

#define vectors_high() (get_cr() & CR_V)
