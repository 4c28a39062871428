"""What commands print: views, logs that cannot rule the terminal, progress."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from bootsim.errors import BootsimError

if TYPE_CHECKING:
    from pathlib import Path

    from bootsim.views import View

_COLOURS = {
    "K": "red",
    "P": "magenta",
    "D": "yellow",
    "I": "green",
    "C": "cyan",
    "M": "blue",
    "T": "bright_yellow",
    "R": "bright_black",
    "X": "white",
}
_WIDTH_MAX = 100  # of running text


def paint(letter: str, text: str) -> str:
    """`text` in the colour of a map's letter, which click takes off where there is no terminal."""
    return click.style(text, fg=_COLOURS[letter]) if letter in _COLOURS else text


def print_view(view: View, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(view.data))
    else:
        for line in view.lines:
            click.echo(line)


def write_file(file: Path, content: bytes) -> list[str]:
    """Write a file, or to standard output for "-"; what to say of it then. Raises BootsimError."""
    if str(file) == "-":
        sys.stdout.buffer.write(content)
        return []
    try:
        file.write_bytes(content)
    except OSError as error:
        raise BootsimError(f"{file}: {error.strerror}") from error
    return [f"{file}: {len(content) / 1024:.0f} KiB"]


def one_output(as_json: bool, *files: Path | None) -> None:
    """Have at most one thing go to standard output. Raises BootsimError."""
    if [str(file) for file in files].count("-") + as_json > 1:
        raise BootsimError("-: of files and --json, one can go to standard output")


def printable(line: str) -> str:
    """`line` with control characters as dmesg shows them, so that no guest rules the terminal."""
    if line.isprintable():
        return line
    return "".join(
        letter if letter.isprintable() or letter == "\t" else f"\\x{ord(letter):02x}"
        for letter in line
    )


def wrapped(text: str, indent: str, further: str | None = None) -> Iterator[str]:
    """`text` as lines of the terminal's width; `indent` begins the first, `further` the others."""
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH_MAX
    width = min(max(columns, 40), _WIDTH_MAX)
    further = indent if further is None else further
    for number, line in enumerate(_words(text, width - len(further)) or [""]):
        yield (further if number else indent) + line


def _words(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)  # a path or a number stays whole


class Bar:
    """A progress bar on the terminal for `total` things, silent where there is none, or one."""

    _WIDTH = 30

    def __init__(self, total: int) -> None:
        self._total = total
        self._shown = False
        self._on = total > 1 and sys.stderr.isatty()
        self._next = time.monotonic() + 0.3

    def __call__(self, done: int) -> None:
        if self._on and time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.1
            full = self._WIDTH * done // self._total
            bar = "#" * full + "-" * (self._WIDTH - full)
            click.echo(f"\r\x1b[K[{bar}] {done} of {self._total}\r", nl=False, err=True)
            self._shown = True

    def clear(self) -> None:
        """Take the bar off the terminal, for a line that is to stay."""
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._shown = False


class Progress:
    """A line on the terminal for what takes over a second, renewed a few times a second."""

    def __init__(self) -> None:
        self._next = time.monotonic() + 1

    def __call__(self, text: str) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.2
            click.echo(f"\r\x1b[Kbootsim: {text}\r", nl=False, err=True)
