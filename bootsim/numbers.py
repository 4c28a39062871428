"""Numbers as users write them: decimal, 0x, or with a suffix K, M, G."""

from __future__ import annotations

import re

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
