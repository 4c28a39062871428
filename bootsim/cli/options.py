"""What commands take: numbers, files, and the options of all that boot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

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


NUMBER = Number()
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

_MACHINE_OPTIONS = (
    click.option("--dts", type=FILE, help="Device tree source of the board to boot."),
    click.option("--dtb", type=FILE, help="Device tree blob of the board to boot."),
    click.option("--append", metavar="ARGS", help="Kernel command line, in place of the tree's."),
    click.option("--initrd", type=FILE, help="File to load as initrd."),
    PROFILE_OPTION,
    SYMBOL_OPTION,
    click.option(
        "--at",
        metavar="STAGE|N",
        help="Stop after this stage of the boot (`bootsim stages` lists them) or event number.",
    ),
    click.option("--phys-offset", type=NUMBER, help="Where the kernel takes RAM to begin."),
    click.option("--dtb-addr", type=NUMBER, help="Where to load the device tree."),
    click.option("--initrd-addr", type=NUMBER, help="Where to load the initrd."),
    click.option(
        "--ram-fill",
        type=NUMBER,
        default=0,
        metavar="BYTE",
        help="What each byte of RAM holds at power-on, 0 by default; 0xa5 makes zeroing visible.",
    ),
    click.option(
        "--bad-ram",
        "bad_ram",
        multiple=True,
        metavar="ADDR[,MASK]",
        help="Have the byte at ADDR flip the bits in MASK (all by default): --append memtest=4"
        " finds it.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print JSON; addresses as numbers."),
)


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every command which boots takes."""
    for option in reversed(_MACHINE_OPTIONS):
        command = option(command)
    return command
