"""A boot of a real kernel: its unmodified Image on the machine, to where it is asked to stop.

The boot loader puts initrd, tree and Image where the model's go; the kernel starts as the boot
protocol has it (Documentation/arch/arm/booting.rst): MMU off, r0 = 0, r1 = ~0, r2 = the tree. Its
decompressor is left out. What it does to memblock is seen by traps at memblock's functions, what it
says is read in its log buffer, whether or not a console ever showed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from bootsim.booted import BootOnMachine
from bootsim.devicetree.board import Board, devices_of
from bootsim.errors import BootsimError, KernelPanic, MachineFault
from bootsim.inputs import FilePath, console_uart, read_content, read_tree
from bootsim.kernel.memblock import Memblock
from bootsim.kernel.memory import KERNEL_SECTIONS, PAGE_SIZE, LinearMap
from bootsim.loader import KernelSpace, Wishes, place
from bootsim.machine import faults
from bootsim.machine.absent import AbsentHardware, absent_cp15
from bootsim.machine.cpu import Cpu
from bootsim.machine.machine import Machine
from bootsim.machine.psci import psci_call
from bootsim.realkernel.calls import Seen, in_order, memblock_call, memblock_functions
from bootsim.realkernel.cpu_id import ids_found
from bootsim.realkernel.death import DEAD_ENDS, describe
from bootsim.realkernel.image import KernelImage
from bootsim.realkernel.readback import find_memblock
from bootsim.realkernel.ringbuffer import LogRecord, find_log, read_log, records_so_far
from bootsim.realkernel.uses import Uses
from bootsim.realkernel.zones import RealNode, find_zones
from bootsim.trace import HANDOVER, Stage, Trace
from bootsim.weak import weakly

MACHINE_TYPE_NONE = 0xFFFFFFFF  # arch/arm/include/asm/mach-types.h: look into the device tree
CHECKS_MEM_START = (5, 12)  # the decompressor, for the base of RAM in the tree
DEFAULT_TIMEOUT = 30.0  # seconds

# Where the boot has come past a stage of the model's: at the nth entry of the first of these
# functions that the kernel has.
_STAGES: Mapping[str, tuple[tuple[str, int], ...]] = MappingProxyType(
    {
        "start_kernel": (("setup_arch", 1),),
        "setup_processor": (("setup_machine_fdt", 1),),
        "cmd_line": (("early_fixmap_init", 1),),
        "early_fixmap_init": (("parse_early_param", 1),),
        "parse_early_param": (("early_mm_init", 1), ("adjust_lowmem_bounds", 1)),
        "adjust_lowmem_bounds": (("arm_memblock_init", 1),),
        "arm_memblock_init": (("adjust_lowmem_bounds", 2), ("paging_init", 1)),
        "paging_init": (("unflatten_device_tree", 1),),
        "setup_arch": (("setup_per_cpu_areas", 1),),
        "mem_init": (("kmem_cache_init", 1),),
    }
)
STAGES = tuple(_STAGES)
# What else says where to stop: the stage to have come past.
UNTIL: Mapping[str, str] = MappingProxyType(
    {"dump": "arm_memblock_init", "memory-line": "mem_init"}
)

# The kernel has said why it panics when it comes here (kernel/panic.c).
_PANICKED = ("atomic_notifier_call_chain", "kmsg_dump", "kmsg_dump_desc")
# Where a kernel waits for a timer that the machine has not (init/calibrate.c).
_NO_TIMER = "calibrate_delay"


class RealBoot(BootOnMachine):
    """One boot of a real kernel. Build it, run() it, look at it; run() on to a later point.

    Building raises BootsimError for bad input; nothing has run then.
    """

    def __init__(
        self,
        image: KernelImage,
        *,
        dtb: bytes | FilePath | None = None,
        dts: FilePath | None = None,
        name: str | None = None,
        cmdline: str | None = None,
        initrd: bytes | FilePath | None = None,
        dtb_addr: int | None = None,
        initrd_addr: int | None = None,
        phys_offset: int | None = None,
        ram: Iterable[tuple[int, int]] | None = None,
        machine_ram: Iterable[tuple[int, int]] | None = None,
        ram_fill: int = 0,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        """Set up a machine with `image` in its RAM.

        Without dtb and dts, the board is that of the tree behind the zImage, if there is one.
        machine_ram: banks of (base, size) bytes that the machine has, whatever the tree says.
        timeout: seconds of each run().
        The other parameters are those of bootsim.boot().
        """
        self.image = image
        self.timeout = timeout
        if dtb is None and dts is None and image.appended_dtb is not None:
            dtb, name = image.appended_dtb, f"{image.name}'s appended tree"
        self._blob, self.name = read_tree(dtb, dts, name, ram=ram)
        self.board = Board.from_blob(self._blob, self.name, ram=machine_ram)
        uart, self._notes = console_uart(self.board)
        self.hardware = AbsentHardware()
        self.machine = Machine(
            self.board.ram_banks(), uart_base=uart, fill=ram_fill, absent=self.hardware
        )
        self.placement = place(
            self.machine.memory,
            KernelSpace(
                image.text_offset, image.end - image.text, image.version >= CHECKS_MEM_START
            ),
            dtb=self._blob,
            name=self.name,
            cmdline=cmdline,
            initrd=None if initrd is None else read_content(initrd, self.machine.memory.size),
            wishes=Wishes(phys_offset, dtb_addr, initrd_addr),
        )
        self.machine.memory.write(self.placement.kernel.base, image.code)
        self.linear = LinearMap(self.placement.phys_offset, image.page_offset)
        self.trace = Trace()
        self._log = find_log(image)
        self._memblock: Memblock | None = None
        self._points: dict[int, _Point] = {}
        self._asked: int | None = None  # where to stop, if it is at no stage
        self._stop_stage: str | None = None
        self._at: int | None = None  # the point where the run was stopped
        self._started = self._panicked = False
        self._seen: list[tuple[int, Seen]] = []  # each with the log's length then
        self._uses = Uses(self.placement, self._blob, self.name)
        self._told = 0, 0  # how much of what was seen is in the trace; the next record for it
        self._set_up_cpu()

    # The run.

    def run(self, until: str = HANDOVER, *, function: str | None = None) -> RealBoot:
        """Run until the boot has come past stage `until`, or to where `function` begins.

        The stages are the model's, those of STAGES, and "dump", where memblock=debug shows the
        tables, and "memory-line", the handover. A later run() goes on from there. Raises
        BootsimError where the kernel has no such function or does not come there, MachineFault or
        KernelPanic where it dies; log, trace and memory are there to look at then, too.
        """
        stage = UNTIL.get(until, until)
        if function is None and any(event == Stage(stage) for event in self.trace):
            return self
        self._aim(until, function)
        cpu = self.machine.cpu
        start = None if self._started else self.placement.kernel.base
        self._started = True
        try:
            cpu.run(start, max_instructions=None, timeout=self.timeout)
        except MachineFault as fault:
            late = any(event == Stage(HANDOVER) for _, event in self._seen)
            raise describe(fault, cpu, self.image, self.linear, late=late) from None
        finally:
            self._tell()
        return self

    def _aim(self, until: str, function: str | None) -> None:
        self._asked = self._stop_stage = None
        if function is not None:
            self._asked = self.image.symbols.address(function) & ~1
            self._point(self._asked)
            return
        stage = UNTIL.get(until, until)
        if stage not in _STAGES:
            names = ", ".join((*UNTIL, *_STAGES))
            raise BootsimError(f"no stage '{until}' of a real kernel's boot: there are {names}")
        if self._entry(stage) is None:
            names = " nor ".join(name for name, _ in _STAGES[stage])
            raise BootsimError(f"{self.image.name}: no function {names} to stop at")
        self._stop_stage = stage

    def _set_up_cpu(self) -> None:
        cpu, symbols = self.machine.cpu, self.image.symbols
        cpu.firmware, cpu.absent_cp15 = psci_call, absent_cp15
        for number, value in enumerate((0, MACHINE_TYPE_NONE, self.placement.dtb.base)):
            cpu.set_register(number, value)
        for name, address in memblock_functions(self.image):
            self._point(address).function = name
        for stage in _STAGES:
            entry = self._entry(stage)
            if entry is not None:
                self._point(symbols.address(entry[0])).stages[entry[1]] = stage
        for address, register in ids_found(self.image):
            self._point(address).cpu_id_to = register
        for name in ("panic", _NO_TIMER, *_PANICKED):
            if name in symbols:
                self._point(symbols.address(name)).end = name
        for name in filter(symbols.__contains__, DEAD_ENDS):  # in head.S, where the MMU is off
            self._point(self.linear.virt_to_phys(symbols.address(name))).end = name

    def _entry(self, stage: str) -> tuple[str, int] | None:
        return next((e for e in _STAGES[stage] if e[0] in self.image.symbols), None)

    def _point(self, address: int) -> _Point:
        """What is done where the CPU comes to virtual `address`."""
        address &= ~1
        if address not in self._points:
            self._points[address] = _Point()
            passed = weakly(self._on_point)
            self.machine.cpu.set_traps(
                address, address + 2, lambda cpu, _index: passed(cpu, address)
            )
        return self._points[address]

    def _on_point(self, cpu: Cpu, address: int) -> None:
        if self._at == address:  # the run goes on from here
            self._at = None
            return
        point = self._points[address]
        if point.cpu_id_to is not None:
            cpu.set_register(point.cpu_id_to, self.board.boot_cpu)
        stop = address == self._asked
        if point.function is not None:
            self._see(memblock_call(point.function, cpu, self.image))
        if point.stages:
            point.entries += 1
            stage = point.stages.get(point.entries)
            if stage is not None:
                self._see(Stage(stage))
                stop |= stage == self._stop_stage
        if point.end is not None:
            self._end(point.end)
        if stop:
            self._at = address
            cpu.stop()

    def _end(self, function: str) -> None:
        if function == _NO_TIMER:
            raise BootsimError(f"the kernel went on to {function}(), where it waits for a timer")
        if function in DEAD_ENDS:
            raise faults.fault(self.machine.cpu, function)
        if function == "panic":
            self._panicked = True
        elif self._panicked:
            raise self._panic()

    def _panic(self) -> KernelPanic:
        said = [r.text for r in self.log_records() if r.text.startswith("Kernel panic - ")]
        return KernelPanic(" ".join(said[-1].splitlines()) if said else "panic() without a word")

    # What it left behind.

    def _see(self, event: Seen) -> None:
        self._seen.append((records_so_far(self.memory, self.linear, self._log), event))

    def _tell(self) -> None:
        """Put what was seen, and what the kernel has said, into the trace in their order."""
        seen, said = self._told
        records = read_log(self.memory, self.linear, self._log, first=said)
        for event in self._uses.named(in_order(self._seen[seen:], records)):
            self.trace.emit(event)
        self._told = len(self._seen), records[-1].seq + 1 if records else said

    def placed(self) -> dict[str, int | None]:
        """Where the boot loader has put things, as Boot's and RealBoot's parameters have it."""
        placement = self.placement
        return {
            "phys_offset": placement.phys_offset,
            "dtb_addr": placement.dtb.base,
            "initrd_addr": placement.initrd.base if placement.initrd else None,
        }

    def log_records(self) -> list[LogRecord]:
        """The kernel's log as it lies in RAM; empty as long as there is none."""
        return read_log(self.memory, self.linear, self._log)

    @property
    def log(self) -> list[str]:
        """The kernel's log lines, without time stamps."""
        return [line for record in self.log_records() for line in record.text.split("\n")]

    @property
    def notes(self) -> list[str]:
        """What the boot loader had to leave out."""
        return list(self._notes)

    def place(self) -> str:
        """The function, with offset, that the kernel is in."""
        cpu = self.machine.cpu
        pc = cpu.pc if cpu.mmu_on else self.linear.phys_to_virt(cpu.pc)
        return self.image.symbols.function_at(pc)

    def absent_devices(self) -> list[tuple[int, str, int, int]]:
        """Pages of hardware that the kernel looked for and that is not there.

        Each with its physical address, the device tree's path for it if there is one, and how many
        reads and writes came.
        """
        devices = {
            address // PAGE_SIZE * PAGE_SIZE: path for path, address in devices_of(self._blob)
        }
        return [
            (page, devices.get(page, ""), reads, writes)
            for page, (reads, writes) in self.hardware.accesses.items()
        ]

    @property
    def sections(self) -> list[tuple[str, int, int]]:
        """The parts of the kernel that /proc/iomem names: name, physical start, end.

        Those whose symbols the kernel tells.
        """
        found = []
        for name, *symbols in KERNEL_SECTIONS:
            start, end = map(self.image.symbols.get, symbols)
            if start is not None and end is not None:
                ends = self.linear.virt_to_phys(start), self.linear.virt_to_phys(end)
                found.append((name, *ends))
        return found

    @property
    def memblock(self) -> Memblock:
        """memblock as it lies in RAM; raises BootsimError where it cannot be found."""
        if self._memblock is None:
            self._memblock = find_memblock(self.memory, self.linear, self.image)
        if self._memblock is None:
            raise BootsimError(f"{self.image.name}: no struct memblock to be found in it")
        return self._memblock

    @property
    def buddy(self) -> RealNode:
        """The page allocator's zones; raises BootsimError before there are any."""
        present = [pfns[:2] for pfns in self.memblock.for_each_mem_pfn_range()]
        node = find_zones(self.memory, self.linear, self.image, present=present)
        if node is None:
            raise BootsimError(f"{self.image.name}: no zones to be found in its memory")
        return node


class _Point:
    """What is done where the CPU comes to an address."""

    def __init__(self) -> None:
        self.function: str | None = None  # of memblock's
        self.stages: dict[int, str] = {}  # that have been passed at the nth entry
        self.entries = 0
        self.end: str | None = None  # a function at which boots end
        self.cpu_id_to: int | None = None  # the register that has the id of the CPU
