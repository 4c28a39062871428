"""What `bootsim check` finds: a code, what of this very tree it is about, and what to do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from bootsim.check.spans import Span, span
from bootsim.numbers import listed


class Severity(IntEnum):
    """How bad a finding is; a code's first letter tells it."""

    INFO = 0
    WARNING = 1
    ERROR = 2

    @property
    def word(self) -> str:
        """As on the command line."""
        return self.name.lower()


_LETTERS = {"I": Severity.INFO, "W": Severity.WARNING, "E": Severity.ERROR}


@dataclass(frozen=True, slots=True)
class Area:
    """[base, base + size), physical bytes, and what is there."""

    what: str
    base: int
    size: int

    @classmethod
    def of(cls, what: str, place: Span) -> Area:
        """`place`, with `what` there."""
        return cls(what, place.base, place.size)

    @property
    def end(self) -> int:
        return self.base + self.size

    def __str__(self) -> str:
        return f"{self.what} {span(self)}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth a look, with a tree on a kernel.

    `text` says what, with this tree's numbers; `cause`, `cost` and `remedy` why it comes, what is
    lost by it and what changes it, as far as there is something to say. `node` and `prop` are the
    part of the tree to look at, `related` other nodes; `areas` the memory that it is about; `log`
    what Linux prints. `deadly` tells that a boot which died has died of this. `tree` is the file as
    it was given; `file`, `line` and `column` (from 1) are the place in its source, 0 where there is
    none.
    """

    code: str
    text: str
    cause: str = ""
    cost: str = ""
    remedy: str = ""
    node: str = ""
    prop: str = ""
    related: tuple[str, ...] = ()
    areas: tuple[Area, ...] = ()
    log: tuple[str, ...] = ()
    deadly: bool = False
    tree: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    @property
    def severity(self) -> Severity:
        return severity_of(self.code)

    @property
    def place(self) -> str:
        """Where to look: file and line of the source, else the tree; then the node."""
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.tree
        return f"{where}: {self.node}" if self.node else where

    @property
    def fingerprint(self) -> str:
        """The same for the same fault after other changes to the tree: no number goes into it.

        Made of the code, the tree's file name without directory and suffix, and the nodes.
        """
        owners = sorted({area.what for area in self.areas if not self.related})
        parts = (self.code, stem_of(self.tree), self.node, self.prop, *self.related, *owners)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def as_data(self) -> dict[str, Any]:
        """JSON-ready, addresses as numbers."""
        return {
            "code": self.code,
            "severity": self.severity.word,
            "tree": self.tree,
            "file": self.file or None,
            "line": self.line or None,
            "column": self.column or None,
            "node": self.node or None,
            "property": self.prop or None,
            "related": list(self.related),
            "text": self.text,
            "cause": self.cause or None,
            "cost": self.cost or None,
            "remedy": self.remedy or None,
            "areas": [{"what": a.what, "base": a.base, "size": a.size} for a in self.areas],
            "log": list(self.log),
            "fingerprint": self.fingerprint,
        }


def named(areas: Iterable[Area]) -> str:
    """What `areas` are, and where: the first few of many."""
    return listed(map(str, areas))


def stem_of(tree: str) -> str:
    """A tree's file name without directory and suffix."""
    return tree.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]


def severity_of(code: str) -> Severity:
    """How bad findings of `code` are."""
    return _LETTERS[code[0]]


def number(value: int) -> str:
    """A number of bytes that may be none that was meant: as a power of two where it is one."""
    if value < 1 << 40:
        return f"{value:#x}"
    return f"2^{value.bit_length() - 1}" if not value & (value - 1) else f"{value:#x}"
