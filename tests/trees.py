"""Small device trees for tests."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

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
