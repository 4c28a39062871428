"""What commands print: views, logs that cannot rule the terminal, progress."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
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


def paint(letter: str, text: str) -> str:
    """`text` in the colour of a map's letter, which click takes off where there is no terminal."""
    return click.style(text, fg=_COLOURS[letter]) if letter in _COLOURS else text


def print_view(view: View, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(view.data))
    else:
        for line in view.lines:
            click.echo(line)


def printable(line: str) -> str:
    """`line` with control characters as dmesg shows them, so that no guest rules the terminal."""
    if line.isprintable():
        return line
    return "".join(
        letter if letter.isprintable() or letter == "\t" else f"\\x{ord(letter):02x}"
        for letter in line
    )


class Progress:
    """A line on the terminal for what takes over a second, renewed a few times a second."""

    def __init__(self) -> None:
        self._next = time.monotonic() + 1

    def __call__(self, text: str) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.2
            click.echo(f"\r\x1b[Kbootsim: {text}\r", nl=False, err=True)
