"""bootsim kernel, compare."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.options import FILE, account_option, compare_options, kernel_options, refuse
from bootsim.cli.printing import print_view
from bootsim.cli.running import (
    account_of_the_dead,
    board_of,
    kernel_boot,
    kernel_image,
    print_account,
    print_kernel_summary,
    run_kernel,
)
from bootsim.errors import BootsimError

if TYPE_CHECKING:
    from bootsim.sources import Source

MODEL = "model"  # what compare calls it


@click.command(short_help="Boot a real kernel, and see why it dies.")
@click.argument("image", type=FILE, metavar="ZIMAGE")
@click.option(
    "--until",
    default="memory-line",
    show_default=True,
    metavar="SYMBOL|dump|memory-line",
    help="Stop there: at a function of the kernel, where memblock=debug dumps the tables, or after"
    " the Memory: line.",
)
@click.option(
    "--make-profile",
    "made",
    type=FILE,
    metavar="FILE.toml",
    help="Measure the kernel and write a profile, with which the model predicts it elsewhere.",
)
@account_option
@kernel_options
def kernel(
    image: Path, until: str, made: Path | None, account: bool, as_json: bool, **options: Any
) -> None:
    """Boot a real kernel on the same machine, unmodified: print its log, and what it came to.

    ZIMAGE is a zImage, Image, uImage or vmlinux for 32-bit ARM. It runs on the emulated CPU as a
    boot loader would start it, without its decompressor, up to where it hands its free pages to the
    buddy allocator. The log is read in its memory: a kernel that dies before it has a console shows
    here what it had to say, where it died, and why.

    \b
    bootsim kernel vmlinuz --dtb board.dtb --append memblock=debug
    bootsim kernel zImage --dtb board.dtb --until paging_init
    bootsim inspect regions --kernel zImage --dtb board.dtb --at dump
    bootsim kernel zImage --make-profile mine.toml
    """
    from bootsim.realkernel.boot import UNTIL

    options["kernel"] = image
    if made is not None:
        refuse("--make-profile makes its own boots", "until", "append", "initrd", "dtb_addr")
        _make_profile(made, options, as_json)
        return
    place = {"until" if until in UNTIL else "function": until}
    if account:
        booted = run_kernel(kernel_boot(options), place, dying=account_of_the_dead(as_json))
        print_account(booted, as_json)
        return
    boot = run_kernel(kernel_boot(options), place, log=not as_json, as_json=as_json)
    print_kernel_summary(boot, as_json)


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--all", "everything", is_flag=True, help="Show all differences, not the first few.")
@click.option("--boot", "number", type=int, help="Of a log with several boots, which; from 1.")
@compare_options
def compare(
    a: str, b: str, everything: bool, number: int | None, as_json: bool, **options: Any
) -> None:
    """Hold two boots side by side; exit status 1 if they differ.

    A and B are each `model`, a real kernel's file, or a recorded log (dmesg with memblock=debug).
    The model's profile is the kernel's own, where one comes with bootsim, or else is made from the
    kernel; --profile says otherwise.

    \b
    bootsim compare model vmlinuz --dtb board.dtb
    bootsim compare old/zImage new/zImage --dtb board.dtb --append "cma=64M"
    bootsim compare model board.log --dtb board.dtb --profile linux-6.1-armmp
    """
    from bootsim.views import compare as view

    comparison = view.compare(*_sources((a, b), options, number))
    print_view(view.view(comparison, everything=everything), as_json)
    if not comparison.equal:
        sys.exit(1)


def _sources(names: tuple[str, str], options: dict[str, Any], number: int | None) -> list[Source]:
    """Both boots, run: on one machine, with everything at the same place in its RAM."""
    from bootsim import sources
    from bootsim.dmesg import LoggedBoot
    from bootsim.kernel.profile_file import load_profile
    from bootsim.realkernel.boot import RealBoot

    symbols = {name: options[name] for name in ("system_map", "vmlinux")}
    opened = [
        None if name == MODEL else sources.open_source(Path(name), number=number, **symbols)
        for name in names
    ]
    others = [boot for boot in opened if boot is not None]
    if not others:
        raise BootsimError("the model with itself: give a kernel or a log for A or B")
    board = board_of(options)
    for other in others:
        if isinstance(other, LoggedBoot) and board["cmdline"] is None:
            board["cmdline"] = other.command_line
    sides: dict[int, Source] = {}
    # The model last: kernels tell where the boot loader puts things for them.
    for place, boot in sorted(enumerate(opened), key=lambda side: side[1] is None):
        if isinstance(boot, LoggedBoot):
            sides[place] = sources.log_source(boot)
        elif boot is not None:
            real = RealBoot(boot, timeout=options["timeout"], **board)
            board.update(real.placed())
            sides[place] = sources.kernel_source(real)
        else:
            profile = options["profile"]
            chosen = load_profile(profile) if profile else sources.profile_of(others[0])
            sides[place] = sources.model_source(chosen, **board)
    if sides[0].name == sides[1].name:  # two builds of one kernel: old/zImage, new/zImage
        return [replace(sides[place], name=names[place]) for place in (0, 1)]
    return [sides[0], sides[1]]


def _make_profile(target: Path, options: dict[str, Any], as_json: bool) -> None:
    """Write the profile of a kernel, and tell how good it is."""
    from bootsim.inputs import read_tree
    from bootsim.realkernel.make_profile import make_profile
    from bootsim.views import View

    if target.is_dir() or not os.access(target if target.exists() else target.parent, os.W_OK):
        raise BootsimError(f"{target}: cannot be written")
    image = kernel_image(options)
    board = board_of(options)
    given = [board[name] for name in ("dtb", "dts", "ram")]
    dtb = read_tree(board["dtb"], board["dts"], ram=board["ram"])[0] if any(given) else None
    made = make_profile(image, name=target.stem, dtb=dtb)
    target.write_text(made.text)
    lines = [
        f"{target}: the profile of {image.name}, {image.banner}",
        f"{len(made.assumed)} of its facts could not be measured: they are marked in it",
        *(f"not modelled: {what}" for what in made.unmodelled),
        *(f"model and kernel differ: {what}" for what in made.differences),
    ]
    data = {
        "profile": str(target),
        "assumed": list(made.assumed),
        "unmodelled": list(made.unmodelled),
        "differences": list(made.differences),
    }
    print_view(View(data, lines), as_json)
    if made.differences:
        sys.exit(1)
