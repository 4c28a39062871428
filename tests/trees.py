"""Small device trees for tests."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from bootsim.devicetree.blob import Token, entries, read_header
from bootsim.devicetree.source import compile_dts

CELLS = "#address-cells = <1>; #size-cells = <1>;"


@lru_cache(maxsize=256)
def blob(before: str, root: str) -> bytes:
    """The blob of a tree whose root holds `root`; `before` stands before it (/memreserve/)."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "test.dts"
        path.write_text(f"/dts-v1/;\n{before}\n/ {{ {root} }};\n")
        return compile_dts(path)


def board(
    *banks: tuple[int, int], extra: str = "", bootargs: str | None = None, before: str = ""
) -> bytes:
    """A board with RAM `banks`, (base, size) pairs of bytes."""
    reg = " ".join(f"{base:#x} {size:#x}" for base, size in banks)
    chosen = f'bootargs = "{bootargs}";' if bootargs is not None else ""
    return blob(
        before,
        f'{CELLS} model = "Test board"; compatible = "test,board"; chosen {{ {chosen} }};'
        f' memory@{banks[0][0]:x} {{ device_type = "memory"; reg = <{reg}>; }}; {extra}',
    )


def packed(fdt: Any) -> bytes:
    """The blob that was edited with pylibfdt as `fdt`, packed, with zeros behind its values: there
    libfdt leaves what was before."""
    fdt.pack()
    result = bytearray(fdt.as_bytearray()[: fdt.totalsize()])
    name = "libfdt's"
    for entry in entries(bytes(result), read_header(bytes(result), name), name):
        if entry.token == Token.FDT_PROP:
            padding = slice(entry.value + entry.size, entry.end)
            result[padding] = bytes(len(result[padding]))
    return bytes(result)
