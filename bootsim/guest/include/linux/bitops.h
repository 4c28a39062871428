/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding and changing bits; Linux: include/linux/bitops.h, arch/arm/include/asm/bitops.h */
#pragma once

#include <linux/bits.h>
#include <linux/types.h>

#define BITS_PER_TYPE(type) (sizeof(type) * BITS_PER_BYTE)

/* ffs() and fls() count from 1, with 0 where no bit is set; __ffs() and __fls() count from 0. */
static inline int ffs(int word)
{
	return word ? __builtin_ctz((unsigned int)word) + 1 : 0;
}

static inline int fls(unsigned int word)
{
	return word ? 32 - __builtin_clz(word) : 0;
}

static inline int fls64(u64 word)
{
	return word ? 64 - __builtin_clzll(word) : 0;
}

static inline unsigned long __ffs(unsigned long word)
{
	return (unsigned long)__builtin_ctzl(word);
}

static inline unsigned long __fls(unsigned long word)
{
	return BITS_PER_LONG - 1 - (unsigned long)__builtin_clzl(word);
}

static inline unsigned long __ffs64(u64 word)
{
	return (unsigned long)__builtin_ctzll(word);
}

static inline unsigned int fls_long(unsigned long word)
{
	return (unsigned int)fls(word);
}

#define ffz(word) __ffs(~(word))

static inline int get_count_order(unsigned int count)
{
	return count ? fls(count - 1) : -1;
}

static inline unsigned int hweight32(unsigned int word)
{
	word -= word >> 1 & 0x55555555;
	word = (word & 0x33333333) + (word >> 2 & 0x33333333);
	return ((word + (word >> 4)) & 0x0f0f0f0f) * 0x01010101 >> 24;
}

#define hweight8(word) hweight32((u8)(word))
#define hweight16(word) hweight32((u16)(word))
#define hweight64(word) (hweight32((u32)(word)) + hweight32((u32)((u64)(word) >> 32)))
#define hweight_long(word) ((unsigned long)hweight32(word))

static inline u32 rol32(u32 word, unsigned int shift)
{
	return word << (shift & 31) | word >> (-shift & 31);
}

static inline u32 ror32(u32 word, unsigned int shift)
{
	return word >> (shift & 31) | word << (-shift & 31);
}

/* Bit `nr` of an array of longs. The boot has one CPU: nothing comes between read and write. */
static inline int test_bit(long nr, const volatile unsigned long *addr)
{
	return addr[BIT_WORD(nr)] >> (nr % BITS_PER_LONG) & 1;
}

static inline void __set_bit(long nr, volatile unsigned long *addr)
{
	addr[BIT_WORD(nr)] |= BIT_MASK(nr);
}

static inline void __clear_bit(long nr, volatile unsigned long *addr)
{
	addr[BIT_WORD(nr)] &= ~BIT_MASK(nr);
}

static inline void __change_bit(long nr, volatile unsigned long *addr)
{
	addr[BIT_WORD(nr)] ^= BIT_MASK(nr);
}

static inline int __test_and_set_bit(long nr, volatile unsigned long *addr)
{
	int was = test_bit(nr, addr);

	__set_bit(nr, addr);
	return was;
}

static inline int __test_and_clear_bit(long nr, volatile unsigned long *addr)
{
	int was = test_bit(nr, addr);

	__clear_bit(nr, addr);
	return was;
}

static inline int __test_and_change_bit(long nr, volatile unsigned long *addr)
{
	int was = test_bit(nr, addr);

	__change_bit(nr, addr);
	return was;
}

#define set_bit(nr, addr) __set_bit(nr, addr)
#define clear_bit(nr, addr) __clear_bit(nr, addr)
#define change_bit(nr, addr) __change_bit(nr, addr)
#define test_and_set_bit(nr, addr) __test_and_set_bit(nr, addr)
#define test_and_clear_bit(nr, addr) __test_and_clear_bit(nr, addr)
#define test_and_change_bit(nr, addr) __test_and_change_bit(nr, addr)

/* The first bit of that value at `offset` or behind; `size` where there is none. */
static inline unsigned long __find_bit(const unsigned long *addr, unsigned long size,
				       unsigned long offset, int value)
{
	while (offset < size && test_bit((long)offset, addr) != value)
		offset++;
	return offset < size ? offset : size;
}

#define find_next_bit(addr, size, offset) __find_bit(addr, size, offset, 1)
#define find_next_zero_bit(addr, size, offset) __find_bit(addr, size, offset, 0)
#define find_first_bit(addr, size) __find_bit(addr, size, 0, 1)
#define find_first_zero_bit(addr, size) __find_bit(addr, size, 0, 0)

#define for_each_set_bit(bit, addr, size) \
	for ((bit) = find_first_bit(addr, size); (bit) < (size); \
	     (bit) = find_next_bit(addr, size, (bit) + 1))
#define for_each_clear_bit(bit, addr, size) \
	for ((bit) = find_first_zero_bit(addr, size); (bit) < (size); \
	     (bit) = find_next_zero_bit(addr, size, (bit) + 1))
