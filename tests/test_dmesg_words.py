"""memblock's lines read back: every wording, and the model's own lines for each event."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootsim.dmesg.names import Names
from bootsim.dmesg.words import (
    Dump,
    DumpCount,
    DumpRegion,
    DumpSizes,
    DumpTitle,
    function_of,
    is_damaged,
    parse_dump_line,
    parse_line,
)
from bootsim.kernel.memblock import Memblock, MemblockFeatures, Region
from bootsim.kernel.memblock_log import format_event
from bootsim.simulate import Boot
from bootsim.trace import Event, MemblockAlloc, MemblockRange, MemblockResize, Printk

ADDRESS = 0x60100000


def reserve(caller: str, function: str = "memblock_reserve", **fields: int) -> MemblockRange:
    flags, nid = fields.get("flags", 0), fields.get("nid", -1)
    return MemblockRange(function, ADDRESS, 0x1000, flags, nid, caller, True)


@pytest.mark.parametrize(
    ("text", "event"),
    [
        # 4.0 to 4.13: 16 characters wide, and flags.
        (
            "memblock_reserve: [0x00000060100000-0x00000060100fff] flags 0x0 f+0x44/0x190",
            reserve("f+0x44/0x190"),
        ),
        (
            "   memblock_free: [0x00000060100000-0x00000060100fff] f+0x44/0x74",
            reserve("f+0x44/0x74", "memblock_free"),
        ),
        (
            "__memblock_free_early: [0x00000060100000-0x00000060100fff] f+0x1/0x2",
            reserve("f+0x1/0x2", "__memblock_free_early"),
        ),
        # 4.14 to now.
        ("memblock_reserve: [0x60100000-0x60100fff] f+0x1/0x2", reserve("f+0x1/0x2")),
        ("memblock_reserve: [0x0000000060100000-0x0000000060100fff] f", reserve("f")),
        ("memblock_remove: [0x60100000-0x60100fff] f", reserve("f", "memblock_remove")),
        ("memblock_phys_free: [0x60100000-0x60100fff] f", reserve("f", "memblock_phys_free")),
        # No kallsyms; no caller at all.
        ("memblock_reserve: [0x60100000-0x60100fff] 0xc0b01234", reserve("0xc0b01234")),
        ("memblock_reserve: [0x60100000-0x60100fff]", reserve("?")),
        # With a node, and 6.15.
        (
            "memblock_add_node: [0x60100000-0x60100fff] nid=1 flags=4 f+0x1/0x2",
            reserve("f+0x1/0x2", "memblock_add_node", nid=1, flags=4),
        ),
        (
            "memblock_add_node: [0x60100000-0x60100fff] nid=1 f+0x1/0x2",
            reserve("f+0x1/0x2", "memblock_add_node", nid=1),
        ),
        (
            "__memblock_reserve: [0x60100000-0x60100fff] nid=-1 flags=20 f+0x1/0x2",
            reserve("f+0x1/0x2", "__memblock_reserve", flags=0x20),
        ),
        # Behind noise.
        ("~\ufffdz memblock_reserve: [0x60100000-0x60100fff] f", reserve("f")),
        (
            "memblock_virt_alloc_try_nid_nopanic: 720 bytes align=0x0 nid=0 from=0x0 max_addr=0x0 "
            "free_area_init_node+0x1b9/0x23a",
            MemblockAlloc(
                "memblock_virt_alloc_try_nid_nopanic",
                *(720, 0, 0, 0, 0),
                "free_area_init_node+0x1b9/0x23a",
                True,
            ),
        ),
        (
            "memblock_phys_alloc_range: 41943040 bytes align=0x200000 from=0x0000000000000000 "
            "max_addr=0x00000000ffffffff f+0x34/0xa0",
            MemblockAlloc(
                "memblock_phys_alloc_range",
                *(41943040, 0x200000, 0, 0xFFFFFFFF, -1),
                "f+0x34/0xa0",
                True,
            ),
        ),
        (
            "memblock: reserved is doubled to 256 at [0x008f6e5000-0x008f6e5bff]",
            MemblockResize("reserved", 256, 0x8F6E5000, 0xC00, True),
        ),
        (
            "memblock: memory array is doubled to 256 at [0x8f6e5000-0x8f6e5bff]",
            MemblockResize("memory", 256, 0x8F6E5000, 0xC00, True),
        ),
    ],
)
def test_wordings(text: str, event: Event) -> None:
    assert parse_line(text) == event


def test_a_range_of_size_0_ends_before_it_begins() -> None:
    event = parse_line("memblock_phys_free: [0x63f27000-0x63f26fff] f+0x1/0x2")
    assert isinstance(event, MemblockRange)
    assert (event.base, event.size) == (0x63F27000, 0)


@pytest.mark.parametrize(
    "text",
    [
        "memblock_reserve: [0x60100000-0x600fff00] f",  # ends before it begins
        "memblock_reserve: [0x(____ptrval____)-0x(____ptrval____)] f",
        "memblock_reserve: [0x60100000-0x601",
        "memblock_reserve: [0x11111111111111111-0x11111111111111112] f",  # more than 64 bits
        "memblock_alloc_try_nid: 99999999999999999999 bytes align=0x1 nid=0 from=0x0 max_addr=0x0",
        "memblock_alloc_try_nid: 40 bytes align=0x4 nid=-1 from=0x0000",
        "memblock: reserved is doubled to 256 at [0x8f6e5000-0x8f6e",
    ],
)
def test_what_is_damaged_is_said_to_be(text: str) -> None:
    assert parse_line(text) == Printk(6, text)
    assert is_damaged(text)


@pytest.mark.parametrize("text", ["Memory policy: Data cache writeback", "memblock=debug", "x"])
def test_other_lines_are_printk(text: str) -> None:
    assert parse_line(text, level=4) == Printk(4, text)
    assert not is_damaged(text)


def test_an_empty_line_is_nothing() -> None:
    assert parse_line("") is None


def comparable(event: Event) -> Event:
    """`event` without what its line does not carry: flags and node but for memblock_add_node()."""
    if isinstance(event, MemblockRange) and event.function != "memblock_add_node":
        parts = (event.function, event.base, event.size, 0, -1, event.caller, event.debug)
        return MemblockRange(*parts)
    if isinstance(event, MemblockAlloc) and event.function == "memblock_phys_alloc_range":
        parts_ = (event.size, event.align, event.min_addr, event.max_addr)
        return MemblockAlloc(event.function, *parts_, -1, event.caller, event.debug)
    return event


@pytest.mark.parametrize("profile", ["linux-5.0", "linux-6.1-armmp"])
def test_each_event_of_a_boot_comes_back_from_its_line(profile: str) -> None:
    boot = Boot(profile=profile, cmdline="memblock=debug").run()
    back = 0
    for event in boot.trace:
        line = format_event(event, boot.memblock.features)
        if line is not None:
            assert parse_line(line) == comparable(event)
            back += 1
    assert back > 20


NAMES = st.sampled_from(["f", "arm_memblock_init+0x30/0x74", "0xc0b01234", "f.constprop.3+0x1/0x9"])
FEATURES = st.sampled_from(
    [
        MemblockFeatures.linux_5_0(),
        MemblockFeatures.linux_6_1(),
        MemblockFeatures(phys_addr_bits=64),
    ]
)


@given(FEATURES, st.data())
def test_any_event_comes_back_from_its_line(
    features: MemblockFeatures, data: st.DataObject
) -> None:
    address = st.integers(1, features.phys_addr_max)
    base = data.draw(address)
    size = data.draw(st.integers(0, features.phys_addr_max - base))
    free = "memblock_free" if features.free_is_physical else "memblock_phys_free"
    functions = ["memblock_add", "memblock_remove", "memblock_reserve", free]
    if features.logs_add_node:
        functions.append("memblock_add_node")
    function, caller = data.draw(st.sampled_from(functions)), data.draw(NAMES)
    flags, nid = data.draw(st.integers(0, 15)), data.draw(st.integers(-1, 63))
    align = data.draw(address)
    events: list[Event] = [
        MemblockRange(function, base, size, flags, nid, caller, True),
        MemblockAlloc("memblock_alloc_try_nid", size, align, base, base, nid, caller, True),
    ]
    if size:
        events.append(MemblockResize("reserved", 256, base, size, True))
    for event in events:
        line = format_event(event, features)
        assert line is not None
        assert parse_line(line) == comparable(event)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    for line in (text, f"memblock_reserve: [0x{text}", f" memory[0x{text}"):
        parse_line(line)
        parse_dump_line(line)


# The MEMBLOCK configuration.


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("MEMBLOCK configuration:", DumpTitle()),
        (" memory size = 0x40000000 reserved size = 0x037975c6", DumpSizes(1 << 30, 0x37975C6)),
        (" memory.cnt  = 0x1", DumpCount("memory", 1)),
        (
            " reserved[0x1]\t[0x60004000-0x60007fff], 0x00004000 bytes flags: 0x4",
            DumpRegion("reserved", 1, Region(0x60004000, 0x4000, 4, -1)),
        ),
        (
            " memory[0x0]   [0x00000060000000-0x0000009fffffff], 0x40000000 bytes on node 1 "
            "flags: 0x0",
            DumpRegion("memory", 0, Region(0x60000000, 1 << 30, 0, 1)),
        ),
        (
            " memory[0x0]\t[0x00000000-0xffffffff], 0x00000000 bytes flags: 0x0",
            DumpRegion("memory", 0, Region(0, 0, 0, -1)),
        ),
        # What U-Boot prints (lmb), another size than the range's, and other lines.
        (" memory[0]      [0x0-0xf4ffffff], 0xf5000000 bytes, flags: none", None),
        (" memory[0x0]\t[0x60000000-0x9fffffff], 0x4000000 bytes flags: 0x0", None),
        ("Memory: 45036K/65536K available", None),
    ],
)
def test_lines_of_a_configuration(text: str, part: object) -> None:
    assert parse_dump_line(text) == part


@pytest.mark.parametrize("features", [MemblockFeatures.linux_5_0(), MemblockFeatures.linux_6_1()])
def test_a_configuration_comes_back(features: MemblockFeatures) -> None:
    memblock = Memblock.standalone([(0x60000000, 0x4000000)], features=features)
    memblock.reserve(0x60100000, 0x3001)
    memblock.reserve(0x62000000, 0x3001)
    memblock.mark_nomap(0x63000000, 0x1000)
    dump = Dump(1, 1)
    for number, line in enumerate(memblock.dump_lines()[1:], 2):
        part = parse_dump_line(line)
        assert part is not None
        assert dump.add(part, number)
    for name in ("memory", "reserved"):
        table = memblock.table(name)
        assert [r[:3] for r in dump.table(name)] == [r[:3] for r in table]
        assert dump.complete(name)
        assert dump.told_size(name) == dump.total_size(name) == table.total_size


def test_what_a_configuration_lacks() -> None:
    dump = Dump(1, 1)
    dump.add(DumpCount("memory", 3), 2)
    dump.add(DumpRegion("memory", 1, Region(0x1000, 0x1000, 0, -1)), 3)
    assert dump.missing("memory") == [0, 2]
    assert not dump.complete("memory")
    assert not dump.complete("reserved")


def test_function_of_a_caller() -> None:
    assert function_of("arm_memblock_init+0x30/0x74") == "arm_memblock_init"
    assert function_of("alloc_node_mem_map.constprop.10+0x68/0xa4") == "alloc_node_mem_map"
    assert function_of("memblock_reserve") == "memblock_reserve"


def test_pools_are_named_by_what_linux_makes_of_them() -> None:
    """As a PandaBoard and a vexpress-a9 say it: pages of a CMA pool are free, of a DMA pool not."""
    names = Names()
    lines = (
        "Reserved memory: created CMA memory pool at 0x98000000, size 8 MiB",
        "OF: reserved mem: initialized node dsp-memory@98000000, compatible id shared-dma-pool",
        "Reserved memory: created DMA memory pool at 0x4c000000, size 8 MiB",
        "OF: reserved mem: initialized node vram@4c000000, compatible id shared-dma-pool",
        "OF: reserved mem: initialized node other@0, compatible id vendor,own",
    )
    assert [told for line in lines for told in names.told(line)] == [
        (0x98000000, None, "CMA memory pool"),
        (0x98000000, None, "CMA area dsp-memory@98000000"),
        (0x4C000000, None, "DMA memory pool"),
        (0x4C000000, None, "/reserved-memory/vram@4c000000"),
    ]
