"""bootsim explain."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootsim.cli.check import boot_of, payload_options, reasons
from bootsim.cli.options import FILE
from bootsim.cli.printing import printable, wrapped
from bootsim.errors import BootsimError

if TYPE_CHECKING:
    from bootsim.check.explain import Explainer, Explanation

_LOG_MAX = 64 << 20  # bytes
_INSTEAD_MAX = 3  # lines of the model's log


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
    input: a serial console's, dmesg's or syslog's, of Linux 4.14 to 6.12. With --dtb or --dts the
    model boots that board, and its own numbers are told: why the message comes, what it costs, what
    changes it; and where the model would not say it, that. A whole log also tells how its boot was
    made: the command line, HIGHMEM, VMSPLIT, what U-Boot has loaded, RAM that the tree lacks.

    Exit status: 0 done, 1 no line is known, 2 bad input.

    \b
    bootsim explain "cma: Failed to reserve 64 MiB" --dtb board.dtb
    dmesg | bootsim explain --dtb board.dtb
    """
    from bootsim.check.explain import Explainer
    from bootsim.dmesg.lines import split_lines
    from bootsim.inputs import read_tree_file

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
    explainer = Explainer(profile, payload, read_tree_file(tree) if tree is not None else None)
    found = list(explainer.explain(lines))
    if as_json:
        click.echo(json.dumps(_data(explainer, found)))
    else:
        for line in _text(explainer, found):
            click.echo(line)
    if not found:
        click.echo("bootsim: no line is one about memory that bootsim knows", err=True)
        sys.exit(1)


def _text(explainer: Explainer, found: list[Explanation]) -> Iterator[str]:
    single = len(found) == 1
    folded = [] if all(one.is_debug for one in found) else [one for one in found if one.is_debug]
    shown = [one for one in found if not (folded and one.is_debug)]
    before = None
    for number, one in enumerate(shown):
        if number:
            yield ""
        yield from _explanation(one, explainer, single=single, before=before)
        before = one
    if folded:
        yield ""
        yield from wrapped(
            f"{len(folded)} more lines are memblock=debug's: `bootsim replay FILE` shows the tables"
            " after each, and who has what.",
            "",
        )
    wrong = [one for one in shown if _is_wrong(one)]
    if wrong and len(shown) > len(wrong):
        yield ""
        yield f"{len(wrong)} of {len(found)} lines tell of something wrong:"
        for one in wrong:
            yield "    " + click.style(printable(one.line.strip()), fg="yellow")
    if explainer.tree is not None and found:
        yield from _summary(explainer, explainer.tree.name, found)


def _is_wrong(one: Explanation) -> bool:
    """Whether a line tells of a fault: of one that the model has, or else by what it says."""
    from bootsim.check.findings import Severity, severity_of

    codes = [finding.code for finding in one.findings] or [page.code for page in one.pages]
    if codes:
        return any(severity_of(code) > Severity.INFO for code in codes)
    return bool(one.message.cost)


def _summary(explainer: Explainer, name: str, found: list[Explanation]) -> Iterator[str]:
    tree = printable(name)
    if explainer.unbootable is not None:
        yield ""
        yield from wrapped(
            f"No numbers of {tree}: {printable(explainer.unbootable)}."
            " --ram BASE:SIZE gives it RAM, as a boot loader does.",
            "",
        )
    told = [one for one in found if one.said is not None]
    if len(told) < 2:
        return
    given = f" (taken from the log: {'; '.join(explainer.taken)})" if explainer.taken else ""
    same = sum(one.said is True for one in told)
    yield ""
    yield from wrapped(
        f"Of {len(told)} lines that follow from the tree, {explainer.profile.name} on {tree} says"
        f" {'all' if same == len(told) else same}{printable(given)}.",
        "",
    )


def _explanation(
    one: Explanation, explainer: Explainer, *, single: bool, before: Explanation | None
) -> Iterator[str]:
    """`one` in lines; what the one `before` it has told is not told again."""
    yield click.style(printable(one.line.rstrip()), bold=True)
    yield from wrapped(printable(one.words), "    ")
    tree = printable(explainer.tree.name) if explainer.tree is not None else ""
    given = f" with {one.assumed}" if one.assumed else ""
    if before and one.pages and (one.pages, one.findings) == (before.pages, before.findings):
        yield "    Why, cost and remedy are those of the line before."
        return
    for finding in one.findings:
        yield from wrapped(f"On {tree}{given}: {printable(finding.text)}.", "    ")
        yield from reasons(finding.cause, finding.cost, finding.remedy)
        yield f"    see     bootsim check --explain {finding.code}"
    if not one.findings:
        message = one.message
        if not one.pages:
            yield from reasons(message.cause, message.cost, message.remedy)
        for number, page in enumerate(one.pages):
            either = "Or: " if number else "Either: " if one.pages[1:] else ""
            title = f"{page.title[:1].upper()}{page.title[1:]}"
            yield from wrapped(f"{either}{title if not either else page.title}.", "    ")
            yield from reasons(page.cause, page.cost, page.remedy)
            yield f"    see     bootsim check --explain {page.code}"
    kernel = explainer.profile.name
    if one.said is False:
        says = "; ".join(printable(line.strip()) for line in one.instead[:_INSTEAD_MAX])
        more = f"; and {len(one.instead) - _INSTEAD_MAX} more" if one.instead[_INSTEAD_MAX:] else ""
        then = f": it says {says}{more}" if says else f": it dies, {one.died}" if one.died else ""
        start = f"With {one.assumed}, the model" if one.assumed else "The model"
        yield from wrapped(
            f"{start} of {tree}, {kernel}, does not say this{printable(then)}.", "    "
        )
    elif one.said and single and not one.findings:
        yield from wrapped(f"The model of {tree}, {kernel},{given} says the same.", "    ")


def _data(explainer: Explainer, found: list[Explanation]) -> list[dict[str, Any]]:
    return [
        {
            "line": one.line,
            "words": one.words,
            "cause": one.message.cause or None,
            "cost": one.message.cost or None,
            "remedy": one.message.remedy or None,
            "codes": [page.code for page in one.pages],
            "findings": [finding.as_data() for finding in one.findings],
            "kernel": explainer.profile.name if one.said is not None else None,
            "said": one.said,
            "assumed": one.assumed or None,
            "instead": list(one.instead),
            "died": one.died,
        }
        for one in found
    ]
