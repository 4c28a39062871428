"""bootsim check and bootsim explain, as typed."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from bootsim.check.pages import PAGES
from bootsim.devicetree.source import compile_dts
from bootsim.realkernel.image import load_kernel_image
from tests.command import Run
from tests.problems import DIRECTORY, problems
from tests.requirements import need_directory, need_kernel

BAD = DIRECTORY / "10-overlap.bad.dts"
GOOD = DIRECTORY / "10-overlap.good.dts"
WARNS = DIRECTORY / "10-memreserve.bad.dts"


def test_a_finding_says_where_what_why_and_what_to_do(bootsim: Run) -> None:
    status, out, err = bootsim("check", BAD)
    assert (status, err) == (1, "")
    lines = out.splitlines()
    node = "/reserved-memory/a@6a000000"
    line = next(n for n, text in enumerate(BAD.read_text().splitlines(), 1) if "0x6a000000" in text)
    assert re.fullmatch(
        rf"{re.escape(str(BAD))}:{line}:\d+: {node}: error: E-RESERVED-OVERLAP", lines[0]
    )
    assert "share 512 KiB" in out
    for word in ("why ", "cost ", "remedy ", "Linux says "):
        assert f"    {word}" in out
    assert lines[-1] == "1 tree: 1 error, 0 warnings, 0 infos"
    assert max(map(len, lines[1:])) <= 100


@pytest.mark.parametrize(
    ("tree", "fail_on", "status"),
    [
        (GOOD, "info", 0),
        (WARNS, "error", 0),
        (WARNS, "warning", 1),
        (WARNS, "info", 1),
        (BAD, "error", 1),
        (DIRECTORY / "10-duplicate.bad.dts", "warning", 0),
        (DIRECTORY / "10-duplicate.bad.dts", "info", 1),
    ],
)
def test_exit_status(bootsim: Run, tree: Path, fail_on: str, status: int) -> None:
    assert bootsim("check", tree, "--fail-on", fail_on)[0] == status


@pytest.mark.parametrize("problem", problems(), ids=lambda p: p.name)
def test_options_reach_the_model(bootsim: Run, problem: Any) -> None:
    status, out, _ = bootsim("check", "--json", problem.path, *problem.options)
    codes = {finding["code"] for finding in json.loads(out)["trees"][0]["findings"]}
    assert set(problem.codes) <= codes
    assert status == any(code.startswith("E") for code in codes)


def test_an_image_runs_where_it_is_loaded(bootsim: Run, tmp_path: Path) -> None:
    """There is no decompressor that writes over anything, or moves."""
    image = load_kernel_image(need_kernel())
    (tmp_path / "Image").write_bytes(image.code)
    place = f"{tmp_path / 'Image'}@{0x60000000 + image.text_offset:#x}"
    for dtb_addr, status in ((0x61700000, 0), (0x61000000, 1)):
        assert bootsim("check", GOOD, "--zimage", place, "--dtb-addr", hex(dtb_addr))[0] == status


def test_a_fleet_with_broken_empty_and_huge_files(bootsim: Run, tmp_path: Path) -> None:
    blob = compile_dts(GOOD)
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.dtb").write_bytes(blob)
    (tmp_path / "b.dtb").write_bytes(b"")
    (tmp_path / "c.dtb").write_bytes(blob[:100])
    (tmp_path / "d.dtb").write_bytes(os.urandom(5000))
    with (tmp_path / "e.dtb").open("wb") as file:
        file.truncate(1 << 30)
    (tmp_path / "sub" / "f.dtb").write_bytes(compile_dts(BAD))
    (tmp_path / "sub" / "g.dtb").write_bytes(blob[:200] + bytes(len(blob) - 200))
    status, out, err = bootsim("check", tmp_path)
    assert status == 2  # though there are findings, too
    assert out.splitlines()[-1] == "7 trees: 1 error, 0 warnings, 0 infos, 5 not checked"
    assert len(err.splitlines()) == 5
    for name in "bcdeg":
        assert f"{name}.dtb: " in err
    assert "Traceback" not in err
    status, out, _ = bootsim("check", tmp_path, "--format", "junit")
    assert (status, ET.fromstring(out).get("errors")) == (2, "5")


def test_a_folder_of_sources(bootsim: Run, tmp_path: Path) -> None:
    """Its blobs are what they were compiled to: sources count where there is none."""
    assert bootsim("check", tmp_path)[0] == 2
    (tmp_path / "sub").mkdir()
    (tmp_path / "empty").mkdir()
    shutil.copy(BAD, tmp_path / "sub" / "board.dts")
    (tmp_path / "common.dtsi").write_text("not a whole tree")
    status, out, err = bootsim("check", tmp_path)
    assert (status, err) == (1, "")
    assert out.splitlines()[-1].startswith("1 tree: 1 error")
    (tmp_path / "good.dtb").write_bytes(compile_dts(GOOD))
    assert bootsim("check", tmp_path)[:2] == (0, "1 tree: 0 errors, 0 warnings, 0 infos\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nowhere.dts"],
        [GOOD, "--initrd", "nowhere"],
        [GOOD, "--initrd", "1M@here"],
        [GOOD, "--kernel-size", "1M"],
        [GOOD, "--zimage", GOOD],
        [GOOD, "--baseline", GOOD],
        [GOOD, "--profile", "linux-0"],
        [GOOD, "--ram", "1"],
        ["--explain", "E-NOTHING"],
    ],
)
def test_bad_input_is_one_line_and_status_2(bootsim: Run, arguments: list[object]) -> None:
    status, _, err = bootsim("check", *arguments)
    assert status == 2
    assert "Traceback" not in err
    assert "rror: " in err


def test_a_baseline_silences_what_is_known_and_nothing_else(bootsim: Run, tmp_path: Path) -> None:
    known, tree = tmp_path / "known.json", tmp_path / "board.dts"
    shutil.copy(BAD, tree)
    assert bootsim("check", tree, "--write-baseline", known)[0] == 0
    entries = json.loads(known.read_text())["findings"]
    assert [entry["code"] for entry in entries] == ["E-RESERVED-OVERLAP"]
    status, out, _ = bootsim("check", tree, "--baseline", known)
    assert (status, out) == (0, "1 tree: 0 errors, 0 warnings, 0 infos, 1 known\n")
    # The same fault a few lines further down, and larger.
    tree.write_text("\n\n" + BAD.read_text().replace("0x6a080000", "0x6a040000"))
    assert bootsim("check", tree, "--baseline", known)[0] == 0
    # Another fault.
    text = BAD.read_text().replace("b@6a080000 {", "c@6a080000 {")
    tree.write_text(text)
    status, out, _ = bootsim("check", tree, "--baseline", known)
    assert status == 1
    assert "1 of the baseline gone" in out


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b'{"version": 2, "findings": []}',
        b'{"version": 1}',
        b'{"version": 1, "findings": [3]}',
        b'{"version": 1, "findings": [{"fingerprint": 3, "tree": "x"}]}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_is_no_baseline(bootsim: Run, tmp_path: Path, content: bytes) -> None:
    known = tmp_path / "known.json"
    known.write_bytes(content)
    status, _, err = bootsim("check", GOOD, "--baseline", known)
    assert status == 2
    assert err.count("\n") == 1
    assert err.startswith(f"bootsim: error: {known}: ")
    assert len(err) < 200 + len(str(known))


def test_only_what_was_checked_can_have_gone(bootsim: Run, tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    bootsim("check", BAD, WARNS, "--write-baseline", known)
    _, out, _ = bootsim("check", BAD, "--baseline", known)
    assert "1 known" in out
    assert "gone" not in out
    bootsim("check", GOOD, "--write-baseline", known)
    assert json.loads(known.read_text()) == {"version": 1, "findings": []}


@pytest.mark.parametrize("option", ["-o", "--write-baseline"])
def test_where_nothing_can_be_written(bootsim: Run, tmp_path: Path, option: str) -> None:
    for target, why in ((tmp_path / "no" / "x", "No such file"), (tmp_path, "Is a directory")):
        status, out, err = bootsim("check", BAD, option, target)
        assert (status, out) == (2, "")
        assert err.startswith(f"bootsim: error: {target}: {why}")


def test_json(bootsim: Run) -> None:
    status, out, _ = bootsim("check", "--format", "json", BAD, GOOD)
    data = json.loads(out)
    assert status == 1
    assert [tree["tree"] for tree in data["trees"]] == [str(BAD), str(GOOD)]
    finding = data["trees"][0]["findings"][0]
    assert finding["severity"] == "error"
    assert finding["areas"][0] == {
        "what": "/reserved-memory/a@6a000000",
        "base": 0x6A000000,
        "size": 0x100000,
    }
    assert finding["related"] == ["/reserved-memory/b@6a080000"]
    assert data["trees"][1] == {
        "tree": str(GOOD),
        "error": None,
        "stage": "mem_init",
        "findings": [],
    }


def test_sarif(bootsim: Run, tmp_path: Path) -> None:
    output = tmp_path / "out.sarif"
    blob = tmp_path / "a b.dtb"
    blob.write_bytes(compile_dts(WARNS))
    status, out, _ = bootsim(
        "check", "--format", "sarif", "-o", output, BAD, blob, tmp_path / "none.dtb"
    )
    assert (status, out) == (2, "")
    log = json.loads(output.read_text())
    check_sarif(log)
    run = log["runs"][0]
    first, second = run["results"]
    assert (first["ruleId"], first["level"]) == ("E-RESERVED-OVERLAP", "error")
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("10-overlap.bad.dts")
    assert place["region"]["startLine"] > 2
    assert (second["ruleId"], second["level"]) == ("W-RESERVED-OVERLAP", "warning")
    assert "a%20b.dtb" in second["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert second["locations"][0]["physicalLocation"]["region"]["startLine"] == 1
    invocation = run["invocations"][0]
    assert invocation["executionSuccessful"] is False
    assert "none.dtb" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_sarif_for_code_scanning(
    bootsim: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What GitHub asks for beyond the standard: docs, "SARIF support for code scanning"."""
    monkeypatch.chdir(tmp_path)
    tree = tmp_path / "boards" / "a.dts"
    tree.parent.mkdir()

    def hashes(text: str) -> list[str]:
        tree.write_text(text)
        _, out, _ = bootsim("check", tree, "--format", "sarif")
        run = json.loads(out)["runs"][0]
        for result in run["results"]:
            location = result["locations"][0]["physicalLocation"]
            assert location["artifactLocation"] == {"uri": "boards/a.dts", "uriBaseId": "SRCROOT"}
            assert location["region"]["startLine"] > 0
        assert run["originalUriBaseIds"]["SRCROOT"]["uri"] == f"{tmp_path.as_uri()}/"
        for rule in run["tool"]["driver"]["rules"]:
            assert len(rule["fullDescription"]["text"]) <= 1024
            assert rule["help"]["markdown"]
            assert rule["properties"]["precision"] in ("very-high", "high", "medium", "low")
        return [
            result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]
        ]

    text = BAD.read_text()
    assert len(hashes(text)) == 1
    assert hashes(text) == hashes("\n\n\n" + text)
    assert hashes(text) != hashes(text.replace("b@6a080000 {", "c@6a080000 {"))


def check_sarif(log: dict[str, Any]) -> None:
    """What SARIF 2.1.0 (OASIS, sarif-v2.1.0-os) requires of what is written here, by section."""
    assert log["version"] == "2.1.0"  # 3.13.2
    assert log["$schema"].endswith("sarif-2.1.0.json")
    for run in log["runs"]:  # 3.13.4
        driver = run["tool"]["driver"]  # 3.14.6, 3.18.2
        assert driver["name"]  # 3.19.8
        rules = driver["rules"]  # 3.19.23: unique
        identifiers = [rule["id"] for rule in rules]
        assert len(set(identifiers)) == len(identifiers)
        for rule in rules:  # 3.49
            assert rule["shortDescription"]["text"]
            assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
        for result in run["results"]:  # 3.27
            assert result["message"]["text"]
            assert result["level"] in ("none", "note", "warning", "error")
            assert identifiers[result["ruleIndex"]] == result["ruleId"]  # 3.27.6
            assert all(isinstance(v, str) for v in result["partialFingerprints"].values())
            for location in result["locations"]:  # 3.28
                artifact = location["physicalLocation"]["artifactLocation"]
                assert re.fullmatch(
                    r"[!#$&-;=?-\[\]_a-z~%A-Z]+", artifact["uri"]
                )  # 3.4.3, RFC 3986
                region = location["physicalLocation"].get("region")
                if region is not None:  # 3.30: counted from 1
                    assert region["startLine"] >= 1
                    assert region["startColumn"] >= 1
        for invocation in run["invocations"]:  # 3.20
            assert isinstance(invocation["executionSuccessful"], bool)
            for note in invocation["toolExecutionNotifications"]:  # 3.58
                assert note["message"]["text"]


def test_junit(bootsim: Run) -> None:
    status, out, _ = bootsim("check", "--format", "junit", BAD, GOOD, WARNS)
    assert status == 1
    root = ET.fromstring(out)
    assert root.tag == "testsuites"
    assert {name: root.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": "1",
        "errors": "0",
    }
    cases = root.findall("testsuite/testcase")
    assert [case.get("name") for case in cases] == [str(BAD), str(GOOD), str(WARNS)]
    failure = cases[0].find("failure")
    assert failure is not None
    assert failure.get("type") == "E-RESERVED-OVERLAP"
    assert "share 512 KiB" in (failure.text or "")
    assert list(cases[1]) == []
    assert [child.tag for child in cases[2]] == ["system-out"]


def test_pages(bootsim: Run) -> None:
    status, out, _ = bootsim("check", "--list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(PAGES)
    for code in PAGES:
        status, out, _ = bootsim("check", "--explain", code.lower())
        assert status == 0
        assert out.startswith(f"{code} (")
        assert "/dts-v1/;" in out


def test_names_that_would_rule_the_terminal(bootsim: Run, tmp_path: Path) -> None:
    tree = tmp_path / "\x1b[31m.dts"
    shutil.copy(BAD, tree)
    _, out, _ = bootsim("check", tree)
    assert "\x1b" not in out
    tree.write_text("nonsense")
    _, _, err = bootsim("check", tree)
    assert "\x1b" not in err
    for form in ("junit", "sarif"):
        _, out, _ = bootsim("check", BAD, tree, "--format", form)
        assert "\x1b" not in out


def test_interrupted_runs_keep_what_they_have(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "z.dtb")  # hangs whoever reads it
    shutil.copy(BAD, tmp_path / "a.dts")
    output = tmp_path / "out.json"
    command = [sys.executable, "-m", "bootsim", "check", "-j2", "a.dts", "z.dtb"]
    for extra in ([], ["--json", "-o", str(output)]):
        process = subprocess.Popen(
            [*command, *extra],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        if not extra:
            assert "E-RESERVED-OVERLAP" in out
            assert "interrupted" in out.splitlines()[-1]
    data = json.loads(output.read_text())
    assert data["interrupted"] is True
    assert [tree["tree"] for tree in data["trees"]] == ["a.dts"]


# bootsim explain


def test_a_message_with_the_numbers_of_the_tree(bootsim: Run) -> None:
    tree = DIRECTORY / "09-cma-too-large.bad.dts"
    status, out, _ = bootsim("explain", "cma: Failed to reserve 240 MiB", "--dts", tree)
    assert status == 0
    words = " ".join(out.split())
    assert "with cma=240M" in words
    assert "the largest free piece below 0x70000000 is [0x61800000-0x6fffffff] (232 MiB)" in words
    assert "cma=224M" in words
    assert "E-CMA-FAILED" in words


def test_a_message_that_the_board_would_not_give(bootsim: Run) -> None:
    tree = DIRECTORY / "09-cma-too-large.good.dts"
    status, out, _ = bootsim("explain", "cma: Failed to reserve 64 MiB", "--dts", tree)
    words = " ".join(out.split())
    assert status == 0
    assert "With cma=64M, the model of" in words
    assert "cma: Reserved 64 MiB at 0x6c000000" in words


def test_an_initrd_is_put_where_the_message_says(bootsim: Run) -> None:
    message = "[    0.000000] INITRD: 0x61000000+0x00800000 overlaps in-use memory region"
    status, out, _ = bootsim("explain", message, "--dts", GOOD)
    words = " ".join(out.split())
    assert status == 0
    assert "overlaps kernel image [0x60300000-0x61607587]" in words
    assert "Load it at 0x61620000" in words


def test_a_whole_log(bootsim: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _, log, _ = bootsim(
        "boot", "--profile", "linux-6.1-armmp", "--dts", BAD, "--append", "crashkernel=160M"
    )
    stdin = io.TextIOWrapper(io.BytesIO(log.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    status, out, _ = bootsim("explain", "--dts", BAD, "--json")
    told = {one["line"]: one for one in json.loads(out)}
    assert status == 0
    memory = next(one for line, one in told.items() if line.startswith("Memory: "))
    assert "highmem" in memory["words"]
    crash = next(one for line, one in told.items() if "crashkernel reservation" in line)
    assert [f["code"] for f in crash["findings"]] == ["E-CRASHKERNEL"]
    overlap = next(one for line, one in told.items() if "OVERLAP DETECTED" in line)
    assert [f["code"] for f in overlap["findings"]] == ["E-RESERVED-OVERLAP"]
    assert not any("Booting Linux" in line for line in told)


def test_without_a_tree_the_page_is_told(bootsim: Run) -> None:
    status, out, _ = bootsim("explain", "INITRD: 0x1+0x2 is not a memory region")
    assert status == 0
    assert "E-INITRD-NOT-RAM" in out


def test_nothing_to_explain(bootsim: Run) -> None:
    status, out, err = bootsim("explain", "random: crng init done")
    assert (status, out) == (1, "")
    assert "no line is one about memory" in err


@pytest.mark.slow
def test_all_of_debians_trees(bootsim: Run) -> None:
    directory = need_directory("BOOTSIM_DTBS", "Debian's device trees")
    status, out, err = bootsim("check", directory, "--json")
    data = json.loads(out)
    assert (status, err) == (1, "")
    assert len(data["trees"]) > 800
    assert not [tree["error"] for tree in data["trees"] if tree["error"]]
    # The RAM that these have is too small for a distribution's kernel.
    small = {
        Path(tree["tree"]).name
        for tree in data["trees"]
        for finding in tree["findings"]
        if finding["code"] == "E-MEMORY-TOO-SMALL"
    }
    assert "stm32f469-disco.dtb" in small
