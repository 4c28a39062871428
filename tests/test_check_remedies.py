"""What a finding tells to write is written, and the finding goes: problems 8 to 12."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bootsim.check.findings import Finding, Severity
from tests.problems import Problem, problem, problems

PROPERTY = re.compile(r"(?<![\w,-])([#\w,-]+) = (<[^>]*>);")
BAD = [p for p in problems() if p.codes and int(p.name[:2]) >= 8]


@dataclass(frozen=True, slots=True)
class Change:
    """What a remedy tells to do: properties of the finding's node, or the command line."""

    node: str
    properties: tuple[tuple[str, str], ...] = ()
    parameter: str = ""
    without: str = ""


def changes(finding: Finding) -> Iterator[Change]:
    """Each way out that `finding` tells of, where it says just what to write."""
    for part in re.split(r"\bOr: |; or (?=\w)|Or, in place of |\. Or ", finding.remedy):
        properties = tuple(PROPERTY.findall(part))
        if finding.node and part.startswith("reg, size"):
            yield Change(finding.node, properties, without="reg")
        elif finding.node and properties:
            yield Change(finding.node, properties)
        elif finding.node and (match := re.search(r"Add no-map; to (?:the node|(/\S+))\.", part)):
            yield Change(match[1] or finding.node, (("no-map", ""),))
        elif match := re.search(r"\b((?:cma|crashkernel)=[0-9A-Za-z@-]+)", part):
            yield Change("", parameter=match[1])


def changed(before: Problem, change: Change, path: Path) -> Problem:
    """`before` with `change`, in file `path`."""
    lines = before.path.read_text().splitlines()
    if change.parameter:
        name = change.parameter.split("=")[0]
        old = " ".join(before.options[1:]) if before.options[:1] == ("--append",) else ""
        line = f"{re.sub(rf'{name}=[^ ]+', '', old)} {change.parameter}".strip()
        lines[1] = f"// options: --append {shlex.quote(line)}"
    for name in filter(None, (change.without, *(name for name, _ in change.properties))):
        lines = without(lines, change.node, name)
    for name, value in change.properties:
        at = start_of(lines, change.node)
        lines.insert(at + 1, f"{name} = {value};" if value else f"{name};")
    path.write_text("\n".join(lines) + "\n")
    return replace(problem(path), codes=before.codes)


def start_of(lines: list[str], node: str) -> int:
    name = node.rsplit("/", 1)[1]
    return next(n for n, line in enumerate(lines) if line.strip().endswith(f"{name} {{"))


def without(lines: list[str], node: str, name: str) -> list[str]:
    """`lines` without property `name` of `node`."""
    start = start_of(lines, node)
    end = next(n for n in range(start, len(lines)) if lines[n].strip() == "};")
    given = re.compile(rf"\s*{re.escape(name)}( =.*)?;")
    return [
        line
        for number, line in enumerate(lines)
        if not (start < number < end and given.fullmatch(line))
    ]


CASES = [
    pytest.param(entry, finding, change, id=f"{entry.name}-{finding.code}-{number}")
    for entry in BAD
    for finding in entry.check().findings
    if finding.severity > Severity.INFO
    for number, change in enumerate(changes(finding))
]


@pytest.mark.parametrize(("before", "finding", "change"), CASES)
def test_the_finding_goes(
    before: Problem, finding: Finding, change: Change, tmp_path: Path
) -> None:
    after = changed(before, change, tmp_path / before.path.name).check()
    assert after.error is None
    left = [f for f in after.findings if f.severity > Severity.INFO]
    assert (finding.code, finding.node) not in {(f.code, f.node) for f in left}, finding.remedy
    if "And each reg" not in finding.remedy:  # which is a step of its own
        known = {(f.code, f.node) for f in before.check().findings}
        errors = {(f.code, f.node) for f in left if f.severity is Severity.ERROR}
        assert errors <= known, finding.remedy


def test_there_is_something_to_try() -> None:
    told = {case.values[0].name for case in CASES if isinstance(case.values[0], Problem)}
    assert len(told) > len(BAD) // 2
