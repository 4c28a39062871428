"""bootsim explain."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from bootsim.cli.check import boot_of, payload_options, reasons
from bootsim.cli.options import FILE
from bootsim.cli.printing import printable, wrapped
from bootsim.errors import BootsimError

_LOG_MAX = 64 << 20  # bytes


@click.command()
@click.argument("message", nargs=-1, metavar="[MESSAGE]...")
@click.option("--dtb", type=FILE, help="Device tree blob of the board.")
@click.option("--dts", type=FILE, help="Device tree source of the board.")
@payload_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(
    message: tuple[str, ...], dtb: Path | None, dts: Path | None, as_json: bool, **options: Any
) -> None:
    """Explain what Linux says about memory when it boots.

    MESSAGE is a line of the log; without one, or with -, a whole log is read from the standard
    input. With --dtb or --dts the model boots that board, and its own numbers are told: why the
    message comes, what it costs, what changes it. Exit status 1 if no line is known.

    \b
    bootsim explain "cma: Failed to reserve 64 MiB" --dtb board.dtb
    dmesg | bootsim explain --dtb board.dtb
    """
    from bootsim.check.explain import Explainer
    from bootsim.dmesg.lines import split_lines

    if dtb is not None and dts is not None:
        raise BootsimError("give either a device tree blob or its source, not both")
    if message in ((), ("-",)):
        content = sys.stdin.buffer.read(_LOG_MAX + 1)
        if len(content) > _LOG_MAX:
            raise BootsimError(f"the log on the standard input has more than {_LOG_MAX} bytes")
    else:
        content = " ".join(message).encode("utf-8", "surrogateescape")
    lines = [line.text for line in split_lines(content)]
    profile, payload = boot_of(options)
    tree = dtb or dts
    found = list(Explainer(profile, payload, str(tree) if tree else None).explain(lines))
    if as_json:
        click.echo(json.dumps([_explanation_data(one) for one in found]))
    else:
        for number, one in enumerate(found):
            click.echo("\n" * bool(number) + "\n".join(_explanation_lines(one, tree)))
    if not found:
        click.echo("bootsim: no line is one about memory that bootsim knows", err=True)
        sys.exit(1)


def _explanation_lines(one: Any, tree: Path | None) -> Iterator[str]:
    yield click.style(printable(one.line), bold=True)
    if one.words:
        yield from wrapped(one.words, "    ")
    for finding in one.findings:
        given = f" with {one.assumed}" if one.assumed else ""
        yield from wrapped(f"On {tree}{given}: {printable(finding.text)}.", "    ")
        yield from reasons(finding.cause, finding.cost, finding.remedy)
        yield f"    see     bootsim check --explain {finding.code}"
    if one.findings:
        return
    for page in one.pages:
        yield from wrapped(f"{page.title[:1].upper()}{page.title[1:]}.", "    ")
        yield from reasons(page.cause, page.cost, page.remedy)
        yield f"    see     bootsim check --explain {page.code}"
    if one.pages and tree is not None:
        start = f"With {one.assumed}, the model" if one.assumed else "The model"
        says = f": it says {'; '.join(map(printable, one.instead))}" if one.instead else ""
        yield from wrapped(f"{start} of {tree} does not say this{says}.", "    ")


def _explanation_data(one: Any) -> dict[str, Any]:
    return {
        "line": one.line,
        "words": one.words or None,
        "codes": [page.code for page in one.pages],
        "assumed": one.assumed or None,
        "instead": list(one.instead),
        "findings": [finding.as_data() for finding in one.findings],
    }
