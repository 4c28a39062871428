"""A page of documentation for each code, each with an example tree that has the fault."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bootsim.check.pages import contiguous, memory, payload, reserved
from bootsim.check.pages.page import Page
from bootsim.errors import BootsimError

__all__ = ["PAGES", "Page", "page"]

_ALL = (*memory.PAGES, *payload.PAGES, *reserved.PAGES, *contiguous.PAGES)
# By code, errors first.
PAGES: Mapping[str, Page] = MappingProxyType(
    {entry.code: entry for entry in sorted(_ALL, key=lambda p: ("EWI".index(p.code[0]), p.code))}
)


def page(code: str) -> Page:
    """The page of `code`, in any case; raises BootsimError where there is none."""
    found = PAGES.get(code.upper())
    if found is None:
        raise BootsimError(f"no code {code}: there are {', '.join(PAGES)}")
    return found
