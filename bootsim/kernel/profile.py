"""What a kernel's build fixes: addresses, sizes, configuration, and where its version differs.

Code asks a profile for a feature, never for a version. profile_file.py reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from bootsim.errors import BootsimError
from bootsim.kernel.memory import LinearMap
from bootsim.kernel.variables import Variables

DEFAULT_PROFILE = "linux-5.0"


@dataclass(frozen=True, slots=True)
class Layout:
    """The kernel's virtual address space; addresses and sizes in bytes."""

    page_offset: int
    text_offset: int
    vmalloc_end: int
    vmalloc_offset: int
    vmalloc_size: int
    fixaddr_start: int
    fixaddr_top: int
    vectors_base: int


@dataclass(frozen=True, slots=True)
class Config:
    """What Kconfig and the headers fix; sizes in bytes.

    efi, xen, memtest, pci, kexec: whether the kernel has CONFIG_EFI, CONFIG_XEN, CONFIG_MEMTEST,
        CONFIG_PCI, CONFIG_KEXEC. nr_cpus: CONFIG_NR_CPUS. max_cma_areas: 0 without CONFIG_CMA.
    of_kobj: CONFIG_OF_KOBJ; without it the tree is kept without nodes that are not available.
    init_stack: what report_meminit() says of the stack, empty in kernels without it (to 5.2).
    init_on_alloc, init_on_free: CONFIG_INIT_ON_ALLOC_DEFAULT_ON, CONFIG_INIT_ON_FREE_DEFAULT_ON.
    log_line_max: characters that a record of the log can hold.
    page_ext_size: what CONFIG_PAGE_EXTENSION keeps for each page, 0 if nothing in it is in use.
    """

    highmem: bool
    zones: tuple[str, ...]
    cma_size: int
    struct_page_size: int
    static_vm_size: int
    max_order: int
    init_memblock_regions: int
    command_line_size: int
    max_reserved_regions: int
    max_cma_areas: int
    log_buf_size: int
    log_line_max: int
    efi: bool
    xen: bool
    memtest: bool
    pci: bool
    kexec: bool
    of_kobj: bool
    nr_cpus: int
    init_stack: str
    init_on_alloc: bool
    init_on_free: bool
    page_ext_size: int


@dataclass(frozen=True, slots=True)
class BootSizes:
    """Sizes of what a kernel asks memblock for between paging_init() and the handover, in bytes.

    resource, device_node, property, alias_prop, fwnode_handle: sizeof() the structures of ioport.h,
        of.h, of_private.h, fwnode.h. pcpu_chunk, pcpu_block_md: of mm/percpu-internal.h, the chunk
        up to `populated`. prb_desc, printk_info: of kernel/printk/printk_ringbuffer.h, 0 in kernels
        without it (to 5.9).
    percpu_static: the per-cpu section (__per_cpu_end - __per_cpu_start).
    percpu_module_reserve, percpu_dynamic_reserve: include/linux/percpu.h.
    pcpu_more_slots: lists of chunks beside those by size; pcpu_chunk_types: how often there are
        all those lists (PCPU_NR_CHUNK_TYPES, more than 1 from 5.9 to 5.13).
    """

    resource: int
    device_node: int
    property: int
    alias_prop: int
    fwnode_handle: int
    percpu_static: int
    percpu_module_reserve: int
    percpu_dynamic_reserve: int
    pcpu_chunk: int
    pcpu_block_md: int
    pcpu_more_slots: int
    pcpu_chunk_types: int
    prb_desc: int
    printk_info: int


@dataclass(frozen=True, slots=True)
class MachineDesc:
    """struct machine_desc (arch/arm/include/asm/mach/arch.h), as far as it touches memory.

    `compatible` are the root's strings that choose it; `dt_fixup` and `reserve` functions of
    bootsim.kernel.mach, `map_io` of bootsim.kernel.mach_io, `init_early` of
    bootsim.kernel.mach_init, empty for none; `dma_zone_size` in bytes, 0 for no limit.
    """

    name: str
    compatible: tuple[str, ...]
    dt_fixup: str = ""
    reserve: str = ""
    map_io: str = ""
    init_early: str = ""
    dma_zone_size: int = 0


EarlyAlloc = Literal["memblock_phys_alloc", "memblock_alloc"]
FdtScan = Literal["any-depth", "children"]
NoMap = Literal["remove", "mark"]
ReserveDtb = Literal["arm_memblock_init", "setup_arch"]
ReserveInitrd = Literal["arm_initrd_init", "reserve_initrd_mem"]
ReservedMemOrder = Literal["base", "base-size"]
AllocRanges = Literal["end-only", "find", "start-and-end"]
RefusedPool = Literal["keep", "free", "free-and-add"]
CmaRules = Literal["lenient", "strict"]
StdoutMatch = Literal["first", "any"]
CmaRemap = Literal["setup", "reservation"]
ReservedMemSetup = Literal["arm_memblock_init", "unflatten_device_tree"]
Version = Literal["5.0", "6.1"]
ReservedMemLog = Literal["5.0", "5.10", "6.1", "6.10"]
VersionSince510 = Literal["5.0", "5.10", "6.1"]
PageAllocVersion = Literal["5.0", "5.10", "6.1", "6.12"]


@dataclass(frozen=True, slots=True)
class Features:
    """Where versions of Linux behave differently.

    fdt_scan: whether memory nodes, and nodes of /reserved-memory, are taken at any depth, memory
        whatever its status; or only as children, if they are available. Kernels of the latter kind
        also want the blob 8-byte aligned.
    nomap: what a no-map reserved-memory node does to memblock.memory.
    reserve_dtb: which function reserves the blob.
    memblock: whose names, rules and log wording memblock has.
    page_alloc: whose page allocator's details hold.
    printk: whose formats printk has.
    vmalloc_holds_gap: whether the size in vmalloc= holds the gap between lowmem and the area.
    checks_mem_start: whether the decompressor asks the tree where RAM begins.
    percpu: whose per-cpu allocator's details hold.
    dt_cpus: whose rules for the nodes of CPUs hold: 5.0 takes those that have failed, and knows of
        no other CPUs if one has no reg or cells behind its id.
    initcall_command_line: whether the initcalls get a copy of the command line.
    says_unknown_options: whether parameters that no one knows are worth a line.
    stack_depot: whether slub_debug= may want a table of stack traces before there is slab.
    nomap_unaligned_head: whether a first bank that starts off a pmd boundary loses its head.
    says_no_chosen: whether a tree without /chosen is worth a line.
    initrd_order_counts: whether an initrd in /chosen that ends before it starts is ignored.
    reserve_initrd: which function reserves the initrd; the later one's words come in two lines.
    crash_dump: whether /chosen's linux,elfcorehdr is reserved and linux,usable-memory-range obeyed.
    boot_config: whether the end of the initrd is looked at for a boot configuration.
    initrdmem: whether initrdmem= is another name of initrd=.
    rng_seed: whether /chosen's rng-seed is taken and wiped out of the blob.
    reserved_mem_order: what reserved-memory nodes are sorted by before they are set up. Only with
        the size in it are regions at address 0 looked at for overlaps.
    alloc_ranges: whether a region is searched from the start of each of its alloc-ranges (`find`:
        and then reserved, without an allocator, as for a crash kernel, too), or from 0 on and given
        back if it lies too low.
    refused_pool: what becomes of a region that no handler of its compatible string takes. With
        `free-and-add` one that is no-map is added to memory again, even if it never left it.
    reserved_mem_log: whose wording and levels the messages on reserved memory have.
    reserved_mem_setup: when regions with a fixed place are checked and set up; with
        unflatten_device_tree the others are so as soon as they have their place.
    reserved_mem_listed: whether each region that is kept gets a line.
    says_ignored_regions: whether a node with more than one region is worth a line when it is set up
        late, as only its first one is.
    memreserve_first: whether the blob's reservation block comes before /reserved-memory.
    pools_remapped_by: when a CMA pool is noted for dma_contiguous_remap(): as it is set up, which
        may be too late, or as its memory is reserved.
    cma: lenient rounds any area's base up and keeps what it cannot use reserved; strict wants a
        fixed base aligned and the area below its limit, and gives back. With strict, cma= keeps
        pools marked linux,cma-default from being set up.
    cma_says_node: whether the lines on the default area name its node.
    early_alloc: which of memblock's functions the page tables are taken from.
    maps_kernel_apart: whether lowmem is mapped without the kernel, which is mapped after it.
    maps_fdt: whether the tree keeps a read-only mapping of its own.
    zonelists_after_hashes: whether the zonelists are built once the hashes are.
    memory_line: whether the line "Memory:" comes with the handover, or long after it.
    stdout_match: whether earlycon stops at the first driver that knows stdout-path's node, or goes
        on where that one fails.
    """

    fdt_scan: FdtScan
    nomap: NoMap
    reserve_dtb: ReserveDtb
    memblock: VersionSince510
    nomap_unaligned_head: bool
    vmalloc_holds_gap: bool
    page_alloc: PageAllocVersion
    printk: Version
    says_no_chosen: bool
    initrd_order_counts: bool
    reserve_initrd: ReserveInitrd
    crash_dump: bool
    boot_config: bool
    initrdmem: bool
    rng_seed: bool
    reserved_mem_order: ReservedMemOrder
    alloc_ranges: AllocRanges
    refused_pool: RefusedPool
    reserved_mem_log: ReservedMemLog
    reserved_mem_setup: ReservedMemSetup
    reserved_mem_listed: bool
    says_ignored_regions: bool
    memreserve_first: bool
    pools_remapped_by: CmaRemap
    cma: CmaRules
    cma_says_node: bool
    early_alloc: EarlyAlloc
    maps_kernel_apart: bool
    maps_fdt: bool
    stdout_match: StdoutMatch
    checks_mem_start: bool
    percpu: Version
    dt_cpus: Version
    initcall_command_line: bool
    says_unknown_options: bool
    stack_depot: bool
    zonelists_after_hashes: bool
    memory_line: bool


def _empty() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Profile:
    """One kernel.

    `symbols` are virtual addresses by C name, `earlycon` drivers by compatible, `machines` the
    machine descriptions in the order in which the kernel tries them. `early_params` are early
    parameters that only matter for what they print, by what they make of their value: "bool" and
    "value" are malformed without one, "pointer" reads through it; `early_params_say` those that
    print a text with {value} in it. `boot_sizes` None: what the kernel asks memblock for after
    paging_init() is not known, and left out. `boot_params` are the names that parse_args() knows:
    "setup" __setup()'s, "param" module parameters without a dot, "early" early parameters.
    """

    name: str
    title: str
    banner: str
    layout: Layout
    symbols: Mapping[str, int]
    config: Config
    features: Features
    earlycon: Mapping[str, str]
    machines: tuple[MachineDesc, ...] = ()
    early_params: Mapping[str, tuple[str, ...]] = field(default_factory=_empty)
    early_params_say: Mapping[str, str] = field(default_factory=_empty)
    boot_sizes: BootSizes | None = None
    boot_params: Mapping[str, tuple[str, ...]] = field(default_factory=_empty)

    def linear(self, phys_offset: int) -> LinearMap:
        """The linear map of this kernel when it runs at `phys_offset`."""
        return LinearMap(phys_offset, self.layout.page_offset)

    def with_symbols(self, symbols: Mapping[str, int]) -> Profile:
        """This kernel as another build of it would be: `symbols` at other virtual addresses.

        Raises BootsimError for a symbol that the profile does not have.
        """
        for name in symbols:
            if name not in self.symbols:
                raise BootsimError(
                    f"{self.name}: no symbol '{name}': there are {', '.join(self.symbols)}"
                )
        merged = {**self.symbols, **symbols}
        check_symbols(merged, self.name)
        return replace(self, symbols=MappingProxyType(merged))

    @property
    def memblock_api(self) -> Version:
        """Whose include/linux/memblock.h guest code has: to 5.15 memblock_free() is as in 5.0."""
        return "6.1" if self.features.memblock == "6.1" else "5.0"

    def has_early_param(self, name: str) -> bool:
        """Whether the kernel takes early parameter `name`; true as well if that is not known."""
        known = self.boot_params.get("early")
        return known is None or name in known

    @property
    def swapper_pg_dir(self) -> int:
        """Virtual address of the first-level page table, 16 KiB right below the kernel."""
        return self.layout.page_offset + self.layout.text_offset - 0x4000  # arch/arm/kernel/head.S

    @property
    def image_size(self) -> int:
        """Bytes from _text to _end."""
        return self.symbols["_end"] - self.symbols["_text"]


# What the model kernel and its boot loader look up.
_SYMBOLS = (
    *("_text", "_stext", "_etext", "__start_rodata", "__end_rodata", "__init_begin", "_sinittext"),
    *("_einittext", "__init_end", "_sdata", "_edata", "__bss_start", "__bss_stop", "_end"),
    *("init_thread_union", "processor_id", "__machine_arch_type", "__atags_pointer"),
    *("cr_alignment", "log_first_idx", "log_next_idx", "memblock", "memblock_names"),
    *("boot_command_line", "contig_page_data", "bm_pte", "memblock_memory_init_regions"),
    *("memblock_reserved_init_regions", "__log_buf", "memblock_debug", "linux_banner"),
    *("hex_asc", "hex_asc_upper", "console_printk"),
    *("__pv_phys_pfn_offset", "__pv_offset", *Variables.names()),
)
_SYMBOL_MAX = 0xFFFF0000  # the exception vectors begin there


def check_symbols(symbols: Mapping[str, int], source: str) -> None:
    """Raises BootsimError, which begins with `source`, unless all are there that are looked up, as
    addresses."""
    for name in _SYMBOLS:
        if name not in symbols:
            raise BootsimError(f"{source}: symbols.{name} is missing")
    for name, value in symbols.items():
        if not 0 <= value <= _SYMBOL_MAX:
            raise BootsimError(
                f"{source}: symbols.{name} is {value:#x}: expected 0 to {_SYMBOL_MAX:#x}"
            )
