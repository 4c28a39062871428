"""RAM at each event, derived from the trace: what a boot that is stopped there has."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

import bootsim
from bootsim.errors import BootsimError
from bootsim.kernel.memblock import Memblock, MemblockFeatures
from bootsim.kernel.memory import PAGE_SHIFT
from bootsim.machine.memory import Range
from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.image import load_kernel_image
from bootsim.simulate import Boot
from bootsim.sources import Tables
from bootsim.trace import MemblockFailure, MemblockRange, MemblockResize, PageFree, Trace, Use
from bootsim.views.history import History, history
from bootsim.views.owners import FREE, Owned, Ownership, State, ownership, ram_of
from tests.real_kernels import random_cases
from tests.requirements import need_kernel
from tests.trees import CELLS, board

MIB = 1 << 20
BASE = 0x60000000
RAM = Range(BASE, 64 * MIB)


def past(boot: Boot | RealBoot) -> History:
    return history(boot.trace, ram_of(boot), boot.memblock.features, final=Tables.of(boot.memblock))


def owners(pieces: Sequence[Owned]) -> list[tuple[int, int, str]]:
    """The pieces without what only the page allocator tells."""
    joined: list[tuple[int, int, str]] = []
    for piece in pieces:
        base = piece.base
        if joined and joined[-1][1:] == (base, piece.owner):
            base = joined.pop()[0]
        joined.append((base, piece.end, piece.owner))
    return joined


def many_reserved(count: int) -> bytes:
    """A board with `count` reserved nodes."""
    nodes = " ".join(
        f"n{n}@{at:x} {{ reg = <{at:#x} 0x1000>; }};"
        for n, at in enumerate(range(BASE + 32 * MIB, BASE + 32 * MIB + count * 0x4000, 0x4000))
    )
    extra = f"reserved-memory {{ {CELLS} ranges; {nodes} }};"
    return board((BASE, 256 * MIB), extra=extra)


BOOTS = {
    "the default": {},
    "limited": {"cmdline": "mem=96M cma=8M"},
    "two banks": {
        "dtb": board((BASE, 128 * MIB), (BASE + 256 * MIB, 64 * MIB)),
        "profile": "linux-6.1-armmp",
    },
    "arrays that double": {"dtb": many_reserved(120)},
    "high memory": {
        "dtb": board((BASE, 1024 * MIB)),
        "cmdline": "vmalloc=400M",
        "profile": "linux-6.1-armmp",
    },
}


@pytest.mark.parametrize("options", BOOTS.values(), ids=BOOTS)
def test_the_replay_ends_with_the_boots_own_tables(options: dict[str, object]) -> None:
    boot = bootsim.boot(**options)  # type: ignore[arg-type]
    told = past(boot)
    assert told.unseen == ()
    assert told.moments[-1].tables == Tables.of(boot.memblock)
    assert told.moments[-1].rooms == (boot.memblock.memory.max, boot.memblock.reserved.max)
    assert owners(told.moments[-1].pieces) == owners(ownership(boot))
    if options.get("dtb") == many_reserved(120):
        assert any(isinstance(event, MemblockResize) for event in boot.trace)


@pytest.mark.parametrize("profile", ["linux-5.0", "linux-6.1-armmp"])
def test_made_up_boards_replay_to_their_own_tables(profile: str) -> None:
    compared = 0
    for case in random_cases(12, seed=7):
        boot = Boot(dtb=case.dtb, cmdline=case.cmdline, profile=profile)
        try:
            boot.run()
        except BootsimError:
            continue
        assert past(boot).unseen == (), case.name
        compared += 1
    assert compared >= 6


@pytest.mark.parametrize("name", ["the default", "high memory"])
def test_each_moment_is_where_a_boot_that_stops_there_stands(name: str) -> None:
    options = BOOTS[name]
    whole = bootsim.boot(**options)  # type: ignore[arg-type]
    moments = past(whole).moments
    assert [m.first for m in moments] == [0, *(m.last + 1 for m in moments[:-1])]
    for moment in moments[:: max(len(moments) // 12, 1)]:
        boot = bootsim.boot(**options, until=moment.last)  # type: ignore[arg-type]
        assert Tables.of(boot.memblock) == moment.tables, moment.last
        assert owners(ownership(boot)) == owners(moment.pieces), moment.last


def test_what_is_given_is_what_the_page_allocator_has() -> None:
    boot = bootsim.boot()
    last = past(boot).moments[-1]
    pages = sum(p.size for p in last.pieces if p.state == State.GIVEN) >> PAGE_SHIFT
    assert pages == boot.buddy.nr_free_pages()
    for block in boot.buddy.free_blocks():
        base, end = block.pfn << PAGE_SHIFT, block.pfn + (1 << block.order) << PAGE_SHIFT
        inside = [p for p in last.pieces if p.base < end and base < p.end]
        assert [p.state for p in inside] == [State.GIVEN], hex(base)


def test_pages_in_a_row_share_a_moment() -> None:
    boot = bootsim.boot()
    frees = sum(isinstance(event, PageFree) for event in boot.trace)
    moments = past(boot).moments
    together = [m for m in moments if m.last > m.first]
    assert frees > 200
    assert len(together) == 1
    assert together[0].last - together[0].first + 1 == frees


def test_what_failed_changes_nothing() -> None:
    trace = Trace()
    memblock = Memblock.standalone([(RAM.base, RAM.size)], trace=trace)
    for at in range(RAM.base, RAM.base + 140 * 0x2000, 0x2000):
        memblock.reserve(at, 0x1000, caller="a_driver")
    assert any(isinstance(event, MemblockFailure) for event in trace)
    told = history(trace, [RAM], memblock.features, final=Tables.of(memblock))
    assert told.unseen == ()
    assert len(told.moments[-1].tables.reserved) == 128


def test_what_the_events_do_not_tell_is_said_and_the_end_is_the_boots_own() -> None:
    trace = Trace()
    memblock = Memblock.standalone([(RAM.base, RAM.size)], trace=trace)
    memblock.trace = None
    memblock.reserve(RAM.base, 0x1000)
    told = history(trace, [RAM], memblock.features, final=Tables.of(memblock))
    assert [(r.base, r.size) for r in told.unseen] == [(RAM.base, 0x1000)]
    assert told.moments[-1].tables == Tables.of(memblock)
    assert told.moments[-1].pieces[0] == Owned(
        RAM.base, RAM.base + 0x1000, "reserved", State.RESERVED
    )


def test_an_empty_trace_has_no_moments() -> None:
    assert history(Trace(), [RAM], MemblockFeatures.linux_6_1()) == History((), ())


def test_a_real_kernels_events_tell_all() -> None:
    image = load_kernel_image(need_kernel())
    boot = RealBoot(image, cmdline="memblock=debug").run()
    given = [(r.start, r.end) for r in boot.buddy.free_ranges()]
    told = history(
        boot.trace,
        ram_of(boot),
        boot.memblock.features,
        final=Tables.of(boot.memblock),
        given=given,
    )
    assert told.unseen == ()
    pages = sum(p.size for p in told.moments[-1].pieces if p.state == State.GIVEN) >> PAGE_SHIFT
    assert pages == boot.buddy.nr_free_pages()
    assert not any(p.state == State.GIVEN for p in told.moments[-2].pieces)


class TestOwnership:
    """Owners as events come; memory is all of RAM."""

    def pieces(self, *events: object, reserved: Sequence[tuple[int, int]]) -> list[tuple[int, str]]:
        owners = Ownership([RAM])
        memblock = Memblock.standalone([(RAM.base, RAM.size)])
        for event in events:
            owners.see(event)  # type: ignore[arg-type]
        for base, size in reserved:
            memblock.reserve(base, size)
        found = owners.pieces(memblock.memory, memblock.reserved)
        assert found[0].base == RAM.base
        assert found[-1].end == RAM.end
        assert all(a.end == b.base for a, b in pairwise(found))
        return [(piece.base - RAM.base, piece.owner) for piece in found]

    def reserve(self, offset: int, size: int, caller: str = "someone") -> MemblockRange:
        return MemblockRange("memblock_reserve", BASE + offset, size, 0, -1, caller, False)

    def test_a_name_is_better_than_who_asked(self) -> None:
        events = self.reserve(0, 0x3000), Use(BASE + 0x1000, 0x1000, "the middle")
        assert self.pieces(*events, reserved=[(BASE, 0x3000)]) == [
            (0, "reserved by someone()"),
            (0x1000, "the middle"),
            (0x2000, "reserved by someone()"),
            (0x3000, FREE),
        ]

    def test_the_last_name_counts(self) -> None:
        events = Use(BASE, 0x2000, "one"), Use(BASE + 0x1000, 0x2000, "other")
        assert self.pieces(*events, reserved=[(BASE, 0x3000)]) == [
            (0, "one"),
            (0x1000, "other"),
            (0x3000, FREE),
        ]

    def test_what_was_freed_has_lost_its_name(self) -> None:
        events = (
            Use(BASE, 0x2000, "before"),
            MemblockRange("memblock_free", BASE, 0x1000, 0, -1, "someone", False),
            self.reserve(0, 0x1000, "another"),
        )
        assert self.pieces(*events, reserved=[(BASE, 0x2000)]) == [
            (0, "reserved by another()"),
            (0x1000, "before"),
            (0x2000, FREE),
        ]


def test_ram_that_is_not_memory_is_not_free() -> None:
    boot = bootsim.boot(cmdline="mem=256M")
    cut = ownership(boot)[-1]
    assert (cut.base, cut.state) == (0x70000000, State.ABSENT)
    assert cut.owner == "removed by early_mem()"
    boot = bootsim.boot(
        dtb=board(
            (BASE, 256 * MIB),
            extra=f"reserved-memory {{ {CELLS} ranges; fw@64000000"
            " { reg = <0x64000000 0x400000>; no-map; }; };",
        ),
        profile="linux-6.1-armmp",
    )
    (nomap,) = [piece for piece in ownership(boot) if piece.state == State.NOMAP]
    assert (nomap.base, nomap.size) == (0x64000000, 4 * MIB)
    assert nomap.owner == "/reserved-memory/fw@64000000"
