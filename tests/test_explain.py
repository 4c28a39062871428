"""Lines of Linux's log told back, as kernels from 4.14 to 6.12 write them."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest

from bootsim.batch import tree_memory
from bootsim.check.explain import Explainer, Explanation
from bootsim.check.payload import Payload
from bootsim.dmesg.lines import split_lines
from bootsim.inputs import TreeFile, read_tree_file
from bootsim.kernel.libfdt import Fdt
from bootsim.kernel.profile_file import load_profile
from tests.command import Run
from tests.conftest import REAL_BOOTS
from tests.problems import Problem, payload_of, problems, profile_of
from tests.real_boots import MEMORY_LINE, PROFILE, directories, real_boots
from tests.trees import CELLS, board

SIX = load_profile(PROFILE)
DMESG = Path(__file__).parent / "data" / "dmesg"
MIB = 1 << 20
BASE = 0x60000000
# What the recorded kernels say beside memory, by how it begins.
OTHER = re.compile(
    r"Booting Linux|Linux version|CPU: |efi: |Malformed early option '(?:efi|loglevel)'|psci: "
    r"|Unknown kernel command line|random: |Warning: unknown chip|(?:OMAP|DRA)\S+ ES|clockdomain: "
    r"|Samsung CPU|Running under secure|Hardware name|dra7xxx_|Xen |mminit::|Only cachepolicy="
    r"|printk: debug|nocache is|nowb is|percpu: unknown allocator|---\[ end"
    r"|mem auto-init: (?:SLAB_POISON|CONFIG_PAGE_POISONING)| \S+ from "
)


def told(*lines: str, tree: Path | None = None, **payload: object) -> list[Explanation]:
    read = read_tree_file(tree) if tree is not None else None
    return list(Explainer(SIX, Payload(**payload), read).explain(lines))  # type: ignore[arg-type]


def one(line: str, tree: Path | None = None, **payload: object) -> Explanation:
    (found,) = told(line, tree=tree, **payload)
    return found


@pytest.fixture
def gigabyte(tmp_path: Path) -> Path:
    """A board with 1 GiB, of which 768 MiB are lowmem with VMSPLIT_3G."""
    path = tmp_path / "gigabyte.dtb"
    path.write_bytes(board((BASE, 1024 * MIB)))
    return path


@pytest.mark.parametrize("directory", directories(REAL_BOOTS), ids=lambda path: path.name)
def test_the_model_says_what_the_real_kernel_said(directory: Path) -> None:
    """Whole logs of real boots, each with its tree: what follows from the tree is agreed on."""
    boots = real_boots(directory)
    compared = 0
    for boot in boots:
        record = boot.record
        banks = [(base, size) for base, size in record["ram"]]
        explainer = Explainer(
            SIX,
            Payload(dtb_addr=record["dtb_load_addr"], phys_offset=record["phys_offset"]),
            TreeFile("board.dtb", boot.dtb),
        )
        lines = [line for line in record["log"] if line]
        found = list(explainer.explain(lines))
        known = {one.line for one in found}
        for line in lines:
            assert (line in known) != bool(OTHER.match(line)), line
        # The model stops where both die, and where mem= names RAM that only the real machine had.
        if any(one.died for one in found):
            assert boot.fate != MEMORY_LINE or banks != [
                tuple(b) for b in tree_memory(Fdt(boot.dtb))
            ]
            continue
        for one in found:
            compared += one.said is True
            assert one.said is not False, (boot.name, one)
            assert one.assumed == ""
    assert compared > 5 * len(boots) // 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("OF: fdt:Machine model: Foo", 'that of "Foo"'),  # 4.14
        ("Machine model: Foo", 'that of "Foo"'),
        ("Kernel command line: quiet mem=512M cma=64M", "mem=512M, cma=64M"),
        ("Ignoring RAM at 0x90000000-0xa0000000", "[0x90000000-0x9fffffff] (256 MiB)"),
        ("Ignoring RAM at 9f800000-9fffffff (!CONFIG_HIGHMEM).", "(8 MiB)"),
        (
            "Truncating RAM at 0x60000000-0x80000000 to -0x6f800000",
            "only [0x60000000-0x6f7fffff] (248 MiB) is lowmem",
        ),
        ("vmalloc area too big, limiting to 976MB", "976 MiB"),  # until 5.12
        ("vmalloc area is too small, limiting to 16MiB", "16 MiB"),
        ("BUG: mapping for 0x00000000 at 0xf4000000 out of vmalloc space", "vmalloc=184M or more"),
        ("BUG: not creating mapping for 0x1000 at 0x1000 in user region", "no such mapping"),
        ("    lowmem  : 0xc0000000 - 0xf0000000   ( 768 MB)", "768 MB: the linear map"),  # 4.14
        ("OF: fdt: Ignoring memory block 0x880000000 - 0x8c0000000", "1 GiB"),
        ("OF: fdt: Ignoring memory block 0x60000000 - 0x60000100", "less than a whole page"),
        ("OF: fdt: Ignoring memory range 0x40000000 - 0x60000000", "RAM to begin, 0x60000000"),
        ("OF: fdt: Ignoring memory block 0x60000000 - 0x7000000000000000", "more cells than"),
        ("Reserved memory: initialized node vram, compatible id shared-dma-pool", "a pool"),
        (
            "OF: reserved mem: 0x80000000..0x800fffff (1024 KiB) nomap non-reusable fw@80000000",
            "fw@80000000 of /reserved-memory is [0x80000000-0x800fffff] (1 MiB)",  # from 6.4
        ),
        (
            "OF: reserved mem: failed to allocate memory for node 'linux,cma': size 96 MiB",
            "linux,cma of /reserved-memory has no reg, and no place is free for 96 MiB",
        ),
        ("failed to allocate memory for node linux,secmon, size:4 MB", "linux,secmon of"),
        (
            "OF: reserved mem: Reserved memory: invalid reg property in 'a,b@1', skipping node.",
            "The property reg of a,b@1",
        ),
        ("a@1 (0x83599706--0x84f99706) overlaps with b (0x84300000--0x84497ca6)", "1.6 MiB in"),
        (
            "Reserved memory: created DMA memory pool at 0x10000000, size 0 MiB",
            "sets less than 1 MiB at 0x10000000 aside",
        ),
        ("OF: reserved mem: not enough space all defined regions.", "MAX_RESERVED_REGIONS"),
        ("cma: Reserved 16 MiB at 0x9f000000 on node -1", "[0x9f000000-0x9fffffff]"),  # 6.12
        ("cma: Failed to reserve 64 MiB on node -1", "64 MiB"),
        ("cma: cma_alloc: alloc failed, req-size: 8 pages, ret: -12", "8 pages, 32 KiB"),
        ("cma: __cma_alloc: pool: alloc failed, req-size: 8 pages, ret: -16", "area pool: pages"),
        (
            "cma: number of available pages: 3@125+4040@200=> 4043 free of 4096 total pages",
            "the longest has 15.8 MiB",
        ),
        ("cma: Region at 0x68100000 must be aligned to 0x00800000 bytes", "0x68800000 are"),
        ("DMA: preallocated 256 KiB pool for atomic coherent allocations", "coherent_pool="),
        ("DMA: preallocated 128 KiB GFP_KERNEL pool for atomic allocations", "128 KiB"),
        ("Reserving 64MB of memory at 1792MB for crashkernel (System RAM: 768MB)", "64 MB at 1792"),
        ("crashkernel reserved: 0x0000000068000000 - 0x0000000070000000 (128 MB)", "128 MiB"),
        ("On node 0 totalpages: 262144", "262144 pages of RAM, 1 GiB"),
        ("  Normal zone: 1536 pages used for memmap", "6 MiB of the zone Normal"),
        ("  Normal zone: 3840 pages exceeds freesize 1024", "takes 15 MiB, and the zone has 4 MiB"),
        ("Zeroed struct page in unavailable ranges: 95 pages", "95 pages (380 KiB)"),  # 4.20-5.11
        ("On node 0, zone HighMem: 512 pages in unavailable ranges", "512 pages (2 MiB)"),
        ("Built 1 zonelists in Zone order, mobility grouping on.  Total pages: 260608", "1018 MiB"),
        ("percpu: Embedded 16 pages/cpu @(ptrval) s33484 r8192 d23860 u65536", "64 KiB"),
        ("PID hash table entries: 4096 (order: 2, 16384 bytes)", "16 KiB"),
        ("memblock: reserved is doubled to 256 at [0x6e91d000-0x6e91dbff]", "room for 256 regions"),
        ("  4c494e5558726c7a bad mem addr 0x60001000 - 0x60001008 reserved", "(8 B)"),
        (
            "memblock_reserve: [0x00000088008000-0x0000008802bf3b] flags 0x0 arm_memblock_init+0x2",
            "arm_memblock_init() reserves [0x88008000-0x8802bf3b]",
        ),
        ("Kernel panic - not syncing: ERROR: Failed to allocate 0x1000 bytes below 0x0.", "no RAM"),
        (
            "Kernel panic - not syncing: early_alloc: Failed to allocate 8192 bytes align=0x2000",
            "dies in early_alloc(): 8 KiB, aligned to 8 KiB,",
        ),
        ("Kernel panic - not syncing: Failed to allocate Dentry cache hash table", "Dentry cache"),
        ("Freeing initrd memory: 8192K (c2000000 - c2800000)", "8 MiB"),  # 4.14
        ("Freeing unused kernel image (initmem) memory: 2048K", "2 MiB of code"),
        ("Freeing unused kernel memory: 1024K", "1 MiB of code"),
        ("Initramfs unpacking failed: junk within compressed archive", "(junk within compressed"),
        ("vmap allocation for size 33558528 failed: use vmalloc=<size> to increase size", "32 MiB"),
        ("insmod: vmalloc: allocation failure: 33554432 bytes, mode:0xd0", "32 MiB of vmalloc()"),
        ("swapper/0: page allocation failure: order:8, mode:0xcc4", "1 MiB in one piece"),
        ("Malformed early option 'vmalloc'", "cannot read what the command line gives to vmalloc"),
        ("software IO TLB: mapped [mem 0x8bfff000-0x8ffff000] (64MB)", "(64 MiB) is a bounce"),
    ],
)
def test_what_a_line_says(line: str, words: str) -> None:
    assert words in one(line).words


@pytest.mark.parametrize(
    "line",
    [
        "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
        "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000b",
        "Malformed early option 'earlycon'",
        "mmc0: Failed to allocate memory",
        "usb 1-1: reserved memory: none",
        "tun: overlaps with nothing",
        "random: crng init done",
        "audit: initializing netlink subsys (disabled)",
        "Freeing SMP alternatives memory: 12K",
        "foo-driver 4000.foo: node bar compatible matching fail",
        "ERROR: Failed to allocate buffer",
        "Memory allocator test",
        "DMA: some engine",
        "cma: Reserved 16 MiB at 0x9f000",  # cut: no address has so few digits
        "Ignoring RAM at 0x90000000-0xa000",
        "Memory: 1002216K/1048576K avail",
    ],
)
def test_what_is_not_about_memory_layout(line: str) -> None:
    assert told(line) == []


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "[    0.000000] {}",
        "<6>[    0.000000] {}",
        "kern  :info  : [    0.000000] {}",
        "[    0.000000][    T0] {}",
        "Nov 29 20:00:00 board kernel: [    0.000000] {}",
        "2026-11-29T20:00:00.123456+00:00 board kernel: {}",
        "[Sun Nov 29 20:00:00 2026] {}",
        "\x1b[33m[    0.000000]\x1b[0m {}",
        "[    0.000000] {}\r",
        "[12:00:00.123] [    0.000000] {}",
    ],
)
@pytest.mark.parametrize(
    "line",
    ["cma: Reserved 16 MiB at 0x9f000000", "  HighMem  [mem 0x0000000090000000-0x9fffffff]"],
)
def test_how_lines_come(form: str, line: str) -> None:
    (text,) = (each.text for each in split_lines((form.format(line) + "\n").encode()))
    assert one(text).words == one(line).words


def test_what_the_board_cannot_say_is_told_so(gigabyte: Path) -> None:
    for line in (
        "OF: fdt: Reserved memory: failed to reserve memory for node 'a@70000000':"
        " base 0x70000000, size 1 MiB",
        "OF: reserved mem: OVERLAP DETECTED!",
        "Ignoring memory below PHYS_OFFSET: 0x50000000-0x60000000",
        "cma: Region at 0x68100000 must be aligned to 0x00800000 bytes",
        "Kernel panic - not syncing: early_alloc: Failed to allocate 8192 bytes align=0x2000",
    ):
        found = one(line, gigabyte)
        assert (found.said, found.findings) == (False, ()), line


@pytest.mark.parametrize("problem", [p for p in problems() if p.codes], ids=lambda p: p.name)
def test_what_a_fault_says_leads_back_to_it(problem: Problem) -> None:
    for finding in problem.check().findings:
        if finding.code not in problem.codes:
            continue
        profile, payload = profile_of(problem.options), payload_of(problem.options)
        for line in finding.log:
            explainer = Explainer(profile, payload, read_tree_file(problem.path))
            (found,) = explainer.explain([line])
            if not (found.pages or found.message.cost or found.findings):
                continue  # no fault: a command line, a machine's name
            if found.message.by_tree and explainer.unbootable is None:
                assert found.said, line
            assert finding.code in [each.code for each in found.findings], line


def test_another_nodes_finding_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    #  | a 1 MiB |
    #     | b 1 MiB, no-map |
    nodes = (
        "a@68000000 { reg = <0x68000000 0x100000>; };"
        "b@68080000 { reg = <0x68080000 0x100000>; no-map; };"
    )
    path = tmp_path / "busy.dtb"
    path.write_bytes(
        board((BASE, 256 * MIB), extra=f"reserved-memory {{ {CELLS} ranges; {nodes} }};")
    )
    said = "OF: fdt: Reserved memory: failed to reserve memory for node '{}': base {}, size 1 MiB"
    found = one(said.format("b@68080000", "0x68080000"), path)
    assert [finding.code for finding in found.findings] == ["E-RESERVED-BUSY"]
    other = one(said.format("c@69000000", "0x69000000"), path)
    assert (other.said, other.findings) == (False, ())
    assert other.instead == (said.format("b@68080000", "0x68080000"),)


def test_a_kernel_without_highmem_is_known_by_what_it_says(gigabyte: Path) -> None:
    found = one("Ignoring RAM at 0x90000000-0xa0000000", gigabyte)
    assert (found.said, found.assumed) == (True, "no HIGHMEM")
    assert [finding.code for finding in found.findings] == ["E-RAM-ABOVE-LOWMEM"]
    found = one("vmalloc area is too big, limiting to 976MiB", gigabyte)
    assert (found.said, found.assumed) == (True, "vmalloc=4095M")


# Recorded from a 6.1 kernel with CONFIG_VMSPLIT_2G and without HIGHMEM, on vexpress-a9's tree with
# 2032 MiB of RAM.
TWO_GIB = """\
Ignoring RAM at 0xd0000000-0xdf000000
Consider using a HIGHMEM enabled kernel.
Zone ranges:
  Normal   [mem 0x0000000060000000-0x00000000cfffffff]
Early memory node ranges
  node   0: [mem 0x0000000060000000-0x00000000cfffffff]
Initmem setup node 0 [mem 0x0000000060000000-0x00000000cfffffff]
Kernel command line: quiet
""".splitlines()


def test_a_log_tells_how_its_kernel_was_built(tmp_path: Path) -> None:
    path = tmp_path / "two.dtb"
    path.write_bytes(board((BASE, 0x7F000000)))
    explainer = Explainer(SIX, Payload(), read_tree_file(path))
    found = {each.line: each for each in explainer.explain(TWO_GIB)}
    assert explainer.taken == ["the command line", "no HIGHMEM", "VMSPLIT_2G"]
    ignored = found[TWO_GIB[0]]
    assert [finding.text[:15] for finding in ignored.findings] == ["240 MiB of RAM "]
    assert [each.said for line, each in found.items() if "[mem" in line and "Normal" not in line]


def test_a_log_gives_the_ram_that_the_tree_leaves_to_the_boot_loader(tmp_path: Path) -> None:
    path = tmp_path / "empty.dtb"
    path.write_bytes(board((BASE, 0)))
    explainer = Explainer(SIX, Payload(), read_tree_file(path))
    list(explainer.explain(["cma: Reserved 16 MiB at 0x6f000000"]))
    assert explainer.unbootable is not None
    explainer = Explainer(SIX, Payload(), read_tree_file(path))
    lines = [
        "  node   0: [mem 0x0000000060000000-0x000000006fffffff]",
        "cma: Reserved 16 MiB at 0x6f000000",
    ]
    assert [each.said for each in explainer.explain(lines)] == [True, True]
    assert explainer.unbootable is None


def test_what_u_boot_has_loaded_is_taken_from_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "board.dtb"
    path.write_bytes(board((BASE, 256 * MIB)))
    lines = [
        "   Loading Ramdisk to 61000000, end 61800000 ... OK",
        "   Loading Device Tree to 68000000, end 68002fff ... OK",
        "INITRD: 0x61000000+0x00800000 overlaps in-use memory region",
    ]
    (found,) = told(*lines, tree=path)
    assert found.said
    assert [finding.code for finding in found.findings] == ["E-INITRD-OVERLAP"]


def test_whether_cma_is_in_highmem_is_told_by_the_log_itself() -> None:
    cma = "cma: Reserved 16 MiB at 0x9f000000"
    zones = (
        "  DMA      [mem 0x0000000060000000-0x000000008fffffff]",
        "  Normal   empty",
        "  HighMem  [mem 0x0000000090000000-0x000000009fffffff]",
    )
    assert [page.code for page in told(cma, *zones)[0].pages] == ["I-CMA-HIGHMEM"]
    low = "  DMA      [mem 0x0000000060000000-0x000000009fffffff]"
    found = told(cma, low, "  HighMem  empty")[0]
    assert found.pages == ()
    assert "lies in lowmem" in found.words
    assert one(cma).pages == ()


# The command.


def test_a_whole_log_ends_with_what_is_wrong(
    bootsim: Run, gigabyte: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = "".join(f"[    0.000000] {line}\r\n" for line in TWO_GIB)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(log.encode())))
    status, out, _ = bootsim("explain", "-")
    assert status == 0
    assert out.splitlines()[-3:] == [
        "2 of 8 lines tell of something wrong:",
        f"    {TWO_GIB[0]}",
        f"    {TWO_GIB[1]}",
    ]


def test_lines_of_memblock_debug_are_folded(bootsim: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    log = (DMESG / "efm32-4.x-no-room.log").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(log)))
    _, out, _ = bootsim("explain")
    assert "12 more lines are memblock=debug's" in out
    assert "memblock_reserve" not in out
    _, out, _ = bootsim("explain", "memblock_reserve: [0x60100000-0x60b90997] f+0x30/0x160")
    assert "f() reserves [0x60100000-0x60b90997] (10.6 MiB)." in out


def test_json(bootsim: Run, gigabyte: Path) -> None:
    status, out, _ = bootsim(
        "explain", "cma: Failed to reserve 800 MiB", "--dtb", gigabyte, "--json"
    )
    (found,) = json.loads(out)
    assert status == 0
    assert (found["said"], found["assumed"]) == (True, "cma=800M")
    assert [each["code"] for each in found["findings"]] == ["E-CMA-FAILED"]
    _, out, _ = bootsim("explain", "Freeing initrd memory: 8K", "--dtb", gigabyte, "--json")
    (found,) = json.loads(out)
    assert (found["said"], found["kernel"], found["findings"]) == (None, None, [])
