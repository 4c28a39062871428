"""Boots of a real kernel that were recorded: what it complained of, check finds, and no more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bootsim.check.examine import examine
from bootsim.check.findings import Finding
from bootsim.check.rules import findings_of
from bootsim.kernel.profile_file import load_profile
from tests.real_boots import DUMP, PROFILE, RealBoot, directories, real_boots

DATA = Path(__file__).parent / "data" / "real_boots"
SLOW = ("boards", "vexpress-grid")
# What a kernel says where something about memory goes wrong before the handover.
COMPLAINT = re.compile(
    r"Ignoring memory|INITRD: |cma: (?!Reserved|initialized|Config string)"
    r"|failed to (?:reserve|allocate)|OVERLAP DETECTED|overlaps with|not enough space"
    r"|unsupported node format|invalid \S+ property|incorrect alignment|compatible matching fail"
    r"|crashkernel reservation failed|not yet supported|unable to setup CMA|^Kernel panic"
)


BOOTS = [
    pytest.param(path, id=path.name, marks=pytest.mark.slow if path.name in SLOW else ())
    for path in directories(DATA)
]


@pytest.mark.parametrize("directory", BOOTS)
def test_each_complaint_has_a_finding_and_each_finding_its_complaint(directory: Path) -> None:
    profile = load_profile(PROFILE)
    boots = complaints = 0
    for boot in real_boots(directory):
        examined = examine(boot.task(), profile)
        findings = findings_of(examined)
        log = boot.record["log"]
        boots += 1
        for finding in findings:
            for line in finding.log:
                assert line in log, (boot.name, finding.code)
        for line in filter(COMPLAINT.search, log):
            complaints += 1
            assert is_told(line, findings), (boot.name, line, [f.code for f in findings])
        if boot.fate != DUMP:
            assert (examined.died is not None) == (boot.fate in ("panic", "fault")), boot.name
    assert boots > 10


def is_told(line: str, findings: list[Finding]) -> bool:
    """Whether some finding quotes `line`, or a part of the same message."""
    if "OVERLAP DETECTED" in line:
        return any(finding.code == "E-RESERVED-OVERLAP" for finding in findings)
    if any(finding.code == "E-MEMBLOCK-FULL" for finding in findings) and "base" in line:
        return True  # a line for each region that found no place
    return any(line in finding.log for finding in findings)


def test_a_recorded_boot_is_a_boot() -> None:
    assert isinstance(real_boots(directories(DATA)[0])[0], RealBoot)
