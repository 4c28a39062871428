"""The one table: all functions that guest code may call."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bootsim.guest.exports import Api, Export, aeabi, memblock, mm, of_api, printk, string

EXPORTS: tuple[Export, ...] = (
    *memblock.EXPORTS,
    *mm.EXPORTS,
    *printk.EXPORTS,
    *string.EXPORTS,
    *aeabi.EXPORTS,
)

# What the kernel has and bootsim has not, and why.
MISSING: Mapping[str, str] = MappingProxyType({})


def exports_of(api: Api) -> Mapping[str, Export]:
    """The functions of a kernel with `api`, by name."""
    return of_api(EXPORTS, api)
