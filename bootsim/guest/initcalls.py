"""What drivers leave in tables for the kernel to call: initcalls and early parameters.

Linux: include/linux/init.h, do_initcalls() and do_early_param() in init/main.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial

from bootsim.guest.guest import Guest
from bootsim.guest.module import Module

_INITCALLS = (".initcall", ".con_initcall")
_LEVELS = ("early", *(f"{level}{sync}" for level in range(8) for sync in ("", "s")))
_SETUP = ".init.setup"
_OBS_KERNEL_PARAM = struct.Struct("<III")  # str, setup_func, early
_UNSERVED = {
    "__reservedmem_of_table": "RESERVEDMEM_OF_DECLARE()",
    ".con_initcall.init": "console_initcall()",
}


def has_some(module: Module) -> bool:
    """Whether the kernel calls into `module` by itself."""
    return any(name.startswith((*_INITCALLS, _SETUP)) for name in module.tables)


def do_initcalls(guest: Guest) -> None:
    """Call the initcalls level by level: here right after mem_init(), the last that is modelled."""
    for level in _LEVELS:
        for function in _words(guest, f".initcall{level}.init"):
            guest.call(function)
            guest.kernel.flush_cont()


def register_early_params(guest: Guest) -> None:
    """Have parse_early_param() call the functions that early_param() names."""
    for module in guest.modules:
        for section, what in _UNSERVED.items():
            if section in module.tables:
                files = ", ".join(object_.name for object_ in module.objects)
                guest.kernel.note(f"{what} in {files}: nobody calls it here")
    table = b"".join(_content(guest, _SETUP))
    for name, function, early in _OBS_KERNEL_PARAM.iter_unpack(table):
        if early:
            handler = partial(_early_param, guest, function)
            guest.kernel.early_params.append((guest.text(name), handler))
        else:
            guest.kernel.note(f"__setup({guest.text(name)!r}): nobody calls it here")


def _early_param(guest: Guest, function: int, value: str | None) -> int:
    """do_early_param(): the function gets its value in a buffer that it may write to."""
    if value is None:
        return guest.call(function, 0)
    guest.memory.write(guest.tmp_cmdline, value.encode("latin-1") + b"\0")
    return guest.call(function, guest.tmp_cmdline)


def _words(guest: Guest, section: str) -> Iterator[int]:
    for content in _content(guest, section):
        yield from (word for (word,) in struct.iter_unpack("<I", content))


def _content(guest: Guest, section: str) -> Iterator[bytes]:
    """What each file has in `section`, as it lies in memory."""
    for module in guest.modules:
        for address, size in module.tables.get(section, ()):
            yield guest.memory.read(address, size)
