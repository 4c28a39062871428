"""Per-cpu areas: one unit for each possible CPU, and what keeps track of them.

Linux: mm/percpu.c (pcpu_embed_first_chunk, pcpu_setup_first_chunk), as setup_per_cpu_areas() there
starts it on ARM: one group, allocations of pages. Of the data structures only the memory is taken.
Where versions differ it is the feature `percpu` that decides.
"""

from __future__ import annotations

from bootsim.errors import KernelPanic
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.memory import PAGE_SIZE, pfn_down, round_up
from bootsim.kernel.profile import BootSizes

PCPU_MIN_ALLOC_SIZE = 4  # include/linux/percpu.h
PCPU_MIN_UNIT_SIZE = 32 << 10
_PCPU_SLOT_BASE_SHIFT = 5  # mm/percpu.c
_POINTER = _WORD = 4
_LIST_HEAD = 8
_U32_MASK = 0xFFFFFFFF


def setup_per_cpu_areas(kernel: Kernel) -> None:
    """Take a unit for each possible CPU: static data, the modules' reserve, dynamic room."""
    sizes = kernel.profile.boot_sizes
    if sizes is not None:
        pcpu_embed_first_chunk(kernel, sizes)


def pcpu_embed_first_chunk(kernel: Kernel, sizes: BootSizes) -> None:
    """The units in one piece of lowmem, as near to the DMA zone's end or above as can be."""
    memblock, caller = kernel.memblock, "pcpu_embed_first_chunk"
    align = memblock.features.smp_cache_bytes
    reserved, static = sizes.percpu_module_reserve, sizes.percpu_static
    size_sum = round_up(static + reserved + sizes.percpu_dynamic_reserve, PAGE_SIZE)
    dynamic = size_sum - static - reserved
    unit = max(size_sum, PCPU_MIN_UNIT_SIZE)
    cpus = sorted(kernel.possible_cpus)

    alloc_info = memblock.alloc_nopanic(PAGE_SIZE, PAGE_SIZE, caller=caller)
    areas = memblock.alloc_nopanic(PAGE_SIZE, align, caller=caller) if alloc_info else 0
    if not areas:
        raise KernelPanic.panic("Failed to initialize percpu areas.")
    goal = max_dma_address(kernel)
    base = memblock.alloc_from_nopanic(len(cpus) * unit, PAGE_SIZE, goal, caller=caller)
    if not base:
        raise KernelPanic.panic("Failed to initialize percpu areas.")
    phys = kernel.virt_to_phys(base)
    for number, cpu in enumerate(cpus):
        start = phys + number * unit
        kernel.use(start, size_sum, f"per-cpu area of CPU {cpu}")
        memblock.phys_free(start + size_sum, unit - size_sum, caller=caller)
    where = " @(ptrval)" if _like_5_0(kernel) else ""  # a hashed %p
    kernel.pr_info(
        f"percpu: Embedded {pfn_down(size_sum)} pages/cpu{where}"
        f" s{static} r{reserved} d{dynamic} u{unit}"
    )
    _setup_first_chunk(kernel, sizes, dynamic, unit)
    for virt in (alloc_info, areas):
        memblock.phys_free(kernel.virt_to_phys(virt), PAGE_SIZE, caller=caller)


def max_dma_address(kernel: Kernel) -> int:
    """__pa(MAX_DMA_ADDRESS), arch/arm/include/asm/dma.h."""
    size = kernel.machine_desc.dma_zone_size if kernel.machine_desc is not None else 0
    if size and size < (1 << 32) - kernel.profile.layout.page_offset:
        return kernel.phys_offset + size & _U32_MASK
    return kernel.virt_to_phys(_U32_MASK) & _U32_MASK


def _setup_first_chunk(kernel: Kernel, sizes: BootSizes, dynamic: int, unit: int) -> None:
    """pcpu_setup_first_chunk(): maps of units and groups, slots, and the first two chunks."""
    align, like_5_0 = kernel.memblock.features.smp_cache_bytes, _like_5_0(kernel)
    cpus = sorted(kernel.possible_cpus)

    def alloc(size: int, what: str, caller: str = "pcpu_setup_first_chunk") -> None:
        kernel.memblock_alloc(size, align, f"percpu: {what}", caller=caller, says=caller)

    alloc(_POINTER, "group offsets")
    alloc(_POINTER, "group sizes")
    alloc((cpus[-1] + 1) * _POINTER, "unit map")  # nr_cpu_ids
    alloc((cpus[-1] + 1) * _POINTER, "unit offsets")
    for line in _dump_alloc_info(sizes, dynamic, unit, cpus):
        kernel.pr_debug(line)
    # Slots by size, and others: for empty chunks; later also for sidelined and depopulated ones.
    slots = pcpu_size_slots(unit) + sizes.pcpu_more_slots
    alloc(slots * _LIST_HEAD * sizes.pcpu_chunk_types, "slots")
    static = round_up(sizes.percpu_static, PCPU_MIN_ALLOC_SIZE)
    dynamic -= static - sizes.percpu_static
    reserved = sizes.percpu_module_reserve
    for name, start, size in (
        ("reserved", static, reserved),
        ("dynamic", static + reserved, dynamic),
    ):
        if not size:
            continue
        region = round_up(start % PAGE_SIZE + size, PAGE_SIZE)
        pages, bits = region // PAGE_SIZE, region // PCPU_MIN_ALLOC_SIZE
        caller = "pcpu_alloc_first_chunk"
        # Linux before 5.10 counted the words of `populated` and forgot that they have four bytes.
        populated = _bitmap(pages) // (_WORD if like_5_0 else 1)
        alloc(sizes.pcpu_chunk + populated, f"{name} chunk", caller)
        alloc(_bitmap(bits), f"{name} chunk's allocations", caller)
        alloc(_bitmap(bits + 1), f"{name} chunk's bounds", caller)
        alloc(pages * sizes.pcpu_block_md, f"{name} chunk's blocks", caller)


def pcpu_size_slots(unit: int) -> int:
    """The lists of chunks by how much of a unit of that many bytes is free (pcpu_size_to_slot)."""
    return max(unit.bit_length() - _PCPU_SLOT_BASE_SHIFT + 2, 1)


def _like_5_0(kernel: Kernel) -> bool:
    return kernel.profile.features.percpu == "5.0"


def _bitmap(bits: int) -> int:
    """Bytes of a bitmap, in whole words."""
    return round_up(bits, 32) // 8


def _dump_alloc_info(sizes: BootSizes, dynamic: int, unit: int, cpus: list[int]) -> list[str]:
    """pcpu_dump_alloc_info() for one group with one unit to an allocation."""
    cpu_width = len(str(len(cpus)))
    per_line = max(60 // (cpu_width + 1 + 1 + 3), 1)
    per_line = 1 << per_line.bit_length() - 1
    units = [f"[0] {cpu:0{cpu_width}d} " for cpu in cpus]
    head = (
        f"pcpu-alloc: s{sizes.percpu_static} r{sizes.percpu_module_reserve} d{dynamic} u{unit}"
        f" alloc={unit // PAGE_SIZE}*{PAGE_SIZE}"
    )
    lines = [units[at : at + per_line] for at in range(0, len(units), per_line)]
    return [head, *("pcpu-alloc: " + "".join(line) for line in lines)]
