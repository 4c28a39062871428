"""What a log says that memblock's rules do not, and what it does not say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class FindingKind(Enum):
    """What kind of thing was found; the value is the word for people."""

    UNLOGGED = "unlogged"  # Linux did it and logs nothing of it
    LOST = "lost"  # Linux logged it, and the line is not there
    MISMATCH = "mismatch"  # memblock's rules give something else, and nothing explains it
    FAILED = "failed"  # asked for, and Linux could not do it
    POINTLESS = "pointless"  # done, and nothing changed
    AMBIGUOUS = "ambiguous"  # the log allows more than one reading
    NOISE = "noise"  # a line that cannot be read


@dataclass(frozen=True, slots=True)
class Finding:
    """`text` says what, with addresses as Linux prints them; `line` of the log where it shows."""

    line: int
    kind: FindingKind
    text: str

    def shown(self, name: str) -> str:
        """The finding on one line, as compilers word theirs; `name` is the log's."""
        return f"{name}:{self.line}: {self.kind.value}: {self.text}"
