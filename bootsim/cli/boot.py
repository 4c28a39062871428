"""bootsim boot, replay, stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bootsim.cli.options import FILE, NUMBER, machine_options
from bootsim.cli.printing import print_view
from bootsim.cli.running import print_summary, profile_of, run_boot


@click.command()
@machine_options
def boot(as_json: bool, **options: Any) -> None:
    """Boot: print the log, and what the buddy allocator got.

    The log is the kernel's, after what the guest wrote to the UART.
    """
    print_summary(run_boot(options, log=not as_json, as_json=as_json), as_json)


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="DRIVER...")
@click.option(
    "--hook",
    metavar="STAGE",
    help="Run the drivers after this stage, instead of where they ask to (cmd_line by default).",
)
@click.option("--entry", metavar="NAME", help="C: the function to call, if it is not plain.")
@click.option("-D", "defines", multiple=True, metavar="MACRO[=VALUE]", help="C: define a macro.")
@click.option("-I", "includes", multiple=True, metavar="DIR", help="C: a folder for #include.")
@click.option(
    "--api",
    type=click.Choice(["5.0", "6.1"]),
    help="C: the kernel whose headers the driver is written for; by default the profile's.",
)
@click.option("--cc", metavar="PROGRAM", help="C: the compiler; by default ziglang's clang.")
@click.option(
    "--max-instructions",
    type=NUMBER,
    default=200_000_000,
    metavar="N",
    help="C: give up a driver after so many instructions, 200 million by default.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    metavar="SECONDS",
    help="C: and after so long, 60 s by default.",
)
@machine_options
def replay(
    files: tuple[Path, ...],
    hook: str | None,
    entry: str | None,
    defines: tuple[str, ...],
    includes: tuple[str, ...],
    api: Any,
    cc: str | None,
    max_instructions: int,
    timeout: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Run debug drivers in the middle of a boot.

    In Python (.py), a driver is a file that defines `driver(kernel)`: it gets the model kernel,
    calls kernel.memblock as C would call memblock, and prints with kernel.pr_info(). HOOK =
    "mem_init" in the file moves it from its place right after the command line to another stage.

    In C (.c), it is kernel code as it stands: compiled for ARM and run on the emulated CPU, where
    it calls the model kernel (`bootsim symbols` lists what it may call). Its entry is the function
    that nobody in it calls, or those called debug_...; CONFIG_ macros that it stands behind are
    defined. Object files (.o) and linked programs (.elf) run, too. C files are linked together.

    \b
    bootsim replay examples/biscuitos/memblock_reserve.c
    bootsim replay --hook mem_init --entry try_it -D DEBUG driver.c helpers.c
    """
    from bootsim.driver import load_driver

    profile = profile_of(options)
    drivers = [load_driver(file, hook=hook) for file in files if file.suffix == ".py"]
    code = [file for file in files if file.suffix != ".py"]
    if code:
        from bootsim.guest.driver import GuestOptions, load_guest_drivers
        from bootsim.guest.guest import Budget

        guest_options = GuestOptions(
            entry=entry,
            hook=hook,
            api=api,
            defines=defines,
            includes=includes,
            cc=cc,
            budget=Budget(max_instructions, timeout),
        )
        drivers += load_guest_drivers(
            code, profile, guest_options, warn=lambda words: click.echo(words, err=True)
        )
    booted = run_boot(options, log=not as_json, as_json=as_json, drivers=drivers, profile=profile)
    if as_json:
        print_summary(booted, as_json)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stages(as_json: bool) -> None:
    """List the stages of a boot, for --at and --hook."""
    from bootsim.kernel.main import STAGES
    from bootsim.views import View

    width = max(map(len, STAGES))
    lines = [f"{name:{width}}  {what}" for name, what in STAGES.items()]
    print_view(View(dict(STAGES), lines), as_json)
