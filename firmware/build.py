#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Build the firmware: each .S here to a flat binary, and one map of their symbols.

The compiler and the linker are clang and lld as the Python package `ziglang` carries them (extra
`cc`). The same sources give the same bytes: nothing of the host gets in.

    python firmware/build.py [OUTPUT-DIRECTORY]
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parent
PARTS = ("boot", "head", "text")
ZIG = (sys.executable, "-m", "ziglang")
TARGET = ("--target=arm-none-eabi", "-mcpu=cortex-a9")

# lld's map: VMA, LMA, size, alignment, then a symbol's name indented by 16 and two more columns.
_SYMBOL = re.compile(r"^ *([0-9a-f]+) +[0-9a-f]+ +0 +1 {9,}([A-Za-z_]\w*)$", re.MULTILINE)


def build(output: Path) -> None:
    """Write PART.bin for each part, and symbols.json, into `output`."""
    symbols = {}
    with tempfile.TemporaryDirectory() as scratch:
        for part in PARTS:
            compiled = Path(scratch, f"{part}.o")
            table = Path(scratch, f"{part}.map")
            source = SOURCES / f"{part}.S"
            _run("clang", *TARGET, "-c", str(source), "-o", str(compiled))
            _run(
                *("ld.lld", "-T", str(SOURCES / "flat.lds"), "--oformat=binary"),
                *(f"-Map={table}", str(compiled), "-o", str(output / f"{part}.bin")),
            )
            (output / f"{part}.bin").chmod(0o644)  # lld makes what it links executable
            symbols[part] = _symbols(table.read_text(), source.read_text())
    (output / "symbols.json").write_text(json.dumps(symbols, indent="\t") + "\n")


def _symbols(table: str, source: str) -> dict[str, int]:
    """Offset of each symbol that the source exports, ascending."""
    exported = re.findall(r"^\s*(?:\.globl|function|read_cp15)\s+(\w+)", source, re.MULTILINE)
    found = {name: int(value, 16) for value, name in _SYMBOL.findall(table) if name in exported}
    missing = set(exported) - set(found)
    if missing:
        raise SystemExit(f"no such symbols in the linker's map: {', '.join(sorted(missing))}")
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _run(*command: str) -> None:
    done = subprocess.run([*ZIG, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCES)
