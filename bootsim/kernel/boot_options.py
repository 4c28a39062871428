"""What start_kernel() does with the command line once setup_arch() is through.

Linux: init/main.c, setup_command_line(), unknown_bootoption(), print_unknown_bootoptions();
sysctl aliases: fs/proc/proc_sysctl.c.
"""

from __future__ import annotations

from bootsim.kernel.kernel import Kernel
from bootsim.kernel.kstrtox import simple_strtoull
from bootsim.kernel.params import next_args, parameq

_MAX_INIT_ARGS = 32  # CONFIG_INIT_ENV_ARG_LIMIT, and as many variables
_FIRST_ENVIRONMENT = ("HOME=/", "TERM=linux")
_BOOTLOADERS = ("BOOT_IMAGE=", "kexec")
_SYSCTL_ALIASES = (
    *("hardlockup_all_cpu_backtrace", "hung_task_panic", "numa_zonelist_order"),
    "softlockup_all_cpu_backtrace",
)


def setup_command_line(kernel: Kernel) -> None:
    """Copies of the command line: one to keep, one to take apart, one for the initcalls."""
    line = kernel.boot_command_line.encode("latin-1") + b"\0"
    names = ["saved_command_line", "static_command_line"]
    if kernel.profile.features.initcall_command_line:
        names.insert(1, "initcall_command_line")
    for name in names:
        phys = kernel.memblock_alloc(
            len(line),
            kernel.memblock.features.smp_cache_bytes,
            name,
            caller="start_kernel",
            says="setup_command_line",
        )
        if name != "initcall_command_line":  # written when the initcalls run
            kernel.memory.write(phys, line)


def parse_boot_options(kernel: Kernel) -> None:
    """parse_args("Booting kernel"): what no one knows becomes init's, and is said."""
    arguments: list[str] = []
    environment = list(_FIRST_ENVIRONMENT)
    panic_later = False
    for name, value in next_args(kernel.boot_command_line):
        if name == "--" and value is None:
            break
        text = name if value is None else f"{name}={value}"
        if name in kernel.hash_entries:
            number = simple_strtoull((value or "").encode("latin-1"), 0)[0]
            kernel.hash_entries[name] = number & 0xFFFFFFFF
        if name == "slub_debug" and _stores_user(value):
            wants = kernel.profile.features.stack_depot
            kernel.switches["stack_depot_want_early_init"] = wants
        if panic_later or _is_known(kernel, name, text):
            continue
        if value is None:
            arguments.append(text)
        else:
            twin = next((n for n, e in enumerate(environment) if e.startswith(f"{name}=")), None)
            if twin is None:
                environment.append(text)
            else:
                environment[twin] = text
        panic_later = max(len(arguments), len(environment)) > _MAX_INIT_ARGS
    if not panic_later and kernel.profile.features.says_unknown_options:
        _print_unknown_bootoptions(kernel, [*arguments, *environment[2:]])


def _stores_user(value: str | None) -> bool:
    """Whether slub_debug= asks for the callers of slab functions (mm/slub.c): flag U, or all."""
    for block in (value or "").split(";"):
        flags, comma, _slabs = block.partition(",")
        if "u" in flags.lower().rpartition("-")[2] or (not flags and (comma or not value)):
            return True
    return False


def _is_known(kernel: Kernel, name: str, text: str) -> bool:
    """Whether some part of the kernel takes the parameter, or may (a module's has a dot)."""
    known = kernel.profile.boot_params
    if any(parameq(name, parameter) for parameter in known.get("param", ())):
        return True
    if name in _SYSCTL_ALIASES or text.startswith(_BOOTLOADERS) or "." in name:
        return True
    for setup in known.get("setup", ()):
        if setup.endswith("="):
            if parameq(text[: len(setup)], setup):
                return True
        elif parameq(name, setup):
            return True
    early = (*known.get("early", ()), *(name for name, _ in kernel.early_params))
    return any(parameq(name, parameter) for parameter in early)


def _print_unknown_bootoptions(kernel: Kernel, unknown: list[str]) -> None:
    if not unknown:
        return
    size = 1 + sum(len(option) + 1 for option in unknown)
    virt = kernel.memblock.alloc(
        size, kernel.memblock.features.smp_cache_bytes, caller="start_kernel"
    )
    if not virt:
        kernel.pr_err(f"print_unknown_bootoptions: Failed to allocate {size} bytes")
        return
    phys, options = kernel.virt_to_phys(virt), " ".join(unknown)
    kernel.memory.write(phys, f" {options}\0".encode("latin-1"))
    kernel.pr_notice(
        f'Unknown kernel command line parameters "{options}", will be passed to user space.'
    )
    kernel.memblock.phys_free(phys, size, caller="start_kernel")
