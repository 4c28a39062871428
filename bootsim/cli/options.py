"""What commands take: numbers, files, and the options of all that boot."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from bootsim.numbers import parse_number


class Number(click.ParamType[int]):
    """A number or size: decimal, 0x, or with a suffix K, M, G."""

    name = "NUMBER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        number = parse_number(value)
        if number is None:
            self.fail(f"'{value}' is no number: write 4096, 0x1000, 4K, 64M or 1G", param, ctx)
        return number


class Seconds(click.FloatRange):
    """A time that passes: more than 0 s, and a number."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"'{value}' is no number of seconds", param, ctx)
        return seconds


NUMBER = Number()
SECONDS = Seconds()
FILE = click.Path(path_type=Path)

PROFILE_OPTION = click.option(
    "--profile",
    default="linux-5.0",
    show_default=True,
    help="Kernel to model: linux-5.0, linux-6.1-armmp or a .toml file.",
)
SYMBOL_OPTION = click.option(
    "--symbol",
    "symbols",
    multiple=True,
    metavar="NAME=ADDR",
    help="Place a symbol of the profile elsewhere, as another build of the kernel would.",
)

RAM_OPTION = click.option(
    "--ram",
    multiple=True,
    metavar="BASE:SIZE",
    help="The machine's RAM, in place of the tree's: written into the tree as a boot loader"
    " does. Several make banks.",
)

_BOARD_OPTIONS = (
    click.option("--dts", type=FILE, help="Device tree source of the board to boot."),
    click.option("--dtb", type=FILE, help="Device tree blob of the board to boot."),
    RAM_OPTION,
    click.option("--append", metavar="ARGS", help="Kernel command line, in place of the tree's."),
    click.option("--initrd", type=FILE, help="File to load as initrd."),
)
_PLACE_OPTIONS = (
    click.option("--phys-offset", type=NUMBER, help="Where the kernel takes RAM to begin."),
    click.option("--dtb-addr", type=NUMBER, help="Where to load the device tree."),
    click.option("--initrd-addr", type=NUMBER, help="Where to load the initrd."),
)
_RAM_FILL_OPTION = click.option(
    "--ram-fill",
    type=NUMBER,
    default=0,
    metavar="BYTE",
    help="What each byte of RAM holds at power-on, 0 by default; 0xa5 makes zeroing visible.",
)
_JSON_OPTION = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON; addresses as numbers."
)
_MACHINE_OPTIONS = (
    *_BOARD_OPTIONS,
    PROFILE_OPTION,
    SYMBOL_OPTION,
    click.option(
        "--at",
        metavar="STAGE|N",
        help="Stop after this stage of the boot (`bootsim stages` lists them) or event number.",
    ),
    *_PLACE_OPTIONS,
    _RAM_FILL_OPTION,
    click.option(
        "--bad-ram",
        "bad_ram",
        multiple=True,
        metavar="ADDR[,MASK]",
        help="Have the byte at ADDR flip the bits in MASK (all by default): --append memtest=4"
        " finds it.",
    ),
    _JSON_OPTION,
)
_IMAGE_OPTIONS = (
    click.option("--system-map", type=FILE, help="The kernel's System.map, for its symbols."),
    click.option("--vmlinux", type=FILE, help="The kernel's vmlinux, for its symbols."),
    click.option(
        "--timeout",
        type=SECONDS,
        default=30.0,
        metavar="SECONDS",
        help="Give the kernel up after so long, 30 s by default.",
    ),
)
_KERNEL_OPTIONS = (
    *_BOARD_OPTIONS,
    *_IMAGE_OPTIONS,
    *_PLACE_OPTIONS,
    _RAM_FILL_OPTION,
    _JSON_OPTION,
)
_COMPARE_OPTIONS = (
    *_KERNEL_OPTIONS,
    click.option("--profile", help="The model's: by default that of the kernel or log beside it."),
)
_INSPECT_OPTIONS = (
    click.option("--kernel", type=FILE, help="A real kernel to boot, in place of the model."),
    *_MACHINE_OPTIONS,
    *_IMAGE_OPTIONS,
)

account_option = click.option(
    "--account",
    is_flag=True,
    help="Print where the RAM went instead, also of a boot that dies: each step from what the tree"
    " has to what the buddy allocator got, with owner and bytes.",
)

_FLEET_OPTIONS = (
    click.option(
        "-j", "--jobs", type=click.IntRange(min=1), help="Processes; one a CPU by default."
    ),
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Have the workers of a Dask cluster do it, as tcp://host:8786; they need bootsim, but"
        " not the files. (pip install 'bootsim[cluster]')",
    ),
    click.option(
        "--timeout",
        type=SECONDS,
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help="Give a tree up after so long, where there are several.",
    ),
)

Command = Callable[..., Any]


def machine_options(command: Command) -> Command:
    """The options that every command which boots the model takes."""
    return _with(command, _MACHINE_OPTIONS)


def kernel_options(command: Command) -> Command:
    """The options of commands that boot a real kernel."""
    return _with(command, _KERNEL_OPTIONS)


def fleet_options(command: Command) -> Command:
    """The options of commands that boot many trees."""
    return _with(command, _FLEET_OPTIONS)


def compare_options(command: Command) -> Command:
    """The options of commands that boot two things side by side."""
    return _with(command, _COMPARE_OPTIONS)


def inspect_options(command: Command) -> Command:
    """The options of commands that boot either."""
    return _with(command, _INSPECT_OPTIONS)


def _with(command: Command, options: Iterable[Callable[[Command], Command]]) -> Command:
    for option in reversed(tuple(options)):
        command = option(command)
    return command


def refuse(why: str, *names: str) -> None:
    """Refuse the options of these parameters, if they are given: they would be left unheeded."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')} has no meaning here: {why}")
