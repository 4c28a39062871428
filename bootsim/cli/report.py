"""bootsim report."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bootsim.cli.options import FILE, inspect_options
from bootsim.cli.printing import one_output, print_view, write_file
from bootsim.cli.running import board_of, boot_options, kernel_image, print_notes, profile_of
from bootsim.errors import BootsimError, KernelPanic, MachineFault

if TYPE_CHECKING:
    from bootsim.dmesg import LoggedBoot
    from bootsim.kernel.profile import Profile
    from bootsim.realkernel.image import KernelImage
    from bootsim.views.report import Finding, Side

MODEL = "model"


@click.command(short_help="Write a boot as one HTML file.")
@click.option("-o", "--output", type=FILE, required=True, metavar="FILE.html")
@click.option(
    "--against",
    metavar="model|FILE",
    help="A second boot beside the first: `model`, a real kernel's file, or a recorded log.",
)
@click.option(
    "--against-append", metavar="ARGS", help="The second boot's command line; or all it differs in."
)
@click.option("--title", help="The report's title; by default the board's name.")
@inspect_options
def report(
    output: Path,
    against: str | None,
    against_append: str | None,
    title: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Write a boot as one HTML file: the map of RAM, with a slider through the boot.

    The file needs nothing else, and no network. It has the picture at two scales, memblock's tables
    and the owner of each address at each event, where the RAM went, what became of each page, the
    zones at the handover, what `bootsim check` finds in the tree, and the log. A boot that dies is
    shown as far as it came; the exit status is 1 then.

    \b
    bootsim report -o report.html --dtb board.dtb
    bootsim report -o report.html --dtb board.dtb --kernel vmlinuz --against model
    bootsim report -o report.html --append mem=512M --against-append mem=256M
    bootsim report -o report.html --dtb board.dtb --against board.log
    """
    from bootsim.views import View
    from bootsim.views.report import page

    one_output(as_json, output)
    explicit = click.get_current_context().get_parameter_source("profile")
    sides = _sides(options, against, against_append, explicit == ParameterSource.COMMANDLINE)
    board = next((value for name, value in sides[0].facts if name == "Board"), sides[0].name)
    content = page(sides, title or board).encode("utf-8", "replace")
    written = write_file(output, content)
    told = [
        {"name": side.name, "died": side.died, "events": len(side.trace), "remarks": side.remarks}
        for side in sides
    ]
    lines = [f"{line}: {', '.join(side.name for side in sides)}" for line in written]
    for side in sides:
        print_notes(side.remarks)
        if side.died:
            lines.append(f"{side.name} died: {side.died}")
    data = {"file": str(output), "bytes": len(content), "boots": told}
    if written:
        print_view(View(data, lines), as_json)
    else:
        click.echo("\n".join(lines), nl=bool(lines), err=True)
    if any(side.died for side in sides):
        sys.exit(1)


def _sides(
    options: dict[str, Any], against: str | None, append: str | None, profile_given: bool
) -> list[Side]:
    """The boot asked for, and the one beside it, run on one machine."""
    from bootsim import sources
    from bootsim.dmesg import LoggedBoot

    first: KernelImage | LoggedBoot | None = kernel_image(options) if options["kernel"] else None
    opened: list[KernelImage | LoggedBoot | None] = [first]
    lines = [options["append"]]
    if against is not None or append is not None:
        second = first
        if against is not None:
            symbols = {name: options[name] for name in ("system_map", "vmlinux")}
            second = None if against == MODEL else sources.open_source(Path(against), **symbols)
        opened.append(second)
        lines.append(options["append"] if append is None else append)
    others = [boot for boot in opened if boot is not None]
    if against == MODEL and not others and append is None:
        raise BootsimError("the model with itself: give --kernel or --against-append, too")
    if others and options["at"]:
        raise BootsimError("--at: only of the model's boots, as those of a kernel or log are whole")
    profile = sources.profile_of(others[0]) if others and not profile_given else profile_of(options)
    for other in others:
        if isinstance(other, LoggedBoot):
            lines = [other.command_line if line is None else line for line in lines]
    board = board_of(options)
    done: dict[int, Side] = {}
    # The model last: kernels tell where the boot loader puts things for them.
    for place, boot in sorted(enumerate(opened), key=lambda side: side[1] is None):
        board["cmdline"] = lines[place]
        done[place] = _side(boot, board, options, profile)
    made = [done[place] for place in range(len(opened))]
    if None not in opened:  # a check is of the tree: of a kernel's that has no model beside it, too
        made[0] = replace(made[0], findings=_findings(board | {"cmdline": lines[0]}, profile))
    if len(made) > 1 and made[0].name == made[1].name:
        differ = [options["kernel"], against]
        if against is None:
            differ = [line or "its own command line" for line in lines]
        shown = [f"{side.name}, {what}" for side, what in zip(made, differ, strict=True)]
        made = [
            replace(side, name=name, source=replace(side.source, name=name))
            for side, name in zip(made, shown, strict=True)
        ]
    return made


def _side(
    boot: KernelImage | LoggedBoot | None,
    board: dict[str, Any],
    options: dict[str, Any],
    profile: Profile,
) -> Side:
    """One boot, run; a kernel's puts into `board` where its boot loader has placed things."""
    from bootsim import sources
    from bootsim.dmesg import LoggedBoot, replay
    from bootsim.realkernel.boot import RealBoot
    from bootsim.simulate import Boot
    from bootsim.views.report import kernel_side, log_side, model_side

    if isinstance(boot, LoggedBoot):
        dtb = _blob(options)
        return log_side(replay(boot, dtb=dtb), sources.log_source(boot))
    if boot is not None:
        real = RealBoot(boot, timeout=options["timeout"], **board)
        source = sources.kernel_source(real)
        board.update(real.placed())
        return kernel_side(real, source)
    model = Boot(**board, **boot_options(options, profile))
    died = None
    try:
        model.run()
    except (KernelPanic, MachineFault) as death:
        if model.kernel is None:
            raise
        died = str(death)
    return replace(model_side(model, died=died), findings=_findings(board, profile))


def _findings(board: dict[str, Any], profile: Profile) -> list[Finding]:
    """What a check of the board's tree finds."""
    from bootsim.check.payload import Payload
    from bootsim.check.tree import check_job
    from bootsim.inputs import TreeFile, read_tree, read_tree_file
    from bootsim.views.report import Finding

    path: Path | None = board["dtb"] or board["dts"]
    if path is not None:
        tree = read_tree_file(path)
    else:
        blob, name = read_tree()
        tree = TreeFile(name, blob)
    initrd: Path | None = board["initrd"]
    payload = Payload(
        initrd=initrd.stat().st_size if initrd else None,
        ram=tuple(board["ram"]) if board["ram"] else None,
        **{name: board[name] for name in ("initrd_addr", "dtb_addr", "phys_offset", "cmdline")},
    )
    return [
        Finding(
            found.code,
            found.severity.word,
            found.text,
            [
                (name, text)
                for name, text in (
                    ("Where", found.place),
                    ("Cause", found.cause),
                    ("Cost", found.cost),
                    ("Remedy", found.remedy),
                    ("The log", "\n".join(found.log)),
                )
                if text
            ],
            [(area.what, area.base, area.size) for area in found.areas],
        )
        for found in check_job(payload, profile).finish(tree.name, tree).findings
    ]


def _blob(options: dict[str, Any]) -> bytes | None:
    """The tree that is given, for what a log does not say."""
    from bootsim.inputs import read_tree

    board = board_of(options)
    given = [board[name] for name in ("dtb", "dts", "ram")]
    return read_tree(board["dtb"], board["dts"], ram=board["ram"])[0] if any(given) else None
