"""The twelve problems: found where they are, and only there; and Linux says what a finding says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bootsim.check.findings import Finding, Severity
from bootsim.check.pages import PAGES
from bootsim.check.payload import load
from bootsim.check.tree import Report, booted, check_tree
from bootsim.errors import KernelPanic, MachineFault
from bootsim.inputs import read_tree_file
from bootsim.kernel.libfdt import Fdt
from bootsim.kernel.variants import with_vmsplit
from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.image import load_kernel_image
from bootsim.trace import HANDOVER
from tests.problems import Problem, payload_of, problems, profile_of
from tests.requirements import need_kernel

BAD = [problem for problem in problems() if problem.codes]
GOOD = [problem for problem in problems() if not problem.codes]
# What Linux says nothing of, or not before the handover.
SILENT = {"E-PAYLOAD-OVERLAP", "W-PAYLOAD-MARGIN"}


def name(problem: Problem) -> str:
    return problem.name


def code_of(finding: Finding) -> str:
    return finding.code


def test_each_of_the_twelve_has_a_pair() -> None:
    names = {problem.name.removesuffix(".bad") for problem in BAD}
    assert {entry.removesuffix(".good") for entry in map(name, GOOD)} == names
    assert {int(entry[:2]) for entry in names} == set(range(1, 13))


@pytest.mark.parametrize("problem", BAD, ids=name)
def test_the_problem_is_found(problem: Problem) -> None:
    report = problem.check()
    assert report.error is None
    assert set(problem.codes) <= {finding.code for finding in report.findings}
    if int(problem.name[:2]) <= 7:  # one cause, one finding
        told = [f.code for f in report.findings if f.severity > Severity.INFO]
        assert sorted(told) == sorted(problem.codes)
    # What a finding has as its cause is not told a second time.
    assert problem.name != "10-pools.bad" or "E-BOOT-DIES" not in map(code_of, report.findings)
    for finding in report.findings:
        assert "\n" not in finding.text
        assert finding.cause
        assert finding.cost
        assert finding.remedy
        if finding.node and finding.node != "/" and "chosen" not in finding.node:
            assert (finding.file, finding.line > 2) == (str(problem.path), True)


# A remedy with a number in it, and the option that it tells to change.
REMEDIES = (
    (r"Load it at (0x[0-9a-f]+)", None),
    (r"mem=(?: to )?(\d+M) or more", "mem"),
    (r"vmalloc=(\d+M) or less", "vmalloc"),
    (r"VMSPLIT_(\w+)", "vmsplit"),
)


def mended(problem: Problem, finding: Finding) -> Iterator[tuple[str, Report]]:
    """Each remedy of `finding` that has a number, and what a check says where it is followed."""
    payload, profile = payload_of(problem.options), profile_of(problem.options)
    dtb = read_tree_file(problem.path).dtb
    chosen = Fdt(dtb).root.find("/chosen")
    line = payload.cmdline or (chosen and chosen.string("bootargs")) or ""
    for pattern, what in REMEDIES:
        for match in re.finditer(pattern, finding.remedy):
            if what is None and finding.areas[0].what in ("initrd", "the initrd"):
                line = re.sub(r"\binitrd=\S+", "", line)
                size, at = finding.areas[0].size, int(match[1], 16)
                changed = replace(payload, initrd=size, initrd_addr=at, cmdline=line or None)
            elif what is None:
                changed = replace(payload, dtb_addr=int(match[1], 16))
            elif what == "vmsplit":
                profile, changed = with_vmsplit(profile, match[1]), payload
            else:
                rest = re.sub(rf"\b{what}=\S+", "", line)
                changed = replace(payload, cmdline=f"{rest} {what}={match[1]}")
            yield match[0], check_tree(str(problem.path), changed, profile)


@pytest.mark.parametrize("problem", [p for p in BAD if int(p.name[:2]) <= 7], ids=name)
def test_a_remedy_mends_it(problem: Problem) -> None:
    before = problem.check().findings
    for finding in before:
        for remedy, after in mended(problem, finding):
            assert after.error is None
            assert finding.code not in {f.code for f in after.findings}, remedy
            new = {f.code for f in after.findings if f.severity is Severity.ERROR}
            assert new <= {f.code for f in before}, remedy


@pytest.mark.parametrize("problem", GOOD, ids=name)
def test_its_neighbour_is_clean(problem: Problem) -> None:
    report = problem.check()
    assert report.error is None
    assert [f.code for f in report.findings if f.severity > Severity.INFO] == []
    assert report.stage == "mem_init"
    twin = problem.path.name.replace(".good.", ".bad.")
    codes = next(p.codes for p in BAD if p.path.name == twin)
    assert not set(codes) & {finding.code for finding in report.findings}


@pytest.mark.parametrize("code", PAGES)
def test_the_example_of_a_page_has_the_fault(code: str, tmp_path: Path) -> None:
    page = PAGES[code]
    assert page.code == code
    assert page.title
    path = tmp_path / "example.dts"
    path.write_text(page.example)
    report = check_tree(str(path), payload_of(page.options), profile_of(page.options))
    found = [finding for finding in report.findings if finding.code == code]
    assert found, report
    # What Linux says is what the page says that it says.
    log = found[0].log
    assert not log or not page.messages or any(map(page.says, log)), log


def real_log(problem: Problem) -> tuple[list[str], str | None]:
    """What Debian's kernel says of the board, and how it dies."""
    payload = payload_of(problem.options)
    dtb = read_tree_file(problem.path).dtb
    loaded = load(problem.name, dtb, payload, profile_of(problem.options))
    examined = booted(loaded, payload)
    assert loaded.task is not None
    assert examined is not None
    boot = RealBoot(
        load_kernel_image(need_kernel()),
        dtb=loaded.task.dtb,
        name=problem.name,
        dtb_addr=examined.task.wishes.dtb_addr,
        phys_offset=loaded.task.wishes.phys_offset,
        machine_ram=loaded.task.ram,
    )
    died = None
    try:
        boot.run()
    except (KernelPanic, MachineFault) as death:
        died = str(death)
    return boot.log, died


def told(problem: Problem) -> bool:
    """Whether Debian's kernel can be asked: it has HIGHMEM, its own size, and wants memory."""
    return problem.highmem and "--kernel-size" not in problem.options


@pytest.mark.slow
@pytest.mark.parametrize(
    "problem", [p for p in BAD if told(p) and "missing" not in p.name], ids=name
)
def test_linux_says_so_too(problem: Problem) -> None:
    need_kernel()
    report = problem.check()
    lines, died = real_log(problem)
    for finding in report.findings:
        if finding.code in SILENT:
            continue
        for line in finding.log:
            assert line in lines, (finding.code, died)
    assert (died is not None) == (report.stage != HANDOVER), died


@pytest.mark.slow
@pytest.mark.parametrize("problem", [p for p in GOOD if told(p)], ids=name)
def test_linux_says_nothing_of_its_neighbour(problem: Problem) -> None:
    need_kernel()
    lines, died = real_log(problem)
    assert died is None
    twin = problem.path.name.replace(".good.", ".bad.")
    codes = next(p.codes for p in BAD if p.path.name == twin)
    patterns = [p for code in codes for p in PAGES[code].messages if "cma: Reserved" not in p]
    said = [line for line in lines if any(re.search(pattern, line) for pattern in patterns)]
    assert said == []
