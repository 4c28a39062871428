"""Lines of a log told back: what they mean, and what they mean on this very board."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bootsim.check.examine import Examined, examine
from bootsim.check.findings import Finding
from bootsim.check.messages import MESSAGES
from bootsim.check.pages import PAGES, Page
from bootsim.check.payload import Payload, load
from bootsim.check.tree import Report, check_tree, read_any
from bootsim.errors import BootsimError
from bootsim.kernel.profile import Profile

# What a line tells of how its boot was made.
_CMA = re.compile(r"cma: Failed to reserve (\d+) MiB")
_INITRD = re.compile(r"INITRD: 0x([0-9a-f]+)\+0x([0-9a-f]+)")
_COMMAND_LINE = re.compile(r"Kernel command line: (.*)")


@dataclass(frozen=True, slots=True)
class Explanation:
    """One line: `words` for its numbers, `pages` of the faults that say it, `findings` that the
    model has with this board and that say it; `assumed` is what was assumed of the boot for that.
    """

    line: str
    words: str = ""
    pages: tuple[Page, ...] = ()
    findings: tuple[Finding, ...] = ()
    assumed: str = ""


@dataclass(slots=True)
class Explainer:
    """Explains lines as `profile` says them; with the numbers of a board where `tree` is given."""

    profile: Profile
    payload: Payload
    tree: str | None = None
    _report: Report | None = field(default=None, init=False)
    _boot: Examined | None = field(default=None, init=False)

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
            self._look(self.tree)
        for line in wanted:
            found = self._one(line)
            if found is not None:
                yield found

    def _look(self, tree: str) -> None:
        self._report = check_tree(tree, self.payload, self.profile)
        if self._report.error is not None:
            raise BootsimError(self._report.error)
        loaded = load(tree, read_any(Path(tree))[0], self.payload, self.profile)
        if loaded.task is not None:
            self._boot = examine(loaded.task, loaded.profile)

    def _one(self, line: str) -> Explanation | None:
        words = next((w for m in MESSAGES if (w := m.explain(line, self._boot))), "")
        pages = tuple(page for page in PAGES.values() if page.says(line))
        if not words and not pages:
            return None
        findings, assumed = self._findings(line, pages)
        told = {finding.code for finding in findings}
        if told:
            pages = tuple(page for page in pages if page.code in told)
        return Explanation(line, words, pages, findings, assumed)

    def _findings(self, line: str, pages: tuple[Page, ...]) -> tuple[tuple[Finding, ...], str]:
        """What of the board's findings the line is about, and what was assumed to find it."""
        if self._report is None or self.tree is None:
            return (), ""
        codes = {page.code for page in pages}
        found = _of(self._report, codes, line)
        if found:
            return found, ""
        payload, assumed = self._as_told(line)
        if not assumed:
            return (), ""
        again = check_tree(self.tree, payload, self.profile)
        return _of(again, codes, line), assumed

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


def _of(report: Report, codes: set[str], line: str) -> tuple[Finding, ...]:
    """The findings of `codes` that have Linux say just that line; without any, all of `codes`."""
    found = [finding for finding in report.findings if finding.code in codes]
    exact = [f for f in found if any(said and said in line for said in f.log)]
    return tuple(exact or found)
