"""Boots as a command's options ask for them, and what they came to."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.options import refuse
from bootsim.cli.printing import Progress, paint, print_view, printable
from bootsim.errors import BootsimError
from bootsim.numbers import parse_number

if TYPE_CHECKING:
    from bootsim.kernel.profile import Profile
    from bootsim.realkernel.boot import RealBoot
    from bootsim.realkernel.image import KernelImage
    from bootsim.simulate import Boot
    from bootsim.views.booted import Booted


def run_boot(
    options: dict[str, Any],
    *,
    log: bool = False,
    as_json: bool = False,
    drivers: list[Any] | None = None,
    profile: Profile | None = None,
    dying: Callable[[Boot, str], None] | None = None,
) -> Boot:
    """Boot as the options say; with `log`, print the kernel's log, also of a boot that dies.

    `dying` is called with a boot that dies, and what of, before that is told.
    """
    from bootsim.simulate import Boot

    if options["ram_fill"] and sys.stderr.isatty():
        click.echo("bootsim: filling RAM", err=True)
    machine = Boot(
        **board_of(options),
        **boot_options(options, profile or profile_of(options)),
        drivers=drivers or (),
    )
    try:
        machine.run()
    except BootsimError as error:
        if machine.kernel is not None:
            if dying is not None:
                dying(machine, str(error))
            elif as_json:
                print_summary(machine, as_json, error=str(error))
        raise
    finally:
        _print_what_came_out(machine, log=log)
    return machine


def _print_what_came_out(boot: Boot | RealBoot, *, log: bool) -> None:
    """What a boot has written and said, and what it has to remark about itself."""
    if log:
        for line in [*boot.machine.uart.text.splitlines(), *boot.log]:
            click.echo(printable(line))
    print_notes(boot.notes)


def print_notes(notes: list[str]) -> None:
    """What a boot has to remark about itself."""
    for note in notes:
        click.echo(f"bootsim: {click.style('note', fg='yellow')}: {note}", err=True)


def run_kernel(
    boot: RealBoot,
    until: dict[str, str],
    *,
    log: bool = False,
    as_json: bool = False,
    dying: Callable[[RealBoot, str], None] | None = None,
) -> RealBoot:
    """Run a real kernel, as RealBoot.run(**until); `log` and `dying` as in run_boot()."""
    try:
        boot.run(**until)
    except BootsimError as error:
        if dying is not None:
            dying(boot, str(error))
        elif as_json:
            print_kernel_summary(boot, error=str(error))
        raise
    finally:
        _print_what_came_out(boot, log=log)
    return boot


def kernel_boot(options: dict[str, Any]) -> RealBoot:
    """The boot, still to be run, of the real kernel `options["kernel"]`."""
    from bootsim.realkernel.boot import RealBoot

    return RealBoot(kernel_image(options), timeout=options["timeout"], **board_of(options))


def kernel_image(options: dict[str, Any]) -> KernelImage:
    """The real kernel `options["kernel"]`."""
    from bootsim.realkernel.image import load_kernel_image

    return load_kernel_image(
        options["kernel"], system_map=options["system_map"], vmlinux=options["vmlinux"]
    )


def board_of(options: dict[str, Any]) -> dict[str, Any]:
    """What the options say of the board and of its boot loader, as Boot and RealBoot take it."""
    names = ("dtb", "dts", "initrd", "dtb_addr", "initrd_addr", "phys_offset", "ram_fill")
    board = {name: options[name] for name in names}
    ram = [ram_bank(text) for text in options["ram"]]
    return board | {"cmdline": options["append"], "ram": ram or None}


def boot_options(options: dict[str, Any], profile: Profile) -> dict[str, Any]:
    """What the options say of the model's boot, beyond the board, as Boot takes it."""
    return {
        "profile": profile,
        "until": event_or_stage(options["at"]),
        "bad_ram": [_bad_cell(text) for text in options["bad_ram"]],
        "progress": Progress() if sys.stderr.isatty() else lambda _text: None,
    }


def run_either(
    options: dict[str, Any], *, dying: Callable[[Boot, str], None] | None = None
) -> Booted:
    """The model's boot, `dying` as in run_boot(); or with --kernel that of a real kernel."""
    if options["kernel"] is None:
        refuse("it goes with --kernel", "system_map", "vmlinux", "timeout")
        return run_boot(options, dying=dying)
    refuse("it is the model's", "profile", "symbols", "bad_ram")
    from bootsim.realkernel.boot import STAGES, UNTIL
    from bootsim.trace import HANDOVER

    at = options["at"] or HANDOVER
    known = at in STAGES or at in UNTIL
    return run_kernel(kernel_boot(options), {"until" if known else "function": at})


def print_kernel_summary(boot: RealBoot, as_json: bool = True, *, error: str | None = None) -> None:
    """What the boot of a real kernel came to."""
    from bootsim.views.summary import events, kernel_summary

    view = kernel_summary(boot)
    if as_json:
        view.data.update(error=error, events=events(boot))
    print_view(view, as_json)


def print_summary(booted: Boot, as_json: bool, *, error: str | None = None) -> None:
    from bootsim.views.summary import events, summary

    view = summary(booted)
    if as_json:
        view.data.update(error=error, events=events(booted))
    print_view(view, as_json)


def print_account(boot: Boot | RealBoot, as_json: bool, *, error: str | None = None) -> None:
    """Where the RAM went; `error` is what the boot has died of."""
    from bootsim.views.account import account
    from bootsim.views.waterfall import view

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    found = view(account(boot, boot.board.memory), paint, width=width)
    found.data["error"] = error
    print_view(found, as_json)


def account_of_the_dead(as_json: bool) -> Callable[[Boot | RealBoot, str], None]:
    """What prints where the RAM was when a boot died, if it came to have any."""

    def dying(boot: Boot | RealBoot, error: str) -> None:
        with suppress(BootsimError):
            print_account(boot, as_json, error=error)

    return dying


def profile_of(options: dict[str, Any]) -> Profile:
    """The kernel that --profile and --symbol ask for."""
    from bootsim.kernel.profile_file import load_profile

    return load_profile(options["profile"]).with_symbols(_symbols(options["symbols"]))


def tree_files(trees: Iterable[Path]) -> list[str]:
    """The trees; of a folder all blobs in it, at any depth, or where it has none, all sources.

    Raises BootsimError for a folder with neither.
    """
    found: list[str] = []
    for tree in trees:
        if not tree.is_dir():
            found.append(str(tree))
            continue
        inside = sorted(map(str, tree.rglob("*.dtb"))) or sorted(map(str, tree.rglob("*.dts")))
        if not inside:
            raise BootsimError(f"{tree}: a folder without a .dtb or .dts in it")
        found += inside
    return found


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


def ram_bank(text: str) -> tuple[int, int]:
    base, _, size = text.partition(":")
    bank = parse_number(base), parse_number(size)
    if bank[0] is None or bank[1] is None:
        raise BootsimError(f"--ram {text}: write BASE:SIZE, as 0x60000000:512M")
    return bank[0], bank[1]


def event_or_stage(at: str | None) -> str | int | None:
    number = parse_number(at) if at is not None else None
    return at if number is None else number
