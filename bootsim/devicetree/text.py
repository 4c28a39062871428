"""Source text of a device tree, and where in which file each character of it was written."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bootsim.errors import DeviceTreeError

# All text and binary files of one tree together; Linux's largest trees have less than 1 MiB.
MAX_SOURCE = 32 << 20
MAX_INCLUDE_DEPTH = 64
MAX_INCLUDES = 2000

# `# 12 "file"`, as a C preprocessor that ran before leaves it behind.
_LINE_MARKER = re.compile(r'^#(?:line)?[ \t]+([0-9]{1,9})[ \t]+"([^"\n]*)".*$', re.MULTILINE)


class Position(NamedTuple):
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class SourceText:
    """Text as it lies in `file`, which may carry a preprocessor's line markers."""

    file: str
    text: str

    def position(self, offset: int) -> Position:
        """Where the character at `offset` was written."""
        file, first_line, start = self.file, 1, 0
        for marker in _LINE_MARKER.finditer(self.text, 0, offset):
            file, first_line, start = marker[2], int(marker[1]) - 1, marker.end()
        line = first_line + self.text.count("\n", start, offset)
        return Position(file, line, offset - self.text.rfind("\n", 0, offset))


@dataclass(frozen=True, slots=True)
class PreprocessedText(SourceText):
    """Text that was put together of pieces: the one at `starts[i]` was written at `origins[i]`."""

    starts: list[int] = field(default_factory=list)
    origins: list[Position] = field(default_factory=list)

    def position(self, offset: int) -> Position:
        """Where the character at `offset` was written; in a macro, where the macro was used."""
        index = bisect_right(self.starts, offset) - 1
        if index < 0:
            return Position(self.file, 1, 1)
        file, line, column = self.origins[index]
        piece_end = self.starts[index + 1] if index + 1 < len(self.starts) else len(self.text)
        return Position(file, line, column + min(offset, piece_end) - self.starts[index])


@dataclass(slots=True)
class SourceBudget:
    """What may still be read for one tree, so that files that include each other have an end."""

    characters: int = MAX_SOURCE
    files: int = MAX_INCLUDES

    def read(self, path: Path | str) -> str:
        """The UTF-8 text of file `path`, or DeviceTreeError in one line that begins with it."""
        try:
            return self.read_bytes(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = error.object[: error.start]
            column = error.start - before.rfind(b"\n")
            raise DeviceTreeError(
                f"{path}:{before.count(10) + 1}:{column}: "
                f"byte {error.object[error.start]:#04x} is not UTF-8 text"
            ) from error

    def read_bytes(self, path: Path | str) -> bytes:
        """The bytes of file `path`, or DeviceTreeError."""
        self.files -= 1
        if self.files < 0:
            raise DeviceTreeError(f"{path}: more than {MAX_INCLUDES} files are included")
        path = Path(path)
        try:
            if path.exists() and not path.is_file():
                kind = "a directory" if path.is_dir() else "not a regular file"
                raise DeviceTreeError(f"{path}: is {kind}, expected device tree source")
            self.characters -= path.stat().st_size
            if self.characters < 0:
                raise DeviceTreeError(f"{path}: more than {MAX_SOURCE >> 20} MiB of source")
            return path.read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise DeviceTreeError(f"{path}: cannot be read: {reason}") from error
