"""Kernels that were unpacked before, by the content of the files that they came in.

One file a kernel: what is known of it as JSON, its packed symbols, the raw Image. It is mapped into
memory, not read: that saves half of the time.
"""

from __future__ import annotations

import json
import os
import struct
from array import array
from contextlib import suppress
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from zlib import crc32

from bootsim.cache import oldest, user_cache, write_whole
from bootsim.realkernel.symbols import Symbols

_FORMAT = b"bootsim kernel 1"
_HEADER = struct.Struct("<16sII")  # format; checksum of what follows it; size of the facts
_CHECKED_FROM = 20
_SUFFIX = ".kernel"
_ENTRIES_MAX = 8  # kernels, of some 25 MB each


@dataclass(frozen=True, slots=True)
class Stored:
    """What it takes some time to find in a kernel's file; see image.KernelImage."""

    kind: str
    code: memoryview
    text: int
    end: int
    banner: str
    symbols: Symbols
    appended_dtb: bytes | None


class ImageCache:
    """The kernels in `folder`, or in the user's cache."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = user_cache("kernels") if folder is None else folder

    def find(self, key: str) -> Stored | None:
        """What was kept for `key`, unless it is absent or damaged."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                content = memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))
            magic, checksum, size = _HEADER.unpack_from(content)
            if magic != _FORMAT or checksum != crc32(content[_CHECKED_FROM:]):
                return None
            at = _HEADER.size + size
            facts = json.loads(bytes(content[_HEADER.size : at]))
            sections = []
            for length in facts.pop("sections"):
                sections.append(content[at : at + length])
                at += length
            addresses, kinds, starts, names, order, dtb, code = sections
            symbols = Symbols(
                *(_words(addresses), bytes(kinds), _words(starts), bytes(names), _words(order))
            )
            with suppress(OSError):
                os.utime(path)
            return Stored(code=code, symbols=symbols, appended_dtb=bytes(dtb) or None, **facts)
        except (OSError, ValueError, TypeError, KeyError, struct.error):
            return None  # absent, or damaged: as good as absent

    def keep(self, key: str, stored: Stored) -> None:
        """Remember a kernel, if that is possible here."""
        symbols = stored.symbols
        sections: list[bytes | memoryview] = [
            *(symbols.addresses.tobytes(), symbols.kinds, symbols.starts.tobytes()),
            *(symbols.names, symbols.order.tobytes(), stored.appended_dtb or b"", stored.code),
        ]
        facts = json.dumps(
            {
                "kind": stored.kind,
                "text": stored.text,
                "end": stored.end,
                "banner": stored.banner,
                "sections": [len(section) for section in sections],
            }
        ).encode()
        checked: list[bytes | memoryview] = [len(facts).to_bytes(4, "little"), facts, *sections]
        checksum = 0
        for piece in checked:
            checksum = crc32(piece, checksum)
        with suppress(OSError):
            write_whole(self._path(key), [_FORMAT, checksum.to_bytes(4, "little"), *checked])
            for path in oldest(self._folder, f"*{_SUFFIX}", _ENTRIES_MAX):
                path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"


def _words(content: memoryview) -> array[int]:
    words = array("I")
    words.frombytes(content)
    return words
