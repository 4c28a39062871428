"""One tree checked: read, booted on the model, looked at, its findings given their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from bootsim.check.examine import Examined, examine
from bootsim.check.findings import Finding
from bootsim.check.pages import PAGES
from bootsim.check.payload import Loaded, Payload, load
from bootsim.check.rules import findings_of
from bootsim.check.rules_cells import misread
from bootsim.check.spans import first_fit, spans
from bootsim.fleet import Job
from bootsim.inputs import TreeFile, read_tree_file, tree_error
from bootsim.kernel.libfdt import Fdt
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.kernel.profile import Profile

# Refusals of what wants free memory.
_WANT_ROOM = frozenset(
    {"cma-no-room", "cma-busy", "cma-limit", "cma-alignment", "no-room", "crashkernel"}
)


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
    return check_and_boot(tree, payload, profile)[0]


def _failed(path: str, error: Exception) -> Report:
    return Report(path, error=tree_error(path, error))


def check_and_boot(
    tree: TreeFile, payload: Payload, profile: Profile
) -> tuple[Report, Examined | None]:
    """Check `tree`, with the boot that the report is of; None where there can be none.

    Raises BootsimError for what cannot be booted.
    """
    loaded = load(tree.name, tree.dtb, payload, profile)
    boot = booted(loaded, payload)
    located = [_locate(finding, tree) for finding in _all_findings(tree.dtb, loaded, boot)]
    stage = boot.kernel.trace.stage if boot is not None else None
    report = Report(tree.name, tuple(ranked(located)), stage=stage)
    return report, None if loaded.assumed else boot


def booted(loaded: Loaded, payload: Payload) -> Examined | None:
    """The boot of what was loaded, None where there is none to be made.

    Where the tree lies is assumed unless the payload tells it. What fails because it lies there is
    no fault of the board: then it is put right behind the kernel, where it divides no memory.
    """
    if loaded.task is None:
        return None
    boot = examine(loaded.task, loaded.profile, loaded.loading)
    if payload.dtb_addr is not None or not any(boot.refused(*_WANT_ROOM)):
        return boot
    place = _behind_kernel(boot, len(loaded.task.dtb))
    if place is None:
        return boot
    wishes = replace(loaded.task.wishes, dtb_addr=place)
    other = examine(replace(loaded.task, wishes=wishes), loaded.profile, loaded.loading)
    return min(other, boot, key=lambda b: (len(b.refusals), b.tree_is_in_the_way))


def _behind_kernel(boot: Examined, size: int) -> int | None:
    """The first place for `size` bytes behind the kernel that nothing has, or should have."""
    holes = boot.dump.free(boot.kernel.pa_symbol("_end"), boot.lowmem.end)
    return first_fit(holes, size, PAGE_SIZE, [r.event for r in boot.refused("reserve")])


def _all_findings(dtb: bytes, loaded: Loaded, boot: Examined | None) -> list[Finding]:
    found = list(loaded.findings)
    if boot is not None and not loaded.assumed:
        return found + findings_of(boot)
    cells = list(misread(Fdt(dtb)))
    if cells:  # and that is why there is no memory to speak of
        return cells
    return [*found[1:], *_fate(boot, found[0])] if boot is not None else found


def _fate(boot: Examined, finding: Finding) -> list[Finding]:
    """`finding`, that the tree gives too little RAM to start in, with what comes of it."""
    if boot.died is None:  # by mem=
        memory = spans(boot.tables["parse_early_param"].memory)
        text = f"{finding.text}. It is mem= that gives memory: {memory}"
        return [replace(finding, text=text, cost="None, if that is the machine's RAM.")]
    text = f"{finding.text}. {boot.fate}"
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
