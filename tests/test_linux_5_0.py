"""The seed author's kernel to its end: what memblock had reserved once it was up, to the byte.

tests/data/biscuitos/README.md says how its tree and command line are known. One thing the published
regions leave open: whether the 1072 KiB below the unflattened tree hold per-cpu areas of 17 pages
and a log buffer of 32 KiB, or areas of 19 pages and no such buffer. Of /proc/iomem the RAM is in
tests/test_cli.py; its devices come from drivers, long after the handover.
"""

from __future__ import annotations

import re

import pytest

from bootsim.batch import Task, prepare
from bootsim.devicetree.blob import pad_blob
from bootsim.driver import load_driver
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.main import start_kernel
from bootsim.kernel.memblock_type import Region
from bootsim.kernel.profile_file import load_profile
from bootsim.simulate import Boot
from bootsim.trace import Use
from tests.test_seed_log import DATA, DTB_SIZE, EXAMPLES, INITRD_SIZE, without_offset
from tests.trees import CELLS, blob

CMDLINE = (
    "earlycon root=/dev/ram0 rw rootfstype=ext4 console=ttyAMA0 init=/linuxrc loglevel=8"
    " memblock=debug"
)
TREE = DATA / "vexpress-v2p-ca9-qemu.dtb"
PROFILE = "linux-5.0"


@pytest.fixture(scope="module")
def boot() -> Boot:
    # debugfs-5.0.txt has 0x64000000, which this driver of the author's leaves reserved.
    driver = EXAMPLES / "for_each_free_mem_range_reverse.py"
    return Boot(
        dtb=pad_blob(TREE.read_bytes(), DTB_SIZE),
        cmdline=CMDLINE,
        initrd=bytes(INITRD_SIZE),
        drivers=[load_driver(driver)],
    ).run()


def published(table: str) -> list[tuple[int, int]]:
    """memblock's regions, (first, last), as debugfs showed them."""
    text = (DATA / "debugfs-5.0.txt").read_text()
    shown = text.partition(f"cat {table}\n")[2].partition("\n\n")[0]
    found = re.findall(r"^ *(\d+): 0x(\w+)\.\.0x(\w+)$", shown, re.M)
    assert [int(number) for number, _, _ in found] == list(range(len(found)))
    return [(int(first, 16), int(last, 16)) for _, first, last in found]


@pytest.mark.parametrize(("table", "count"), [("memory", 1), ("reserved", 25)])
def test_memblock_is_what_debugfs_showed(boot: Boot, table: str, count: int) -> None:
    regions = getattr(boot.memblock, table)
    expected = published(table)
    assert len(expected) == count
    assert [(region.base, region.base + region.size - 1) for region in regions] == expected


def test_the_log_is_the_published_one_with_the_authors_tree_too(boot: Boot) -> None:
    lines = (DATA / "boot-5.0-memblock-debug.log").read_text().splitlines()
    assert boot.log[: len(lines)] == [without_offset(line) for line in lines]


@pytest.mark.parametrize(
    ("base", "size", "what"),
    [
        (0x9EFFFF00, 32, "struct resource of System RAM 0x60000000-0x9fffffff"),
        (0x9E7E96A0, 35168, "unflattened device tree"),
        (0x9EFFFF24, 27, "alias serial0"),
        (0x9EFFFFC0, 24, "alias i2c0"),  # it just fits between the usemap and the iotable
        (0x9EFFFE00, 99, "saved_command_line"),
        (0x9EFFFD80, 99, "initcall_command_line"),
        (0x9EFFFD00, 99, "static_command_line"),
        (0x9E7A3000, 17 * 4096, "per-cpu area of CPU 0"),
        (0x9EFFFE80, 4, "percpu: group offsets"),
        (0x9EFFFC40, 16, "percpu: unit offsets"),
        (0x9EFFFBC0, 128, "percpu: slots"),
        (0x9EFFFB40, 69, "percpu: reserved chunk"),
        (0x9EFFF080, 120, "percpu: dynamic chunk's blocks"),
        (0x9E79B000, 32768, "log buffer's text"),
        (0x9E71B000, 524288, "Dentry cache hash"),
        (0x9E6DB000, 262144, "Inode-cache hash"),
    ],
)
def test_what_lies_where(boot: Boot, base: int, size: int, what: str) -> None:
    uses = [event for event in boot.trace if isinstance(event, Use) and event.what == what]
    assert [(use.base, use.size) for use in uses] == [(base, size)]


def test_what_is_said_on_the_way() -> None:
    # In the words and the order of logs of 4.19 and 5.5 on this board, and of 5.0 on others.
    boot = Boot(dtb=TREE.read_bytes(), cmdline="loglevel=8").run()
    log = list(boot.log)
    start = next(n for n, line in enumerate(log) if line.startswith("CPU: All CPU(s)"))
    said = log[start:]
    taken = 4 * len({pfn for region in boot.memblock.reserved for pfn in pages(region)})
    free = next(line for line in said if "early log buf free" in line)
    assert said == [
        "CPU: All CPU(s) started in SVC mode.",
        "percpu: Embedded 17 pages/cpu @(ptrval) s38912 r8192 d22528 u69632",
        "pcpu-alloc: s38912 r8192 d22528 u69632 alloc=17*4096",
        "pcpu-alloc: [0] 0 [0] 1 [0] 2 [0] 3 ",
        "Built 1 zonelists, mobility grouping on.  Total pages: 260096",
        "Kernel command line: loglevel=8",
        "printk: log_buf_len individual max cpu contribution: 4096 bytes",
        "printk: log_buf_len total cpu_extra contributions: 12288 bytes",
        "printk: log_buf_len min size: 16384 bytes",
        "printk: log_buf_len: 32768 bytes",
        free,
        "Dentry cache hash table entries: 131072 (order: 7, 524288 bytes)",
        "Inode-cache hash table entries: 65536 (order: 6, 262144 bytes)",
        f"Memory: {1048576 - taken}K/1048576K available (7168K kernel code, 360K rwdata,"
        f" 2040K rodata, 1024K init, 218K bss, {taken - 16384}K reserved, 16384K cma-reserved)",
    ]
    before = log[: log.index(free) - 1]
    used = sum(16 + (len(line) + 3 & ~3) for line in before)  # struct printk_log and its text
    assert free == f"printk: early log buf free: {16384 - used}({100 * (16384 - used) // 16384}%)"


def test_the_log_goes_on_in_the_larger_buffer(boot: Boot) -> None:
    kernel = boot.started_kernel
    assert [line for _, line in kernel.log_buf.records()] == boot.log
    text = kernel.memory.read(0x9E79B000, 32768)
    assert b"Inode-cache hash table" in text
    assert b"Booting Linux" in text
    early = kernel.memory.read(kernel.pa_symbol("__log_buf"), 0x4000)
    assert b"Booting Linux" in early
    assert b"Inode-cache" not in early


def pages(region: Region) -> range:
    return range(region.base >> 12, (region.base + region.size + 4095) >> 12)


def started(cpus: str, cmdline: str | None = None) -> Kernel:
    memory = 'memory { device_type = "memory"; reg = <0x60000000 0x10000000>; };'
    tree = blob("", f"{CELLS} {memory} cpus {{ #address-cells = <1>; #size-cells = <0>; {cpus} }};")
    kernel = prepare(Task("t", tree, cmdline, profile=PROFILE), load_profile(PROFILE))
    start_kernel(kernel)
    return kernel


@pytest.mark.parametrize(
    ("cpus", "count"),
    [
        ("", 1),
        ("cpu@0 { reg = <0>; }; cpu@1 { reg = <1>; };", 2),
        ('cpu@0 { reg = <0>; }; cpu@1 { reg = <1>; status = "fail"; };', 2),  # looked at since 5.17
        ('cpu@0 { reg = <0>; }; x { device_type = "cpu"; reg = <1>; };', 2),
        ("cpu@0 { reg = <0>; }; cpu@1 { reg = <0 1>; };", 2),  # zeroes are gone over
        ("cpu@0 { reg = <0>; }; cpu@1 { reg = <1 0>; };", 1),
        ("cpu@0 { reg = <0>; }; cpu@1 { };", 1),
        ("cpu@0 { reg = <0>; }; cpu@1 { reg = [00 00 00 00 01]; };", 1),
        ("cpu@0 { reg = <0>; }; cpu@1 { reg = <0x1000000>; };", 1),
    ],
)
def test_cpus_as_arm_dt_init_cpu_maps_read_them(cpus: str, count: int) -> None:
    assert len(started(cpus).possible_cpus) == count


def test_one_cpu_wants_no_larger_log_buffer() -> None:
    trace = started("cpu@0 { reg = <0>; };").trace
    assert not [event for event in trace if isinstance(event, Use) and "log buffer" in event.what]


def test_log_buf_len_asks_for_one() -> None:
    kernel = started("", "log_buf_len=100000")
    (use,) = (e for e in kernel.trace if isinstance(e, Use) and "log buffer" in e.what)
    assert use.size == 1 << 17


def test_a_log_buffer_that_cannot_be_had_is_told() -> None:
    kernel = started("", "log_buf_len=1G")
    (line,) = (text for _, text in kernel.log_buf.records() if "not available" in text)
    assert line == f"printk: log_buf_len: {1 << 30} bytes not available"


def test_without_kexec_there_is_no_crash_kernel() -> None:
    kernel = started("", "crashkernel=64M")
    assert not [line for _, line in kernel.log_buf.records() if "for crashkernel" in line]
    assert max(region.size for region in kernel.memblock.reserved) < 64 << 20
