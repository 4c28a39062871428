"""Comparing boots: what differs is found, and told by its first cause."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bootsim.kernel.memblock_type import Region
from bootsim.sources import MemblockEvent, Source, Tables, is_logged
from bootsim.trace import MemblockAlloc, MemblockRange, MemblockResize, Trace
from bootsim.views.compare import Comparison, Part, compare, view

ALLOCATOR, MEMORY_LINE = "memblock_alloc_range_nid", "Memory: 100K/200K available"
DUMP = ["MEMBLOCK configuration:", " memory size = 0x1", " reserved.cnt  = 0x1"]


def reserve(base: int, size: int, caller: str = "someone") -> MemblockRange:
    return MemblockRange("memblock_reserve", base, size, 0, -1, caller, debug=True)


def alloc(size: int, base: int, caller: str = "asker") -> list[MemblockEvent]:
    """A request, and the reservation that it leads to."""
    request = MemblockAlloc("memblock_alloc_try_nid", size, 64, 0, 0, -1, caller, debug=True)
    return [request, reserve(base, size, ALLOCATOR)]


def source(
    *events: MemblockEvent,
    name: str = "a",
    log: tuple[str, ...] = (*DUMP, "Zone ranges:", MEMORY_LINE),
    reserved: tuple[tuple[int, int], ...] = ((0x1000, 0x100),),
    died: str | None = None,
) -> Source:
    trace = Trace()
    for event in events:
        trace.emit(event)
    tables = Tables((Region(0, 0x100000, 0, 0),), tuple(Region(b, s, 0, 0) for b, s in reserved))
    return Source(name, trace, log, tables, tables, lambda _event: True, died)


def part(comparison: Comparison, name: str) -> Part:
    return next(part for part in comparison.parts if part.name == name)


FIRST = [reserve(0x1000, 0x100, "arm_memblock_init"), *alloc(0x40, 0xF000), *alloc(0x80, 0xE000)]


def test_a_boot_equals_itself() -> None:
    comparison = compare(source(*FIRST), source(*FIRST, name="b"))
    assert comparison.equal
    assert [part.name for part in comparison.parts] == [
        *("outcome", "dump.memory", "dump.reserved", "log", "events"),
        *("final.memory", "final.reserved", "memory_line"),
    ]
    assert (part(comparison, "events").same, part(comparison, "events").total) == (5, 5)


def test_callers_and_their_offsets_are_the_compilers_choice() -> None:
    other = [replace(event, caller=f"{event.caller}+0x10/0x20") for event in FIRST[:3]]  # type: ignore[call-arg]
    assert compare(source(*FIRST[:3]), source(*other)).equal


def test_one_request_more_is_one_difference_with_its_followers() -> None:
    more = [*FIRST[:1], *alloc(0x200, 0xF000), *alloc(0x40, 0xEE00), *alloc(0x80, 0xDE00)]
    events = part(compare(source(*FIRST), source(*more)), "events")
    assert [(d.a, d.b.split(":")[0], d.followers) for d in events.differences] == [
        ("", "memblock_alloc_try_nid", 0),
        ("", "memblock_reserve", 2),
    ]
    assert events.same == 3  # the fixed one, and both requests


def test_a_place_that_differs_without_a_reason_is_a_difference() -> None:
    other = [*FIRST[:2], reserve(0xF800, 0x40, ALLOCATOR), *FIRST[3:]]
    (difference,) = part(compare(source(*FIRST), source(*other)), "events").differences
    assert "0x0000f000" in difference.a
    assert "0x0000f800" in difference.b


def test_a_fixed_place_is_part_of_the_request() -> None:
    other = [reserve(0x2000, 0x100, "arm_memblock_init"), *FIRST[1:]]
    (difference,) = part(compare(source(*FIRST), source(*other)), "events").differences
    assert difference.followers == 0
    assert "arm_memblock_init" in difference.a


def test_a_resized_table_is_an_event() -> None:
    doubled = MemblockResize("reserved", 256, 0x9000, 0x2000, debug=True)
    comparison = compare(source(*FIRST), source(*FIRST, doubled))
    assert "reserved is doubled" in part(comparison, "events").differences[0].b


def test_what_one_side_cannot_see_does_not_count() -> None:
    silent = MemblockRange("memblock_mark_nomap", 0x5000, 0x1000, 4, -1, "someone", debug=True)
    log = replace(source(*FIRST), sees=is_logged)
    assert compare(source(*FIRST, silent), log).equal
    assert compare(log, source(*FIRST, silent)).equal
    assert not compare(source(*FIRST, silent), source(*FIRST)).equal


def test_tables_that_differ_or_are_not_known() -> None:
    comparison = compare(source(), source(reserved=((0x1000, 0x100), (0x3000, 0x10))))
    (difference,) = part(comparison, "dump.reserved").differences
    assert (difference.a, difference.b) == ("", "[0x00003000-0x0000300f] 16 B")
    assert part(comparison, "dump.memory").differences == []
    unknown = compare(source(), replace(source(), final=None))
    assert unknown.equal
    assert part(unknown, "final.reserved").unknown == "B does not tell"


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (None, None, True),
        ("Kernel panic - not syncing: x", "Kernel panic - not syncing: x", True),
        ("Kernel panic - not syncing: x", "Kernel panic - not syncing: y", False),
        ("data abort at 1", "Linux dies", True),
        ("data abort at 1", None, False),
        ("data abort at 1", "Kernel panic - not syncing: x", False),
    ],
)
def test_deaths(a: str | None, b: str | None, equal: bool) -> None:
    comparison = compare(source(died=a), source(died=b))
    assert comparison.equal == equal
    shown = view(comparison).lines
    for died in filter(None, (a, b)):
        assert any(died in line for line in shown)


def test_the_log_counts_up_to_the_dump_but_for_the_cpus_id() -> None:
    head = ("Booting Linux on physical CPU 0x0", "Linux version 6")
    other = ("Booting Linux on physical CPU 0xf00", "Linux version 6")
    tail = (*DUMP, "a line about hardware", MEMORY_LINE)
    assert compare(source(log=head + tail), source(log=(*other, *DUMP, MEMORY_LINE))).equal
    missing = compare(source(log=head + tail), source(log=head[:1] + tail))
    assert part(missing, "log").differences[0].a == "Linux version 6"


def test_the_memory_line_counts_where_both_have_it() -> None:
    changed = compare(source(), source(log=(*DUMP, "Memory: 101K/200K available")))
    assert part(changed, "memory_line").differences
    lost = compare(source(), source(log=tuple(DUMP)))
    assert part(lost, "memory_line").unknown == "B did not come to it"
    assert lost.equal


def test_how_it_is_shown() -> None:
    many = [reserve(0x10000 * n, n, "arm_memblock_init") for n in range(1, 13)]
    comparison = compare(source(*FIRST), source(*FIRST, *many, name="vmlinuz"))
    shown = view(comparison)
    assert shown.lines[:2] == ["A: a", "B: vmlinuz"]
    assert "    ... and 4 more: --all shows them" in shown.lines
    assert len(view(comparison, everything=True).lines) == len(shown.lines) + 4 - 1
    data = json.loads(json.dumps(shown.data))
    assert data["equal"] is False
    events = next(part for part in data["parts"] if part["name"] == "events")
    assert (events["verdict"], len(events["differences"])) == ("different", 12)
