"""The command line: parse, call, print.

Exit status: 0 done, 1 the boot died or a check found something, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import os
import sys

import click

from bootsim import __version__
from bootsim.cli.boot import boot, replay, stages
from bootsim.cli.check import check
from bootsim.cli.explain import explain
from bootsim.cli.inspect import inspect
from bootsim.cli.kernel import compare, kernel
from bootsim.cli.report import report
from bootsim.cli.selftest import selftest, symbols
from bootsim.cli.whatif import whatif
from bootsim.errors import BootsimError


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
    bootsim kernel vmlinuz --dtb board.dtb  a real kernel on the same machine
    bootsim compare model vmlinuz           the two side by side
    bootsim check board.dts                 what goes wrong with memory on a board
    dmesg | bootsim explain --dtb board.dtb what a kernel's messages about memory mean there
    bootsim whatif board.dtb --vary highmem=y,n     what another kernel or command line costs
    bootsim report -o report.html           a boot as one file to hand on, with a slider
    """


_COMMANDS = (
    *(boot, replay, inspect, check, explain, whatif, report, kernel, compare),
    *(stages, symbols, selftest),
)
for _command in _COMMANDS:
    cli.add_command(_command)


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
