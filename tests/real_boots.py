"""Recorded boots of a real kernel, and how near the model's are to them.

The format is described in tests/data/real_boots/README.md.
"""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher, unified_diff
from itertools import takewhile
from pathlib import Path
from typing import Any

from bootsim.batch import Outcome, Task
from bootsim.loader import Wishes

PROFILE = "linux-6.1-armmp"
CASES, TREES = "cases.jsonl.gz", "dtb.tar.xz"
MEMORY_LINE = "memory-line"
DUMP = "memblock-dump"  # all that is known: what came then depends on hardware that was not there
SHOWN = 5


@dataclass(frozen=True, slots=True)
class RealBoot:
    """One recorded boot: its tree, and the rest as the JSON has it."""

    dtb: bytes
    record: dict[str, Any]

    @property
    def name(self) -> str:
        name: str = self.record.get("name") or self.record["dtb"]
        return name

    @property
    def fate(self) -> str:
        """How it ended: MEMORY_LINE, DUMP, "panic" or "fault"."""
        reached: str = self.record["reached"]
        return "fault" if reached.startswith("stop:") else reached

    def task(self, *, until: str | None = None) -> Task:
        """The same boot for the model."""
        return Task(
            self.name,
            self.dtb,
            profile=PROFILE,
            ram=tuple((base, size) for base, size in self.record["ram"]),
            wishes=Wishes(self.record["phys_offset"], self.record["dtb_load_addr"]),
            until=until,
        )


def directories(root: Path) -> list[Path]:
    """`root`, or the directories in it, that hold cases."""
    return sorted(path.parent for path in (*root.glob(CASES), *root.glob(f"*/{CASES}")))


def real_boots(directory: Path) -> list[RealBoot]:
    """The cases in `directory`."""
    with tarfile.open(directory / TREES) as tar:
        members = ((member.name, tar.extractfile(member)) for member in tar)
        trees = {Path(name).name: file.read() for name, file in members if file is not None}
    with gzip.open(directory / CASES, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return [
        RealBoot(trees[Path(record.get("dtb") or f"{record['name']}.dtb").name], record)
        for record in records
    ]


@dataclass(slots=True)
class Score:
    """How much of what was recorded the model has: `right` of `total`, and what it has not."""

    what: str
    right: int = 0
    total: int = 0
    misses: list[str] = field(default_factory=list)

    def add(self, right: int, total: int, miss: str) -> None:
        self.right += right
        self.total += total
        if right != total:
            self.misses.append(miss)

    @property
    def percent(self) -> float:
        return 100 * self.right / self.total if self.total else 100.0

    def __str__(self) -> str:
        share = f"{self.percent:.2f} % of {self.total}" if self.total else "none"
        return f"{self.what}: {share}"

    def explained(self) -> str:
        """The score and the first misses."""
        return "\n".join([str(self), *self.misses[:SHOWN]])


def score_regions(score: Score, boot: RealBoot, outcome: Outcome) -> None:
    """memory and reserved at the dump: base, size and flags of each region."""
    problems = []
    for name in ("memory", "reserved"):
        real = [tuple(region) for region in boot.record[name]]
        model = [(r.base, r.size, int(r.flags)) for r in getattr(outcome, name)]
        if model != real:
            only_real = " ".join(_region(*r) for r in real if r not in model)
            only_model = " ".join(_region(*r) for r in model if r not in real)
            problems.append(f"{name}: only real {only_real or '-'}, only model {only_model or '-'}")
    ending = f" (ended: {outcome.error})" if outcome.error else ""
    score.add(not problems, 1, f"{boot.name}: {'; '.join(problems)}{ending}")


def score_lines(score: Score, boot: RealBoot, outcome: Outcome) -> None:
    """Log lines up to the end of the dump, in order, but for the CPU's id.

    Offsets into functions, which depend on the compiler, do not count; their names do.
    """
    real = list(_to_the_dump(boot.record["log"]))
    model = list(_to_the_dump(outcome.log))
    blocks = SequenceMatcher(None, real, model, autojunk=False).get_matching_blocks()
    difference = unified_diff(real, model, "real", "model", lineterm="", n=0)
    right = sum(block.size for block in blocks)
    score.add(right, max(len(real), len(model)), "\n".join([f"{boot.name}:", *difference]))


def score_fate(score: Score, boot: RealBoot, outcome: Outcome) -> None:
    """How the boot ended: the kind, and of a panic the words."""
    error = outcome.error or ""
    fate = "panic" if error.startswith("Kernel panic") else "fault" if error else MEMORY_LINE
    same = fate == boot.fate and (fate != "panic" or error in boot.record["log"])
    score.add(same, 1, f"{boot.name}: really {boot.fate}, in the model {error or fate}")


def score_events(score: Score, boot: RealBoot, outcome: Outcome) -> None:
    """What was asked of memblock from memblock=debug on, in order: function, range or request."""
    real, model = list(_events(boot.record["log"])), list(_events(outcome.log))
    difference = unified_diff(real, model, "real", "model", lineterm="", n=0)
    score.add(real == model, 1, "\n".join([f"{boot.name}:", *difference]))


def score_memory_line(score: Score, boot: RealBoot, outcome: Outcome) -> None:
    """All numbers of the "Memory:" line."""
    real = boot.record["memory_line"]
    model = next((line for line in outcome.log if line.startswith("Memory: ")), outcome.error)
    score.add(model == real, 1, f"{boot.name}: really {real}\n  in the model {model}")


def _events(log: Any) -> Iterator[str]:
    """The lines of memblock=debug without their caller, whose name is the compiler's choice."""
    for line in log:
        if line.startswith(("memblock_", "   memblock_")):
            yield line.rpartition(" ")[0]
        elif line.startswith("memblock: "):
            yield line


def _to_the_dump(log: Any) -> Iterator[str]:
    lines = [re.sub(r"\+0x[0-9a-f]+/0x[0-9a-f]+", "", line) for line in log]
    dump = next((n for n, line in enumerate(lines) if line == "MEMBLOCK configuration:"), None)
    end = len(lines) if dump is None else dump + 1
    for line in lines[:end]:
        if not line.startswith("Booting Linux on physical CPU"):
            yield line
    yield from takewhile(lambda line: line.startswith((" memory", " reserved")), lines[end:])


def _region(base: int, size: int, flags: int) -> str:
    return f"{base:#x}+{size:#x}" + (f" flags {flags:#x}" if flags else "")
