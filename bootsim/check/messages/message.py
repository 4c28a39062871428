"""What a line of Linux's log means: how it is known, and what is told of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bootsim.check.examine import Examined
from bootsim.check.logfacts import LogFacts
from bootsim.kernel.profile import Profile

# Before a message about the tree: pr_fmt of its file, which has changed from version to version.
OF = r"(?:OF: )?(?:fdt: |reserved mem: )?(?:Reserved memory: )?"
CMA = r"cma: "


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the line: `log` it comes from, and the model's `boot` of the board."""

    log: LogFacts
    profile: Profile
    boot: Examined | None = None

    @property
    def lowmem_end(self) -> int | None:
        """Where lowmem ends, a physical address: as the log has it, or else the model."""
        if self.log.lowmem_end is not None:
            return self.log.lowmem_end
        if self.boot is not None and self.boot.kernel.vars.arm_lowmem_limit:
            return self.boot.kernel.vars.arm_lowmem_limit
        return None


Words = Callable[[re.Match[str], Known], str]
Codes = Callable[[re.Match[str], Known], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Message:
    """A line of the log, by a regular expression for its beginning, and what it means.

    `words` tells the line's own numbers; `cause`, `cost` and `remedy` hold for all such lines (for
    faults that `bootsim check` finds, their pages have them). `by_tree` says that the line follows
    from tree and command line alone: a model of the same kernel would say the very same.
    """

    pattern: str
    words: Words | str
    cause: str = ""
    cost: str = ""
    remedy: str = ""
    by_tree: bool = True
    codes: Codes | None = None

    def match(self, line: str) -> re.Match[str] | None:
        """`line` as this message, None where it is another."""
        return re.match(self.pattern, line)

    def told(self, match: re.Match[str], known: Known) -> str:
        """What the matching line says, in plain words."""
        return self.words if isinstance(self.words, str) else self.words(match, known)
