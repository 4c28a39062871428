"""What a check is, and how it is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bootsim.selftest.bench import Bench, CheckFailed

BOTH = ("5.0", "6.1")
TO_5_0 = ("5.0",)
IN_6_1 = ("6.1",)


@dataclass(frozen=True, slots=True)
class Check:
    """One scenario. `functions` are the kernel's names of what it is about.

    `linux` are the versions whose rules it runs by.
    """

    functions: tuple[str, ...]
    title: str
    scenario: Callable[[Bench], None]
    linux: tuple[str, ...] = BOTH


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a check by the rules of version `linux`.

    `message`, `expected` and `found` say why it failed; they are empty when it did not.
    """

    check: Check
    linux: str
    ok: bool
    message: str = ""
    expected: str = ""
    found: str = ""

    @property
    def name(self) -> str:
        return f"{', '.join(self.check.functions)}: {self.check.title} (Linux {self.linux})"


def run_check(check: Check, bench: Bench) -> Outcome:
    """Run `check` on `bench`, whose tables are empty."""
    try:
        check.scenario(bench)
    except CheckFailed as failed:
        return Outcome(check, bench.linux, False, failed.message, failed.expected, failed.found)
    except Exception as error:
        # Whatever a broken memblock raises is this check's failure; the next one runs all the same.
        return Outcome(check, bench.linux, False, f"{type(error).__name__}: {error}")
    return Outcome(check, bench.linux, True)
