"""A recorded log as a boot: dmesg with memblock=debug, read and replayed.

>>> from bootsim.dmesg import read_log, replay
>>> replayed = replay(read_log("boot.log").boot())      # doctest: +SKIP
>>> replayed.memblock.reserved                          # doctest: +SKIP
<memblock.reserved: [0x60004000-0x60007fff], ...>

`words` reads memblock's lines, `lines` and `recording` the file around them, `replayer` runs a boot
through bootsim's memblock and finds what the log does not tell, with `dump` and `allocations`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bootsim.dmesg.findings import Finding, FindingKind
    from bootsim.dmesg.recording import LoggedBoot, Recording, is_text, parse_log, read_log
    from bootsim.dmesg.replayed import Replayed, Taken
    from bootsim.dmesg.replayer import replay
    from bootsim.dmesg.words import parse_line

__all__ = [
    "Finding",
    "FindingKind",
    "LoggedBoot",
    "Recording",
    "Replayed",
    "Taken",
    "is_text",
    "parse_line",
    "parse_log",
    "read_log",
    "replay",
]

# Where each name lives: who reads single lines loads no replay.
_HOMES = {
    "bootsim.dmesg.findings": (
        "Finding",
        "FindingKind",
    ),
    "bootsim.dmesg.recording": (
        "LoggedBoot",
        "Recording",
        "is_text",
        "parse_log",
        "read_log",
    ),
    "bootsim.dmesg.replayer": ("replay",),
    "bootsim.dmesg.replayed": (
        "Replayed",
        "Taken",
    ),
    "bootsim.dmesg.words": ("parse_line",),
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'bootsim.dmesg' has no attribute '{name}'")
