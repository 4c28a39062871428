"""bootsim selftest, symbols."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from bootsim.cli.options import FILE, PROFILE_OPTION, SYMBOL_OPTION
from bootsim.cli.printing import print_view
from bootsim.cli.running import profile_of


@click.group(short_help="Check this installation.")
def selftest() -> None:
    """Check this installation: TAP output, exit status 1 if a check fails."""


@selftest.command("memblock")
@click.option(
    "--linux",
    "tree",
    type=FILE,
    help="Linux 6.1's sources, a folder or a tar archive: run its own memblock tests instead.",
)
@click.option(
    "--numa/--no-numa",
    default=None,
    help="Only that build of Linux's tests, instead of both.",
)
@click.option("--cc", metavar="PROGRAM", help="The compiler for them; by default ziglang's clang.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of TAP.")
def selftest_memblock(tree: Path | None, numa: bool | None, cc: str | None, as_json: bool) -> None:
    """Check every function of memblock, by the rules of Linux 5.0 and 6.1.

    With --linux, tools/testing/memblock of a Linux tree is compiled for ARM as it stands and runs
    on the emulated CPU against the same memblock.

    \b
    bootsim selftest memblock
    bootsim selftest memblock --linux /usr/src/linux-source-6.1.tar.xz
    """
    from bootsim.selftest import memblock, tap

    if tree is not None:
        _linux_selftest(tree, numa, cc, as_json)
        return
    if numa is not None or cc is not None:
        raise click.UsageError("--numa, --no-numa and --cc go with --linux")
    outcomes = memblock.run()
    if as_json:
        click.echo(json.dumps(tap.as_data(outcomes)))
    else:
        for line in tap.tap_lines(outcomes):
            click.echo(line)
    if not all(outcome.ok for outcome in outcomes):
        sys.exit(1)


def _linux_selftest(tree: Path, numa: bool | None, cc: str | None, as_json: bool) -> None:
    from bootsim.selftest import linux

    builds = linux.BUILDS if numa is None else (linux.NUMA if numa else linux.FLAT,)
    runs = linux.run(tree, builds=builds, cc=cc, tell=lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(json.dumps(linux.as_data(runs)))
    else:
        for line in linux.tap_lines(runs):
            click.echo(line)
    if any(run.failed for run in runs):
        sys.exit(1)


@click.command(short_help="List what C drivers may call.")
@click.argument("name", required=False)
@click.option("--api", type=click.Choice(["5.0", "6.1"]), help="By default the profile's.")
@click.option("--lds", is_flag=True, help="As a linker script, to link programs of your own with.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; addresses as numbers.")
@PROFILE_OPTION
@SYMBOL_OPTION
def symbols(
    name: str | None, api: Any, lds: bool, as_json: bool, profile: str, symbols: tuple[str, ...]
) -> None:
    """List the kernel's functions and variables that C drivers may use.

    With NAME, those whose names hold it. Addresses are virtual.

    \b
    bootsim symbols memblock_alloc
    bootsim symbols --lds >kernel.lds && ld.lld -T kernel.lds driver.o -o driver.elf
    """
    from bootsim.views import symbols as view

    chosen = profile_of({"profile": profile, "symbols": symbols})
    api = api or chosen.memblock_api
    if lds:
        click.echo(view.linker_script(chosen, api))
        return
    found = view.symbols(chosen, api, name or "")
    print_view(found, as_json)
    if not found.lines:
        click.echo(f"bootsim: no function or variable is called like '{name}'", err=True)
        sys.exit(1)
