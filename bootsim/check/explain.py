"""Lines of a log told back: what they mean, and what they mean on this very board."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from bootsim.batch import tree_memory
from bootsim.check.examine import Examined
from bootsim.check.findings import Finding
from bootsim.check.logfacts import LogFacts, log_facts
from bootsim.check.messages import MESSAGES, Known, Message
from bootsim.check.messages.memblock import MEMBLOCK_DEBUG
from bootsim.check.pages import PAGES, Page
from bootsim.check.payload import Payload
from bootsim.check.spans import span, spans
from bootsim.check.tree import Report, check_and_boot
from bootsim.devicetree.board import whole_pages
from bootsim.errors import BootsimError
from bootsim.inputs import TreeFile, tree_error
from bootsim.kernel.libfdt import Fdt, fdt_check_header
from bootsim.kernel.log import log_lines
from bootsim.kernel.profile import Profile
from bootsim.kernel.variants import VMSPLIT, with_highmem, with_vmsplit

# What a line tells of how its boot was made.
_CMA = re.compile(r"cma: (?:Failed to reserve|Reserved) (\d+) MiB")
_INITRD = re.compile(r"INITRD: 0x([0-9a-f]+)\+0x([0-9a-f]+)")
_HIGHMEM = re.compile(r"(?:Ignoring|Truncating) RAM at |Consider using a HIGHMEM")
_VMALLOC = re.compile(r"vmalloc area (?:is )?too (small|big)")
_CRASH = re.compile(r"Reserving (\d+)MB of memory at (\d+)MB for crashkernel")
_SUBJECT = re.compile(r"(?:[\w -]+: )+")
# More than any vmalloc area can have, and less than the least.
_VMALLOC_ASKED = {"big": "4095M", "small": "1M"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One line: `words` for its numbers, `message` with what holds for all such lines, `pages` of
    the faults that say it, `findings` that the model has with this board and that say it.

    `said` is whether the model says it, None where that is not to be known: without a board, and
    for lines that hang on the kernel's build or come later. `assumed` is what was assumed of the
    boot for that. `instead` are lines of the kind in the log of a model's boot that does not say
    it; `died` is what that boot has died of, None if it has not.
    """

    line: str
    message: Message
    words: str
    pages: tuple[Page, ...] = ()
    findings: tuple[Finding, ...] = ()
    said: bool | None = None
    assumed: str = ""
    instead: tuple[str, ...] = ()
    died: str | None = None

    @property
    def is_debug(self) -> bool:
        """Whether only memblock=debug says this."""
        return self.message in MEMBLOCK_DEBUG


@dataclass(frozen=True, slots=True)
class _Assumption:
    """A boot that a line may come from."""

    words: str
    payload: Payload
    profile: Profile


@dataclass(frozen=True, slots=True)
class _Checked:
    """A tree, its report and the boot that this is of, None where there was none; its log."""

    tree: TreeFile
    report: Report
    boot: Examined | None
    lines: tuple[str, ...] = ()

    def like(self, message: Message, match: re.Match[str]) -> tuple[list[str], bool]:
        """The model's lines that `message` is about, most like `match` first; is it among them?

        Versions differ in what they put around the same words: the groups count.
        """
        alike: dict[str, int] = {}
        for line in self.lines:
            other = message.match(line)
            if other is not None:
                equal = sum(a == b for a, b in zip(match.groups(), other.groups(), strict=True))
                alike[line] = equal
        most = max(alike.values(), default=0)
        lines = [line for line, equal in alike.items() if equal == most]
        return lines, bool(lines) and most == len(match.groups())

    def beginning_as(self, line: str) -> list[str]:
        """The model's lines on the subject of `line`: with the same words before the last colon."""
        subject = _SUBJECT.match(line)
        return [said for said in self.lines if subject and said.startswith(subject[0])]

    def says(self, lines: list[str]) -> int:
        """How many of `lines` the model says, word by word."""
        return len(set(self.lines) & set(lines))


@dataclass(slots=True)
class Explainer:
    """Explains lines as `profile` says them; with the numbers of a board where `tree` is given.

    After explain() has begun, `profile` and `payload` are those of the boot as the log has it, and
    `taken` is what was taken from there; `unbootable` says why the tree could not be booted.
    """

    profile: Profile
    payload: Payload
    tree: TreeFile | None = None
    taken: list[str] = field(default_factory=list, init=False)
    unbootable: str | None = field(default=None, init=False)
    _facts: LogFacts = field(default_factory=LogFacts, init=False)
    _checked: _Checked | None = field(default=None, init=False)
    _others: dict[str, _Checked] = field(default_factory=dict, init=False)

    def explain(self, lines: Iterable[str]) -> Iterator[Explanation]:
        """What is known of each of `lines`, those about memory, each once.

        Raises BootsimError for a tree that cannot be checked.
        """
        wanted = list(dict.fromkeys(lines))
        self._facts = log_facts(wanted)
        if self.tree is not None:
            self._take_facts(self.tree)
            self._checked = self._as_split(self.tree, wanted)
            if self._checked.boot is None:
                findings = self._checked.report.findings
                self.unbootable = findings[0].text if findings else "it gives no RAM"
        for line in wanted:
            found = self._one(line)
            if found is not None:
                yield found

    def _take_facts(self, tree: TreeFile) -> None:
        """Have the boot made as the log says, where the user does not."""
        facts, payload = self._facts, self.payload
        if facts.cmdline is not None and payload.cmdline is None:
            payload = replace(payload, cmdline=facts.cmdline)
            self.taken.append("the command line")
        if facts.initrd is not None and payload.initrd is None:
            payload = replace(payload, initrd=facts.initrd.size, initrd_addr=facts.initrd.base)
            self.taken.append(f"an initrd at {span(facts.initrd)}")
        if facts.dtb is not None and payload.dtb_addr is None:
            payload = replace(payload, dtb_addr=facts.dtb.base)
            self.taken.append(f"the tree at {facts.dtb.base:#x}")
        if facts.ranges and payload.ram is None and not _has_memory(tree):
            payload = replace(payload, ram=tuple((r.base, r.size) for r in facts.ranges))
            self.taken.append(f"RAM at {spans(facts.ranges)}")
        if facts.highmem is not None and facts.highmem != self.profile.config.highmem:
            self.profile = with_highmem(self.profile, facts.highmem)
            self.taken.append("HIGHMEM" if facts.highmem else "no HIGHMEM")
        self.payload = payload

    def _as_split(self, tree: TreeFile, lines: list[str]) -> _Checked:
        """The boot of `tree` with the split of address space that says most of `lines`."""
        best = _check(tree, self.payload, self.profile)
        by_tree = [line for line in lines if _follows(line)]
        said = best.says(by_tree)
        if not self._facts.zones or best.boot is None or said == len(by_tree):
            return best
        kernel = self.profile
        for split, page_offset in VMSPLIT.items():
            if page_offset == kernel.layout.page_offset:
                continue
            other = _check(tree, self.payload, with_vmsplit(kernel, split))
            if other.says(by_tree) > said:
                best, said = other, other.says(by_tree)
                self.profile = with_vmsplit(kernel, split)
        if self.profile is not kernel:
            self.taken.append(self.profile.name.rpartition(", ")[2])
        return best

    def _one(self, line: str) -> Explanation | None:
        for message in MESSAGES:
            match = message.match(line)
            if match is not None:
                return self._explained(line, message, match)
        return None

    def _explained(self, line: str, message: Message, match: re.Match[str]) -> Explanation:
        checked = self._checked
        boot = checked.boot if checked is not None else None
        pages = tuple(page for page in PAGES.values() if page.says(line))
        assumed, said = "", None
        if checked is not None and boot is not None and message.by_tree:
            checked, assumed = self._boot_of(line, message, match, checked)
            boot = checked.boot
        known = Known(self._facts, self.profile, boot)
        if message.codes is not None:
            codes = message.codes(match, known)
            pages = tuple(page for page in pages if page.code in codes)
        words = message.told(match, known)
        if checked is None:
            return Explanation(line, message, words, pages)
        lines = [line]
        if boot is not None and message.by_tree:
            lines, said = checked.like(message, match)
        found: list[Finding] = []
        if said is not False:
            found = _that_say(checked.report.findings, message, pages, lines)
        if found or said:
            told = {finding.code for finding in found}
            pages = tuple(page for page in pages if page.code in told)
        return Explanation(
            *(line, message, words, pages, tuple(found), said, assumed),
            instead=() if said is not False else tuple(lines or checked.beginning_as(line)),
            died=boot.died if boot is not None and said is False else None,
        )

    def _boot_of(
        self, line: str, message: Message, match: re.Match[str], checked: _Checked
    ) -> tuple[_Checked, str]:
        """The boot that says `line`, and what it assumes; else the one that it would come from."""
        if checked.like(message, match)[1]:
            return checked, ""
        best = (checked, "")
        for assumption in self._assumptions(line):
            other = self._others.get(assumption.words)
            if other is None:
                other = _check(checked.tree, assumption.payload, assumption.profile)
                self._others[assumption.words] = other
            if other.boot is None:
                continue
            if other.like(message, match)[1]:
                return other, assumption.words
            if best[0] is checked:
                best = (other, assumption.words)
        return best

    def _assumptions(self, line: str) -> Iterator[_Assumption]:
        """The boots that `line` tells of."""
        if match := _CMA.match(line):
            yield self._with(f"cma={match[1]}M")
        elif match := _CRASH.match(line):
            yield self._with(f"crashkernel={match[1]}M@{match[2]}M")
        elif match := _VMALLOC.match(line):
            yield from self._splits(f"vmalloc={_VMALLOC_ASKED[match[1]]}", self.profile)
        elif match := _INITRD.match(line):
            base, size = (int(number, 16) for number in match.groups())
            where = replace(self.payload, initrd=size, initrd_addr=base)
            yield _Assumption(f"an initrd of {size:#x} bytes at {base:#x}", where, self.profile)
        elif _HIGHMEM.match(line) and self.profile.config.highmem:
            yield from self._splits("", with_highmem(self.profile, False))

    def _with(self, given: str) -> _Assumption:
        old = self.payload.cmdline
        cmdline = f"{old} {given}" if old else given
        return _Assumption(given, replace(self.payload, cmdline=cmdline), self.profile)

    def _splits(self, given: str, profile: Profile) -> Iterator[_Assumption]:
        """`profile` as it is, and with each other split of the address space."""
        payload = self._with(given).payload if given else self.payload
        told = [given] if given else []
        if profile.config.highmem != self.profile.config.highmem:
            told.append("no HIGHMEM")
        yield _Assumption(" and ".join(told), payload, profile)
        for split, page_offset in VMSPLIT.items():
            if page_offset != profile.layout.page_offset:
                words = " and ".join((*told, f"VMSPLIT_{split}"))
                yield _Assumption(words, payload, with_vmsplit(profile, split))


def _check(tree: TreeFile, payload: Payload, profile: Profile) -> _Checked:
    try:
        report, boot = check_and_boot(tree, payload, profile)
    except BootsimError as error:
        raise BootsimError(tree_error(tree.name, error)) from error
    if boot is None:
        return _Checked(tree, report, None)
    lines = log_lines(boot.kernel.trace, boot.kernel.memblock.features)
    return _Checked(tree, report, boot, tuple(dict.fromkeys(text for _, _, text in lines)))


def _follows(line: str) -> bool:
    """Whether `line` follows from tree and command line alone."""
    return next((message.by_tree for message in MESSAGES if message.match(line)), False)


def _has_memory(tree: TreeFile) -> bool:
    problem = fdt_check_header(tree.dtb)
    return problem is not None or bool(whole_pages(tree_memory(Fdt(tree.dtb))))


def _that_say(
    findings: Iterable[Finding], message: Message, pages: Iterable[Page], lines: list[str]
) -> list[Finding]:
    """The findings that have Linux say one of just these `lines`; or those that `pages` are of and
    of whose lines none is one of `message`, so that they may be about any."""
    codes = {page.code for page in pages}
    findings = list(findings)
    exact = [f for f in findings if not set(lines).isdisjoint(f.log)]
    if exact and (codes or message.cost):
        return exact
    return [f for f in findings if f.code in codes and not any(map(message.match, f.log))]
