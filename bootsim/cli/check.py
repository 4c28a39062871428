"""bootsim check."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootsim import __version__
from bootsim.cli.fleet import run_fleet
from bootsim.cli.options import FILE, NUMBER, RAM_OPTION, SYMBOL_OPTION, fleet_options
from bootsim.cli.printing import Bar, printable, wrapped
from bootsim.cli.running import profile_of, ram_bank, tree_files
from bootsim.errors import BootsimError
from bootsim.numbers import parse_number, size_text

if TYPE_CHECKING:
    from bootsim.check.findings import Finding
    from bootsim.check.pages import Page
    from bootsim.check.payload import Payload
    from bootsim.check.tree import Report
    from bootsim.kernel.profile import Profile

_FILE_MAX = 512 << 20  # bytes, of a kernel
_SEVERITIES = ("info", "warning", "error")
_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}

_BOOT_OPTIONS = (
    click.option(
        "--zimage",
        metavar="FILE[@ADDR]",
        help="The kernel, to have its sizes; with ADDR also what it writes over when it unpacks.",
    ),
    click.option(
        "--kernel-size", type=NUMBER, metavar="N", help="Bytes from _text to _end, .bss included."
    ),
    click.option(
        "--initrd", metavar="FILE|SIZE[@ADDR]", help="The initrd, and where it is loaded."
    ),
    click.option("--dtb-addr", type=NUMBER, metavar="ADDR", help="Where the tree is loaded."),
    click.option(
        "--phys-offset", type=NUMBER, metavar="ADDR", help="Where the kernel takes RAM to begin."
    ),
    click.option("--append", metavar="ARGS", help="Kernel command line, in place of the tree's."),
    click.option(
        "--profile",
        default="linux-6.1-armmp",
        show_default=True,
        help="Kernel to model: linux-5.0, linux-6.1-armmp or a .toml file.",
    ),
    click.option("--no-highmem", is_flag=True, help="The kernel is built without HIGHMEM."),
    RAM_OPTION,
    SYMBOL_OPTION,
)


def payload_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that boot trees with what a boot loader puts beside them."""
    for option in reversed(_BOOT_OPTIONS):
        command = option(command)
    return command


@click.command(short_help="Find what is wrong with boards' memory.")
@click.argument("trees", nargs=-1, type=FILE, metavar="TREE...")
@payload_options
@click.option(
    "--fail-on",
    type=click.Choice(_SEVERITIES),
    default="error",
    show_default=True,
    help="Exit with status 1 for findings of this severity or worse.",
)
@click.option("--baseline", type=FILE, help="Leave out the findings that are in this file.")
@click.option(
    "--write-baseline", type=FILE, help="Write all findings to this file, for --baseline."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif", "junit"]),
    default="text",
    show_default=True,
    help="How to print: for people, for programs, SARIF 2.1.0, JUnit XML.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-o", "--output", type=FILE, help="Write there instead of to the terminal.")
@click.option("-v", "--verbose", is_flag=True, help="Show findings of severity info, too.")
@fleet_options
@click.option("--explain", metavar="CODE", help="Print the page on a code, and end.")
@click.option("--list", "list_codes", is_flag=True, help="List all codes, and end.")
def check(trees: tuple[Path, ...], **options: Any) -> None:
    """Find what goes wrong with memory on a board, from its device tree alone.

    Boots the model on each TREE (a blob, its source, or a folder of either) and tells what Linux
    refuses, loses, or dies of before it has a console: at which node and line of the source, why,
    and what to change. A tree whose RAM the boot loader fills in wants --ram BASE:SIZE.

    Exit status: 0 clean, 1 findings of the severity of --fail-on or worse, 2 bad input (such as a
    tree that cannot be read; the others are checked all the same), 130 interrupted.

    \b
    bootsim check board.dts
    bootsim check board.dtb --zimage zImage@0x82000000 --initrd initrd.img@0x88080000
    bootsim check dtbs/ --format sarif -o bootsim.sarif
    bootsim check dtbs/ --write-baseline known.json; bootsim check dtbs/ --baseline known.json
    bootsim check --explain E-INITRD-OVERLAP
    """
    if options["explain"] is not None:
        _print_page(options["explain"])
        return
    if options["list_codes"]:
        _list_codes(options["as_json"])
        return
    if not trees:
        raise click.UsageError("give at least one device tree, or --list or --explain CODE")
    from bootsim.check.findings import Severity

    run = _Run(options, Severity[options["fail_on"].upper()])
    run.check(tree_files(trees))
    run.finish()


class _Run:
    """One run over all trees: what was found, and how it is printed."""

    def __init__(self, options: dict[str, Any], fail_on: Any) -> None:
        from bootsim.check.baseline import Baseline

        self._options = options
        self._fail_on = fail_on
        self._form = "json" if options["as_json"] else options["form"]
        known = options["baseline"]
        self._baseline = Baseline.read(known) if known is not None else Baseline()
        self._silenced = 0
        self._reports: list[Report] = []
        self._broken_off: BaseException | None = None
        self._to = options["output"]
        for target in filter(None, (self._to, options["write_baseline"])):
            write_output(target, "", append=True)  # it should not fail after an hour's work
        self._text: list[str] = []

    def check(self, files: list[str]) -> None:
        from bootsim.check.tree import check_job

        profile, payload = boot_of(self._options)
        self._bar = Bar(len(files))
        job = check_job(payload, profile)
        self._broken_off = run_fleet(files, job, self._options, self._take, self._bar)

    def _take(self, report: Report) -> None:
        if not self._options["write_baseline"]:
            kept = tuple(f for f in report.findings if not self._baseline.takes(f))
            self._silenced += len(report.findings) - len(kept)
            report = replace(report, findings=kept)
        self._reports.append(report)
        if self._form != "text":
            return
        if report.error is not None:
            self._bar.clear()
            click.echo(f"{click.style('error', fg='red')}: {printable(report.error)}", err=True)
        for finding in report.findings:
            if finding.severity > 0 or self._options["verbose"]:
                self._bar.clear()
                self._say(*_finding_lines(finding))

    def _say(self, *lines: str) -> None:
        if self._to is not None:
            self._text += [click.unstyle(line) for line in lines]
        else:
            for line in lines:
                click.echo(line)

    def finish(self) -> None:
        """Print what comes at the end, and end with the right status."""
        if self._form == "text":
            self._say(*self._summary())
        else:
            self._text.append(self._document())
            if self._to is None:
                click.echo(self._text[-1])
        if self._to is not None:
            write_output(self._to, "\n".join(self._text) + "\n")
        if self._broken_off is not None:
            raise self._broken_off
        target = self._options["write_baseline"]
        findings = [finding for report in self._reports for finding in report.findings]
        if target is not None:
            from bootsim.check.baseline import write_baseline

            count = write_baseline(target, findings)
            click.echo(f"bootsim: {target}: {count} findings", err=True)
        if any(report.error is not None for report in self._reports):
            sys.exit(2)
        if target is None and any(f.severity >= self._fail_on for f in findings):
            sys.exit(1)

    def _document(self) -> str:
        from bootsim.check.junit import junit
        from bootsim.check.sarif import sarif

        if self._form == "sarif":
            return json.dumps(sarif(self._reports, __version__, Path.cwd()), indent=1)
        if self._form == "junit":
            return junit(self._reports, self._fail_on).rstrip("\n")
        data = {
            "version": __version__,
            "profile": self._options["profile"],
            "interrupted": self._broken_off is not None,
            "silenced": self._silenced,
            "trees": [
                {
                    "tree": report.tree,
                    "error": report.error,
                    "stage": report.stage,
                    "findings": [finding.as_data() for finding in report.findings],
                }
                for report in self._reports
            ],
        }
        return json.dumps(data)

    def _summary(self) -> Iterator[str]:
        counts = dict.fromkeys(reversed(_SEVERITIES), 0)
        codes: dict[str, int] = {}
        for report in self._reports:
            for finding in report.findings:
                counts[finding.severity.word] += 1
                codes[finding.code] = codes.get(finding.code, 0) + 1
        if len(self._reports) > 1 and codes:
            from bootsim.check.pages import PAGES

            for code in filter(codes.get, PAGES):
                yield f"{codes[code]:6}  {code:22} {PAGES[code].title}"
        broken = sum(report.error is not None for report in self._reports)
        parts = [_count(counts[word], word) for word in reversed(_SEVERITIES)]
        if broken:
            parts.append(f"{broken} not checked")
        if self._silenced:
            parts.append(f"{self._silenced} known")
        gone = self._baseline.gone(report.tree for report in self._reports)
        if gone and self._broken_off is None:
            parts.append(f"{gone} of the baseline gone")
        ending = ", interrupted" if self._broken_off is not None else ""
        yield f"{_count(len(self._reports), 'tree')}: {', '.join(parts)}{ending}"


def write_output(path: Path, text: str, *, append: bool = False) -> None:
    """Write `text` to where the user wants it; raises BootsimError where that cannot be."""
    try:
        with path.open("a" if append else "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise BootsimError(f"{path}: {error.strerror}") from error


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def boot_of(options: dict[str, Any]) -> tuple[Profile, Payload]:
    """The kernel and what is loaded, as the options say."""
    from bootsim.check.payload import Payload

    profile = profile_of(options)
    if options["no_highmem"]:
        profile = replace(profile, config=replace(profile.config, highmem=False))
    payload = Payload(
        kernel_size=options["kernel_size"],
        dtb_addr=options["dtb_addr"],
        phys_offset=options["phys_offset"],
        cmdline=options["append"],
        ram=tuple(ram_bank(text) for text in options["ram"]) or None,
    )
    if options["initrd"] is not None:
        what, address = _placed(options["initrd"], "--initrd")
        size = parse_number(what)
        if size is None:
            size = _file_size(Path(what))
        payload = replace(payload, initrd=size, initrd_addr=address)
    if options["zimage"] is not None:
        from bootsim.realkernel.image import load_kernel_image

        what, address = _placed(options["zimage"], "--zimage")
        image = load_kernel_image(Path(what))
        payload = replace(
            payload,
            kernel_size=payload.kernel_size or image.end - image.text,
            image_size=len(image.code),
        )
        if image.kind != "Image":
            payload = replace(payload, zimage_size=_file_size(Path(what)), zimage_addr=address)
        elif address is not None and payload.phys_offset is None:  # it runs where it lies
            payload = replace(payload, phys_offset=address - image.text_offset)
    return profile, payload


def _placed(text: str, option: str) -> tuple[str, int | None]:
    """FILE[@ADDR]; a file's own name may have an @ in it."""
    what, at, address = text.rpartition("@")
    if not at or Path(text).exists():
        return text, None
    number = parse_number(address)
    if number is None:
        raise BootsimError(f"{option} {text}: {address!r} is no address: write 0x82000000")
    return what, number


def _file_size(path: Path) -> int:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise BootsimError(f"{path}: {error.strerror}") from error
    if size > _FILE_MAX:
        raise BootsimError(f"{path}: {size_text(size)} is too much to be loaded")
    return size


def _finding_lines(finding: Finding) -> Iterator[str]:
    word = finding.severity.word
    place = click.style(printable(finding.place), bold=True)
    head = click.style(f"{word}: {finding.code}", fg=_COLOURS[word], bold=True)
    yield f"{place}: {head}"
    yield from wrapped(printable(finding.text), "    ")
    yield from reasons(finding.cause, finding.cost, finding.remedy)
    for line in finding.log:
        yield from wrapped(printable(line), "    Linux says  ", "                ")


def reasons(cause: str, cost: str, remedy: str) -> Iterator[str]:
    """Why something comes, what it costs, what changes it: lines for those that are not empty."""
    for title, text in (("why", cause), ("cost", cost), ("remedy", remedy)):
        if text:
            label = click.style(f"{title:6}", dim=True)
            yield from wrapped(printable(text), f"    {label}  ", " " * 12)


def _print_page(code: str) -> None:
    from bootsim.check.findings import severity_of
    from bootsim.check.pages import page

    entry = page(code)
    word = severity_of(entry.code).word
    title = click.style(entry.code, fg=_COLOURS[word], bold=True)
    click.echo(f"{title} ({word}): {entry.title}\n")
    for line in _page_lines(entry):
        click.echo(line)


def _page_lines(entry: Page) -> Iterator[str]:
    for heading, text in (("Why", entry.cause), ("Cost", entry.cost), ("Remedy", entry.remedy)):
        yield click.style(heading, bold=True)
        yield from wrapped(text, "  ")
        yield ""
    options = "".join(f" {_quoted(option)}" for option in entry.options)
    yield click.style("Example", bold=True) + f": bootsim check example.dts{options}"
    yield ""
    yield from entry.example.rstrip("\n").split("\n")


def _quoted(option: str) -> str:
    return f'"{option}"' if " " in option else option


def _list_codes(as_json: bool) -> None:
    from bootsim.check.findings import severity_of
    from bootsim.check.pages import PAGES

    if as_json:
        entries = [
            {"code": p.code, "severity": severity_of(p.code).word, "title": p.title}
            for p in PAGES.values()
        ]
        click.echo(json.dumps(entries))
        return
    for entry in PAGES.values():
        colour = _COLOURS[severity_of(entry.code).word]
        click.echo(f"{click.style(f'{entry.code:22}', fg=colour)} {entry.title}")
