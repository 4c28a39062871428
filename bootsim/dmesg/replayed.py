"""What a replay comes to: memblock as it was, the events, and who took what."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bootsim.dmesg.findings import Finding, FindingKind
from bootsim.dmesg.recording import LoggedBoot
from bootsim.dmesg.spans import contains
from bootsim.kernel.memblock import Memblock
from bootsim.machine.memory import Range
from bootsim.trace import Trace


@dataclass(frozen=True, slots=True)
class Taken:
    """[base, base + size) was reserved at `line` (0: before the log) for `what`, by `caller`.

    `checked` tells whether memblock's rules give this address; None where they have no say.
    """

    line: int
    base: int
    size: int
    what: str
    caller: str
    checked: bool | None = None


@dataclass(frozen=True, slots=True)
class RamBanks:
    """The RAM of a machine that is known by its log only: ranges, and no content."""

    banks: tuple[Range, ...]

    def contains(self, addr: int, size: int = 1) -> bool:
        """Whether one bank holds all of `size` bytes at `addr`."""
        return contains(self.banks, Range(addr, size))


@dataclass(frozen=True, slots=True)
class Replayed:
    """A logged boot replayed through memblock, up to `line`.

    `memblock` is as it was then. `trace` has the log's events, what must have happened without a
    line (`debug` false), and a Use for each that took memory; `lines` the log line of each event,
    0 for what comes before the log.
    """

    boot: LoggedBoot
    line: int
    memblock: Memblock
    memory: RamBanks
    trace: Trace
    lines: list[int] = field(repr=False)
    findings: list[Finding]
    taken: list[Taken]

    @property
    def log(self) -> list[str]:
        """The log's lines up to `line`, without prefixes."""
        return [line.text for line in self.boot.lines if line.number <= self.line]

    @property
    def rules(self) -> str:
        """Whose memblock was asked: "Linux 5.0" or "Linux 6.1"."""
        return self.boot.rules

    @property
    def checked(self) -> tuple[int, int]:
        """How many allocations lie where memblock's rules put them, and how many were checked."""
        checks = [taken.checked for taken in self.taken if taken.checked is not None]
        return sum(checks), len(checks)

    def count(self, kind: FindingKind) -> int:
        """How many findings are of `kind`."""
        return Counter(finding.kind for finding in self.findings)[kind]
