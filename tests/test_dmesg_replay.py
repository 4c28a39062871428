"""Logs replayed through memblock: real boots whole, cut and with lines lost; and hostile ones."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.dmesg import FindingKind, Replayed, parse_log, read_log, replay
from bootsim.dmesg.words import parse_line
from bootsim.errors import BootsimError
from bootsim.kernel.memblock import Memblock, MemblockFeatures
from bootsim.kernel.memblock_log import format_event
from bootsim.trace import MemblockAlloc, MemblockRange, Trace, Use
from bootsim.views.replay_log import replay_log
from tests.conftest import REAL_BOOTS
from tests.real_boots import RealBoot, real_boots

DATA = Path(__file__).parent / "data"
LOG_5_0 = DATA / "biscuitos" / "boot-5.0-memblock-debug.log"
STAMP = "[    0.000000] "


def text_of(lines: list[str]) -> bytes:
    return "".join(f"{STAMP}{line}\n" for line in lines).encode()


def run(lines: list[str], **options: object) -> Replayed:
    return replay(parse_log(text_of(lines), "boot.log").boot(), **options)  # type: ignore[arg-type]


def tables(replayed: Replayed) -> dict[str, list[tuple[int, int, int]]]:
    memblock = replayed.memblock
    return {
        table.label: [(r.base, r.size, int(r.flags)) for r in table if r.size]
        for table in (memblock.memory, memblock.reserved)
    }


def found(replayed: Replayed, *kinds: FindingKind) -> list[str]:
    return [f.text for f in replayed.findings if f.kind in kinds]


@pytest.fixture(scope="module")
def grid() -> dict[str, RealBoot]:
    return {boot.name: boot for boot in real_boots(REAL_BOOTS / "vexpress-grid")}


@pytest.fixture(scope="module")
def log(grid: dict[str, RealBoot]) -> list[str]:
    lines: list[str] = grid["mem1024M"].record["log"]
    return lines


# Linux 5.0.


def test_5_0_its_state_is_the_published_one() -> None:
    boot = read_log(LOG_5_0).boot()
    replayed = replay(boot)
    assert replayed.rules == "Linux 5.0"
    assert replayed.checked == (15, 15)
    cases = json.loads((DATA / "biscuitos" / "cases.json").read_text())
    assert cases  # the boot that they ran in had the same memory and reservations
    at_dump = tables(replay(boot, at=boot.dumps[0].last))
    assert at_dump["memory"] == [(0x60000000, 0x40000000, 0)]
    assert [base for base, _, _ in at_dump["reserved"]] == [
        *(0x60004000, 0x60100000, 0x64000000, 0x68000000, 0x9F000000)
    ]


def test_5_0_what_it_does_not_say() -> None:
    replayed = replay(read_log(LOG_5_0).boot())
    memory, reserved = found(replayed, FindingKind.UNLOGGED)
    assert memory.startswith("[0x60000000-0x9fffffff] is memory")
    assert reserved.startswith("[0x64000000-0x640fffff] was reserved before memblock=debug")
    # The driver of that boot had written into the table itself.
    (mismatch,) = found(replayed, FindingKind.MISMATCH)
    assert mismatch.startswith("reserved size = 0x37975c6, but the regions add up to 0x38975c6")
    (pointless,) = found(replayed, FindingKind.POINTLESS)
    assert pointless.startswith("[0x4c000000-0x4c7fffff] is removed")
    assert not found(replayed, FindingKind.LOST, FindingKind.AMBIGUOUS, FindingKind.NOISE)


def test_5_0_who_took_what() -> None:
    replayed = replay(read_log(LOG_5_0).boot())
    what = {taken.line: taken.what for taken in replayed.taken}
    assert what[11] == "kernel image"
    assert what[13] == "swapper_pg_dir"
    assert what[18] == "CMA area"
    assert what[45] == "memory map"
    names = [event.what for event in replayed.trace if isinstance(event, Use)]
    assert names[-1] == "memory map"


# Linux 6.1, as recorded.


@pytest.mark.parametrize("directory", ["vexpress-grid", "boards", "command-lines", "random-trees"])
def test_whole_logs_hold_no_surprise(directory: str) -> None:
    right = checked = 0
    for boot in real_boots(REAL_BOOTS / directory):
        recorded = parse_log(text_of(boot.record["log"]), boot.name).boot()
        replayed = replay(recorded)
        surprises = found(replayed, FindingKind.LOST, FindingKind.MISMATCH, FindingKind.NOISE)
        assert not surprises, boot.name
        right, checked = right + replayed.checked[0], checked + replayed.checked[1]
        (dump,) = recorded.dumps
        state = tables(replay(recorded, at=dump.last))
        for name in ("memory", "reserved"):
            assert state[name] == [tuple(r) for r in boot.record[name] if r[1]], (boot.name, name)
    assert right == checked > 500


def test_a_tree_brings_no_surprise(grid: dict[str, RealBoot]) -> None:
    for boot in grid.values():
        replayed = run(boot.record["log"], dtb=boot.dtb)
        assert not found(replayed, FindingKind.LOST, FindingKind.MISMATCH), boot.name
        assert tables(replayed) == tables(run(boot.record["log"])), boot.name


def test_no_map_regions_are_told(grid: dict[str, RealBoot]) -> None:
    boot = grid["rm_nomap_end"]
    unlogged = found(run(boot.record["log"], dtb=boot.dtb), FindingKind.UNLOGGED)
    (nomap,) = [text for text in unlogged if "memblock_mark_nomap() is not logged" in text]
    assert "/reserved-memory/" in nomap


def test_a_no_map_region_that_is_allocated_is_marked_then(grid: dict[str, RealBoot]) -> None:
    boot = grid["rd_many_order"]
    replayed = run(boot.record["log"])
    (finding,) = [f for f in replayed.findings if "mark_nomap" in f.text]
    assert finding.line == 18
    lines = [
        line
        for line, event in zip(replayed.lines, replayed.trace, strict=True)
        if isinstance(event, MemblockRange) and event.function == "memblock_mark_nomap"
    ]
    assert lines == [18]


def test_the_limit_of_low_memory_is_told(grid: dict[str, RealBoot]) -> None:
    boot = grid["ml_bank1_tiny"]
    unlogged = found(run(boot.record["log"]), FindingKind.UNLOGGED)
    assert any(text.startswith("allocations end at 0x64000000") for text in unlogged)


def test_a_full_table_fails(grid: dict[str, RealBoot]) -> None:
    replayed = run(grid["rm_140"].record["log"])
    failed = found(replayed, FindingKind.FAILED)
    assert "[0x77d00000-0x77d0ffff]: -ENOMEM" in failed[0]
    assert replayed.memblock.reserved.cnt == replayed.memblock.reserved.max == 128


def test_an_array_that_is_doubled(grid: dict[str, RealBoot]) -> None:
    replayed = run(grid["rm_nomap_140"].record["log"])
    assert replayed.memblock.memory.max == 256


def test_the_tree_names_what_it_reserves(grid: dict[str, RealBoot]) -> None:
    boot = grid["rm_adjacent"]
    replayed = run(boot.record["log"], dtb=boot.dtb)
    what = [taken.what for taken in replayed.taken]
    assert "device tree" in what
    assert any(name.startswith("/reserved-memory/") for name in what)


def test_a_tree_without_memory_is_told(grid: dict[str, RealBoot]) -> None:
    boot = grid["ml_nomemnode_cmdline"]
    (why,) = found(run(boot.record["log"], dtb=boot.dtb, dtb_name="b.dtb"), FindingKind.AMBIGUOUS)
    assert why.startswith("b.dtb: /: no memory")


# The state at any line.


def test_the_state_at_each_line_is_what_the_lines_before_give(log: list[str]) -> None:
    whole = run(log)
    for at in (1, 8, 20, 40, 80, len(log)):
        replayed = run(log, at=at)
        last = [line for line in replayed.lines if line]
        assert max(last, default=0) <= at
        assert replayed.trace.events == whole.trace.events[: len(replayed.trace)]
        assert replayed.log == log[:at]
    assert tables(run(log, at=len(log))) == tables(whole)


@pytest.mark.parametrize("at", [0, 10_000])
def test_a_line_that_is_not_there(log: list[str], at: int) -> None:
    with pytest.raises(BootsimError, match=rf"boot\.log: line {at} is not of boot 1: 1 to "):
        run(log, at=at)


def test_the_log_events_are_the_log(log: list[str]) -> None:
    told = [e for e in run(log).trace if not isinstance(e, Use) and getattr(e, "debug", True)]
    assert told == [parse_line(line) for line in log]
    trace = run(log).trace
    assert Trace.from_json_lines(trace.to_json_lines()).events == trace.events


# Truncated at the front.


def test_cut_before_the_configuration(log: list[str]) -> None:
    cut = next(n for n, line in enumerate(log) if line.startswith("memblock_reserve")) + 1
    replayed = run(log[cut:])
    lost = found(replayed, FindingKind.LOST)
    assert [text.split(" was")[0] for text in lost] == [
        "[0x60300000-0x61607587] (kernel image)",
        "[0x68000000-0x68003725] (by its size the device tree's blob)",
    ]
    assert tables(replayed) == tables(run(log))


def test_cut_behind_the_configuration(log: list[str]) -> None:
    cut = next(n for n, line in enumerate(log) if line.startswith("Zone ranges"))
    whole, replayed = run(log), run(log[cut:])
    assert "by the node ranges" in found(replayed, FindingKind.UNLOGGED)[0]
    (lost,) = found(replayed, FindingKind.LOST)
    assert "[0x8fff9000-0x8fffffff] were taken before this line" in lost
    # All that the log tells is reserved as it was.
    assert all(
        replayed.memblock.is_region_reserved(taken.base, taken.size)
        for taken in whole.taken
        if taken.line > cut and whole.memblock.is_region_reserved(taken.base, taken.size)
    )


def test_nothing_tells_the_memory(log: list[str]) -> None:
    replayed = run([line for line in log if line.startswith("memblock_")])
    assert any("give the device tree" in t for t in found(replayed, FindingKind.AMBIGUOUS))


# Lines lost in the middle.


def is_request(line: str) -> bool:
    return isinstance(parse_line(line), MemblockAlloc)


def requests(log: list[str]) -> list[int]:
    """Indices of requests whose reservation follows, but for the last two."""
    indices = [
        n for n, line in enumerate(log[:-1]) if is_request(line) and "reserve:" in log[n + 1]
    ]
    return indices[:-2]


def test_a_reservation_that_is_lost_is_put_back(log: list[str]) -> None:
    whole = tables(run(log))
    for index in requests(log):
        replayed = run(log[: index + 1] + log[index + 2 :])
        (finding,) = [f for f in replayed.findings if f.kind is FindingKind.LOST]
        assert finding.line == index + 1
        event = parse_line(log[index + 1])
        assert isinstance(event, MemblockRange)
        assert f"[{event.base:#010x}-{event.base + event.size - 1:#010x}]" in finding.text
        assert tables(replayed) == whole


def test_a_request_that_is_lost_is_told(log: list[str]) -> None:
    whole = tables(run(log))
    for index in requests(log):
        replayed = run(log[:index] + log[index + 1 :])
        lost = [f for f in replayed.findings if f.kind is FindingKind.LOST]
        assert [f.line for f in lost] == [index + 1]
        assert "the line that asks for" in lost[0].text
        assert tables(replayed)["reserved"] == whole["reserved"]


def test_both_lost_show_at_the_next_that_lies_below(log: list[str]) -> None:
    early = [n for n in requests(log) if "early_alloc" in log[n]]
    assert len(early) > 4
    for index in early[:-1]:
        event = parse_line(log[index + 1])
        assert isinstance(event, MemblockRange)
        replayed = run(log[:index] + log[index + 2 :])
        lost = found(replayed, FindingKind.LOST)
        assert len(lost) >= 1, log[index + 1]
        last = event.base + event.size - 1
        # What is lost covers at least what was there, in one piece or as part of a larger one.
        assert f"{event.base:#010x}" in lost[0] or f"{last:#010x}" in lost[0]


def test_a_line_of_the_configuration_is_lost(log: list[str]) -> None:
    index = next(n for n, line in enumerate(log) if line.startswith(" reserved[0x1]"))
    replayed = run(log[:index] + log[index + 1 :])
    (lost,) = found(replayed, FindingKind.LOST)
    assert "reserved[0x1]" in lost
    assert tables(replayed) == tables(run(log))


def test_a_reservation_before_the_configuration_is_lost(log: list[str]) -> None:
    index = next(n for n, line in enumerate(log) if "arm_memblock_init" in line)
    replayed = run(log[:index] + log[index + 1 :])
    (lost,) = found(replayed, FindingKind.LOST)
    assert lost.startswith("the line that reserves [0x60300000-0x61607587] (kernel image)")
    assert tables(replayed) == tables(run(log))


def test_what_is_wrong_is_a_mismatch(log: list[str]) -> None:
    index = next(n for n in requests(log) if "8192 bytes align=0x2000" in log[n])
    higher = log[index].replace("max_addr=0x00000000", "max_addr=0x70000000")
    replayed = run([*log[:index], higher, *log[index + 1 :]])
    assert found(replayed, FindingKind.MISMATCH, FindingKind.LOST)
    assert replayed.checked[0] < replayed.checked[1]


# Other kernels and processors.


def test_4_x_without_an_mmu() -> None:
    replayed = replay(read_log(DATA / "dmesg" / "efm32-4.x.log").boot())
    assert replayed.checked == (3, 3)  # aligned to 32 bytes, that processor's cache line
    assert {f.kind for f in replayed.findings} == {FindingKind.UNLOGGED}


def test_4_x_a_request_that_fails() -> None:
    replayed = replay(read_log(DATA / "dmesg" / "efm32-4.x-no-room.log").boot())
    assert replayed.checked == (2, 2)
    assert [taken.size for taken in replayed.taken if taken.line] == [720, 16384]


def test_4_9_on_a_board_with_u_boot() -> None:
    first, second = read_log(DATA / "dmesg" / "khadas-4.9.log").boots
    replayed = replay(first)
    assert not found(replayed, FindingKind.LOST, FindingKind.MISMATCH)
    assert replayed.checked == (12, 12)
    assert any("0x30000000" in text for text in found(replayed, FindingKind.UNLOGGED))
    assert not replay(second).memblock.is_reserved(0x4C00000)  # taken, and given back


def test_64_bit_addresses_and_nodes() -> None:
    features = MemblockFeatures(phys_addr_bits=64, numa=True, max_numnodes=64)
    trace = Trace()
    memblock = Memblock.standalone(features=features, trace=trace)
    memblock.memblock_debug = True
    memblock.add_node(0x80000000, 0x80000000, 0, caller="f")
    memblock.add_node(0x880000000, 0x80000000, 1, caller="f")
    memblock.reserve(0x880000000, 0x200000, caller="f")
    dump = memblock.dump_lines()
    begin = len(trace)
    for nid in (0, 1, -1):
        memblock.trace = trace
        at = memblock.find_in_range_node(0x10000, 0x1000, 0, 0, nid)
        trace.emit(
            MemblockAlloc("memblock_alloc_try_nid_raw", 0x10000, 0x1000, 0, 0, nid, "g", True)
        )
        memblock.reserve(at, 0x10000, caller="memblock_alloc_range_nid")
    lines = [format_event(event, features) for event in trace]
    assert None not in lines
    text = [line for line in lines[:begin] if line] + dump + [ln for ln in lines[begin:] if ln]
    replayed = run(["Booting Linux on physical CPU 0x0", "Linux version 6.1.0", *text])
    assert replayed.memblock.features.numa
    assert replayed.checked == (3, 3)
    assert tables(replayed) == {
        table.label: [(r.base, r.size, int(r.flags)) for r in table]
        for table in (memblock.memory, memblock.reserved)
    }


# Hostile logs.


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_mutation_of_a_log_is_replayed(data: st.DataObject) -> None:
    lines = read_log(LOG_5_0).boot().log
    rng = random.Random(data.draw(st.integers(0, 1 << 32)))
    for _ in range(data.draw(st.integers(1, 8))):
        index = rng.randrange(len(lines))
        line = lines[index]
        at = rng.randrange(len(line) + 1)
        mutations = [
            line[:at],
            line[:at] + rng.choice("0f]x- [") + line[at + 1 :],
            line.replace("0x9", rng.choice(["0x0", "0xffffffff9", "0x"])),
            line.replace("bytes", "bytes " * 2),
            lines[rng.randrange(len(lines))],
            line + line,
        ]
        lines[index : index + 1] = [rng.choice(mutations)] * rng.randrange(3)
    check_hostile(text_of(lines))


NUMBER = st.sampled_from([0, 1, 0xFFF, 0x1000, 0x60000000, 0xFFFFFFFF, 1 << 32, (1 << 64) - 1])


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 7), NUMBER, NUMBER, st.integers(-2, 3)), max_size=30))
def test_any_events_are_replayed(events: list[tuple[int, int, int, int]]) -> None:
    forms = [
        "memblock_reserve: [{0:#x}-{1:#x}] memblock_alloc_range_nid+0x1/0x2",
        "memblock_reserve: [{0:#x}-{1:#x}] memblock_double_array+0x1/0x2",
        "memblock_add_node: [{0:#x}-{1:#x}] nid={2} flags=4 f",
        "memblock_remove: [{0:#x}-{1:#x}] f",
        "memblock_phys_free: [{0:#x}-{1:#x}] f",
        "memblock_alloc_try_nid: {0} bytes align={1:#x} nid={2} from={1:#x} max_addr={0:#x} f",
        "memblock: reserved is doubled to 256 at [{0:#x}-{1:#x}]",
        " memory[{2:#x}]\t[{0:#x}-{0:#x}], 0x1 bytes on node {2} flags: 0x6",
    ]
    check_hostile(text_of([forms[form].format(*numbers) for form, *numbers in events]))


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=400))
def test_any_bytes_are_read(data: bytes) -> None:
    check_hostile(b"Linux version 6.1.0\nmemblock_reserve: [0x1000-0x1fff] f\n" + data)


def check_hostile(data: bytes) -> None:
    """The replay of each boot in `data` ends, with a result or a BootsimError."""
    recording = parse_log(data, "x.log")
    for number in range(len(recording.boots)):
        try:
            replay_log(replay(recording.boot(number + 1)))
        except BootsimError as error:
            assert "\n" not in str(error)


def test_ever_the_same_surprise_ends() -> None:
    lines = ["Linux version 6.1.0", "MEMBLOCK configuration:", " memory.cnt  = 0x1"]
    lines += [" memory[0x0]\t[0x60000000-0x9fffffff], 0x40000000 bytes flags: 0x0"]
    for number in range(400):
        at = 0x60000000 + 0x20000 * number
        lines.append("memblock_alloc_try_nid: 64 bytes align=0x40 nid=-1 from=0x0 max_addr=0x0 f")
        lines.append(f"memblock_reserve: [{at:#010x}-{at + 63:#010x}] memblock_alloc_range_nid")
    replayed = run(lines)
    assert any(text.startswith("more than 200") for text in found(replayed, FindingKind.AMBIGUOUS))


def test_2000_lines_take_no_time() -> None:
    trace = Trace()
    memblock = Memblock.standalone([(0x60000000, 0x10000000)], trace=trace)
    memblock.memblock_debug = True
    dump = memblock.dump_lines()
    begin = len(trace)
    for number in range(1000):
        memblock.alloc(64 * (1 + number % 7), 64, caller="f")
    memblock_lines = [format_event(event, memblock.features) for event in trace]
    lines = ["Linux version 6.1.0", *dump, *filter(None, memblock_lines[begin:])]
    data = text_of(lines)
    best = 1.0
    for _ in range(3):
        start = time.perf_counter()
        replayed = replay(parse_log(data).boot())
        best = min(best, time.perf_counter() - start)
    assert replayed.checked == (1000, 1000)
    assert best < 0.3  # 0.06 s on an idle machine


# For people.


def test_the_view_shows_all(log: list[str]) -> None:
    view = replay_log(run(log))
    text = "\n".join(view.lines)
    assert "boot.log: boot 1, lines 1 to 120: Linux 6.1.0-50-armmp" in text
    assert "38 of 38 allocations lie where memblock's rules put them" in text
    assert "Dentry cache hash, alloc_large_system_hash()" in text
    assert "boot.log:14: unlogged: [0x68000000-0x68003725]" in text
    json.dumps(view.data)
    assert len(view.data["taken"]) == len(run(log).taken)
