"""Page tables as the boot leaves them in RAM, read back by a walk of their own.

What is mapped follows from arch/arm/mm/mmu.c; where Linux dies, recorded boots of a real kernel on
the same command lines die too.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bootsim.errors import KernelPanic
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.log import log_lines
from bootsim.machine import mmu
from bootsim.trace import Use
from tests.kernels import boot_without_cpu
from tests.trees import CELLS, board

MIB = 1 << 20
BASE = 0x60000000
PAGE = 4096


def mapped_lowmem(kernel: Kernel) -> list[tuple[int, int]]:
    """Physical [start, end) of what the linear map maps, joined and sorted."""
    ranges: list[tuple[int, int]] = []
    pgd = kernel.virt_to_phys(kernel.profile.swapper_pg_dir)
    for mapping in mmu.mappings(kernel.memory, pgd):
        if mapping.virt >= 0xFF000000:
            continue  # fixmap and vectors
        assert mapping.phys == kernel.virt_to_phys(mapping.virt)
        if ranges and ranges[-1][1] == mapping.phys:
            ranges[-1] = ranges[-1][0], mapping.phys + mapping.size
        else:
            ranges.append((mapping.phys, mapping.phys + mapping.size))
    return ranges


def memory_pages(kernel: Kernel) -> list[tuple[int, int]]:
    """memblock.memory, rounded outward to pages and joined, as create_mapping() rounds."""
    ranges: list[tuple[int, int]] = []
    for region in kernel.memblock.memory:
        start, end = region.base // PAGE * PAGE, -(-region.end // PAGE) * PAGE
        if ranges and start <= ranges[-1][1]:
            ranges[-1] = ranges[-1][0], end
        else:
            ranges.append((start, end))
    return ranges


def log(kernel: Kernel) -> list[str]:
    return [line for _, _, line in log_lines(kernel.trace, kernel.memblock.features)]


def wants_both(start: int, end: int) -> bool:
    """Whether memory before a hole is mapped by a section, to whose pmd what lies behind the hole
    wants a page table: there Linux has a BUG_ON(pmd_bad(*pmd)) (arm_pte_alloc)."""
    last, first = -(-start // PAGE) * PAGE, end // PAGE * PAGE
    same_pmd = (last - 1) // (2 * MIB) == first // (2 * MIB)
    return last % MIB == 0 and first % MIB != 0 and same_pmd


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example([(46077, 1)])
@example([(35837, 8)])
@given(
    st.lists(
        st.tuples(st.integers(24 * 1024, 60 * 1024), st.integers(1, 3 * 1024)),
        max_size=4,
        unique_by=lambda hole: hole[0],
    )
)
def test_all_of_lowmem_is_mapped_and_nothing_else(holes: list[tuple[int, int]]) -> None:
    """Holes (KiB from the start, bytes * 1000) are no-map regions, aligned to nothing."""
    nodes = " ".join(
        f"h{n}@{kib:x} {{ reg = <{BASE + kib * 1024:#x} {size * 1000:#x}>; no-map; }};"
        for n, (kib, size) in enumerate(holes)
    )
    dtb = board((BASE, 64 * MIB), extra=f"reserved-memory {{ {CELLS} ranges; {nodes} }};")
    try:
        kernel = boot_without_cpu(dtb, cmdline="cma=0", dtb_addr=BASE + 0x1000000)
    except KernelPanic as panic:
        assert "a section maps" in str(panic)
        starts = [kib * 1024 for kib, _ in holes]
        ends = [kib * 1024 + size * 1000 for kib, size in holes]
        assert any(wants_both(start, end) for start in starts for end in ends if start < end)
        return
    assert mapped_lowmem(kernel) == memory_pages(kernel)


def test_an_unaligned_hole_leaves_whole_pages_mapped() -> None:
    node = "h@65000800 { reg = <0x65000800 0x1000>; no-map; };"
    dtb = board((BASE, 128 * MIB), extra=f"reserved-memory {{ {CELLS} ranges; {node} }};")
    kernel = boot_without_cpu(dtb)
    pgd = kernel.virt_to_phys(kernel.profile.swapper_pg_dir)
    for phys in (0x65000000, 0x65001000):
        found = mmu.walk(kernel.memory, pgd, kernel.phys_to_virt(phys))
        assert found.phys == phys
        assert not found.attributes.ng


def test_text_is_executable_and_data_is_not() -> None:
    kernel = boot_without_cpu(board((BASE, 128 * MIB)))
    pgd = kernel.virt_to_phys(kernel.profile.swapper_pg_dir)
    xn = {
        name: mmu.walk(kernel.memory, pgd, kernel.symbol(name)).attributes.xn
        for name in ("_text", "_stext", "__init_begin", "_sdata")
    }
    assert xn == {"_text": True, "_stext": False, "__init_begin": False, "_sdata": True}


# Where Linux dies


@pytest.mark.parametrize("cmdline", ["mem=64M@0x60400000 cma=0", "mem=64M@0x68000000 cma=0"])
def test_memory_that_starts_in_another_block_than_phys_offset(cmdline: str) -> None:
    # A recorded boot with mem=512M@0x70000000 faults right after the memory map is allocated; here
    # the kernel has lost its own memory, or would write past its memory map.
    with pytest.raises(KernelPanic, match=r"prepare_page_table|memmap_init"):
        boot_without_cpu(board((BASE, 256 * MIB)), cmdline=cmdline)


def test_no_memory_at_all_ends_in_early_alloc() -> None:
    # Recorded: with no memory a real kernel unmaps nothing of itself and panics in early_alloc.
    with pytest.raises(KernelPanic, match="Failed to allocate 0x00002000 bytes below"):
        boot_without_cpu(board((BASE, 256 * MIB)), cmdline="mem=16M@0x10000000 cma=0")


def test_memory_that_the_machine_does_not_have() -> None:
    with pytest.raises(KernelPanic, match="takes for RAM what is none"):
        boot_without_cpu(board((BASE, 64 * MIB)), cmdline="mem=256M")


@pytest.mark.parametrize("name", ["mem", "vmalloc", "initrd"])
def test_parameters_that_need_a_value(name: str) -> None:
    with pytest.raises(KernelPanic, match=f"{name} without a value"):
        boot_without_cpu(board((BASE, 64 * MIB)), cmdline=name)


def test_what_linux_does_not_print_is_not_in_its_log() -> None:
    logs: list[str] = []

    def remember(kernel: Kernel) -> None:
        kernels.append(kernel)

    kernels: list[Kernel] = []
    with pytest.raises(KernelPanic):
        boot_without_cpu(
            board((BASE, 64 * MIB)), cmdline="mem=1M", hooks={"setup_processor": [remember]}
        )
    logs = log(kernels[0])
    assert logs
    assert not any("prepare_page_table" in line for line in logs)


# earlycon


def test_a_working_earlycon_moves_the_allocation_of_the_fixmaps_table() -> None:
    """early_fixmap_shutdown() maps the device anew, before the vectors are allocated."""
    kernel = boot_without_cpu(board((BASE, 128 * MIB)), cmdline="earlycon=pl011,0x10009000 cma=0")
    early = [e for e in kernel.trace if isinstance(e, Use) and "CMA" not in e.what]
    names = [event.what for event in early]
    assert names.index("page table for 0xffe00000") < names.index("exception vectors")
    pgd = kernel.virt_to_phys(kernel.profile.swapper_pg_dir)
    found = mmu.walk(kernel.memory, pgd, kernel.profile.layout.fixaddr_top)
    assert found.phys == 0x10009000
    assert found.attributes.xn


@pytest.mark.parametrize(
    ("cmdline", "expected"),
    [
        ("earlycon=", ["Malformed early option 'earlycon'"]),
        ("console=", ["Malformed early option 'console'"]),
        (
            "earlycon=pl011",
            [
                "earlycon: pl11 at I/O port 0x0 (options '')",
                "Malformed early option 'earlycon'",
            ],
        ),
        (
            "earlycon=pl011,mmio32,0x10009000,115200 earlycon=pl011,0x1000a000",
            [
                "earlycon: pl11 at MMIO32 0x10009000 (options '115200')",
                "printk: bootconsole [pl11] enabled",
            ],
        ),
        ("earlycon=nosuch,0x1000", []),
    ],
)
def test_earlycon_parameters(cmdline: str, expected: list[str]) -> None:
    kernel = boot_without_cpu(board((BASE, 64 * MIB)), cmdline=cmdline, until="parse_early_param")
    lines = log(kernel)
    after = lines.index("OF: fdt: Machine model: Test board") + 1
    assert lines[after:] == expected


# The order of the first lines, and the scan of nested nodes (drivers/of/fdt.c of 5.0)


def test_the_model_is_named_before_memory_is_scanned() -> None:
    kernel = boot_without_cpu(
        board((0x10000000, 0x100000), (BASE, 64 * MIB)),
        phys_offset=BASE,
        until="setup_machine_fdt",
    )
    lines = log(kernel)
    assert lines.index("OF: fdt: Machine model: Test board") < lines.index(
        "OF: fdt: Ignoring memory block 0x10000000 - 0x10100000"
    )


def test_reserved_memory_is_scanned_to_any_depth_below_its_exact_name() -> None:
    nested = "a { inner@61000000 { reg = <0x61000000 0x1000>; }; };"
    dtb = board(
        (BASE, 64 * MIB),
        extra=f"reserved-memory {{ {CELLS} ranges; {nested} }};"
        f" reserved-memory@0 {{ {CELLS} ranges; b@62000000 {{ reg = <0x62000000 0x1000>; }}; }};",
    )
    kernel = boot_without_cpu(dtb, cmdline="cma=0", dtb_addr=BASE + 0x3000000)
    assert kernel.memblock.is_reserved(0x61000000)
    assert not kernel.memblock.is_reserved(0x62000000)


def test_a_second_cma_parameter_keeps_the_place_of_the_first() -> None:
    kernel = boot_without_cpu(
        board((BASE, 128 * MIB)), cmdline="cma=16M@0x64000000 cma=8M", until="arm_memblock_init"
    )
    assert "cma: Reserved 8 MiB at 0x64800000" in log(kernel)  # below the first one's limit
