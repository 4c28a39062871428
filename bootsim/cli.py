"""The command line: parse, call, print.

Exit status: 0 done, 1 the boot died or a check found something, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootsim import __version__
from bootsim.cli_options import FILE, NUMBER, PROFILE_OPTION, SYMBOL_OPTION, machine_options
from bootsim.errors import BootsimError
from bootsim.numbers import parse_number

if TYPE_CHECKING:
    from bootsim.kernel.profile import Profile
    from bootsim.simulate import Boot
    from bootsim.views import View


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bootsim")
def cli() -> None:
    """See what an ARM32 Linux kernel does with physical memory before the buddy allocator.

    Without --dts or --dtb, the board is a vexpress-a9 (V2P-CA9) with 1 GiB of RAM at 0x60000000.
    Numbers are decimal, 0x or with a suffix: 64M, 1G.

    \b
    bootsim boot --append memblock=debug    the log of a boot, up to the buddy allocator
    bootsim inspect map                     who owns which piece of RAM
    bootsim inspect regions --at cmd_line   memblock's tables, early in the boot
    bootsim replay driver.c                 run a debug driver in the middle of setup_arch()
    bootsim boot --profile linux-6.1-armmp --dtb board.dtb      what Debian's kernel does there
    """


@cli.command()
@machine_options
def boot(as_json: bool, **options: Any) -> None:
    """Boot: print the log, and what the buddy allocator got.

    The log is the kernel's, after what the guest wrote to the UART.
    """
    _summary(_boot(options, log=not as_json, as_json=as_json), as_json)


@cli.command()
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

    profile = _profile(options)
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
    booted = _boot(options, log=not as_json, as_json=as_json, drivers=drivers, profile=profile)
    if as_json:
        _summary(booted, as_json)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stages(as_json: bool) -> None:
    """List the stages of a boot, for --at and --hook."""
    from bootsim.kernel.main import STAGES
    from bootsim.views import View

    width = max(map(len, STAGES))
    lines = [f"{name:{width}}  {what}" for name, what in STAGES.items()]
    _print(View(dict(STAGES), lines), as_json)


@cli.group()
def inspect() -> None:
    """Look into emulated memory at any point of a boot.

    That is at its end, or where --at says. Addresses are physical; --virtual walks the guest's
    page tables.
    """


@inspect.command()
@machine_options
def regions(as_json: bool, **options: Any) -> None:
    """memblock's regions, and who has reserved them."""
    from bootsim.views import memory

    _print(memory.regions(_boot(options)), as_json)


@inspect.command("memblock")
@click.argument("table", type=click.Choice(["memory", "reserved"]), required=False)
@machine_options
def debugfs(table: str | None, as_json: bool, **options: Any) -> None:
    """memblock's tables as debugfs shows them."""
    from bootsim.views import memory

    _print(memory.debugfs(_boot(options), table), as_json)


@inspect.command("map")
@machine_options
def memory_map(as_json: bool, **options: Any) -> None:
    """A picture of RAM: who owns what."""
    from bootsim.views import memory

    _print(memory.memory_map(_boot(options), _paint), as_json)


@inspect.command()
@click.argument("address", type=NUMBER)
@click.argument("length", type=NUMBER, default=128)
@click.option("--virtual", is_flag=True, help="ADDRESS is virtual.")
@machine_options
def hexdump(address: int, length: int, virtual: bool, as_json: bool, **options: Any) -> None:
    """LENGTH bytes (128 by default) of RAM at ADDRESS."""
    from bootsim.views import memory

    _print(memory.hexdump(_boot(options), address, length, virtual=virtual), as_json)


@inspect.command()
@click.argument("address", type=NUMBER)
@click.argument("count", type=NUMBER, default=16)
@click.option("--virtual", is_flag=True, help="ADDRESS is virtual.")
@machine_options
def disasm(address: int, count: int, virtual: bool, as_json: bool, **options: Any) -> None:
    """COUNT ARM instructions (16 by default) at ADDRESS."""
    from bootsim.views import memory

    _print(memory.disasm(_boot(options), address, count, virtual=virtual), as_json)


@inspect.command()
@click.argument("name", default="memblock", metavar="NAME")
@machine_options
def struct(name: str, as_json: bool, **options: Any) -> None:
    """A C structure as it lies in RAM: memblock or zone."""
    from bootsim.views import structs

    _print(structs.struct(_boot(options), name), as_json)


@inspect.command()
@click.argument("pfn", type=NUMBER)
@machine_options
def page(pfn: int, as_json: bool, **options: Any) -> None:
    """The struct page of page frame PFN, and who owns the page."""
    from bootsim.views import structs

    _print(structs.page(_boot(options), pfn), as_json)


@inspect.command()
@click.argument("address", type=NUMBER, required=False, metavar="[VA]")
@machine_options
def pagetable(address: int | None, as_json: bool, **options: Any) -> None:
    """What the page tables map, or the walk for VA."""
    from bootsim.views import pagetable

    _print(pagetable.pagetable(_boot(options), address), as_json)


@inspect.command()
@machine_options
def buddyinfo(as_json: bool, **options: Any) -> None:
    """Free blocks of each order, as /proc/buddyinfo has them."""
    from bootsim.views import View, zones

    data = zones.buddyinfo(_boot(options).buddy)
    _print(View(data, zones.format_buddyinfo(data)), as_json)


@inspect.command()
@machine_options
def zoneinfo(as_json: bool, **options: Any) -> None:
    """The zones, in the form of /proc/zoneinfo."""
    from bootsim.views import View, zones

    data = zones.zoneinfo(_boot(options).buddy)
    _print(View(data, zones.format_zoneinfo(data)), as_json)


@inspect.command()
@machine_options
def iomem(as_json: bool, **options: Any) -> None:
    """RAM and the kernel in it, in the form of /proc/iomem."""
    from bootsim.views import memory

    _print(memory.iomem(_boot(options)), as_json)


@cli.group()
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


@cli.command()
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

    chosen = _profile({"profile": profile, "symbols": symbols})
    api = api or chosen.features.memblock
    if lds:
        click.echo(view.linker_script(chosen, api))
        return
    found = view.symbols(chosen, api, name or "")
    _print(found, as_json)
    if not found.lines:
        click.echo(f"bootsim: no function or variable is called like '{name}'", err=True)
        sys.exit(1)


def main() -> None:
    """Run the command line and turn errors into one line and an exit status."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by the shell
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("bootsim: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except (OSError, MemoryError) as error:
        click.echo(f"bootsim: {click.style('error', fg='red')}: {error}", err=True)
        sys.exit(1)
    except BootsimError as error:
        click.echo(f"bootsim: {click.style('error', fg='red')}: {error}", err=True)
        for line in error.details:
            click.echo(line, err=True)
        sys.exit(error.exit_code)


def _boot(
    options: dict[str, Any],
    *,
    log: bool = False,
    as_json: bool = False,
    drivers: list[Any] | None = None,
    profile: Profile | None = None,
) -> Boot:
    """Boot as the options say; with `log`, print the kernel's log, also of a boot that dies."""
    from bootsim.simulate import Boot

    at: str | None = options["at"]
    if options["ram_fill"] and sys.stderr.isatty():
        click.echo("bootsim: filling RAM", err=True)
    machine = Boot(
        dtb=options["dtb"],
        dts=options["dts"],
        cmdline=options["append"],
        initrd=options["initrd"],
        profile=profile or _profile(options),
        dtb_addr=options["dtb_addr"],
        initrd_addr=options["initrd_addr"],
        phys_offset=options["phys_offset"],
        drivers=drivers or (),
        until=_event_or_stage(at),
        ram_fill=options["ram_fill"],
        bad_ram=[_bad_cell(text) for text in options["bad_ram"]],
        progress=_Progress() if sys.stderr.isatty() else lambda _text: None,
    )
    try:
        machine.run()
    except BootsimError as error:
        if as_json and machine.kernel is not None:
            _summary(machine, as_json, error=str(error))
        raise
    finally:
        if log:
            for line in [*machine.machine.uart.text.splitlines(), *machine.log]:
                click.echo(_printable(line))
        for note in machine.notes:
            click.echo(f"bootsim: {click.style('note', fg='yellow')}: {note}", err=True)
    return machine


def _printable(line: str) -> str:
    """`line` with control characters as dmesg shows them, so that no guest rules the terminal."""
    if line.isprintable():
        return line
    return "".join(
        letter if letter.isprintable() or letter == "\t" else f"\\x{ord(letter):02x}"
        for letter in line
    )


def _profile(options: dict[str, Any]) -> Profile:
    """The kernel that --profile and --symbol ask for."""
    from bootsim.kernel.profile import load_profile

    return load_profile(options["profile"]).with_symbols(_symbols(options["symbols"]))


def _symbols(assignments: tuple[str, ...]) -> dict[str, int]:
    symbols: dict[str, int] = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        number = parse_number(value)
        if number is None:
            raise BootsimError(f"--symbol {assignment}: write NAME=ADDRESS, as _end=0x80b95258")
        symbols[name] = number
    return symbols


def _bad_cell(text: str) -> tuple[int, int]:
    address, _, mask = text.partition(",")
    numbers = parse_number(address), parse_number(mask or "0xff")
    if numbers[0] is None or numbers[1] is None:
        raise BootsimError(f"--bad-ram {text}: write ADDR or ADDR,MASK, as 0x70000000,0x01")
    return numbers[0], numbers[1]


class _Progress:
    """A line on the terminal for what takes over a second, renewed a few times a second."""

    def __init__(self) -> None:
        self._next = time.monotonic() + 1

    def __call__(self, text: str) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.2
            click.echo(f"\r\x1b[Kbootsim: {text}\r", nl=False, err=True)


def _event_or_stage(at: str | None) -> str | int | None:
    number = parse_number(at) if at is not None else None
    return at if number is None else number


def _summary(booted: Boot, as_json: bool, *, error: str | None = None) -> None:
    from bootsim.views.summary import events, summary

    view = summary(booted)
    if as_json:
        view.data.update(error=error, events=events(booted))
    _print(view, as_json)


_COLOURS = {
    "K": "red",
    "P": "magenta",
    "D": "yellow",
    "I": "green",
    "C": "cyan",
    "M": "blue",
    "R": "bright_black",
}


def _paint(letter: str, text: str) -> str:
    """`text` in the colour of a map's letter, which click takes off where there is no terminal."""
    return click.style(text, fg=_COLOURS[letter]) if letter in _COLOURS else text


def _print(view: View, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(view.data))
    else:
        for line in view.lines:
            click.echo(line)
