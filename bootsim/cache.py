"""Files that bootsim can make again: kept below $XDG_CACHE_HOME (~/.cache), and bounded there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def user_cache(name: str) -> Path:
    """Where bootsim keeps what it can make again: `name` below the user's folder for caches."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base, "bootsim", name)


def write_whole(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Write all of `pieces` or nothing: others may be reading. Raises OSError."""
    import tempfile  # noqa: PLC0415 - 5 ms

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
        os.replace(scratch, path)
    except BaseException:  # a full disk, or Ctrl-C
        os.unlink(scratch)
        raise


def oldest(folder: Path, pattern: str, keep: int) -> list[Path]:
    """The files in `folder` but for the `keep` that were touched last. Raises OSError."""
    return sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)[:-keep]
