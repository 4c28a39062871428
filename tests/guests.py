"""Compiling and linking for guest code's tests, with the tools that the package ziglang brings."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.requirements import need_module

DATA = Path(__file__).parent / "data" / "guest"

# As bootsim compiles drivers, but for debug information.
ARM = ("-mcpu=cortex-a9", "-mfloat-abi=soft", "-marm", "-O2", "-ffreestanding", "-fno-pic")
THUMB = (*(option for option in ARM if option != "-marm"), "-mthumb")


def zig() -> str:
    """The program zig."""
    package = need_module("ziglang")
    return os.path.join(os.path.dirname(package.__file__ or ""), "zig")


def compile_object(source: Path, output: Path, *options: str) -> Path:
    """The object file that clang makes of C or assembly."""
    command = [zig(), "clang", "--target=arm-none-eabi", *(options or ARM), "-c", str(source)]
    run([*command, "-o", str(output)])
    return output


def lld(output: Path, *arguments: str | Path, cwd: Path | None = None) -> Path:
    """What LLVM's linker makes."""
    command = [zig(), "ld.lld", "-m", "armelf_linux_eabi", "-o", str(output), *map(str, arguments)]
    run(command, cwd)
    return output


def run(command: Sequence[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout
