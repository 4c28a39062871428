"""One tree checked: read, booted on the model, looked at, its findings given their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from bootsim.check.examine import Examined, examine
from bootsim.check.findings import Finding, span
from bootsim.check.pages import PAGES
from bootsim.check.payload import Payload, load
from bootsim.check.rules import findings_of
from bootsim.fleet import Job
from bootsim.inputs import TreeFile, read_tree_file, tree_error
from bootsim.kernel.profile import Profile


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one tree: `findings`, worst first, or why there is none in `error`.

    `stage` is how far its boot came, None where none was made.
    """

    tree: str
    findings: tuple[Finding, ...] = ()
    error: str | None = None
    stage: str | None = None


def check_job(payload: Payload, profile: Profile) -> Job[str, TreeFile, Report]:
    """Checking the trees in files, blobs or source; what goes wrong with one is in its report."""
    return Job(read_tree_file, partial(_check, payload=payload, profile=profile), _failed)


def check_tree(path: str, payload: Payload, profile: Profile) -> Report:
    """Check the tree in file `path`, a blob or its source; bad input is in the report."""
    return check_job(payload, profile).run(path)


def _check(tree: TreeFile, *, payload: Payload, profile: Profile) -> Report:
    """Raises BootsimError for what cannot be booted."""
    loaded = load(tree.name, tree.dtb, payload, profile)
    found, stage = list(loaded.findings), None
    if loaded.task is not None:
        boot = examine(loaded.task, loaded.profile, loaded.loading)
        found += _fate(boot, found.pop(0)) if loaded.assumed else findings_of(boot)
        stage = boot.kernel.trace.stage
    located = [_locate(finding, tree) for finding in found]
    return Report(tree.name, tuple(ranked(located)), stage=stage)


def _failed(path: str, error: Exception) -> Report:
    return Report(path, error=tree_error(path, error))


def _fate(boot: Examined, finding: Finding) -> list[Finding]:
    """`finding`, that the tree gives too little RAM to start in, with what comes of it."""
    if boot.died is None:  # by mem=
        memory = ", ".join(span(r.base, r.size) for r in boot.tables["parse_early_param"].memory)
        text = f"{finding.text}. It is mem= that gives memory: {memory}"
        return [replace(finding, text=text, cost="None, if that is the machine's RAM.")]
    stage = boot.kernel.trace.stage
    text = f"{finding.text}. Started all the same, the kernel dies after {stage}: {boot.died}"
    said = boot.log("Ignoring memory", "cma: Failed", "Kernel panic")
    return [replace(finding, text=text, log=said)]


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """Worst first, else as they came."""
    return sorted(dict.fromkeys(findings), key=lambda finding: -finding.severity)


def _locate(finding: Finding, tree: TreeFile) -> Finding:
    """`finding` with its place; what it does not say itself its page says."""
    page = PAGES[finding.code]
    finding = replace(
        finding,
        cause=finding.cause or page.cause,
        cost=finding.cost or page.cost,
        remedy=finding.remedy or page.remedy,
    )
    position = None
    if tree.places is not None and finding.node:
        position = tree.places.position(finding.node, finding.prop)
    if position is None:
        return replace(finding, tree=tree.name)
    return replace(
        finding, tree=tree.name, file=position.file, line=position.line, column=position.column
    )
