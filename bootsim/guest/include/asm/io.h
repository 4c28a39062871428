/* SPDX-License-Identifier: GPL-2.0-only */
/* Registers of devices; Linux: arch/arm/include/asm/io.h */
#pragma once

#include <linux/string.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/byteorder.h>
#include <asm/early_ioremap.h>
#include <asm/memory.h>

/* How memory is mapped: the types that <asm/mach/map.h> goes on from. */
#define MT_DEVICE 0
#define MT_DEVICE_NONSHARED 1
#define MT_DEVICE_CACHED 2
#define MT_DEVICE_WC 3

#define __raw_readb(addr) (*(const volatile u8 __force *)(addr))
#define __raw_readw(addr) (*(const volatile u16 __force *)(addr))
#define __raw_readl(addr) (*(const volatile u32 __force *)(addr))
#define __raw_writeb(value, addr) ((void)(*(volatile u8 __force *)(addr) = (value)))
#define __raw_writew(value, addr) ((void)(*(volatile u16 __force *)(addr) = (value)))
#define __raw_writel(value, addr) ((void)(*(volatile u32 __force *)(addr) = (value)))

#define readb_relaxed(addr) __raw_readb(addr)
#define readw_relaxed(addr) __raw_readw(addr)
#define readl_relaxed(addr) __raw_readl(addr)
#define writeb_relaxed(value, addr) __raw_writeb(value, addr)
#define writew_relaxed(value, addr) __raw_writew(value, addr)
#define writel_relaxed(value, addr) __raw_writel(value, addr)

#define __io_read(access, addr) ({ \
	typeof(access(addr)) __read = access(addr); \
	rmb(); \
	__read; \
})
#define __io_write(access, value, addr) do { \
	wmb(); \
	access(value, addr); \
} while (0)

#define readb(addr) __io_read(__raw_readb, addr)
#define readw(addr) __io_read(__raw_readw, addr)
#define readl(addr) __io_read(__raw_readl, addr)
#define writeb(value, addr) __io_write(__raw_writeb, value, addr)
#define writew(value, addr) __io_write(__raw_writew, value, addr)
#define writel(value, addr) __io_write(__raw_writel, value, addr)
#define ioread8(addr) readb(addr)
#define ioread16(addr) readw(addr)
#define ioread32(addr) readl(addr)
#define iowrite8(value, addr) writeb(value, addr)
#define iowrite16(value, addr) writew(value, addr)
#define iowrite32(value, addr) writel(value, addr)

#define memset_io(addr, value, count) memset((void __force *)(addr), value, count)
#define memcpy_fromio(to, from, count) memcpy(to, (const void __force *)(from), count)
#define memcpy_toio(to, from, count) memcpy((void __force *)(to), from, count)

/* Mappings that last, which come after the early boot. */
void __iomem *ioremap(resource_size_t addr, size_t size);
void iounmap(volatile void __iomem *addr);
