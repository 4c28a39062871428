"""A captured log as lines: what the terminal, syslog and printk put around each is taken off.

Understood are printk's own prefixes (Documentation/admin-guide/kernel-parameters.txt:
printk.time, CONFIG_PRINTK_CALLER), those of dmesg(1) with -x, -T and --time-format iso, of syslog
and journalctl, and the time stamps of terminal programs. Colours, carriage returns, NULs and other
bytes that serial lines add are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bootsim.kernel.printk import KERN_INFO

LINE_MAX = 4096  # characters; printk's own limit is 1024 (LOG_LINE_MAX) and its prefix

_LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")  # dmesg -x
_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d+)?"
_PREFIX = re.compile(
    r"<(?P<priority>\d{1,3})>"
    r"|\[ *(?P<time>\d{1,10}\.\d{3,9})(?:@\d+)?\] ?"
    r"|\[ *[TC]\d+\] ?"  # CONFIG_PRINTK_CALLER
    r"|kern +:(?P<level>[a-z]+) *: ?"  # dmesg -x
    rf"|\[[A-Z][a-z]{{2}} [A-Z][a-z]{{2}} +\d+ {_CLOCK} \d{{4}}\] ?"  # dmesg -T
    rf"|(?:[A-Z][a-z]{{2}} [ \d]\d {_CLOCK}|\d{{4}}-\d\d-\d\dT{_CLOCK}\S*) \S+ kernel: ?"  # syslog
    rf"|\d{{4}}-\d\d-\d\dT{_CLOCK}[+-]\d\d:\d\d "  # dmesg --time-format iso
    rf"|\[(?:\d{{4}}-\d\d-\d\d[ T])?{_CLOCK}\] ?"  # tio, picocom, minicom
    r"|\[\d+\.\d+ \d+\.\d+\] "  # grabserial
    r"|-? ?\(\d+\)\[\d+:[\w./-]+\]"  # MediaTek's CPU and task
)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][0-9A-Za-z]|[@-Z\\^_])")
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), 127])


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a log, `number` in its file from 1.

    `time` is printk's time stamp in seconds, None without one; `level` KERN_INFO where none is
    told, which is memblock's own.
    """

    number: int
    time: float | None
    level: int
    text: str


def split_lines(data: bytes) -> Iterator[LogLine]:
    """The lines in `data`, empty ones left out. A line's end is cut off at LINE_MAX characters."""
    for number, raw in enumerate(_raw_lines(data), 1):
        for piece in raw.split("\r"):
            line = _line(number, piece[: 2 * LINE_MAX])
            if line.text:
                yield line


def _raw_lines(data: bytes) -> list[str]:
    # A serial line can begin with such bytes, too.
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") and 4 * data.count(0) > len(data):
        text = data.decode("utf-16", "replace")
    else:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    return text.split("\n") if "\n" in text else text.split("\r")


def _line(number: int, text: str) -> LogLine:
    if not text.isprintable():
        text = _ESCAPES.sub("", text).translate(_CONTROLS)
    time, level, at = None, KERN_INFO, 0
    while match := _PREFIX.match(text, at):
        at = match.end()
        if match["time"]:
            time = float(match["time"])
        elif match["priority"]:
            level = int(match["priority"]) & 7
        elif match["level"] in _LEVELS:
            level = _LEVELS.index(match["level"])
    return LogLine(number, time, level, text[at : at + LINE_MAX])
