"""Lines of a log told back: what they mean, and what they mean on this very board."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from bootsim.check.examine import Examined
from bootsim.check.findings import Finding
from bootsim.check.messages import MESSAGES
from bootsim.check.pages import PAGES, Page
from bootsim.check.payload import Payload, load
from bootsim.check.tree import Report, booted, check_tree
from bootsim.errors import BootsimError
from bootsim.inputs import read_tree_file
from bootsim.kernel.profile import Profile

# What a line tells of how its boot was made.
_CMA = re.compile(r"cma: Failed to reserve (\d+) MiB")
_INITRD = re.compile(r"INITRD: 0x([0-9a-f]+)\+0x([0-9a-f]+)")
_COMMAND_LINE = re.compile(r"Kernel command line: (.*)")


@dataclass(frozen=True, slots=True)
class Explanation:
    """One line: `words` for its numbers, `pages` of the faults that say it, `findings` that the
    model has with this board and that say it; `assumed` is what was assumed of the boot for that.
    `instead` are lines on the same subject in the log of a model's boot that has no such finding.
    """

    line: str
    words: str = ""
    pages: tuple[Page, ...] = ()
    findings: tuple[Finding, ...] = ()
    assumed: str = ""
    instead: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Checked:
    """A tree's report and the boot that it is of, None where there was none."""

    report: Report
    boot: Examined | None

    def lines_like(self, line: str) -> tuple[str, ...]:
        """What the model's kernel says on the subject of `line`: what begins as it does."""
        subject = line.split(":", maxsplit=1)[0] + ":"
        return self.boot.log(subject) if self.boot is not None else ()


@dataclass(slots=True)
class Explainer:
    """Explains lines as `profile` says them; with the numbers of a board where `tree` is given."""

    profile: Profile
    payload: Payload
    tree: str | None = None
    _checked: _Checked | None = field(default=None, init=False)

    def explain(self, lines: Iterable[str]) -> Iterator[Explanation]:
        """What is known of each of `lines`, those about memory, each once.

        Raises BootsimError for a tree that cannot be checked.
        """
        wanted = list(dict.fromkeys(lines))
        for line in wanted:
            match = _COMMAND_LINE.search(line)
            if match and self.payload.cmdline is None:
                self.payload = replace(self.payload, cmdline=match[1])
        if self.tree is not None:
            self._checked = _check(self.tree, self.payload, self.profile)
        for line in wanted:
            found = self._one(line)
            if found is not None:
                yield found

    def _one(self, line: str) -> Explanation | None:
        boot = self._checked.boot if self._checked is not None else None
        words = next((w for m in MESSAGES if (w := m.explain(line, boot))), "")
        pages = tuple(page for page in PAGES.values() if page.says(line))
        if not words and not pages:
            return None
        if not pages or self._checked is None:
            return Explanation(line, words, pages)
        checked, assumed = self._checked, ""
        codes = {page.code for page in pages}
        findings = _of(checked.report, codes, line)
        if not findings:
            payload, assumed = self._as_told(line)
            if assumed:
                checked = _check(checked.report.tree, payload, self.profile)
                findings = _of(checked.report, codes, line)
        if not findings:
            return Explanation(line, words, pages, (), assumed, checked.lines_like(line))
        told = {finding.code for finding in findings}
        pages = tuple(page for page in pages if page.code in told)
        return Explanation(line, words, pages, findings, assumed)

    def _as_told(self, line: str) -> tuple[Payload, str]:
        """The boot that the line tells of: its cma=, its initrd; and that in words."""
        if match := _CMA.search(line):
            given = f"cma={match[1]}M"
            old = self.payload.cmdline
            return replace(self.payload, cmdline=f"{old} {given}" if old else given), given
        if match := _INITRD.search(line):
            base, size = (int(number, 16) for number in match.groups())
            where = replace(self.payload, initrd=size, initrd_addr=base)
            return where, f"an initrd of {size:#x} bytes at {base:#x}"
        return self.payload, ""


def _check(tree: str, payload: Payload, profile: Profile) -> _Checked:
    report = check_tree(tree, payload, profile)
    if report.error is not None:
        raise BootsimError(report.error)
    loaded = load(tree, read_tree_file(tree).dtb, payload, profile)
    return _Checked(report, booted(loaded, payload))


def _of(report: Report, codes: set[str], line: str) -> tuple[Finding, ...]:
    """The findings of `codes` that have Linux say just that line; without any, all of `codes`."""
    found = [finding for finding in report.findings if finding.code in codes]
    exact = [f for f in found if any(said and said in line for said in f.log)]
    return tuple(exact or found)
