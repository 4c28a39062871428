"""One tree checked: read, booted on the model, looked at, its findings given their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bootsim.check.examine import Examined, examine
from bootsim.check.findings import Finding
from bootsim.check.pages import PAGES
from bootsim.check.payload import Payload, load
from bootsim.check.rules import findings_of
from bootsim.devicetree.blob import flatten
from bootsim.devicetree.source import Places, read_source
from bootsim.errors import BootsimError
from bootsim.inputs import BLOB_MAX, read_content
from bootsim.kernel.libfdt import FDT_MAGIC
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


def check_tree(path: str, payload: Payload, profile: Profile) -> Report:
    """Check the tree in file `path`, a blob or its source; bad input is in the report."""
    return check_and_boot(path, payload, profile)[0]


def check_and_boot(path: str, payload: Payload, profile: Profile) -> tuple[Report, Examined | None]:
    """As check_tree(), with the boot that the report is of; None where there can be none."""
    boot = None
    try:
        dtb, places = read_any(Path(path))
        loaded = load(path, dtb, payload, profile)
        found, stage = list(loaded.findings), None
        if loaded.task is not None:
            boot = examine(loaded.task, loaded.profile)
            found += _fate(boot, found.pop(0)) if loaded.assumed else findings_of(boot)
            stage = boot.kernel.trace.stage
    except BootsimError as error:
        words = str(error)
        return Report(path, error=words if words.startswith(path) else f"{path}: {words}"), None
    located = [_locate(finding, path, places) for finding in found]
    report = Report(path, tuple(ranked(located)), stage=stage)
    return report, None if loaded.assumed else boot


def _fate(boot: Examined, finding: Finding) -> list[Finding]:
    """`finding`, that the tree gives too little RAM to start in, with what comes of it."""
    if boot.died is None:
        return [finding]
    stage = boot.kernel.trace.stage
    text = f"{finding.text}. Started all the same, it dies after {stage}: {boot.died}"
    return [replace(finding, text=text, log=boot.log("Ignoring memory", "Kernel panic"))]


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """Worst first, else as they came."""
    return sorted(dict.fromkeys(findings), key=lambda finding: -finding.severity)


def read_any(path: Path) -> tuple[bytes, Places | None]:
    """The blob in a file, or that of the source in it, with its places. Raises BootsimError."""
    content = read_content(path, BLOB_MAX)
    if path.suffix == ".dtb" or content[:4] == FDT_MAGIC.to_bytes(4, "big"):
        return content, None
    tree, places = read_source(path)
    return flatten(tree), places


def _locate(finding: Finding, path: str, places: Places | None) -> Finding:
    """`finding` with its place; what it does not say itself its page says."""
    page = PAGES[finding.code]
    finding = replace(
        finding,
        cause=finding.cause or page.cause,
        cost=finding.cost or page.cost,
        remedy=finding.remedy or page.remedy,
    )
    position = places.position(finding.node, finding.prop) if places and finding.node else None
    if position is None:
        return replace(finding, tree=path)
    return replace(
        finding, tree=path, file=position.file, line=position.line, column=position.column
    )
