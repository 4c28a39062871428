"""setup_arch() by what it prints and leaves in memblock, on trees and command lines of all kinds.

Expected lines are those of Linux 5.0's format strings; expected numbers follow from the rules that
the docstrings of bootsim/kernel name.
"""

from __future__ import annotations

import pytest

from bootsim.errors import KernelPanic
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.log import log_lines
from bootsim.trace import Note, Use
from tests.kernels import boot_without_cpu
from tests.trees import CELLS, board

MIB = 1 << 20
BASE = 0x60000000
DEFAULT = board((BASE, 256 * MIB))


def log(kernel: Kernel) -> list[str]:
    return [line for _, _, line in log_lines(kernel.trace, kernel.memblock.features)]


def memory(kernel: Kernel) -> list[tuple[int, int]]:
    return [(region.base, region.size) for region in kernel.memblock.memory]


def reserved(kernel: Kernel) -> list[tuple[int, int]]:
    return [(region.base, region.size) for region in kernel.memblock.reserved]


def to_the_dump(dtb: bytes = DEFAULT, cmdline: str | None = None) -> Kernel:
    return boot_without_cpu(dtb, cmdline=cmdline, until="arm_memblock_init")


# mem=


@pytest.mark.parametrize(
    ("cmdline", "expected"),
    [
        ("mem=64M", [(BASE, 64 * MIB)]),
        ("mem=64M@0x60000000", [(BASE, 64 * MIB)]),
        ("mem=64M mem=32M@0x68000000", [(BASE, 64 * MIB), (0x68000000, 32 * MIB)]),
        ("mem=64M mem=32M@0x64000000", [(BASE, 96 * MIB)]),  # they touch
        ("mem=65537K", [(BASE, 64 * MIB)]),  # whole pages only: 65537 KiB is 16384.25 of them
        ("mem=64M@0x60000800", [(BASE + 4096, 64 * MIB - 4096)]),  # up to a page, then down
        ("mem=128M@0x5c000000", [(BASE, 64 * MIB)]),  # what lies below PHYS_OFFSET is lost
    ],
)
def test_mem(cmdline: str, expected: list[tuple[int, int]]) -> None:
    kernel = boot_without_cpu(DEFAULT, cmdline=cmdline, until="parse_early_param")
    assert memory(kernel) == expected


def test_mem_past_4_gib_loses_a_page() -> None:
    # Linux caps at ULONG_MAX, then rounds down: reference runs show mem=4096M end at 0xffffefff.
    kernel = boot_without_cpu(DEFAULT, cmdline="mem=4096M", until="parse_early_param")
    assert memory(kernel) == [(BASE, 0xFFFFF000 - BASE)]
    assert "Truncating memory at 0x60000000 to fit in 32-bit physical address space" in log(kernel)


def test_mem_below_phys_offset_leaves_no_memory() -> None:
    kernel = boot_without_cpu(DEFAULT, cmdline="mem=16M@0x10000000", until="parse_early_param")
    assert kernel.memblock.memory.total_size == 0
    assert "Ignoring memory below PHYS_OFFSET: 0x10000000-0x11000000" in log(kernel)


def test_mem_without_a_value_kills_the_kernel() -> None:
    with pytest.raises(KernelPanic, match="mem without a value"):
        boot_without_cpu(DEFAULT, cmdline="mem")


# Other early parameters


def test_unknown_parameters_are_noted_once() -> None:
    kernel = to_the_dump(cmdline="root=/dev/ram0 foo foo=1 mem=128M")
    notes = [event.text for event in kernel.trace if isinstance(event, Note)]
    assert notes == ["unknown to the model, left alone: root foo"]


def test_vmalloc_moves_the_end_of_lowmem() -> None:
    # limit = PHYS_OFFSET + 0xff800000 - vmalloc - PAGE_OFFSET; the gap counts in (to 5.13)
    kernel = to_the_dump(board((BASE, 1024 * MIB)), "vmalloc=1G cma=0")
    assert kernel.vars.arm_lowmem_limit == 0x9F800000
    assert "Ignoring RAM at 0x9f800000-0xa0000000" in log(kernel)
    assert "Consider using a HIGHMEM enabled kernel." in log(kernel)
    assert memory(kernel) == [(BASE, 0x9F800000 - BASE)]


def test_vmalloc_is_clamped() -> None:
    assert "vmalloc area too small, limiting to 16MB" in log(to_the_dump(cmdline="vmalloc=1M"))
    largest = (0xFF800000 - (0x80000000 + (32 << 20))) >> 20
    kernel = boot_without_cpu(DEFAULT, cmdline="vmalloc=4095M", until="parse_early_param")
    assert f"vmalloc area is too big, limiting to {largest}MB" in log(kernel)


EARLYCON = (
    'aliases { serial0 = &uart; }; bus { compatible = "simple-bus"; #address-cells = <1>;'
    " #size-cells = <1>; ranges = <0 0x10000000 0x100000>;"
    ' uart: serial@9000 { compatible = "arm,pl011", "arm,primecell"; reg = <0x9000 0x1000>; }; };'
)


@pytest.mark.parametrize(
    ("stdout", "expected"),
    [
        (
            "serial0",
            [
                "earlycon: pl11 at MMIO 0x10009000 (options '')",
                "printk: bootconsole [pl11] enabled",
            ],
        ),
        (
            "/bus/serial@9000:115200n8",
            [
                "earlycon: pl11 at MMIO 0x10009000 (options '115200n8')",
                "printk: bootconsole [pl11] enabled",
            ],
        ),
        ("/nowhere", ["OF: fdt: earlycon: stdout-path /nowhere not found"]),
        ("/bus", ["Malformed early option 'earlycon'"]),
        (None, ["Malformed early option 'earlycon'"]),
    ],
)
def test_earlycon(stdout: str | None, expected: list[str]) -> None:
    chosen = f'chosen {{ stdout-path = "{stdout}"; }};' if stdout else ""
    kernel = boot_without_cpu(
        board((BASE, 64 * MIB), extra=EARLYCON + chosen),
        cmdline="earlycon",
        until="parse_early_param",
    )
    assert log(kernel)[-len(expected) :] == expected


def test_earlycon_by_name_and_console() -> None:
    kernel = to_the_dump(cmdline="earlycon=pl011,0x10009000,9600 console=ttyAMA0,38400")
    assert "earlycon: pl11 at MMIO 0x10009000 (options '9600')" in log(kernel)
    assert not any("Malformed" in line for line in log(kernel))


# initrd


@pytest.mark.parametrize(
    ("cmdline", "line"),
    [
        (
            "initrd=0x80000000,1M",
            "INITRD: 0x80000000+0x00100000 is not a memory region - disabling initrd",
        ),
        (
            "initrd=0x60200000,1M",
            "INITRD: 0x60200000+0x00100000 overlaps in-use memory region - disabling initrd",
        ),
    ],
)
def test_an_initrd_where_it_cannot_be(cmdline: str, line: str) -> None:
    assert line in log(to_the_dump(cmdline=cmdline))


def test_initrd_is_rounded_outward_to_pages() -> None:
    kernel = to_the_dump(cmdline="initrd=0x68000800,0x1000 cma=0")
    assert (0x68000000, 0x2000) in reserved(kernel)


# /memreserve/ and reserved-memory


def rmem(nodes: str, **kwargs: str) -> bytes:
    return board(
        (BASE, 256 * MIB), extra=f"reserved-memory {{ {CELLS} ranges; {nodes} }};", **kwargs
    )


def test_static_regions() -> None:
    kernel = to_the_dump(
        rmem(
            "a@65000000 { reg = <0x65000000 0x10000>; };"
            ' off@66000000 { reg = <0x66000000 0x1000>; status = "disabled"; };'
            " gone@67000000 { reg = <0x67000000 0x100000>; no-map; };"
            " two@68000000 { reg = <0x68000000 0x1000 0x69000000 0x1000>; };",
            before="/memreserve/ 0x64000000 0x123;",
        ),
        "cma=0",
    )
    for expected in (
        (0x64000000, 0x123),  # unrounded
        (0x65000000, 0x10000),
        (0x68000000, 0x1000),
        (0x69000000, 0x1000),
    ):
        assert expected in reserved(kernel)
    assert memory(kernel) == [(BASE, 0x7000000), (0x67100000, 0x70000000 - 0x67100000)]


def test_a_node_of_size_0_and_a_crooked_reg() -> None:
    kernel = to_the_dump(
        rmem("zero@65000000 { reg = <0x65000000 0>; }; odd@66000000 { reg = <0x66000000>; };")
    )
    assert (
        "OF: fdt: Reserved memory: failed to reserve memory for node 'zero@65000000':"
        " base 0x65000000, size 0 MiB"
    ) in log(kernel)
    assert (
        "OF: fdt: Reserved memory: invalid reg property in 'odd@66000000', skipping node."
    ) in log(kernel)


def test_cells_must_repeat_the_roots() -> None:
    dtb = board(
        (BASE, 256 * MIB),
        extra="reserved-memory { #address-cells = <2>; #size-cells = <1>; ranges;"
        " a@65000000 { reg = <0 0x65000000 0x10000>; }; };",
    )
    kernel = to_the_dump(dtb)
    assert "OF: fdt: Reserved memory: unsupported node format, ignoring" in log(kernel)
    assert not any(base == 0x65000000 for base, _ in reserved(kernel))


def test_dynamic_regions_come_from_the_top() -> None:
    kernel = to_the_dump(rmem("pool { size = <0x100000>; alignment = <0x10000>; };"), "cma=0")
    assert (0x6FF00000, 0x100000) in reserved(kernel)


def test_dynamic_regions_within_alloc_ranges() -> None:
    node = "pool {{ size = <0x100000>; alloc-ranges = <{}>; }};"
    kernel = to_the_dump(rmem(node.format("0x64000000 0x1000000")), "cma=0")
    assert (0x64F00000, 0x100000) in reserved(kernel)
    kernel = to_the_dump(rmem(node.format("0x10000000 0x1000000")), "cma=0")
    assert "OF: reserved mem: failed to allocate memory for node 'pool'" in log(kernel)


def test_dynamic_nodes_are_allocated_in_the_order_of_the_kernels_sort() -> None:
    nodes = " ".join(f"n{i} {{ size = <{(i + 1) << 12:#x}>; }};" for i in range(4))
    kernel = to_the_dump(rmem(nodes), "cma=0")
    names = [event.what for event in kernel.trace if isinstance(event, Use)]
    order = [name.rsplit("/", 1)[1] for name in names if name.startswith("/reserved-memory/")]
    assert order == ["n1", "n2", "n3", "n0"]


def test_overlapping_regions_are_told() -> None:
    kernel = to_the_dump(
        rmem(
            "a@65000000 { reg = <0x65000000 0x2000>; }; b@65001000 { reg = <0x65001000 0x2000>; };"
        )
    )
    lines = log(kernel)
    at = lines.index("OF: reserved mem: OVERLAP DETECTED!")
    assert lines[at + 1] == (
        "a@65000000 (0x65000000--0x65002000) overlaps with b@65001000 (0x65001000--0x65003000)"
    )


@pytest.mark.parametrize(
    ("flags", "lines"),
    [
        (
            "no-map;",
            [
                "Reserved memory: created DMA memory pool at 0x65000000, size 4 MiB",
                "OF: reserved mem: initialized node p@65000000, compatible id shared-dma-pool",
            ],
        ),
        (
            "reusable;",
            [
                "Reserved memory: created CMA memory pool at 0x65000000, size 4 MiB",
                "OF: reserved mem: initialized node p@65000000, compatible id shared-dma-pool",
            ],
        ),
        ("", ["Reserved memory: regions without no-map are not yet supported"]),
    ],
)
def test_shared_dma_pools(flags: str, lines: list[str]) -> None:
    node = f'p@65000000 {{ compatible = "shared-dma-pool"; reg = <0x65000000 0x400000>; {flags} }};'
    printed = log(to_the_dump(rmem(node)))
    for line in lines:
        assert line in printed


def test_a_default_pool_takes_the_place_of_the_default_area() -> None:
    node = (
        'p@65000000 { compatible = "shared-dma-pool"; reg = <0x65000000 0x400000>;'
        " reusable; linux,cma-default; };"
    )
    kernel = to_the_dump(rmem(node))
    assert [area.base for area in kernel.cma_areas] == [0x65000000]
    assert not any("cma: Reserved" in line for line in log(kernel))


# cma=


@pytest.mark.parametrize(
    ("cmdline", "line"),
    [
        (None, "cma: Reserved 16 MiB at 0x6f000000"),
        ("cma=5M", "cma: Reserved 8 MiB at 0x6f800000"),  # 4 MiB aligned
        ("cma=8M@0x64000000", "cma: Reserved 8 MiB at 0x64000000"),
        ("cma=8M@0x60200000", "cma: Failed to reserve 8 MiB"),  # the kernel is there
        ("cma=1G", "cma: Failed to reserve 1024 MiB"),
        ("cma=8M@0x61000000-0x66000000", "cma: Reserved 8 MiB at 0x65800000"),
        ("cma", "Malformed early option 'cma'"),
    ],
)
def test_cma(cmdline: str | None, line: str) -> None:
    assert line in log(to_the_dump(cmdline=cmdline))


def test_no_cma() -> None:
    kernel = to_the_dump(cmdline="cma=0")
    assert not any("cma:" in line for line in log(kernel))


# The tree's memory


def test_memory_is_cut_to_pages() -> None:
    kernel = boot_without_cpu(
        board((BASE, 64 * MIB), (0x68000100, 0x2000)), until="setup_machine_fdt"
    )
    assert memory(kernel) == [(BASE, 64 * MIB), (0x68001000, 0x1000)]


def test_memory_below_phys_offset_is_ignored() -> None:
    kernel = boot_without_cpu(
        board((0x10000000, 0x100000), (BASE, 64 * MIB)),
        phys_offset=BASE,
        until="setup_machine_fdt",
    )
    assert memory(kernel) == [(BASE, 64 * MIB)]
    assert "OF: fdt: Ignoring memory block 0x10000000 - 0x10100000" in log(kernel)


def test_no_blob_where_r2_points() -> None:
    def forget(kernel: Kernel) -> None:
        kernel.memory.write(kernel.memory.read_u32(kernel.pa_symbol("__atags_pointer")), b"no")

    with pytest.raises(KernelPanic, match="invalid dtb and unrecognized/unsupported machine ID"):
        boot_without_cpu(DEFAULT, hooks={"setup_processor": [forget]})
