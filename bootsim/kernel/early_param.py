"""Early parameters: those with an effect here, and what others say or choke on.

Linux: early_param() all over the kernel; parse_early_param() in init/main.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from bootsim.kernel.cma import early_cma
from bootsim.kernel.earlycon import param_setup_earlycon
from bootsim.kernel.free_area_init import cmdline_parse_kernelcore, cmdline_parse_movablecore
from bootsim.kernel.init import early_initrd
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.kstrtox import kstrtobool, simple_strtoull
from bootsim.kernel.log_buf import log_buf_len_setup
from bootsim.kernel.memtest import parse_memtest
from bootsim.kernel.mmu import (
    early_cachepolicy,
    early_ecc,
    early_nocache,
    early_nowrite,
    early_vmalloc,
)
from bootsim.kernel.params import memparse, null_parameter, parse_early_options
from bootsim.kernel.profile import Profile

EINVAL = 22
_CONSOLE_LOGLEVEL_DEBUG, _CONSOLE_LOGLEVEL_QUIET = 10, 4  # include/linux/printk.h

Handler = Callable[[Kernel, str | None], int]


def parse_early_param(kernel: Kernel, early_mem: Handler) -> None:
    """Act on the early parameters of the command line; `early_mem` is mem='s."""
    handlers: dict[str, Handler] = {
        "mem": early_mem,
        "vmalloc": early_vmalloc,
        "initrd": early_initrd,
        "memblock": early_memblock,
        "earlycon": param_setup_earlycon,
        "cma": early_cma,
        "cachepolicy": early_cachepolicy,
        "nocache": early_nocache,
        "nowb": early_nowrite,
        "ecc": early_ecc,
        "percpu_alloc": percpu_alloc_setup,
    }
    profile = kernel.profile
    if profile.config.memtest:
        handlers["memtest"] = parse_memtest
    if profile.features.initrdmem:
        handlers["initrdmem"] = early_initrd
    if profile.features.crash_dump:
        handlers["elfcorehdr"] = setup_elfcorehdr
    if profile.config.efi:
        handlers["efi"] = parse_efi_cmdline
    if profile.features.page_alloc != "5.0":
        handlers["kernelcore"] = cmdline_parse_kernelcore
        handlers["movablecore"] = cmdline_parse_movablecore
    if profile.boot_sizes is not None:
        handlers["log_buf_len"] = log_buf_len_setup
        handlers["nr_cpus"] = nrcpus
    if profile.features.stack_depot:
        handlers["stack_depot_disable"] = disable_stack_depot
    if profile.config.init_stack:
        handlers["init_on_alloc"] = early_init_on_alloc
        handlers["init_on_free"] = early_init_on_free
    handlers.update(_others(profile))
    handlers |= {"quiet": quiet_kernel, "debug": debug_kernel, "loglevel": loglevel}
    handlers = {name: act for name, act in handlers.items() if profile.has_early_param(name)}
    others = parse_early_options(
        kernel.boot_command_line,
        [
            *((name, partial(handler, kernel)) for name, handler in handlers.items()),
            *kernel.early_params,
        ],
        lambda name: kernel.pr_warn(f"Malformed early option '{name}'"),
    )
    if others:
        kernel.note("unknown to the model, left alone: " + " ".join(dict.fromkeys(others)))


def early_memblock(kernel: Kernel, value: str | None) -> int:
    """memblock=debug: log what memblock does from here on (mm/memblock.c)."""
    if value and "debug" in value:
        kernel.memblock.memblock_debug = True
    return 0


def setup_elfcorehdr(kernel: Kernel, value: str | None) -> int:
    """elfcorehdr=[size@]address in bytes, over what /chosen says (kernel/crash_dump.c)."""
    if not value:
        return -EINVAL
    base, size = kernel.fdt.elfcorehdr or (0, 0)
    base, rest = memparse(value)
    if rest.startswith("@"):
        size, (base, rest) = base, memparse(rest[1:])
    kernel.fdt.elfcorehdr = base, size
    return 0 if rest != value else -EINVAL


def quiet_kernel(kernel: Kernel, _value: str | None) -> int:
    """quiet: the console shows warnings and worse (init/main.c)."""
    kernel.console_loglevel = _CONSOLE_LOGLEVEL_QUIET
    return 0


def debug_kernel(kernel: Kernel, _value: str | None) -> int:
    """debug: the console shows all."""
    kernel.console_loglevel = _CONSOLE_LOGLEVEL_DEBUG
    return 0


def loglevel(kernel: Kernel, value: str | None) -> int:
    """loglevel=: the console shows what is more important than that."""
    level = _get_option(value or "")
    if level is None:
        return -EINVAL
    kernel.console_loglevel = level
    return 0


def nrcpus(kernel: Kernel, value: str | None) -> int:
    """nr_cpus=: no more CPUs than that (kernel/smp.c)."""
    count = _get_option(value or "")
    if count is not None and 0 < count < kernel.nr_cpu_ids:
        kernel.nr_cpu_ids = count
    return 0


def early_init_on_alloc(kernel: Kernel, value: str | None) -> int:
    """init_on_alloc=: whether pages are zeroed as they are taken (mm/page_alloc.c)."""
    return _switch(kernel, "init_on_alloc", value)


def early_init_on_free(kernel: Kernel, value: str | None) -> int:
    """init_on_free=: whether pages are zeroed as they are given back."""
    return _switch(kernel, "init_on_free", value)


def disable_stack_depot(kernel: Kernel, value: str | None) -> int:
    """stack_depot_disable=: no table of stack traces (lib/stackdepot.c)."""
    return _switch(kernel, "stack_depot_disable", value)


def _switch(kernel: Kernel, name: str, value: str | None) -> int:
    enabled = None if value is None else kstrtobool(value.encode("latin-1"), words=True)
    if enabled is None:
        return -EINVAL
    kernel.switches[name] = enabled
    return 0


def _get_option(text: str) -> int | None:
    """lib/cmdline.c get_option(): a whole number at the start of `text`."""
    number, end = simple_strtoull(text.encode("latin-1"), 0)
    return number if end else None


def percpu_alloc_setup(kernel: Kernel, value: str | None) -> int:
    """percpu_alloc=: ARM has no choice of first chunks (mm/percpu.c)."""
    if value is None:
        return -EINVAL
    kernel.pr_warn(f"percpu: unknown allocator {value} specified")
    return 0


def parse_efi_cmdline(kernel: Kernel, value: str | None) -> int:
    """efi=: nothing that shows where no UEFI has started this kernel (efi/efi.c)."""
    if value is None:
        kernel.pr_warn("efi: need at least one option")
        return -EINVAL
    return 0


def _others(profile: Profile) -> Iterator[tuple[str, Handler]]:
    """Parameters that the profile knows for what they print alone."""
    kinds: Mapping[str, Callable[[str], Handler]] = {
        "bool": lambda _name: _bool,
        "value": lambda _name: _value,
        "pointer": lambda name: partial(_pointer, name),
    }
    for kind, names in profile.early_params.items():
        for name in names:
            yield name, kinds[kind](name)
    for name, text in profile.early_params_say.items():
        yield name, partial(_say, text)


def _bool(_kernel: Kernel, value: str | None) -> int:
    """Goes to kstrtobool()."""
    known = value is not None and kstrtobool(value.encode("latin-1"), words=True) is not None
    return 0 if known else -EINVAL


def _value(_kernel: Kernel, value: str | None) -> int:
    """Cannot do without a value."""
    return -EINVAL if value is None else 0


def _pointer(name: str, _kernel: Kernel, value: str | None) -> int:
    """Looks at its value without asking whether there is one."""
    if value is None:
        raise null_parameter(name)
    return 0


def _say(text: str, kernel: Kernel, value: str | None) -> int:
    kernel.pr_warn(text.format(value="(null)" if value is None else value))
    return 0
