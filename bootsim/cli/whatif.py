"""bootsim whatif."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.fleet import run_fleet
from bootsim.cli.options import FILE, SYMBOL_OPTION, fleet_options
from bootsim.cli.printing import Bar, printable
from bootsim.cli.running import profile_of, tree_files
from bootsim.errors import BootsimError

if TYPE_CHECKING:
    from bootsim.fleet import Job
    from bootsim.inputs import TreeFile
    from bootsim.whatif import Answer, Combination

# What the highmem-exit report asks, where --vary does not say otherwise.
_HIGHMEM_EXIT = {
    "highmem": "highmem=n",
    "vmsplit": "vmsplit=3G,3G_OPT,2G,1G",
    "vmalloc": "vmalloc=default,128M,512M",
}
_EXIT_STAGE = "paging_init"  # lowmem is settled, mapped, and has its memory map


@click.command(short_help="Boot boards with other options.")
@click.argument("trees", nargs=-1, required=True, type=FILE, metavar="TREE...")
@click.option(
    "--vary",
    "variations",
    multiple=True,
    metavar="KEY=VALUE,...",
    help="Boot with each of these values: highmem=y,n; vmsplit=3G,3G_OPT,2G,1G; ram=SIZE or"
    " BASE:SIZE; or any parameter of the command line, as mem, vmalloc, cma. The value `default`"
    " is as without the key, a parameter taken off. Several keys: all combinations.",
)
@click.option(
    "--highmem-exit",
    is_flag=True,
    help="Report which boards lose RAM without HIGHMEM, by vmsplit and vmalloc=, how much, which"
    f" split keeps it, and what does not boot. Boots go up to {_EXIT_STAGE}.",
)
@click.option("--append", metavar="ARGS", help="Kernel command line, in place of the trees'.")
@click.option(
    "--profile",
    default="linux-6.1-armmp",
    show_default=True,
    help="Kernel to model: linux-5.0, linux-6.1-armmp or a .toml file.",
)
@SYMBOL_OPTION
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a row a boot; sizes in bytes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; sizes in bytes.")
@click.option("-v", "--verbose", is_flag=True, help="With --highmem-exit, show all boards.")
@fleet_options
def whatif(trees: tuple[Path, ...], **options: Any) -> None:
    """Tell what becomes of boards when kernel, command line or RAM are changed.

    Boots the model on each TREE, a blob, its source, or a folder of either, once a
    combination, and shows the tree's RAM; lowmem and highmem; the RAM that is lost to Linux, and of
    that what is cut off for want of HIGHMEM; what is free at the handover; the largest run of free
    pages; the errors that the kernel logs, and why a boot dies.

    Exit status: 0 done, 1 a boot died, 2 bad input (the other trees are done all the same), 130
    interrupted.

    \b
    bootsim whatif board.dtb --vary vmalloc=240M,512M --vary cma=16M,256M
    bootsim whatif board.dtb --vary highmem=y,n --vary vmsplit=3G,3G_OPT,2G,1G
    bootsim whatif board.dts --vary ram=512M,1G,2G
    bootsim whatif --highmem-exit dtbs/          how many boards need HIGHMEM
    bootsim whatif --highmem-exit dtbs/ --csv > boards.csv
    """
    from bootsim.whatif import ask_job, combinations

    asked = combinations(profile_of(options), list(_variations(options)))
    until = _EXIT_STAGE if options["highmem_exit"] else None
    run = _Run(options, asked)
    run.run(tree_files(trees), ask_job(asked, cmdline=options["append"], until=until))
    run.finish()


def _variations(options: dict[str, Any]) -> Iterator[Any]:
    from bootsim.whatif import parse_variation

    given = [parse_variation(text) for text in options["variations"]]
    if not options["highmem_exit"]:
        yield from given
        return
    by_key = {variation.key: variation for variation in given}
    for key in by_key.keys() - _HIGHMEM_EXIT.keys() | {"highmem"} & by_key.keys():
        raise BootsimError(f"--highmem-exit varies vmsplit and vmalloc: not {key}")
    for key, text in _HIGHMEM_EXIT.items():
        yield by_key.get(key) or parse_variation(text)


class _Run:
    """One run over all trees: their answers, and how they are printed."""

    def __init__(self, options: dict[str, Any], asked: list[Combination]) -> None:
        from bootsim.views.whatif import Table

        self._options = options
        self._keys = [key for key, _ in asked[0].settings]
        self._table = Table([each.settings for each in asked])
        self._answers: list[Answer] = []
        self._many = False
        self._broken_off: BaseException | None = None

    def run(self, files: list[str], job: Job[str, TreeFile, Answer]) -> None:
        self._many = len(files) > 1
        self._begin()
        self._bar = Bar(len(files))
        self._broken_off = run_fleet(files, job, self._options, self._take, self._bar)

    def _begin(self) -> None:
        from bootsim.views.whatif import csv_header

        if self._options["as_csv"]:
            click.echo(_csv_line(csv_header(self._keys)))
        elif self._shows_rows:
            click.echo(click.style(self._table.head(), bold=True))

    @property
    def _shows_rows(self) -> bool:
        options = self._options
        return not options["as_json"] and (not options["highmem_exit"] or options["verbose"])

    def _take(self, answer: Answer) -> None:
        from bootsim.views.whatif import csv_rows

        self._answers.append(answer)
        self._bar.clear()
        if answer.error is not None:
            click.echo(f"{click.style('error', fg='red')}: {printable(answer.error)}", err=True)
        if self._options["as_csv"]:
            for row in csv_rows(answer):
                click.echo(_csv_line(row))
        elif self._shows_rows and answer.rows:
            if self._many:
                click.echo(click.style(printable(answer.tree), bold=True))
            for line in self._table.lines(answer):
                click.echo(printable(line))

    def _report(self) -> Iterator[str]:
        from bootsim.views.highmem_exit import highmem_exit
        from bootsim.views.whatif import left_out, summary

        if self._options["highmem_exit"]:
            return highmem_exit(self._answers, self._options["profile"])
        return summary(self._answers) if self._many else left_out(self._answers)

    def finish(self) -> None:
        """Print what comes at the end, and end with the right status."""
        from bootsim.views import whatif as view

        if self._options["as_json"]:
            answers = [view.data(answer) for answer in self._answers]
            click.echo(json.dumps({"interrupted": self._broken_off is not None, "trees": answers}))
        elif not self._options["as_csv"]:
            for line in self._report():
                click.echo(printable(line))
        if self._broken_off is not None:
            raise self._broken_off
        rows = [row for answer in self._answers for row in answer.rows]
        if not rows or any(answer.error is not None for answer in self._answers):
            sys.exit(2)
        if any(row.error is not None for row in rows):
            sys.exit(1)


def _csv_line(values: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()
