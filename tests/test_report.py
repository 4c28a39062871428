"""The report's file: its data is the boot's, and data is all that a boot can put into it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bootsim.simulate import Boot
from bootsim.trace import (
    Event,
    MemblockAlloc,
    MemblockFailure,
    MemblockRange,
    MemblockResize,
    Printk,
    Refusal,
    Stage,
)
from bootsim.views.categories import CATEGORIES, MEMORY_MAP, ink_on
from bootsim.views.event_text import event_words
from bootsim.views.groups import grouped
from bootsim.views.owners import State
from bootsim.views.report import Finding, Ram, Side, Step, Sum, json_in_html, model_side, page
from bootsim.views.report.data import NOT_GIVEN, report_data
from tests.command import Run
from tests.requirements import need_kernel
from tests.trees import CELLS, board

MIB = 1 << 20
BASE = 0x60000000
HOSTILE = "</script><script>alert(1)</script><!--<script>{{data}}&amp;"
# A section maps the first half of two MiB, and the second half is asked to be mapped by pages:
# the kernel's BUG_ON(pmd_bad(*pmd)) in arm_pte_alloc().
DEADLY = board(
    (BASE, 256 * MIB),
    extra=f"reserved-memory {{ {CELLS} ranges; fw@64100000"
    " { reg = <0x64100000 0x1000>; no-map; }; };",
)


def side(**options: Any) -> Side:
    boot = Boot(**options)
    return model_side(boot.run())


class Page(HTMLParser):
    """The scripts of a page, as a browser takes them apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert name not in ("src", "href") or (value or "").startswith("#"), (tag, name, value)

    def handle_data(self, text: str) -> None:
        if self.tags:
            self.texts.setdefault(self.tags[-1], []).append(text)


def unpacked(splices: list[list[Any]], count: int) -> list[list[Any]]:
    states: list[list[Any]] = []
    state: list[Any] = []
    left = list(splices)
    for moment in range(count):
        if left and left[0][0] == moment:
            _, start, gone, come = left.pop(0)
            state = [*state[:start], *come, *state[start + gone :]]
        states.append(state)
    assert not left
    return states


@pytest.mark.parametrize("profile", ["linux-5.0", "linux-6.1-armmp"])
def test_the_data_is_the_history(profile: str) -> None:
    boot = side(profile=profile, cmdline="memblock=debug")
    data = json.loads(json.dumps(report_data([boot])))["sides"][0]
    moments = boot.history.moments
    strings = data["strings"]
    assert [(row[0], strings[row[1]]) for row in data["moments"]] == [
        (m.last, m.stage) for m in moments
    ]
    for name in ("memory", "reserved"):
        for moment, rows in zip(moments, unpacked(data[name], len(moments)), strict=True):
            table = getattr(moment.tables, name)
            assert [(row[0], row[1]) for row in rows] == [(r.base, r.size) for r in table]
    for moment, rows in zip(moments, unpacked(data["pieces"], len(moments)), strict=True):
        given = any(p.state == State.GIVEN for p in moment.pieces)
        assert [(row[0], row[1], strings[row[2]]) for row in rows] == [
            (p.base, p.end, NOT_GIVEN if given and p.state == State.FREE else p.owner)
            for p in moment.pieces
        ]
    assert len(data["events"]) == len(boot.trace)


def test_the_page_groups_as_the_still_picture_does() -> None:
    boot = side(profile="linux-6.1-armmp")
    data = report_data([boot])["sides"][0]
    moments = boot.history.moments
    most = 0
    for moment, rows in zip(moments, unpacked(data["crowds"], len(moments)), strict=True):
        groups = [group for group in grouped(moment.pieces) if len(group.members) > 1]
        assert [(row[0], row[1], data["strings"][row[2]]) for row in rows] == [
            (group.base, group.end, group.name) for group in groups
        ]
        assert [CATEGORIES[row[3]] for row in rows] == [group.kind for group in groups]
        most = max(most, len(rows))
    assert most >= 2


def test_free_blocks_are_all_there() -> None:
    boot = Boot().run()
    data = report_data([model_side(boot)])["sides"][0]
    blocks = [
        (pfn + n * 2**order, order) for pfn, order, times in data["blocks"] for n in range(times)
    ]
    assert blocks == sorted((block.pfn, block.order) for block in boot.buddy.free_blocks())
    assert sum(2**order for _, order in blocks) == boot.buddy.nr_free_pages()
    assert len(data["blocks"]) < len(blocks) / 4


def test_log_lines_lead_to_their_events() -> None:
    boot = side(cmdline="memblock=debug")
    assert [text for _, _, text in boot.log] == list(boot.source.log)
    events = [event for event, _, _ in boot.log]
    assert events == sorted(events)
    (memory,) = [event for event, _, text in boot.log if text.startswith("Memory: ")]
    assert isinstance(boot.trace[memory], Printk)


def test_partners_go_forward_and_meet_at_the_stages() -> None:
    a, b = side(cmdline="mem=512M"), side(cmdline="mem=256M cma=32M memblock=debug")
    data = report_data([a, b])
    for ours, theirs, partners in ((a, b, data["partners"][0]), (b, a, data["partners"][1])):
        moments, others = ours.history.moments, theirs.history.moments
        assert len(partners) == len(moments)
        assert partners == sorted(partners)
        assert partners[-1] == len(others) - 1
        stages = {
            m.stage: n for n, m in enumerate(others) if isinstance(theirs.trace[m.last], Stage)
        }
        for moment, partner in zip(moments, partners, strict=True):
            if isinstance(ours.trace[moment.last], Stage):
                assert partner == stages[moment.stage]
    assert data["comparison"]["equal"] is False


def test_a_usual_report_is_small() -> None:
    assert len(page([side(cmdline="memblock=debug")], "V2P-CA9").encode()) < 300_000
    both = [side(), side(cmdline="mem=512M")]
    assert len(page(both, "V2P-CA9").encode()) < 500_000


def test_nothing_from_outside_becomes_markup() -> None:
    usual = page([side()], "usual")
    tree = board((BASE, 256 * MIB), bootargs=HOSTILE.replace('"', ""))
    boot = side(dtb=tree)
    finding = Finding(HOSTILE, "error", HOSTILE, [(HOSTILE, HOSTILE)], [(HOSTILE, BASE, 4096)])
    ram = Ram((Sum("-", HOSTILE, 4096),), (Step("-", HOSTILE, 4096, 0, CATEGORIES[0]),))
    hostile = page([replace(boot, findings=[finding], ram=ram)], HOSTILE)
    assert Page(hostile).tags == Page(usual).tags
    assert Page(hostile).texts["title"][0] == HOSTILE
    data = json.loads(re.findall(r'id="data">(.*?)</script>', hostile)[0])
    assert dict(data["sides"][0]["facts"])["Command line"] == HOSTILE
    assert data["sides"][0]["findings"][0]["details"] == [[HOSTILE, HOSTILE]]
    assert data["sides"][0]["waterfall"] == [["-", HOSTILE, 4096, 0, 0, None]]
    assert data["sides"][0]["sums"] == [["-", HOSTILE, 4096]]


@pytest.mark.parametrize("text", [HOSTILE, "\u2028\u2029", "\ud800", "]]>", "\0", "<!--", 'a"b\\'])
def test_json_in_html_is_json_without_markup(text: str) -> None:
    encoded = json_in_html({text: [text]})
    assert json.loads(encoded) == {text: [text]}
    assert encoded.isascii()
    assert not set(encoded) & set("<>&")


def test_the_policy_knows_the_pages_own_script_and_no_connection() -> None:
    text = page([side()], "x")
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)[0]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_colours_differ_and_carry_their_letters() -> None:
    for colours in ([c.light for c in CATEGORIES], [c.dark for c in CATEGORIES]):
        assert len(set(colours)) == len(colours)
    assert ink_on("#ffffff") == "#000000"
    assert ink_on("#000000") == "#ffffff"
    assert len({c.letter for c in CATEGORIES}) == len(CATEGORIES)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            MemblockRange("memblock_reserve", BASE, 4096, 0, -1, "setup_arch+0x1/0x2", False),
            "setup_arch() reserves 4 KiB at 0x60000000-0x60000fff",
        ),
        (
            MemblockRange("memblock_phys_free", BASE, 0, 0, -1, "", False),
            "The kernel gives back nothing, at 0x60000000",
        ),
        (
            MemblockRange("memblock_new", BASE, 16, 0, -1, "f", False),
            "f() calls memblock_new() for 16 B at 0x60000000-0x6000000f",
        ),
        (
            MemblockAlloc("memblock_alloc", 8192, 4096, BASE, 0, -1, "f", False),
            "f() asks memblock for 8 KiB above 0x60000000, aligned to 4 KiB",
        ),
        (
            MemblockFailure("memblock_reserve", BASE, 4096, -12, "f"),
            "memblock_reserve() of 4 KiB at 0x60000000-0x60000fff fails with ENOMEM:"
            " nothing has changed",
        ),
        (
            MemblockResize("reserved", 256, BASE, 4096, False),
            "memblock.reserved is full: its table moves to 4 KiB at 0x60000000-0x60000fff,"
            " room for 256 regions",
        ),
        (
            Refusal("reserve", BASE, 4096, "/reserved-memory/a", errno=-16),
            "Linux refuses: reserve, 4 KiB at 0x60000000-0x60000fff, /reserved-memory/a,"
            " error EBUSY",
        ),
        (Stage("mem_init"), ""),
    ],
)
def test_events_are_told_in_plain_words(event: Event, words: str) -> None:
    assert event_words(event) == words


def test_a_title_has_nothing_that_cannot_be_seen() -> None:
    text = page([side()], "\u202e\0a\x1b<b>\u2066")
    assert Page(text).texts["title"][:1] == ["\ufffd\ufffda\ufffd<b>\ufffd"]


# The command.


def test_the_command_writes_a_file(bootsim: Run, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    status, out, _ = bootsim("report", "-o", file, "--json")
    assert status == 0
    told = json.loads(out)
    assert told["bytes"] == file.stat().st_size
    assert told["boots"][0]["died"] is None
    assert "<title>V2P-CA9</title>" in file.read_text()


def test_two_command_lines(bootsim: Run, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    assert bootsim("report", "-o", file, "--against-append", "mem=256M")[0] == 0
    data = json.loads(re.findall(r'id="data">(.*?)</script>', file.read_text())[0])
    names = [entry["name"] for entry in data["sides"]]
    assert names == [
        "model of linux-5.0, its own command line",
        "model of linux-5.0, mem=256M",
    ]


def test_a_boot_that_dies_is_shown_and_told(bootsim: Run, tmp_path: Path) -> None:
    tree, file = tmp_path / "deadly.dtb", tmp_path / "report.html"
    tree.write_bytes(DEADLY)
    status, out, _ = bootsim("report", "-o", file, "--dtb", tree, "--profile", "linux-6.1-armmp")
    assert status == 1
    assert "died: BUG" in out
    data = json.loads(re.findall(r'id="data">(.*?)</script>', file.read_text())[0])
    assert "BUG" in data["sides"][0]["died"]
    assert data["sides"][0]["zones"] is None
    assert len(data["sides"][0]["moments"]) > 10


def test_a_boot_that_is_stopped_early_has_a_report(bootsim: Run, tmp_path: Path) -> None:
    for at in ("start_kernel", "0", "cmd_line"):
        assert bootsim("report", "-o", tmp_path / "report.html", "--at", at)[0] == 0


def test_the_model_beside_a_real_kernel_and_its_log(bootsim: Run, tmp_path: Path) -> None:
    kernel, file, log = need_kernel(), tmp_path / "report.html", tmp_path / "boot.log"
    options = ("--append", "memblock=debug")
    assert bootsim("report", "-o", file, "--kernel", kernel, "--against", "model", *options)[0] == 0
    data = json.loads(re.findall(r'id="data">(.*?)</script>', file.read_text())[0])
    assert data["comparison"]["equal"] is True
    ends = [unpacked(entry["reserved"], len(entry["moments"]))[-1] for entry in data["sides"]]
    assert [row[:2] for row in ends[0]] == [row[:2] for row in ends[1]]
    assert data["sides"][0]["blocks"]
    # The memory map, which no event of a real kernel names.
    for entry in data["sides"]:
        strings = entry["strings"]
        (mem_map,) = [
            row
            for row in unpacked(entry["pieces"], len(entry["moments"]))[-1]
            if strings[row[2]] == "memory map (struct page)"
        ]
        assert CATEGORIES[mem_map[3]] == MEMORY_MAP
    assert [entry["sums"] for entry in data["sides"]] == [data["sides"][0]["sums"]] * 2
    status, out, _ = bootsim("kernel", kernel, *options)
    assert status == 0
    log.write_text(out.split("\n\n", 1)[0])
    assert bootsim("report", "-o", file, "--against", log, *options)[0] == 0
    data = json.loads(re.findall(r'id="data">(.*?)</script>', file.read_text())[0])
    assert data["sides"][1]["log"][-1][2].startswith("Memory: ")
    assert data["sides"][0]["facts"][1][1].endswith("linux-6.1-armmp")


def test_of_a_real_kernel_alone_the_tree_is_checked(bootsim: Run, tmp_path: Path) -> None:
    kernel, file = need_kernel(), tmp_path / "report.html"
    bad = Path(__file__).parent / "data" / "problems" / "10-overlap.bad.dts"
    bootsim("report", "-o", file, "--dts", bad, "--kernel", kernel)
    (entry,) = json.loads(re.findall(r'id="data">(.*?)</script>', file.read_text())[0])["sides"]
    codes = re.findall(r"\S+", bad.read_text().splitlines()[0].removeprefix("// codes:"))
    assert set(codes) <= {found["code"] for found in entry["findings"]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--against", "model"), "the model with itself"),
        (("--against", "/no/such/file"), "/no/such/file"),
        (("--dtb", "/no/such/file"), "/no/such/file"),
        (("--at", "nowhere"), "no stage 'nowhere'"),
        (("-o", "/no/such/folder/a.html"), "/no/such/folder/a.html: No such file or directory"),
        (("-o", "-", "--json"), "one can go to standard output"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], said: str, bootsim: Run, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    status, out, err = bootsim("report", "-o", file, *arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not file.exists()


def test_the_waterfall_and_the_findings_are_the_trees(bootsim: Run, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    bad = Path(__file__).parent / "data" / "problems" / "10-overlap.bad.dts"
    bootsim("report", "-o", file, "--dts", bad, "--profile", "linux-6.1-armmp")
    (entry,) = json.loads(re.findall(r'id="data">(.*?)</script>', file.read_text())[0])["sides"]
    codes = re.findall(r"\S+", bad.read_text().splitlines()[0].removeprefix("// codes:"))
    assert set(codes) <= {found["code"] for found in entry["findings"]}
    assert all(text for found in entry["findings"] for _, text in found["details"])
    assert bootsim("report", "-o", file)[0] == 0
    (entry,) = json.loads(re.findall(r'id="data">(.*?)</script>', file.read_text())[0])["sides"]
    steps = entry["waterfall"]
    signs = {"=": 0, "-": -1, "+": 1}
    assert steps[0][2] + sum(signs[sign] * size for sign, _, size, *_ in steps) == steps[-1][2]
    # The built-in board's video RAM is no RAM of Linux's.
    assert [found["code"] for found in entry["findings"]] == ["I-RESERVED-NOT-RAM"]
    signs[""] = 1
    assert sum(signs[sign] * size for sign, _, size in entry["sums"]) == entry["sums"][-1][2]
    assert entry["sums"][-1][2] == steps[-1][2]
