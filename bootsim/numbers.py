"""Numbers as users write them, decimal, 0x, or with a suffix K, M, G; and as they are shown."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]{1,32}|[0-9]{1,32})([kKmMgG]?)(?:i?[bB])?")
_SHIFT = {"": 0, "k": 10, "m": 20, "g": 30}


def parse_number(text: str) -> int | None:
    """The number that `text` says, None where it says none. 64M is 64 * 2**20."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    digits, suffix = match.groups()
    base = 16 if digits[:2].lower() == "0x" else 10
    return int(digits, base) << _SHIFT[suffix.lower()]


def size_text(size: int) -> str:
    """A size in bytes in the largest unit that divides it well: 1 GiB, 16 MiB, 48.5 KiB, 40 B."""
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << shift:
            text = f"{size / (1 << shift):.1f}".removesuffix(".0")
            return f"{text} {unit}"
    return f"{size} B"


def listed(words: Iterable[str], shown: int = 4) -> str:
    """`words` in a sentence: the first few, and how many more there are."""
    every = list(words)
    more = f" and {len(every) - shown} more" if len(every) > shown else ""
    return ", ".join(every[:shown]) + more
