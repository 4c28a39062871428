"""The self-test of memblock: the checks, and how they are run.

Expectations come from the documentation of memblock that the kernel's users have (include/linux/
memblock.h, mm/memblock.c) and from recordings of the kernel's own code, never from this project's
output.
"""

from __future__ import annotations

from collections.abc import Iterable

from bootsim.selftest import alloc, finding, handover, iterators, phys_alloc, questions, ranges
from bootsim.selftest.bench import RULES, Bench
from bootsim.selftest.check import Check, Outcome, run_check
from bootsim.simulate import Boot

CHECKS: tuple[Check, ...] = (
    *ranges.CHECKS,
    *questions.CHECKS,
    *iterators.CHECKS,
    *finding.CHECKS,
    *phys_alloc.CHECKS,
    *alloc.CHECKS,
    *handover.CHECKS,
)


def run(checks: Iterable[Check] = CHECKS) -> list[Outcome]:
    """Run `checks`, each by the rules of every version it is about, on one boot a version.

    The boot stops where memblock is young. Each check finds its tables empty.
    """
    checks = tuple(checks)
    outcomes: list[Outcome] = []
    for linux in RULES:
        boot = Boot(until="cmd_line").run()
        mine = (check for check in checks if linux in check.linux)
        outcomes.extend(run_check(check, Bench.on_boot(linux, boot)) for check in mine)
    return outcomes
