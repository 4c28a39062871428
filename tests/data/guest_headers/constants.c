/* SPDX-License-Identifier: GPL-2.0-only */
/* What the headers' constants are; CONFIG_A is set to 1, CONFIG_B_MODULE too. */
#include <linux/ioport.h>
#include <linux/memblock.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/libfdt.h>

#define HOLDS(...) _Static_assert(__VA_ARGS__, "")

void constants(void)
{
	HOLDS(KERNEL_VERSION(5, 0, 0) == 327680 && KERNEL_VERSION(6, 1, 300) == 0x601ff);
	HOLDS(IS_ENABLED(CONFIG_OF) && !IS_ENABLED(CONFIG_64BIT));
	HOLDS(IS_ENABLED(CONFIG_A) && IS_ENABLED(CONFIG_B));
	HOLDS(IS_BUILTIN(CONFIG_A) && !IS_BUILTIN(CONFIG_B));
	HOLDS(IS_MODULE(CONFIG_B) && !IS_MODULE(CONFIG_A));
	HOLDS(ALIGN(0x1001, 0x1000) == 0x2000 && ALIGN(0x1000u, 0x1000) == 0x1000);
	HOLDS(ALIGN_DOWN(0x1fff, 16) == 0x1ff0);
	HOLDS(round_up(0x9ff00001u, 0x100000) == 0xa0000000);
	HOLDS(round_down(0x9fffffffu, 0x100000) == 0x9ff00000);
	HOLDS(round_up(0xffffffffffffull, 0x1000) == 0x1000000000000ull);
	HOLDS(DIV_ROUND_UP(4097, 4096) == 2 && IS_ALIGNED(0x2000, 0x1000) && !IS_ALIGNED(0x2800, 0x1000));
	HOLDS(min(2, 3) == 2 && max(2u, 3u) == 3 && min_t(u32, -1, 5) == 5 && max_t(s32, -1, 5) == 5);
	HOLDS(BIT(31) == 0x80000000 && GENMASK(7, 4) == 0xf0 && GENMASK(31, 0) == 0xffffffff);
	HOLDS(BIT_ULL(63) == 1ull << 63 && GENMASK_ULL(39, 32) == 0xff00000000ull);
	HOLDS(ilog2(1) == 0 && ilog2(0x1000) == 12 && ilog2(0x1fff) == 12 && ilog2(1ull << 40) == 40);
	HOLDS(order_base_2(1) == 0 && order_base_2(5) == 3 && roundup_pow_of_two(5) == 8);
	HOLDS(rounddown_pow_of_two(5) == 4);
	HOLDS(PFN_UP(0x60000001) == 0x60001 && PFN_DOWN(0x60001fff) == 0x60001);
	HOLDS(PFN_PHYS(0x60001) == 0x60001000 && PHYS_PFN(0x60001fff) == 0x60001);
	HOLDS(PAGE_ALIGN(0x1001ul) == 0x2000 && PAGE_ALIGNED(0x3000) && offset_in_page(0x1234) == 0x234);
	HOLDS(ARRAY_SIZE((int[5]){}) == 5 && sizeof_field(struct page, lru) == 8);
	HOLDS(U32_MAX == 0xffffffff && S64_MIN < 0 && PHYS_ADDR_MAX == 0xffffffff && (u8)-1 == U8_MAX);
	HOLDS(SZ_1M == 1 << 20 && SZ_2G == 1u << 31 && SZ_4G == 1ull << 32);
	HOLDS(upper_32_bits(0x123456789abcdef0ull) == 0x12345678 && lower_32_bits(1ull << 32) == 0);
	HOLDS(cpu_to_be32(0x12345678) == 0x78563412 && be64_to_cpu(0x0100000000000000ull) == 1);
	HOLDS(MAX_NUMNODES == 1 && NUMA_NO_NODE == -1 && MEMBLOCK_ALLOC_ANYWHERE == 0xffffffff);

	/* Structures: by their members and AAPCS, 4.1; the blob's by its specification. */
	HOLDS(sizeof(long) == 4 && sizeof(phys_addr_t) == 4 && sizeof(enum memblock_flags) == 4);
	HOLDS(sizeof(struct of_device_id) == 196 && offsetof(struct of_device_id, data) == 192);
	HOLDS(sizeof(struct reserved_mem) == 28 && offsetof(struct reserved_mem, base) == 16);
	HOLDS(sizeof(struct obs_kernel_param) == 12);
	HOLDS(sizeof(struct resource) == 32 && offsetof(struct resource, flags) == 12);
	HOLDS(sizeof(struct fdt_header) == 40 && offsetof(struct fdt_header, size_dt_struct) == 36);
	HOLDS(sizeof(struct fdt_reserve_entry) == 16 && offsetof(struct fdt_property, data) == 12);
	HOLDS(sizeof(spinlock_t) == 0 && sizeof(atomic_t) == 4 && sizeof(pgd_t) == 8);
}
