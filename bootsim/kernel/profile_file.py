"""Profiles as files, one in TOML each; those that come with bootsim are in `profiles/`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

from bootsim.errors import BootsimError
from bootsim.kernel.profile import (
    BootSizes,
    Config,
    Features,
    Layout,
    MachineDesc,
    Profile,
    check_symbols,
)

_EARLY_PARAM_KINDS = ("bool", "value", "pointer")
_BOOT_PARAM_KINDS = ("setup", "param", "early")
_MACHINE_KEYS: Mapping[str, type] = MappingProxyType(
    {
        "name": str,
        "compatible": list,
        **dict.fromkeys(("dt_fixup", "reserve", "map_io", "init_early"), str),
        "dma_zone_size": int,
    }
)


def profile_names() -> list[str]:
    """The profiles that come with bootsim."""
    files = resources.files("bootsim.kernel") / "profiles"
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in files.iterdir()
        if entry.name.endswith(".toml")
    )


def load_profile(name: str) -> Profile:
    """The profile called `name`, or the one in the TOML file of that path.

    Raises BootsimError that names the file and the key.
    """
    if name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BootsimError(f"{name}: cannot read the profile: {error}") from error
        return parse_profile(text, name)
    if name not in profile_names():
        raise BootsimError(
            f"no profile '{name}': there are {', '.join(profile_names())}, or give a .toml file"
        )
    file = resources.files("bootsim.kernel") / "profiles" / f"{name}.toml"
    return parse_profile(file.read_text(encoding="utf-8"), f"{name}.toml")


def parse_profile(text: str, source: str) -> Profile:
    """Read a profile from TOML `text`; `source` names it in errors."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BootsimError(f"{source}: {error}") from error
    tables = {
        "layout": _table(Layout, data, "layout", source),
        "config": _table(Config, data, "config", source),
        "features": _table(Features, data, "features", source),
    }
    for key, hint in get_type_hints(Features).items():
        choices, value = get_args(hint), getattr(tables["features"], key)
        if choices and value not in choices:
            raise BootsimError(
                f"{source}: features.{key} is {value!r}: expected {' or '.join(choices)}"
            )
    config: Config = tables["config"]
    if not config.zones or not all(isinstance(zone, str) for zone in config.zones):
        raise BootsimError(f"{source}: config.zones is {config.zones!r}: expected names of zones")
    if not 1 <= config.max_order <= 20:
        raise BootsimError(f"{source}: config.max_order is {config.max_order}: expected 1 to 20")
    if config.log_buf_size < 4096:
        raise BootsimError(f"{source}: config.log_buf_size is below 4096 bytes")
    check_symbols(_mapping(data, "symbols", int, source), source)
    return Profile(
        name=_string(data, "name", source),
        title=_string(data, "title", source),
        banner=_string(data, "banner", source),
        **tables,
        symbols=_mapping(data, "symbols", int, source),
        earlycon=_mapping(data, "earlycon", str, source),
        machines=tuple(_machines(data, source)),
        early_params=_names(data, "early_params", _EARLY_PARAM_KINDS, source),
        early_params_say=_mapping(data, "early_params_say", str, source),
        boot_sizes=(
            _table(BootSizes, data, "boot_sizes", source) if "boot_sizes" in data else None
        ),
        boot_params=_names(data, "boot_params", _BOOT_PARAM_KINDS, source),
    )


def _machines(data: dict[str, Any], source: str) -> Iterator[MachineDesc]:
    entries = data.get("machine", [])
    if not isinstance(entries, list):
        raise BootsimError(f"{source}: machine is not an array of tables [[machine]]")
    for number, entry in enumerate(entries):
        where = f"{source}: machine {number}"
        for key, kind in _MACHINE_KEYS.items():
            if key in entry and type(entry[key]) is not kind:
                raise BootsimError(f"{where}: {key} is {entry[key]!r}: expected {kind.__name__}")
        for key in entry.keys() - _MACHINE_KEYS.keys():
            raise BootsimError(f"{where}: {key} is not a key of a machine")
        if not entry.get("name") or "compatible" not in entry:
            raise BootsimError(f"{where}: expected name and compatible")
        yield MachineDesc(**{**entry, "compatible": tuple(map(str, entry["compatible"]))})


def _names(
    data: dict[str, Any], table: str, expected: tuple[str, ...], source: str
) -> Mapping[str, tuple[str, ...]]:
    kinds = _mapping(data, table, list, source)
    for kind in kinds:
        if kind not in expected:
            raise BootsimError(f"{source}: {table}.{kind}: expected {', '.join(expected)}")
    return MappingProxyType({kind: tuple(map(str, names)) for kind, names in kinds.items()})


def _string(data: dict[str, Any], key: str, source: str) -> str:
    value = data.get(key)
    if not isinstance(value, str):
        raise BootsimError(f"{source}: {key} is {value!r}: expected a string")
    return value


def _table(cls: type[Any], data: dict[str, Any], table: str, source: str) -> Any:
    values = data.get(table)
    if not isinstance(values, dict):
        raise BootsimError(f"{source}: there is no table [{table}]")
    expected = {field.name: field.type for field in fields(cls)}
    for key in values.keys() - expected.keys():
        raise BootsimError(f"{source}: {table}.{key} is not a key of a profile")
    for key in expected.keys() - values.keys():
        raise BootsimError(f"{source}: {table}.{key} is missing")
    for key, value in values.items():
        if expected[key] == "int" and (type(value) is not int or value < 0):
            raise BootsimError(f"{source}: {table}.{key} is {value!r}: expected a number")
        if expected[key] == "bool" and type(value) is not bool:
            raise BootsimError(f"{source}: {table}.{key} is {value!r}: expected true or false")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _mapping(data: dict[str, Any], table: str, kind: type[Any], source: str) -> Mapping[str, Any]:
    values = data.get(table, {})
    if not isinstance(values, dict):
        raise BootsimError(f"{source}: {table} is not a table")
    for key, value in values.items():
        if type(value) is not kind:
            raise BootsimError(f"{source}: {table}.{key} is {value!r}: expected {kind.__name__}")
    return MappingProxyType(values)
