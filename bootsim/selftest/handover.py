"""Checks of the log, the memory test, and what the page allocator is given."""

from __future__ import annotations

from bootsim.kernel.memblock import Memblock
from bootsim.kernel.memblock_log import debugfs_lines, format_event
from bootsim.kernel.memory import PAGE_SHIFT, PAGE_SIZE
from bootsim.kernel.memtest import early_memtest
from bootsim.selftest.bench import Bench
from bootsim.selftest.check import IN_6_1, Check
from bootsim.trace import Printk


class _Sink:
    """Stands for the page allocator, and keeps what it is given."""

    def __init__(self) -> None:
        self.freed: list[tuple[int, int]] = []  # pfn, order
        self.reserved: list[tuple[int, int]] = []  # start, end in bytes

    def free_pages_core(self, pfn: int, order: int) -> None:
        self.freed.append((pfn, order))

    def reserve_bootmem_region(self, start: int, end: int) -> None:
        self.reserved.append((start, end))


def _free_all(bench: Bench) -> None:
    bench.cell = PAGE_SIZE
    bench.start(memory="################", reserved=".....##.........")
    sink, pfn = _Sink(), bench.at(0) >> PAGE_SHIFT
    pages = bench.memblock.free_all(pfn + 14, sink)
    # The largest blocks that are aligned and fit, up to max_low_pfn.
    blocks = [(0, 2), (4, 0), (7, 0), (8, 2), (12, 1)]
    bench.equal(sink.freed, [(pfn + first, order) for first, order in blocks], "blocks freed")
    bench.equal(pages, 12, "memblock_free_all()")
    last = 1 if bench.linux == "5.0" else 0  # the last byte, where 6.1 gives the end
    bench.equal(sink.reserved, [(bench.at(5), bench.at(7) - last)], "what is marked reserved")


def _free_all_whole_pages(bench: Bench) -> None:
    bench.cell = PAGE_SIZE
    bench.start(memory="########........")
    bench.memblock.reserve(bench.at(2) + 1, 1)
    sink, pfn = _Sink(), bench.at(0) >> PAGE_SHIFT
    bench.memblock.free_all(pfn + 16, sink)
    # A page that is reserved in part is not freed.
    blocks = [(0, 1), (3, 0), (4, 2)]
    bench.equal(sink.freed, [(pfn + first, order) for first, order in blocks], "blocks freed")


def _free_all_hotplug(bench: Bench) -> None:
    bench = bench.machine(movable_node=True)
    bench.cell = PAGE_SIZE
    bench.start(memory="####hhhh........")
    sink, pfn = _Sink(), bench.at(0) >> PAGE_SHIFT
    bench.equal(bench.memblock.free_all(pfn + 16, sink), 8, "memblock_free_all()")
    bench.expect(memory="########........")


def _free_all_nomap(bench: Bench) -> None:
    bench.cell = PAGE_SIZE
    bench.start(memory="####nnnn####....", reserved=".##.............")
    sink, pfn = _Sink(), bench.at(0) >> PAGE_SHIFT
    bench.equal(bench.memblock.free_all(pfn + 16, sink), 6, "memblock_free_all()")
    bench.equal(
        sink.reserved,
        bench.ends(".##.............") + bench.ends("....####........"),
        "what is marked reserved",
    )


def _free_late(bench: Bench) -> None:
    bench.cell = PAGE_SIZE
    bench.start(memory="################", reserved="....####........")
    sink, pfn = _Sink(), bench.at(4) >> PAGE_SHIFT
    pages = bench.memblock.free_late(bench.at(4) + 1, 3 * PAGE_SIZE, sink)
    bench.equal(sink.freed, [(pfn + 1, 0), (pfn + 2, 0)], "pages freed, one by one")
    bench.equal(pages, 2, "number of pages")
    bench.expect(reserved="....####........")


def _dump_all(bench: Bench) -> None:
    bench.start(memory="################", reserved="..##............")
    memblock = bench.memblock
    bench.equal(memblock.dump_all(), [], "memblock_dump_all() without memblock=debug")
    memblock.memblock_debug = True
    bench.equal(
        memblock.dump_all(),
        [
            "MEMBLOCK configuration:",
            " memory size = 0x01000000 reserved size = 0x00200000",
            " memory.cnt  = 0x1",
            " memory[0x0]\t[0x70000000-0x70ffffff], 0x01000000 bytes flags: 0x0",
            " reserved.cnt  = 0x1",
            " reserved[0x0]\t[0x70200000-0x703fffff], 0x00200000 bytes flags: 0x0",
        ],
        "memblock_dump_all()",
    )


def _debug_lines(bench: Bench) -> None:
    memblock = bench.memblock
    memblock.reserve(bench.at(0), bench.cell, caller="quiet")
    memblock.memblock_debug = True
    memblock.reserve(bench.at(1), bench.cell, caller="arm_memblock_init")
    _give_back(memblock, bench)
    events = list(memblock.trace) if memblock.trace is not None else []
    lines = [line for event in events if (line := format_event(event, memblock.features))]
    free = {"5.0": "   memblock_free", "6.1": "memblock_phys_free"}[bench.linux]
    bench.equal(
        lines,
        [
            "memblock_reserve: [0x70100000-0x701fffff] arm_memblock_init",
            f"{free}: [0x70100000-0x701fffff] arm_memblock_init",
        ],
        "the log with memblock=debug",
    )


def _give_back(memblock: Memblock, bench: Bench) -> None:
    function = memblock.free if bench.linux == "5.0" else memblock.phys_free
    function(bench.at(1), bench.cell, caller="arm_memblock_init")


def _debugfs(bench: Bench) -> None:
    bench.start(memory="####........####")
    bench.equal(
        debugfs_lines(bench.memblock.memory, bench.memblock.features),
        ["   0: 0x70000000..0x703fffff", "   1: 0x70c00000..0x70ffffff"],
        "/sys/kernel/debug/memblock/memory",
    )


def _memtest(bench: Bench) -> None:
    kernel = bench.booted
    bench.start(memory="################", reserved="....####........")
    ram, start, end = bench.memblock.ram, bench.at(2), bench.at(10)
    cell, kept = bench.at(9) + 0x123, bench.at(5)
    ram.fill(start, end - start, 0xAA)
    ram.bad_cells.append((cell, 0x01))
    before = len(kernel.trace)
    kernel.memtest_pattern = 2
    try:
        early_memtest(kernel, start, end)
    finally:
        ram.bad_cells.remove((cell, 0x01))
        kernel.memtest_pattern = 0
    said = [event.text for event in kernel.trace.events[before:] if isinstance(event, Printk)]
    # All ones first, zeroes last; a bad cell is reserved as the 8 bytes that were tested at once.
    bench.equal(
        said,
        [
            "early_memtest: # of tests: 2",
            "  0x70200000 - 0x70400000 pattern ffffffffffffffff",
            "  0x70800000 - 0x70a00000 pattern ffffffffffffffff",
            "  ffffffffffffffff bad mem addr 0x70900120 - 0x70900128 reserved",
            "  0x70200000 - 0x70400000 pattern 0000000000000000",
            "  0x70800000 - 0x70900120 pattern 0000000000000000",
            "  0x70900128 - 0x70a00000 pattern 0000000000000000",
        ],
        "the log",
    )
    bench.equal(bench.memblock.is_reserved(cell), True, "memblock_is_reserved(the bad cell)")
    bench.equal(ram.read(start, PAGE_SIZE), bytes(PAGE_SIZE), "what was tested last")
    bench.equal(ram.read(kept, PAGE_SIZE), bytes([0xAA]) * PAGE_SIZE, "what is reserved")


CHECKS = (
    Check(("memblock_free_all",), "free pages as the largest aligned blocks", _free_all),
    Check(("memblock_free_all",), "whole pages only", _free_all_whole_pages),
    Check(("memblock_free_all",), "unpluggable memory too, and the flag goes", _free_all_hotplug),
    Check(("memblock_free_all",), "NOMAP memory is marked reserved", _free_all_nomap, IN_6_1),
    Check(("memblock_free_late",), "whole pages, one by one; the tables stay", _free_late),
    Check(("memblock_dump_all",), "the tables as text, with memblock=debug only", _dump_all),
    Check(("memblock_dbg",), "what memblock=debug logs", _debug_lines),
    Check(("memblock_debug_show",), "the form of debugfs", _debugfs),
    Check(("early_memtest",), "finds a bad cell in free memory and reserves it", _memtest),
)
