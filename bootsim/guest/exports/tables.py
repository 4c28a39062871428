"""The one table: all functions that guest code may call."""

from __future__ import annotations

from collections.abc import Mapping

from bootsim.guest.exports import (
    Api,
    Export,
    aeabi,
    fdt,
    lib,
    memblock,
    mm,
    of_api,
    printk,
    string,
)
from bootsim.guest.exports.missing import MISSING

__all__ = ["EXPORTS", "MISSING", "exports_of"]

EXPORTS: tuple[Export, ...] = (
    *memblock.EXPORTS,
    *mm.EXPORTS,
    *printk.EXPORTS,
    *string.EXPORTS,
    *lib.EXPORTS,
    *fdt.EXPORTS,
    *aeabi.EXPORTS,
)


def exports_of(api: Api) -> Mapping[str, Export]:
    """The functions of a kernel with `api`, by name."""
    return of_api(EXPORTS, api)
