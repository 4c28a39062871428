"""bootsim boot, replay, stages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from bootsim.cli.options import FILE, NUMBER, SECONDS, account_option, machine_options, refuse
from bootsim.cli.printing import print_view
from bootsim.cli.running import (
    account_of_the_dead,
    print_account,
    print_summary,
    profile_of,
    run_boot,
)
from bootsim.errors import BootsimError
from bootsim.numbers import parse_number

_DRIVERS = (".py", ".c", ".o", ".elf")
_LOG_MAX = 64 << 20  # bytes
_OF_BOOTS = ("append", "initrd", "profile", "symbols", "ram", "hook", "entry", "bad_ram")


@click.command()
@account_option
@machine_options
def boot(account: bool, as_json: bool, **options: Any) -> None:
    """Boot: print the log, and what the buddy allocator got.

    The log is the kernel's, after what the guest wrote to the UART.
    """
    if account:
        print_account(run_boot(options, dying=account_of_the_dead(as_json)), as_json)
        return
    print_summary(run_boot(options, log=not as_json, as_json=as_json), as_json)


@click.command(short_help="Run debug drivers, or a recorded log.")
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="DRIVER...|LOG")
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
    type=SECONDS,
    default=60.0,
    metavar="SECONDS",
    help="C: and after so long, 60 s by default.",
)
@click.option("--boot", "number", type=int, help="LOG: which of its boots, from 1.")
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
    number: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Run debug drivers in the middle of a boot, or a recorded log through memblock.

    In Python (.py), a driver is a file that defines `driver(kernel)`: it gets the model kernel,
    calls kernel.memblock as C would call memblock, and prints with kernel.pr_info(). HOOK =
    "mem_init" in the file moves it from its place right after the command line to another stage.

    In C (.c), it is kernel code as it stands: compiled for ARM and run on the emulated CPU, where
    it calls the model kernel (`bootsim symbols` lists what it may call). Its entry is the function
    that nobody in it calls, or those called debug_...; CONFIG_ macros that it stands behind are
    defined. Object files (.o) and linked programs (.elf) run, too. C files are linked together.

    A LOG (or - for standard input) is what a kernel said with memblock=debug, on a serial console
    or in dmesg. Who took what is told, each allocation is checked against memblock's rules, and
    what must have happened without a line, or got lost, is named by line. --dtb is the tree that
    the boot had, --at a line to stop after. Exit status 1 if the log does not add up.

    \b
    bootsim replay examples/biscuitos/memblock_reserve.c
    bootsim replay --hook mem_init --entry try_it -D DEBUG driver.c helpers.c
    bootsim replay --dtb board.dtb console.log
    """
    from bootsim.driver import load_driver

    if len(files) == 1 and _is_log(files[0]):
        _replay_log(files[0], number, options, as_json)
        return
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


def _is_log(file: Path) -> bool:
    """Whether `file` is no driver: text without a name that drivers have."""
    from bootsim.dmesg import is_text
    from bootsim.inputs import read_content

    if str(file) == "-":
        return True
    return file.suffix not in _DRIVERS and is_text(read_content(file, _LOG_MAX))


def _replay_log(file: Path, number: int | None, options: dict[str, Any], as_json: bool) -> None:
    from bootsim.dmesg import FindingKind, parse_log, read_log, replay

    refuse("a log is replayed, and nothing boots", *_OF_BOOTS)
    from bootsim.inputs import read_tree
    from bootsim.views.replay_log import replay_log

    if str(file) == "-":
        recording = parse_log(sys.stdin.buffer.read(_LOG_MAX + 1), "standard input")
    else:
        recording = read_log(file)
    line = parse_number(options["at"] or "")
    if options["at"] and line is None:
        raise BootsimError(f"--at {options['at']}: of a log, give the number of a line")
    dtb = name = None
    if options["dtb"] or options["dts"]:
        dtb, name = read_tree(options["dtb"], options["dts"])
    replayed = replay(recording.boot(number), dtb=dtb, dtb_name=name or "", at=line)
    print_view(replay_log(replayed), as_json)
    if any(map(replayed.count, (FindingKind.LOST, FindingKind.MISMATCH, FindingKind.FAILED))):
        sys.exit(1)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stages(as_json: bool) -> None:
    """List the stages of a boot, for --at and --hook."""
    from bootsim.kernel.main import STAGES
    from bootsim.views import View

    width = max(map(len, STAGES))
    lines = [f"{name:{width}}  {what}" for name, what in STAGES.items()]
    print_view(View(dict(STAGES), lines), as_json)
