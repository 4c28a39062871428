"""Debug drivers in Python: functions that get the model kernel at a stage of its boot."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bootsim.errors import BootsimError, DriverError, KernelPanic, MachineFault
from bootsim.kernel.kernel import Hook, Kernel
from bootsim.kernel.main import DRIVER_STAGE, STAGES
from bootsim.trace import BootStopped


@dataclass(frozen=True, slots=True)
class Driver:
    """A debug driver: `entry` is called with the kernel once the boot has come past `hook`."""

    entry: Hook
    hook: str = DRIVER_STAGE
    name: str = "driver"


def load_driver(path: str | os.PathLike[str], *, hook: str | None = None) -> Driver:
    """The driver in Python file `path`: its function `driver(kernel)`, run at its HOOK.

    Raises BootsimError if the file cannot be read or has no such function, DriverError if it
    raises while it is loaded.
    """
    path = Path(path)
    try:
        code = compile(path.read_bytes(), str(path), "exec")
    except OSError as error:
        raise BootsimError(f"{path}: {error.strerror}") from error
    except SyntaxError as error:
        raise BootsimError(f"{path}:{error.lineno}: {error.msg}") from error
    except ValueError as error:
        raise BootsimError(f"{path}: {error}") from error
    namespace: dict[str, object] = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(code, namespace)
    except (Exception, SystemExit) as error:
        raise _driver_error(str(path), error) from error
    entry = namespace.get("driver")
    if not callable(entry):
        raise BootsimError(f"{path}: it defines no function driver(kernel)")
    asked = namespace.get("HOOK", DRIVER_STAGE)
    return Driver(entry, hook or str(asked), str(path))


def hooks(drivers: Iterable[Driver]) -> dict[str, list[Hook]]:
    """The drivers by stage, ready to be called by a kernel; each reports what it raises.

    Raises BootsimError for a stage that does not exist.
    """
    by_stage: dict[str, list[Hook]] = {}
    for driver in drivers:
        if driver.hook not in STAGES:
            raise BootsimError(
                f"{driver.name}: no stage '{driver.hook}' to hook at: there are {', '.join(STAGES)}"
            )
        by_stage.setdefault(driver.hook, []).append(partial(_run, driver))
    return by_stage


def _run(driver: Driver, kernel: Kernel) -> None:
    try:
        driver.entry(kernel)
    except (BootStopped, KernelPanic, MachineFault):
        raise
    except (Exception, SystemExit) as error:
        raise _driver_error(driver.name, error) from error


def _driver_error(name: str, error: BaseException) -> DriverError:
    """Say what a driver raised, and at which of its own lines."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == name] or frames[-1:]
    place = f"{name}:{own[-1].lineno}: in {own[-1].name}" if own else name
    return DriverError(f"{place}: {type(error).__name__}: {error}")
