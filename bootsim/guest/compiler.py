"""C to ARM object files: which compiler, with what options, and what it made before.

The compiler is clang as the Python package `ziglang` carries it (extra `cc`), an ARM GCC or a
clang of the system, or what the user names. It sees the headers of `bootsim/guest/include` and none
of the host's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from bootsim.errors import BootsimError
from bootsim.guest.cache import Cache
from bootsim.guest.elf import ObjectFile, read_elf
from bootsim.guest.exports import Api

if TYPE_CHECKING:
    from subprocess import CompletedProcess

INCLUDE = Path(__file__).parent / "include"
_ON_PATH = ("arm-linux-gnueabi-gcc", "arm-linux-gnueabihf-gcc", "arm-none-eabi-gcc", "clang")
_TARGET = "--target=arm-none-eabi"
# How all guest code is compiled: for this CPU, without a C library, with callers and backtraces
# as a kernel with CONFIG_FRAME_POINTER has them.
CODE_OPTIONS = (
    *("-mcpu=cortex-a9", "-marm", "-mfloat-abi=soft", "-std=gnu11", "-O2", "-g"),
    *("-ffreestanding", "-nostdinc", "-fno-strict-aliasing", "-fno-common", "-fwrapv"),
    "-fno-delete-null-pointer-checks",
    *("-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-fno-pic"),
    *("-fno-stack-protector", "-fno-asynchronous-unwind-tables"),
)
_WARNINGS = (
    *("-Wall", "-Wno-format", "-Wno-unused-variable", "-Wno-unused-function", "-Wno-main"),
    *("-Wno-unused-but-set-variable", "-Werror=implicit-function-declaration"),
    "-Wframe-larger-than=1024",  # CONFIG_FRAME_WARN of 32-bit kernels
)
VERSION_CODES: dict[Api, int] = {"5.0": 0x050000, "6.1": 0x060100}  # LINUX_VERSION_CODE
_TIMEOUT = 120.0  # seconds

# Where code asks for an option, and where it asks for its absence.
_ASKS = re.compile(
    r"^[ \t]*#[ \t]*(?:if|elif|ifdef)\b(.*)$|\bIS_(?:ENABLED|BUILTIN)\(([^)]*)\)", re.M
)
_ABSENCE = re.compile(r"![ \t]*(?:defined|IS_\w+)?[ \t]*\(?[ \t]*CONFIG_\w+")
_MACRO = re.compile(r"[A-Za-z_]\w*(\([^)]*\))?(=|$)")
_OPTION = re.compile(r"\bCONFIG_\w+")
_AUTOCONF = INCLUDE / "generated" / "autoconf.h"


@dataclass(frozen=True, slots=True)
class Compiler:
    """A compiler: the command that runs it, what it is called, and its own options."""

    command: tuple[str, ...]
    options: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Changes when the program does."""
        program = Path(self.command[0])
        status = program.stat()
        return f"{program} {status.st_size} {status.st_mtime_ns} {self.command} {self.options}"


def find_compiler(asked: str | None = None) -> Compiler:
    """The compiler called `asked`, or the first that is there.

    Raises BootsimError that says how to get one.
    """
    spec = find_spec("ziglang") if asked is None else None
    if spec is not None and spec.origin is not None:
        zig = Path(spec.origin).parent / "zig"
        if zig.exists():
            return Compiler((str(zig), "clang"), (_TARGET,))
    from shutil import which  # noqa: PLC0415 - 7 ms

    for name in _ON_PATH if asked is None else (asked,):
        program = which(name)
        if program is not None:
            return _compiler(program)
    if asked is not None:
        raise BootsimError(f"--cc {asked}: there is no such program")
    raise BootsimError(
        "no compiler for ARM: install bootsim with its extra, pip install 'bootsim[cc]', or"
        f" {' or '.join(_ON_PATH)}, or name one with --cc"
    )


def _compiler(program: str) -> Compiler:
    """How to call the compiler at path `program`, by its name."""
    name = Path(program).name
    if name == "zig":
        return Compiler((program, "clang"), (_TARGET,))
    return Compiler((program,), () if "gcc" in name else (_TARGET,))


@dataclass(frozen=True, slots=True)
class DriverOptions:
    """How to compile a driver: for which kernel, with which macros and folders for #include.

    `config` are the kernel's options that its headers have to know, as macros.
    """

    api: Api = "5.0"
    config: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    cc: str | None = None

    def arguments(self, source: str, name: str) -> list[str]:
        """The compiler's options for a file that holds `source`, of a module called `name`."""
        for macro in self.defines:
            if not _MACRO.match(macro):
                raise BootsimError(f"-D {macro!r}: expected MACRO or MACRO=VALUE")
        defined = {re.split(r"[=(]", macro)[0] for macro in self.defines}
        return [
            *(*CODE_OPTIONS, *_WARNINGS),
            *(argument for folder in self.includes for argument in ("-I", folder)),
            *("-isystem", str(INCLUDE), "-include", "linux/kconfig.h"),
            *("-include", "linux/compiler_types.h", "-D__KERNEL__", "-D__LINUX_ARM_ARCH__=7"),
            f"-DLINUX_VERSION_CODE={VERSION_CODES[self.api]}",
            f'-DKBUILD_MODNAME="{re.sub(r"[^A-Za-z0-9_]", "_", name)}"',
            *(f"-D{macro}" for macro in self.config),
            *(f"-D{name}=1" for name in guards(source) if name not in defined),
            *(f"-D{macro}" for macro in self.defines),
        ]


def guards(source: str) -> list[str]:
    """The CONFIG_ macros that a driver's own code stands behind, in the order they come.

    Those that include/generated/autoconf.h names are the kernel's: a driver that asks for them is
    told what the kernel has.
    """
    found = (
        option
        for match in _ASKS.finditer(source)
        for option in _OPTION.findall(_ABSENCE.sub("", match[1] or match[2] or ""))
    )
    wanted = dict.fromkeys(found)
    if wanted:
        kernel = set(_OPTION.findall(_AUTOCONF.read_text()))
        return [option for option in wanted if option not in kernel]
    return []


class CompileError(BootsimError):
    """The compiler refused a file; `details` are its own words."""

    def __init__(self, path: Path, words: str) -> None:
        super().__init__(f"{path}: the compiler refuses it")
        self.details = tuple(words.rstrip().splitlines())


def compile_driver(path: Path, options: DriverOptions) -> tuple[ObjectFile, str]:
    """The object file that the driver in C file `path` makes, and the compiler's warnings.

    Raises what compile_c() raises.
    """
    source = _read(path).decode("utf-8", "replace")
    return compile_c(path, options.arguments(source, path.stem), options.cc)


def compile_c(
    path: Path, arguments: Sequence[str], cc: str | None = None
) -> tuple[ObjectFile, str]:
    """The object file that `path` makes with the compiler's options `arguments`, and its warnings.

    It comes from the cache if nothing has changed. Raises CompileError with the compiler's words,
    BootsimError where there is no compiler or no file.
    """
    compiler = find_compiler(cc)
    command = [*compiler.command, *compiler.options, *arguments]
    cache = Cache(f"{path}\n{compiler.identity}\n{command}", _read(path))
    found = cache.find()
    if found is not None:
        return read_elf(found[0], str(path)), found[1]
    from tempfile import TemporaryDirectory  # noqa: PLC0415 - 10 ms, with subprocess

    with TemporaryDirectory(prefix="bootsim-") as scratch:
        output, dependencies = Path(scratch, "driver.o"), Path(scratch, "driver.d")
        source = f"./{path}" if str(path).startswith("-") else str(path)
        done = _run([*command, "-MD", "-MF", str(dependencies), "-c", source, "-o", str(output)])
        if done.returncode:
            raise CompileError(path, done.stderr)
        try:
            data = output.read_bytes()
            headers = _dependencies(dependencies.read_text(errors="replace"), source)
        except OSError as error:
            raise BootsimError(f"{compiler.command[0]}: it made no object of {path}") from error
        made = read_elf(data, str(path))
        cache.keep(data, done.stderr, headers, _preferred(path, arguments, headers))
        return made, done.stderr


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BootsimError(f"{path}: {error.strerror}") from error


def _run(command: list[str]) -> CompletedProcess[str]:
    import subprocess  # noqa: PLC0415

    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=_TIMEOUT
        )
    except OSError as error:
        raise BootsimError(f"{command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise BootsimError(f"{command[0]}: still not done after {_TIMEOUT:g} s") from error


def _dependencies(rule: str, source: str) -> list[str]:
    """The files that a make rule, as -MD writes it, names beside `source`."""
    names = re.findall(r"(?:\\[ #]|\S)+", rule.replace("\\\n", " ").partition(": ")[2])
    files = (re.sub(r"\\([ #])", r"\1", name).replace("$$", "$") for name in names)
    return [file for file in files if file != source]


def _preferred(path: Path, arguments: Sequence[str], headers: Sequence[str]) -> set[str]:
    """The files that an #include would have found before `headers`, if they were there."""
    folders = [str(path.parent)]
    for option in ("-I", "-isystem"):
        folders += [folder for each, folder in pairwise(arguments) if each == option]
    found: set[str] = set()
    for header in headers:
        for number, folder in enumerate(folders):
            name = os.path.relpath(header, folder)
            if not name.startswith(os.pardir):
                found.update(os.path.join(other, name) for other in folders[:number])
    return {path for path in found if not os.path.exists(path)}
