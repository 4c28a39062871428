"""Object files that were compiled before, by what they were made of.

An entry is found by the source and the compiler's command, and holds as long as the headers that it
included are what they were. The cache is below $XDG_CACHE_HOME (~/.cache); where nothing can be
written, everything is compiled anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bootsim.cache import oldest, user_cache, write_whole

_FORMAT = 3
_ENTRIES_MAX = 256


class Cache:
    """The place for one file, compiled one way."""

    def __init__(self, command: str, source: bytes) -> None:
        key = hashlib.sha256(f"{_FORMAT}\n{command}\n".encode() + source).hexdigest()
        self._folder = user_cache("cc")
        self._entry = self._folder / f"{key}.json"
        self._object = self._folder / f"{key}.o"

    def find(self) -> tuple[bytes, str] | None:
        """The object file and the compiler's warnings, unless something has changed."""
        try:
            entry = json.loads(self._entry.read_bytes())
            data = self._object.read_bytes()
            if entry["headers"] != _fingerprint(entry["headers"]) or entry["size"] != len(data):
                return None
            if any(os.path.exists(path) for path in entry["absent"]):
                return None
            os.utime(self._entry)
            return data, str(entry["warnings"])
        except (OSError, ValueError, TypeError, KeyError):
            return None  # absent, or damaged: as good as absent

    def keep(
        self, data: bytes, warnings: str, headers: Iterable[str], absent: Iterable[str]
    ) -> None:
        """Remember what was made, if that is possible here.

        It was made of `headers`, and would be made of the files `absent` if they were there.
        """
        with suppress(OSError):
            entry = {
                "size": len(data),
                "warnings": warnings,
                "headers": _fingerprint(headers),
                "absent": sorted(absent),
            }
            write_whole(self._object, [data])
            write_whole(self._entry, [json.dumps(entry).encode()])
            for path in oldest(self._folder, "*.json", _ENTRIES_MAX):
                path.unlink(missing_ok=True)
                path.with_suffix(".o").unlink(missing_ok=True)


def _fingerprint(files: Iterable[str]) -> dict[str, str]:
    """What each file holds, as a hash."""
    return {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files}
