"""The examples, and a way to run each as its own command line says."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from bootsim.driver import Driver, load_driver
from bootsim.errors import BootsimError
from bootsim.guest.compiler import find_compiler
from bootsim.guest.driver import GuestOptions, load_guest_drivers
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.profile import Profile
from bootsim.kernel.profile_file import load_profile
from bootsim.simulate import Boot
from bootsim.trace import Event, Printk
from tests.requirements import missing

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path for path in (ROOT / "examples").rglob("*") if path.suffix in {".py", ".c"})


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The command that an example's opening comment shows, as arguments of bootsim."""

    arguments: list[str]

    @classmethod
    def of(cls, example: Path) -> CommandLine:
        """The indented line in the docstring of a Python file or the first comment of a C file."""
        found = re.search(r"^(?: \*\t|    )bootsim (.*)$", example.read_text(), re.M)
        assert found, f"{example.name}: its opening comment shows no command line"
        return cls(shlex.split(found[1]))

    def option(self, name: str) -> str | None:
        """The value of the option, if it is given."""
        given = dict(zip(self.arguments, self.arguments[1:], strict=False))
        return given.get(name)

    @property
    def profile(self) -> Profile:
        """The kernel that is asked for."""
        symbols = re.findall(r"--symbol (\w+)=(\w+)", " ".join(self.arguments))
        profile = load_profile(self.option("--profile") or "linux-5.0")
        return profile.with_symbols({name: int(at, 0) for name, at in symbols})


@dataclass(frozen=True, slots=True)
class Run:
    """A finished boot, and what came of the driver in it: events, and what it logged itself."""

    boot: Boot
    events: list[Event]

    @property
    def lines(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Printk)]


def need_compiler() -> None:
    """Skip the test where there is no compiler for C drivers."""
    try:
        find_compiler()
    except BootsimError as error:
        missing(str(error))


def load(path: Path, profile: Profile, hook: str | None = None) -> list[Driver]:
    """The drivers in a Python or C file, which must compile without a word.

    Skips the test where there is no compiler.
    """
    if path.suffix == ".py":
        return [load_driver(path, hook=hook)]
    need_compiler()
    warnings: list[str] = []
    drivers = load_guest_drivers([path], profile, GuestOptions(hook=hook), warn=warnings.append)
    assert not warnings, warnings
    return drivers


def recorded(driver: Driver, events: list[Event]) -> Driver:
    """`driver`, with what comes of it in `events`."""

    def entry(kernel: Kernel) -> None:
        before = len(kernel.trace)
        driver.entry(kernel)
        events.extend(kernel.trace.events[before:])

    return replace(driver, entry=entry)


@cache
def run_example(example: Path) -> Run:
    """Run an example as its command line says."""
    command = CommandLine.of(example)
    events: list[Event] = []
    drivers = load(example, command.profile, command.option("--hook"))
    dts = command.option("--dts")
    boot = Boot(
        drivers=[recorded(driver, events) for driver in drivers],
        profile=command.profile,
        cmdline=command.option("--append"),
        dts=None if dts is None else str(ROOT / dts),
    )
    return Run(boot.run(), events)


def holds(log: list[str], lines: list[str]) -> bool:
    """Whether `lines` stand in `log` one after the other, with nothing between them."""
    return any(log[start : start + len(lines)] == lines for start in range(len(log)))
