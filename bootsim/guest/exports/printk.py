"""The log and its formats, for guest code: kernel/{printk/printk,panic}.c, lib/vsprintf.c."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from bootsim.errors import KernelPanic
from bootsim.guest.exports import Export
from bootsim.kernel.printk import KERN_WARNING

if TYPE_CHECKING:
    from bootsim.guest.calling import Arguments
    from bootsim.guest.guest import Guest

LOG_LINE_MAX = 1024 - 32  # kernel/printk/printk.c: what is behind it is cut off
_PRINTED_MAX = 64 << 20  # bytes of log that one guest may make
_INT_MAX = 0x7FFFFFFF
_CUT_HERE = "------------[ cut here ]------------"


def log(guest: Guest, text: bytes) -> int:
    """printk() of a text that is formatted; how long it is."""
    text = text[: LOG_LINE_MAX - 1]
    guest.printed += len(text)
    if guest.printed > _PRINTED_MAX:
        raise KernelPanic(f"the guest has printed more than {_PRINTED_MAX >> 20} MiB")
    guest.kernel.vprintk(text)
    return len(text)


def _printk(guest: Guest, fmt: int, arguments: Arguments) -> int:
    return log(guest, guest.format(fmt, arguments, LOG_LINE_MAX)[0])


def _snprintf(guest: Guest, buf: int, size: int, fmt: int, arguments: Arguments) -> int:
    if size > _INT_MAX:
        warn(guest, "lib/vsprintf.c", 0, "")
        return 0
    text, length = guest.format(fmt, arguments, size)
    if size:
        guest.memory.write(buf, text + b"\0")
    return length


def _scnprintf(guest: Guest, buf: int, size: int, fmt: int, arguments: Arguments) -> int:
    length = _snprintf(guest, buf, size, fmt, arguments)
    if length < size:
        return length
    return size - 1 if size else 0


def _sprintf(guest: Guest, buf: int, fmt: int, arguments: Arguments) -> int:
    return _snprintf(guest, buf, _INT_MAX, fmt, arguments)


def _panic(guest: Guest, fmt: int, arguments: Arguments) -> None:
    text, _ = guest.format(fmt, arguments, 1024)
    raise KernelPanic.panic(text.decode("utf-8", "backslashreplace").removesuffix("\n"))


def _bug(guest: Guest, file: int, line: int) -> None:
    """BUG(): what arch/arm/kernel/traps.c prints before it dies."""
    where = f"kernel BUG at {guest.text(file)}:{line}!"
    guest.kernel.pr_crit(where)
    raise KernelPanic(where)


def warn(guest: Guest, file: str, line: int, text: str) -> None:
    """A WARN(): what __warn() prints up to the registers."""
    kernel = guest.kernel
    caller = guest.kallsyms.caller(guest.cpu.lr)
    kernel.pr_warn(_CUT_HERE)
    kernel.pr_warn(f"WARNING: CPU: 0 PID: 0 at {file}:{line} {caller}")
    if text:
        kernel.vprintk(text.encode("utf-8", "backslashreplace"))
        kernel.flush_cont()
    dump_stack(guest)
    kernel.pr_warn("---[ end trace 0000000000000000 ]---")
    if kernel.vars.panic_on_warn:
        kernel.vars.panic_on_warn = 0
        raise KernelPanic.panic("panic_on_warn set ...")


def _warn_slowpath_fmt_5_0(
    guest: Guest, file: int, line: int, fmt: int, arguments: Arguments
) -> None:
    warn(guest, guest.text(file), line, _formatted(guest, fmt, arguments))


def _warn_slowpath_fmt(
    guest: Guest, file: int, line: int, _taint: int, fmt: int, arguments: Arguments
) -> None:
    warn(guest, guest.text(file), line, _formatted(guest, fmt, arguments) if fmt else "")


def _warn_slowpath_null(guest: Guest, file: int, line: int) -> None:
    warn(guest, guest.text(file), line, "")


def _formatted(guest: Guest, fmt: int, arguments: Arguments) -> str:
    return guest.format(fmt, arguments, LOG_LINE_MAX)[0].decode("utf-8", "backslashreplace")


def dump_stack(guest: Guest) -> None:
    """The calls under way, a line each as arch/arm/kernel/traps.c dump_backtrace_entry()."""
    registers = guest.cpu.registers()
    frames = list(guest.kallsyms.unwind(registers[15], registers))
    for inner, outer in pairwise(frames):
        names = guest.kallsyms.sprint_symbol(inner), guest.kallsyms.sprint_symbol(outer)
        name = names[0].partition("+")[0]
        guest.kernel.printk(
            KERN_WARNING, f"[<{inner:08x}>] ({name}) from [<{outer:08x}>] ({names[1]})"
        )


_FMT = "const char *fmt"
_BUF = "char *buf, size_t size, const char *fmt"

_RATELIMIT_BURST = 10  # DEFAULT_RATELIMIT_BURST, of each 5 s: early boot takes no time


def _printk_ratelimit(guest: Guest, _func: int) -> bool:
    guest.ratelimited += 1
    return guest.ratelimited <= _RATELIMIT_BURST


def _dump_stack_lvl(guest: Guest, _level: int) -> None:
    dump_stack(guest)


EXPORTS = (
    Export(f"int printk({_FMT}, ...)", _printk, "5.0"),
    Export(f"int _printk({_FMT}, ...)", _printk, "6.1"),
    Export(f"int printk_deferred({_FMT}, ...)", _printk, "5.0"),
    Export(f"int _printk_deferred({_FMT}, ...)", _printk, "6.1"),
    Export("int __printk_ratelimit(const char *func)", _printk_ratelimit),
    Export("void dump_stack_lvl(const char *log_lvl)", _dump_stack_lvl, "6.1"),
    Export(f"int vprintk({_FMT}, va_list args)", _printk),
    Export(f"void panic({_FMT}, ...)", _panic),
    Export("void __bug(const char *file, int line)", _bug),
    Export(
        f"void warn_slowpath_fmt(const char *file, int line, {_FMT}, ...)",
        _warn_slowpath_fmt_5_0,
        "5.0",
    ),
    Export("void warn_slowpath_null(const char *file, int line)", _warn_slowpath_null, "5.0"),
    Export(
        f"void warn_slowpath_fmt(const char *file, int line, unsigned int taint, {_FMT}, ...)",
        _warn_slowpath_fmt,
        "6.1",
    ),
    Export(
        f"void warn_slowpath_fmt_taint(const char *file, int line, unsigned int taint,"
        f" {_FMT}, ...)",
        _warn_slowpath_fmt,
        "5.0",
    ),
    Export("void dump_stack(void)", dump_stack),
    Export(f"int snprintf({_BUF}, ...)", _snprintf),
    Export(f"int vsnprintf({_BUF}, va_list args)", _snprintf),
    Export(f"int scnprintf({_BUF}, ...)", _scnprintf),
    Export(f"int vscnprintf({_BUF}, va_list args)", _scnprintf),
    Export(f"int sprintf(char *buf, {_FMT}, ...)", _sprintf),
    Export(f"int vsprintf(char *buf, {_FMT}, va_list args)", _sprintf),
)
