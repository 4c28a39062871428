/* SPDX-License-Identifier: GPL-2.0-only */
/* Where code lies that boots once: sections, init calls, parameters; Linux: include/linux/init.h */
#pragma once

#include <linux/compiler.h>
#include <linux/stringify.h>
#include <linux/types.h>

/* Code and data that only the boot needs. */
#define __init __attribute__((__section__(".init.text"), __cold__))
#define __initdata __attribute__((__section__(".init.data")))
#define __initconst __attribute__((__section__(".init.rodata")))
#define __exit __attribute__((__section__(".exit.text"), __used__, __cold__))
#define __exitdata __attribute__((__section__(".exit.data")))
#define __exit_call __attribute__((__section__(".exitcall.exit"), __used__))

/* Code and data that memory hotplug would need again. */
#define __meminit __attribute__((__section__(".meminit.text"), __cold__))
#define __meminitdata __attribute__((__section__(".meminit.data")))
#define __meminitconst __attribute__((__section__(".meminit.rodata")))
#define __memexit __attribute__((__section__(".memexit.text"), __cold__))
#define __memexitdata __attribute__((__section__(".memexit.data")))

/* Code and data that may refer to the above although they stay. */
#define __ref __attribute__((__section__(".ref.text"), __noinline__))
#define __refdata __attribute__((__section__(".ref.data")))
#define __refconst __attribute__((__section__(".ref.rodata")))

#define __devinit
#define __devinitdata
#define __cpuinit
#define __cpuinitdata
#define __nosavedata __attribute__((__section__(".data..nosave")))
#define __init_or_module __init
#define __initdata_or_module __initdata
#define __initconst_or_module __initconst

typedef int (*initcall_t)(void);
typedef void (*exitcall_t)(void);
typedef initcall_t initcall_entry_t;

/* A pointer to the function in the section of its level; do_initcalls() goes by level. */
#define __define_initcall_in(fn, id, section_name) \
	static initcall_t __initcall_##fn##id \
		__attribute__((__used__, __section__(section_name))) = fn
#define __define_initcall(fn, id) __define_initcall_in(fn, id, ".initcall" #id ".init")

#define early_initcall(fn) __define_initcall(fn, early)
#define pure_initcall(fn) __define_initcall(fn, 0)
#define core_initcall(fn) __define_initcall(fn, 1)
#define core_initcall_sync(fn) __define_initcall(fn, 1s)
#define postcore_initcall(fn) __define_initcall(fn, 2)
#define postcore_initcall_sync(fn) __define_initcall(fn, 2s)
#define arch_initcall(fn) __define_initcall(fn, 3)
#define arch_initcall_sync(fn) __define_initcall(fn, 3s)
#define subsys_initcall(fn) __define_initcall(fn, 4)
#define subsys_initcall_sync(fn) __define_initcall(fn, 4s)
#define fs_initcall(fn) __define_initcall(fn, 5)
#define fs_initcall_sync(fn) __define_initcall(fn, 5s)
#define rootfs_initcall(fn) __define_initcall(fn, rootfs)
#define device_initcall(fn) __define_initcall(fn, 6)
#define device_initcall_sync(fn) __define_initcall(fn, 6s)
#define late_initcall(fn) __define_initcall(fn, 7)
#define late_initcall_sync(fn) __define_initcall(fn, 7s)
#define console_initcall(fn) __define_initcall_in(fn, con, ".con_initcall.init")
#define __initcall(fn) device_initcall(fn)
#define __exitcall(fn) static exitcall_t __exitcall_##fn __exit_call = fn

/* A parameter of the command line, and who takes its value. */
struct obs_kernel_param {
	const char *str;
	int (*setup_func)(char *);
	int early;
};

#define __setup_param(name, unique_id, fn, is_early) \
	static const char __setup_str_##unique_id[] __initconst __aligned(1) = name; \
	static struct obs_kernel_param __setup_##unique_id \
		__attribute__((__used__, __section__(".init.setup"), __aligned__(sizeof(long)))) = { \
			.str = __setup_str_##unique_id, .setup_func = fn, .early = is_early }

#define __setup(name, fn) __setup_param(name, fn, fn, 0)
#define early_param(name, fn) __setup_param(name, fn, fn, 1)
#define early_param_on_off(on, off, variable, config) \
	int variable = IS_ENABLED(config); \
	static int __init parse_##variable##_on(char *value) \
	{ \
		(void)value; \
		variable = 1; \
		return 0; \
	} \
	early_param(on, parse_##variable##_on); \
	static int __init parse_##variable##_off(char *value) \
	{ \
		(void)value; \
		variable = 0; \
		return 0; \
	} \
	early_param(off, parse_##variable##_off)

extern char boot_command_line[];
