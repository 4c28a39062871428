"""What some tests need beyond Python packages: asked for here, so that each skip has its reason.

With BOOTSIM_REQUIRE_ALL set (as in CI) a missing requirement fails the test instead.
"""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip the test with `reason`, or fail it where skipping is forbidden."""
    if os.environ.get("BOOTSIM_REQUIRE_ALL"):
        pytest.fail(f"{reason} (BOOTSIM_REQUIRE_ALL is set)", pytrace=False)
    pytest.skip(reason)


def need_program(name: str) -> str:
    """The path of program `name`."""
    path = shutil.which(name)
    if path is None:
        missing(f"needs the program {name}")
    return path


def need_module(name: str) -> ModuleType:
    """The Python module `name`."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(f"needs the Python module {name}")


def need_directory(variable: str, what: str) -> Path:
    """The directory that environment variable `variable` names."""
    value = os.environ.get(variable)
    if not value or not Path(value).is_dir():
        missing(f"needs {what}: set {variable} to its directory")
    return Path(value)


def need_kernel() -> Path:
    """Debian's ARM kernel: BOOTSIM_KERNEL names it, or its package lies around BOOTSIM_DTBS."""
    value = os.environ.get("BOOTSIM_KERNEL")
    if value and Path(value).is_file():
        return Path(value)
    trees = os.environ.get("BOOTSIM_DTBS")
    if trees and Path(trees).is_dir():
        release = Path(trees).resolve().name.removeprefix("linux-image-")
        kernel = Path(trees).resolve().parents[2] / "boot" / f"vmlinuz-{release}"
        if kernel.is_file():
            return kernel
    missing("needs Debian's ARM kernel: set BOOTSIM_KERNEL to its vmlinuz")
