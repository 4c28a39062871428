"""Debug drivers in Python: functions that get the model kernel at a stage of its boot."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
import types
from collections.abc import Callable, Iterable
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
        code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except OSError as error:
        raise BootsimError(f"{path}: {error.strerror}") from error
    except SyntaxError as error:
        raise BootsimError(f"{path}:{error.lineno or 1}: {error.msg}") from error
    except ValueError as error:
        raise BootsimError(f"{path}: {error}") from error
    # As a module, which dataclasses look for; with what lies beside it to import.
    module = types.ModuleType(f"bootsim_driver_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    sys.path.insert(0, str(path.parent))
    try:
        exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        raise _driver_error(str(path), error) from error
    finally:
        sys.path.remove(str(path.parent))
    entry = getattr(module, "driver", None)
    if not callable(entry):
        raise BootsimError(f"{path}: it defines no function driver(kernel)")
    asked = getattr(module, "HOOK", DRIVER_STAGE)
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
        entry: Callable[[Kernel], object] = driver.entry
        result = entry(kernel)
        if inspect.isgenerator(result) or inspect.iscoroutine(result):
            result.close()
            raise BootsimError("a driver is a plain function: it cannot yield or be async")
    except (BootStopped, KernelPanic, MachineFault):
        raise
    except (Exception, SystemExit) as error:
        raise _driver_error(driver.name, error) from error


def _driver_error(name: str, error: BaseException) -> DriverError:
    """Say what a driver raised, and at which of its own lines."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == name]
    place = f"{name}:{own[-1].lineno}: in {own[-1].name}" if own else name
    return DriverError(f"{place}: {type(error).__name__}: {' '.join(str(error).split())}")
