/* SPDX-License-Identifier: GPL-2.0-only */
/* Locks, which one CPU without interrupts always gets; Linux: include/linux/spinlock_up.h */
#pragma once

#include <linux/irqflags.h>
#include <linux/types.h>

typedef struct {
} raw_spinlock_t;

typedef struct {
} spinlock_t;

typedef struct {
} rwlock_t;

#define __SPIN_LOCK_UNLOCKED(lock) { }
#define __RAW_SPIN_LOCK_UNLOCKED(lock) { }
#define DEFINE_SPINLOCK(lock) spinlock_t lock = __SPIN_LOCK_UNLOCKED(lock)
#define DEFINE_RAW_SPINLOCK(lock) raw_spinlock_t lock = __RAW_SPIN_LOCK_UNLOCKED(lock)
#define DEFINE_RWLOCK(lock) rwlock_t lock = { }

#define __lock_up(lock) do { \
	barrier(); \
	(void)(lock); \
} while (0)
#define __lock_save(lock, flags) do { \
	local_irq_save(flags); \
	(void)(lock); \
} while (0)
#define __lock_restore(lock, flags) do { \
	(void)(lock); \
	local_irq_restore(flags); \
} while (0)

#define spin_lock_init(lock) __lock_up(lock)
#define spin_lock(lock) __lock_up(lock)
#define spin_unlock(lock) __lock_up(lock)
#define spin_trylock(lock) ({ __lock_up(lock); 1; })
#define spin_is_locked(lock) ((void)(lock), 0)
#define spin_lock_irq(lock) __lock_up(lock)
#define spin_unlock_irq(lock) __lock_up(lock)
#define spin_lock_bh(lock) __lock_up(lock)
#define spin_unlock_bh(lock) __lock_up(lock)
#define spin_lock_irqsave(lock, flags) __lock_save(lock, flags)
#define spin_unlock_irqrestore(lock, flags) __lock_restore(lock, flags)
#define raw_spin_lock_init(lock) __lock_up(lock)
#define raw_spin_lock(lock) __lock_up(lock)
#define raw_spin_unlock(lock) __lock_up(lock)
#define raw_spin_lock_irqsave(lock, flags) __lock_save(lock, flags)
#define raw_spin_unlock_irqrestore(lock, flags) __lock_restore(lock, flags)
#define read_lock(lock) __lock_up(lock)
#define read_unlock(lock) __lock_up(lock)
#define write_lock(lock) __lock_up(lock)
#define write_unlock(lock) __lock_up(lock)
