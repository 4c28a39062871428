"""A replayed log: who took what, what memblock's tables came to, and what the log does not tell."""

from __future__ import annotations

from typing import Any

from bootsim.dmesg.replayed import Replayed, Taken
from bootsim.kernel.memblock_type import MemblockType, Region
from bootsim.machine.memory import Range
from bootsim.views import View, size_text

_MARKS = {True: "", False: "  (not where memblock's rules put it)", None: ""}


def replay_log(replayed: Replayed) -> View:
    """The whole of `replayed`: head, takers in the log's order, tables, findings."""
    boot = replayed.boot
    right, checked = replayed.checked
    lines = [*_head(replayed), ""]
    lines += [_taken_line(taken) for taken in replayed.taken]
    tables = {
        "memory": replayed.memblock.memory,
        "reserved": replayed.memblock.reserved,
    }
    for name, table in tables.items():
        lines += ["", f"{name}: {table.cnt} regions, {size_text(table.total_size)}"]
        lines += _table_lines(table)
    lines += ["", f"{right} of {checked} allocations lie where memblock's rules put them"]
    lines += [finding.shown(boot.name) for finding in replayed.findings]
    return View(_data(replayed), lines)


def _head(replayed: Replayed) -> list[str]:
    boot = replayed.boot
    first, last = boot.lines[0].number, boot.lines[-1].number
    release = f"Linux {boot.release}" if boot.release else "a Linux that does not tell its version"
    lines = [f"{boot.name}: boot {boot.number}, lines {first} to {last}: {release}"]
    if not boot.from_start:
        lines.append("its start is not in the log")
    if replayed.line < last:
        lines.append(f"replayed to line {replayed.line}")
    lines.append(f"memblock's rules are those of {replayed.rules}")
    return lines


def _taken_line(taken: Taken) -> str:
    place = Range(taken.base, max(taken.size, 1))
    line = f"{taken.line:6}" if taken.line else "     -"
    by = "" if taken.caller in ("", "?") or f"{taken.caller}()" == taken.what else taken.caller
    text = f"{line}  {place} {size_text(taken.size):>10}  {taken.what}"
    return text + (f", {by}()" if by else "") + _MARKS[taken.checked]


def _table_lines(table: MemblockType) -> list[str]:
    lines = []
    for index, region in enumerate(table):
        if region.size:
            flags = f" flags {region.flags:#x}" if region.flags else ""
            place = Range(region.base, region.size)
            lines.append(f"{index:6}  {place} {size_text(region.size):>10}{flags}")
    return lines


def _data(replayed: Replayed) -> dict[str, Any]:
    boot, memblock = replayed.boot, replayed.memblock
    right, checked = replayed.checked
    return {
        "log": boot.name,
        "boot": boot.number,
        "line": replayed.line,
        "release": boot.release or None,
        "command_line": boot.command_line,
        "from_start": boot.from_start,
        "rules": replayed.rules,
        "allocations": {"checked": checked, "as_the_rules_say": right},
        "taken": [
            {
                "line": taken.line or None,
                "base": taken.base,
                "size": taken.size,
                "what": taken.what,
                "caller": taken.caller or None,
                "as_the_rules_say": taken.checked,
            }
            for taken in replayed.taken
        ],
        "memory": [_region(region) for region in memblock.memory],
        "reserved": [_region(region) for region in memblock.reserved],
        "findings": [
            {"line": finding.line, "kind": finding.kind.value, "text": finding.text}
            for finding in replayed.findings
        ],
    }


def _region(region: Region) -> dict[str, int]:
    return {"base": region.base, "size": region.size, "flags": int(region.flags)}
