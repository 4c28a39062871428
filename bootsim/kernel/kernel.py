"""The model kernel's state: what Linux keeps in globals, as one object a boot.

Functions of the model kernel live in the files that Linux has them in and take the kernel as their
first argument, so that two boots in one process never meet.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from bootsim.errors import BootsimError, KernelPanic
from bootsim.kernel.libfdt import Fdt, FdtNode
from bootsim.kernel.log import log_record
from bootsim.kernel.memblock import Memblock, MemblockAddresses, MemblockFeatures
from bootsim.kernel.memory import PAGE_SHIFT
from bootsim.kernel.page_alloc import PageAllocator
from bootsim.kernel.printk import (
    KERN_CRIT,
    KERN_DEBUG,
    KERN_EMERG,
    KERN_ERR,
    KERN_INFO,
    KERN_NOTICE,
    KERN_WARNING,
    LogBuffer,
    split_prefix,
)
from bootsim.kernel.profile import MachineDesc, Profile
from bootsim.kernel.variables import Variables
from bootsim.machine.memory import PhysMemory
from bootsim.machine.mmu import TranslationFault, walk
from bootsim.trace import BootStopped, Event, Note, Printk, Refusal, Stage, Trace, Use
from bootsim.weak import weakly

_CONSOLE_PRINTK = struct.Struct("<4i")  # kernel/printk/printk.c: the four levels
NUMA_NO_NODE = -1  # include/linux/numa.h

Hook = Callable[["Kernel"], None]


@dataclass(frozen=True, slots=True)
class ProcessorRegisters:
    """CP15 registers as code on the CPU reads them (ARM ARM DDI 0406C, B4.1).

    cbar: the Cortex-A9's Configuration Base Address Register, 0 on a core without MPCore's.
    hwid: the id of the CPU that boots, where MPIDR cannot tell the board's; else MPIDR decides.
    """

    midr: int
    ctr: int
    mpidr: int
    sctlr: int
    cbar: int = 0
    hwid: int | None = None


class Cpu(Protocol):
    """What the model kernel needs of the machine's CPU."""

    def flush_tlb_all(self) -> None: ...

    def call(self, address: int, *args: int) -> int: ...


@dataclass(slots=True)
class ReservedMem:
    """struct reserved_mem: one node below /reserved-memory; base and size in bytes."""

    node: FdtNode
    base: int
    size: int
    nomap: bool


@dataclass(frozen=True, slots=True)
class CmaArea:
    """struct cma: base and size in bytes."""

    name: str
    base: int
    size: int


@dataclass(slots=True)
class FdtState:
    """Globals of drivers/of/fdt.c and drivers/of/of_reserved_mem.c.

    `static_regions`, which Linux does not keep, are all ranges of nodes' reg that have been
    reserved, or taken out of memory: of a node with several, reserved_mem has the first.
    """

    blob_phys: int = 0  # where initial_boot_params points to, physical
    tree: Fdt | None = None
    reserved_mem: list[ReservedMem] = field(default_factory=list)
    static_regions: list[ReservedMem] = field(default_factory=list)
    elfcorehdr: tuple[int, int] | None = None  # base, size: kernel/crash_dump.c


class Kernel:
    """One model kernel on one machine's RAM.

    `hooks` are drivers by the stage after which they run; `until` is the stage to stop at.
    `cpu` runs guest code; without one the kernel works on RAM alone. `progress` is told now and
    then what takes long.
    """

    def __init__(
        self,
        memory: PhysMemory,
        profile: Profile,
        trace: Trace,
        *,
        phys_offset: int,
        registers: ProcessorRegisters,
        hooks: Mapping[str, Sequence[Hook]] | None = None,
        until: str | None = None,
        cpu: Cpu | None = None,
        progress: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.memory = memory
        self.profile = profile
        self.trace = trace
        self.phys_offset = phys_offset
        self.linear = profile.linear(phys_offset)
        self.registers = registers
        self.hooks = hooks or {}
        self.until = until
        self._cpu = cpu
        self.progress = progress

        self.log_buf = LogBuffer(
            memory,
            at=self.pa_symbol("__log_buf"),
            size=profile.config.log_buf_size,
            first_idx=self.pa_symbol("log_first_idx"),
            next_idx=self.pa_symbol("log_next_idx"),
        )
        # What belongs to the kernel knows it weakly: a boot that is dropped frees its RAM at once.
        trace.sinks.append(weakly(self._log_event))
        self.memblock = Memblock(
            memory,
            at=MemblockAddresses(
                memblock=self.pa_symbol("memblock"),
                memory_regions=self.pa_symbol("memblock_memory_init_regions"),
                reserved_regions=self.pa_symbol("memblock_reserved_init_regions"),
                names=self.pa_symbol("memblock_names"),
                debug=self.pa_symbol("memblock_debug"),
            ),
            linear=self.linear,
            features=memblock_features(profile, self.pa_symbol("_end")),
            trace=trace,
            warn=weakly(self.warn),
        )
        self.memblock.initialize()
        self.memblock.before_zeroing = weakly(self.before_zeroing)
        self.page_alloc: PageAllocator | None = None
        self._cont: tuple[int, str] | None = None  # a line that has no end yet: level, text
        self._guest_code: list[tuple[int, int]] = []

        self.fdt = FdtState()
        self.vars = Variables(memory, profile.symbols, self.linear)
        self._write_constants()
        self.vars.dt_root_addr_cells = self.vars.dt_root_size_cells = 1
        self.vmalloc_size = profile.layout.vmalloc_size  # bytes
        self.machine_desc: MachineDesc | None = None  # arch/arm/kernel/setup.c
        self.arm_dma_limit = 0xFFFFFFFF  # the last address of ZONE_DMA: arch/arm/mm/init.c
        self.ecc_mask = 0  # what ecc= adds to page table entries: arch/arm/mm/mmu.c
        self.usermem = False  # a mem= parameter has been seen
        self.memtest_pattern = 0
        # What early_param() registers beside the model's own parameters.
        self.early_params: list[tuple[str, Callable[[str | None], int]]] = []
        self.early_maps: dict[int, tuple[int, int]] = {}  # slot: virtual address, size
        self.earlycon_mapbase: int | None = None  # physical address of the earlycon's registers
        self.bootconsole_is_mapped = True
        self.lowmem_is_mapped = False  # by the kernel's own page tables
        self.cma_areas: list[CmaArea] = []
        self.cma_default_area: CmaArea | None = None
        self.cma_cmdline: tuple[int, int, int] | None = None  # size, base, limit (bytes)
        self.dma_mmu_remap: list[tuple[int, int]] = []  # base, size (bytes)
        self.static_vms: list[tuple[int, int]] = []  # virtual, size: arch/arm/mm/ioremap.c
        # kernelcore=, movablecore=: pages, or per cent and True (mm/page_alloc.c)
        self.required_kernelcore = self.required_movablecore = (0, False)
        self.new_log_buf_len = 0  # log_buf_len= in bytes: kernel/printk/printk.c
        self.hash_entries = {"dhash_entries": 0, "ihash_entries": 0}  # fs/dcache.c, fs/inode.c
        # Early parameters that are on or off, and the slab allocator's wish for stack traces.
        self.switches = {
            "init_on_alloc": profile.config.init_on_alloc,
            "init_on_free": profile.config.init_on_free,
            "stack_depot_disable": False,
            "stack_depot_want_early_init": False,
        }
        self.nr_cpu_ids = profile.config.nr_cpus
        self.dram_sync = (0, 0)  # base, size (bytes): arch/arm/mach-omap2/omap4-common.c
        self.possible_cpus = {0}  # cpu_possible_mask: kernel/cpu.c

    def first_unmapped(self, virt: int, size: int) -> int | None:
        """The first address of virtual [virt, virt + size) that the page tables in RAM do not map;
        None where they map all."""
        table, end = self.virt_to_phys(self.profile.swapper_pg_dir), virt + size
        while virt < end:
            try:
                found = walk(self.memory, table, virt)
            except TranslationFault:
                return virt
            virt += found.size - virt % found.size
        return None

    def before_zeroing(self, base: int, size: int) -> None:
        """What comes of writing to physical [base, base + size) through the linear map.

        Raises KernelPanic where the kernel's own page tables do not map it. Before there are any,
        drivers that ask for memory too early are told, and go on.
        """
        if self._cpu is None and not self.lowmem_is_mapped:
            return  # no head.S has made page tables
        unmapped = self.first_unmapped(self.phys_to_virt(base), size)
        if unmapped is None:
            return
        text = f"memblock_alloc: Linux faults as it zeroes {self.virt_to_phys(unmapped):#010x}"
        if self.lowmem_is_mapped:
            raise KernelPanic(f"{text}, which its page tables do not map, and dies silently")
        self.note(f"{text}: no page table maps it yet")

    def _write_constants(self) -> None:
        """What the image holds, and what head.S finds out (__fixup_pv_table)."""
        memory, offset = self.memory, self.phys_offset - self.profile.layout.page_offset
        memory.write(self.pa_symbol("linux_banner"), f"{self.profile.banner}\n\0".encode())
        memory.write(self.pa_symbol("hex_asc"), b"0123456789abcdef\0")
        memory.write(self.pa_symbol("hex_asc_upper"), b"0123456789ABCDEF\0")
        memory.write(self.pa_symbol("console_printk"), _CONSOLE_PRINTK.pack(7, 4, 1, 7))
        memory.write_u32(self.pa_symbol("__pv_phys_pfn_offset"), self.phys_offset >> PAGE_SHIFT)
        memory.write(self.pa_symbol("__pv_offset"), offset.to_bytes(8, "little", signed=True))

    @property
    def console_loglevel(self) -> int:
        """What is less than that is shown on the console (kernel/printk/printk.c)."""
        return self.memory.read_u32(self.pa_symbol("console_printk"))

    @console_loglevel.setter
    def console_loglevel(self, level: int) -> None:
        self.memory.write_u32(self.pa_symbol("console_printk"), level & 0xFFFFFFFF)

    @property
    def boot_command_line(self) -> str:
        """The command line, read from its place in RAM; bytes as Latin-1."""
        place, size = self.pa_symbol("boot_command_line"), self.profile.config.command_line_size
        return self.memory.read(place, size).split(b"\0", 1)[0].decode("latin-1")

    # Addresses.

    def phys_to_virt(self, phys: int) -> int:
        """Linear-map virtual address of physical address `phys` (__va)."""
        return self.linear.phys_to_virt(phys)

    def virt_to_phys(self, virt: int) -> int:
        """Physical address behind linear-map address `virt` (__pa)."""
        return self.linear.virt_to_phys(virt)

    def symbol(self, name: str) -> int:
        """Virtual address of kernel symbol `name`."""
        return self.profile.symbols[name]

    def pa_symbol(self, name: str) -> int:
        """Physical address of kernel symbol `name` (__pa_symbol)."""
        return self.linear.virt_to_phys(self.profile.symbols[name])

    # The CPU.

    @property
    def cpu(self) -> Cpu:
        """The machine's CPU; raises BootsimError for a kernel that has none."""
        if self._cpu is None:
            raise BootsimError("this kernel has no CPU to run guest code on")
        return self._cpu

    def flush_tlb_all(self) -> None:
        """Page tables changed: have the CPU read them anew (local_flush_tlb_all)."""
        if self._cpu is not None:
            self._cpu.flush_tlb_all()

    def claim_text(self, start: int, end: int) -> None:
        """Take [start, end), virtual, of the kernel's text for guest code.

        Raises BootsimError if it is taken already.
        """
        for taken in self._guest_code:
            if start < taken[1] and taken[0] < end:
                raise BootsimError(
                    "two programs of guest code want the same memory: build one of all files"
                )
        self._guest_code.append((start, end))

    def call(self, address: int, *args: int) -> int:
        """Run the guest function at virtual `address` on the CPU; its r0.

        Raises MachineFault where the CPU cannot go on.
        """
        if not 0 <= address <= 0xFFFFFFFF:
            raise BootsimError(f"call of {address:#x}: an address has 32 bits")
        return self.cpu.call(address, *args)

    # The log.

    def printk(self, level: int, text: str) -> None:
        """One record of the kernel's log."""
        if not isinstance(text, str):
            raise BootsimError(f"printk of {text!r}: expected a string")
        self.flush_cont()
        self.trace.emit(Printk(level, text[: self.profile.config.log_line_max]))

    def vprintk(self, text: bytes) -> None:
        """printk() of a formatted text: its KERN_ prefix, its newline, its continuation.

        A text without newline waits for the KERN_CONT that completes it, until something else is
        printed (kernel/printk/printk.c, vprintk_store).
        """
        level, continues, text = split_prefix(text)
        complete = text.endswith(b"\n")
        shown = (text[:-1] if complete else text).decode("utf-8", "backslashreplace")
        if continues and self._cont is not None:
            level, shown = self._cont[0], self._cont[1] + shown
        else:
            self.flush_cont()
            drops_empty = self.profile.features.printk == "5.0"
            if not shown and (continues or (drops_empty and not complete)):
                return
        self._cont = level, shown
        if complete:
            self.flush_cont()

    def flush_cont(self) -> None:
        """Log what waits for its newline."""
        if self._cont is not None:
            record, self._cont = self._cont, None
            self.trace.emit(Printk(*record))

    def pr_emerg(self, text: str) -> None:
        self.printk(KERN_EMERG, text)

    def pr_crit(self, text: str) -> None:
        self.printk(KERN_CRIT, text)

    def pr_err(self, text: str) -> None:
        self.printk(KERN_ERR, text)

    def pr_warn(self, text: str) -> None:
        self.printk(KERN_WARNING, text)

    def pr_notice(self, text: str) -> None:
        self.printk(KERN_NOTICE, text)

    def pr_info(self, text: str) -> None:
        self.printk(KERN_INFO, text)

    def pr_debug(self, text: str) -> None:
        self.printk(KERN_DEBUG, text)

    def note(self, text: str) -> None:
        """What the model leaves out and a real kernel would do."""
        self.trace.emit(Note(text))

    def use(self, base: int, size: int, what: str) -> None:
        """Name what lies in [base, base + size), physical bytes."""
        self.trace.emit(Use(base, size, what))

    def refuse(self, refusal: Refusal) -> None:
        """Tell that what was asked for is not done; what Linux logs of it comes after."""
        self.trace.emit(refusal)

    def warn(self, text: str) -> None:
        """A WARN(): its text, without the registers and stack that Linux prints around it."""
        self.pr_warn(f"WARNING: {text}")

    def memblock_dump_all(self) -> None:
        """Log memblock's tables where memblock=debug asks for it (memblock_dump_all)."""
        if self.memblock.memblock_debug:
            for line in self.memblock.dump_lines():
                self.pr_info(line)

    def memblock_alloc(
        self, size: int, align: int, what: str, *, caller: str, says: str | None = None
    ) -> int:
        """memblock_alloc() for `caller`, of zeroed memory that holds `what`: its physical address.

        Raises KernelPanic where there is none, in the words that its callers have in common;
        `says` is the function in those that do not say how it should be aligned.
        """
        virt = self.memblock.alloc(size, align, caller=caller)
        if not virt:
            words = f"{says or caller}: Failed to allocate {size} bytes"
            raise KernelPanic.panic(words if says else f"{words} align={align:#x}")
        phys = self.virt_to_phys(virt)
        self.use(phys, size, what)
        return phys

    # The boot.

    def stage(self, name: str) -> None:
        """The boot has come past `name`: run the drivers that hook there; stop if asked to."""
        self.trace.emit(Stage(name))
        for hook in self.hooks.get(name, ()):
            hook(self)
        if name == self.until:
            raise BootStopped

    # The page allocator, once it has its pages.

    @property
    def buddy(self) -> PageAllocator:
        """The buddy allocator; raises KernelPanic before bootmem_init has set up its zones."""
        if self.page_alloc is None:
            raise KernelPanic("the page allocator has no zones before bootmem_init()")
        return self.page_alloc

    def alloc_pages(self, order: int) -> int | None:
        """Take 2**order pages: the first one's pfn, None when there are none (alloc_pages)."""
        return self.buddy.alloc_pages(order, caller=_caller())

    def free_pages(self, pfn: int, order: int) -> None:
        """Give 2**order pages at `pfn` back (__free_pages)."""
        self.buddy.free_pages(pfn, order, caller=_caller())

    def _log_event(self, event: Event) -> None:
        record = log_record(event, self.memblock.features)
        if record is None:
            return
        self.log_buf.store(*record)
        if not self.bootconsole_is_mapped and record[0] < self.console_loglevel:
            raise KernelPanic(
                "early_fixmap_shutdown: a line of memblock=debug goes to the early console while"
                " its registers are not mapped: Linux faults and says no more; leave earlycon out"
            )


def memblock_features(profile: Profile, kernel_end: int) -> MemblockFeatures:
    """The memblock that `profile` was built with; `kernel_end` is the physical address of _end."""
    rules = {
        "5.0": MemblockFeatures.linux_5_0,
        "5.10": MemblockFeatures.linux_5_10,
        "6.1": MemblockFeatures.linux_6_1,
    }
    return replace(
        rules[profile.features.memblock](kernel_end=kernel_end),
        max_order=profile.config.max_order,
        init_regions=profile.config.init_memblock_regions,
    )


def _caller() -> str:
    return sys._getframe(2).f_code.co_name
