"""A profile as TOML text, each number with its origin in a comment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bootsim.kernel.profile import MachineDesc

_WIDTH = 100
_VALUE_COLUMN = 31
_HEAD = """\
# Made from the kernel {source} by measuring it on an emulated Cortex-A9.
#
# Origin of each number:
#   [image]    read in the kernel's image
#   [run]      observed where that kernel ran unmodified
#   [linux]    fixed by Linux's source
#   [version]  as that version of Linux does, by its source
#   [chosen]   placed where it contradicts nothing: where it lies changes no decision
#   [assumed]  not measured: as in the profile that is named
"""
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_HEXADECIMAL = {"layout", "symbols"}  # tables of addresses
_HEXADECIMAL_KEYS = {"cma_size", "log_buf_size"}


@dataclass(frozen=True, slots=True)
class Fact:
    """A value of a profile, and where it comes from, beginning with the origin in brackets."""

    value: object
    origin: str

    @classmethod
    def assume(cls, value: object, source: str) -> Fact:
        """A value that was not measured, but is that of profile `source`."""
        return cls(value, f"[assumed] {source}")

    @property
    def assumed(self) -> bool:
        return self.origin.startswith("[assumed]")


Facts = dict[str, Fact]


@dataclass(frozen=True, slots=True)
class ProfileParts:
    """What a profile's file holds; see bootsim.kernel.profile."""

    name: str
    title: str
    banner: str
    source: str
    tables: Mapping[str, Facts]
    earlycon: Mapping[str, str]
    early_params: Mapping[str, Sequence[str]]
    early_params_say: Mapping[str, str]
    boot_params: Mapping[str, Sequence[str]]
    machines: Sequence[MachineDesc]


def profile_text(parts: ProfileParts) -> str:
    """The TOML that parse_profile() reads."""
    return "\n".join(_lines(parts)) + "\n"


def _lines(parts: ProfileParts) -> Iterator[str]:
    yield _HEAD.format(source=json.dumps(parts.source))
    for key in ("name", "title", "banner"):
        yield f"{key} = {_value(getattr(parts, key))}"
    for table, facts in parts.tables.items():
        yield ""
        yield f"[{table}]"
        for key, fact in facts.items():
            hexadecimal = table in _HEXADECIMAL or key in _HEXADECIMAL_KEYS
            entry = f"{key} = {_value(fact.value, hexadecimal)}"
            yield f"{entry:<{_VALUE_COLUMN}} # {fact.origin}"
    yield from _table("earlycon", parts.earlycon, "[image] drivers that stdout-path can choose")
    yield from _table("early_params", parts.early_params, "[image], of those of the like profile")
    yield from _table("early_params_say", parts.early_params_say, "[image], as above")
    yield from _table("boot_params", parts.boot_params, "[image] its tables __setup and __param")
    for machine in parts.machines:
        yield ""
        yield "[[machine]]"
        yield f"name = {_value(machine.name)}"
        yield f"compatible = {_value(machine.compatible)}"
        for key in ("dt_fixup", "reserve", "map_io", "init_early"):
            if getattr(machine, key):
                yield f"{key} = {_value(getattr(machine, key))}"
        if machine.dma_zone_size:
            yield f"dma_zone_size = {machine.dma_zone_size:#x}"


def _table(name: str, values: Mapping[str, object], origin: str) -> Iterator[str]:
    yield ""
    yield f"# {origin}."
    yield f"[{name}]"
    for key, value in values.items():
        yield from _entry(_key(key), value)


def _entry(key: str, value: object) -> Iterator[str]:
    """`key = value`, a list that is too long for one line on several."""
    line = f"{key} = {_value(value)}"
    if len(line) <= _WIDTH or not isinstance(value, tuple | list):
        yield line
        return
    yield f"{key} = ["
    line = "   "
    for item in value:
        piece = f" {_value(item)},"
        if len(line) + len(piece) > _WIDTH:
            yield line
            line = "   "
        line += piece
    yield line
    yield "]"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _value(name)


def _value(value: object, hexadecimal: bool = False) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:#x}" if hexadecimal else str(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_value, value)) + "]"
    # A basic string of TOML escapes as JSON does, and DEL as well.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
