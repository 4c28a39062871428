"""A simulated boot: board, boot loader, firmware, model kernel.

The machine is built from a device tree; the boot loader puts initrd, tree and kernel into its RAM;
the firmware runs on the emulated CPU up to start_kernel; from there the model kernel goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from bootsim.booted import BootOnMachine
from bootsim.devicetree.board import Board
from bootsim.driver import Driver, hooks
from bootsim.errors import BootsimError
from bootsim.inputs import FilePath, console_uart, read_content, read_tree
from bootsim.kernel.kernel import Hook, Kernel, ProcessorRegisters
from bootsim.kernel.log import log_lines
from bootsim.kernel.main import STAGES, start_kernel
from bootsim.kernel.memblock import Memblock
from bootsim.kernel.memory import KERNEL_SECTIONS, LinearMap
from bootsim.kernel.mmzone import Zone
from bootsim.kernel.page_alloc import PageAllocator
from bootsim.kernel.profile import DEFAULT_PROFILE, Profile
from bootsim.kernel.profile_file import load_profile
from bootsim.loader import KernelSpace, Wishes, place
from bootsim.machine.machine import Machine
from bootsim.model_image import load_kernel, stack_guard
from bootsim.trace import BootStopped, Note, Trace


class Boot(BootOnMachine):
    """One boot and what it left behind. Build it, run() it, look at it.

    Building raises BootsimError for bad input; nothing has run then.
    """

    def __init__(
        self,
        *,
        dtb: bytes | FilePath | None = None,
        dts: FilePath | None = None,
        name: str | None = None,
        cmdline: str | None = None,
        initrd: bytes | FilePath | None = None,
        profile: str | Profile = DEFAULT_PROFILE,
        dtb_addr: int | None = None,
        initrd_addr: int | None = None,
        phys_offset: int | None = None,
        ram: Iterable[tuple[int, int]] | None = None,
        drivers: Iterable[Driver | Hook] = (),
        until: str | int | None = None,
        ram_fill: int = 0,
        bad_ram: Iterable[tuple[int, int]] = (),
        progress: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Set up a machine; parameters as in boot().

        `name` stands for the blob in messages; `progress` is told now and then what takes long.
        """
        if isinstance(until, str) and until not in STAGES:
            raise BootsimError(f"no stage '{until}': there are {', '.join(STAGES)}")
        if until is not None and isinstance(until, int) and until < 0:
            raise BootsimError(f"event {until}: events are numbered from 0")
        self.profile = load_profile(profile) if isinstance(profile, str) else profile
        blob, self.name = read_tree(dtb, dts, name, ram=ram)
        self.board = Board.from_blob(blob, self.name)
        uart, self._loader_notes = console_uart(self.board)
        self.machine = Machine(self.board.ram_banks(), uart_base=uart, fill=ram_fill)
        for address, mask in bad_ram:
            self._add_bad_cell(address, mask)
        self._progress = progress
        limit = self.profile.config.command_line_size
        if cmdline is not None and len(cmdline.encode("utf-8", "replace")) >= limit:
            self._loader_notes.append(
                f"the command line has {len(cmdline)} characters: the kernel keeps {limit - 1}"
            )
        self.placement = place(
            self.machine.memory,
            KernelSpace.of(self.profile),
            dtb=blob,
            name=self.name,
            cmdline=cmdline,
            initrd=None if initrd is None else read_content(initrd, self.machine.memory.size),
            wishes=Wishes(phys_offset, dtb_addr, initrd_addr),
        )
        self.firmware = load_kernel(self.machine, self.profile, self.placement)
        guard = stack_guard(self.profile, self.placement)
        if guard.size:
            self.machine.cpu.guard(guard.base, guard.size, "stack overflow")
        self.trace = Trace(until=until if isinstance(until, int) else None)
        self._until_stage = until if isinstance(until, str) else None
        self._hooks = hooks(d if isinstance(d, Driver) else Driver(d) for d in drivers)
        self.kernel: Kernel | None = None

    def run(self) -> Boot:
        """Run to the handover, or to where it was asked to stop.

        Raises MachineFault, KernelPanic or DriverError where the boot dies; log, trace and memory
        are there to look at then, too.
        """
        if self.kernel is not None:
            raise BootsimError("this boot has run: make another")
        cpu = self.machine.cpu
        firmware = self.firmware
        firmware.run(cpu)
        kernel = Kernel(
            self.machine.memory,
            self.profile,
            self.trace,
            phys_offset=self.placement.phys_offset,
            registers=ProcessorRegisters(
                midr=cpu.call(firmware.symbol("read_cpuid_id")),
                ctr=cpu.call(firmware.symbol("read_cpuid_cachetype")),
                mpidr=cpu.call(firmware.symbol("read_cpuid_mpidr")),
                sctlr=cpu.call(firmware.symbol("get_cr")),
                hwid=self.board.boot_cpu,
            ),
            hooks=self._hooks,
            until=self._until_stage,
            cpu=cpu,
            progress=self._progress,
        )
        self.kernel = kernel
        with suppress(BootStopped):
            start_kernel(kernel)
        if self.trace.until is not None and self.trace.until >= len(self.trace):
            self._loader_notes.append(
                f"the boot has {len(self.trace)} events: there is no event {self.trace.until}"
            )
        return self

    # What it left behind.

    @property
    def started_kernel(self) -> Kernel:
        """The kernel; raises BootsimError while none has been started."""
        if self.kernel is None:
            raise BootsimError("the boot has not come as far as start_kernel()")
        return self.kernel

    @property
    def log(self) -> list[str]:
        """The kernel's log lines, without time stamps."""
        if self.kernel is None:
            return []
        return [line for _, _, line in log_lines(self.trace, self.kernel.memblock.features)]

    @property
    def notes(self) -> list[str]:
        """What the model left out, or the boot loader had to change."""
        return self._loader_notes + [e.text for e in self.trace if isinstance(e, Note)]

    @property
    def linear(self) -> LinearMap:
        """The kernel's linear map."""
        return self.profile.linear(self.placement.phys_offset)

    @property
    def sections(self) -> list[tuple[str, int, int]]:
        """The parts of the kernel that /proc/iomem names: name, physical start, end."""
        address = self.started_kernel.pa_symbol
        return [(name, address(start), address(end)) for name, start, end in KERNEL_SECTIONS]

    @property
    def memblock(self) -> Memblock:
        return self.started_kernel.memblock

    @property
    def buddy(self) -> PageAllocator:
        """The page allocator; raises BootsimError before bootmem_init()."""
        allocator = self.started_kernel.page_alloc
        if allocator is None:
            raise BootsimError(
                f"there are no zones yet after stage {self.stage}: they come with bootmem_init"
            )
        return allocator

    @property
    def zones(self) -> tuple[Zone, ...]:
        return self.buddy.zones

    # What it is built of.

    def _add_bad_cell(self, address: int, mask: int) -> None:
        if not self.machine.memory.contains(address):
            raise BootsimError(f"bad cell at {address:#010x}: there is no RAM")
        if not 1 <= mask <= 0xFF:
            raise BootsimError(f"bad cell at {address:#010x}: mask {mask:#x} is not 1 to 0xff")
        self.machine.memory.bad_cells.append((address, mask))


def boot(
    *,
    dtb: bytes | FilePath | None = None,
    dts: FilePath | None = None,
    cmdline: str | None = None,
    initrd: bytes | FilePath | None = None,
    profile: str | Profile = DEFAULT_PROFILE,
    dtb_addr: int | None = None,
    initrd_addr: int | None = None,
    phys_offset: int | None = None,
    ram: Iterable[tuple[int, int]] | None = None,
    drivers: Iterable[Driver | Hook] = (),
    until: str | int | None = None,
    ram_fill: int = 0,
    bad_ram: Iterable[tuple[int, int]] = (),
) -> Boot:
    """Simulate a boot and return what it left behind.

    dtb, dts: the board, as a blob (or its path) or as the path of its source; a vexpress-a9
    without them.
    cmdline: the kernel's command line, in place of the tree's own.
    initrd: its content, or its path. profile: the kernel to model, by name or as an object.
    dtb_addr, initrd_addr, phys_offset: where the boot loader puts things and where the kernel
    takes RAM to begin, physical bytes; by default as QEMU does it.
    ram: the machine's RAM, banks of (base, size) bytes, in place of the tree's: written into the
    tree as a boot loader does, see set_memory().
    drivers: called with the kernel once the boot has come past their stage.
    until: a stage's name, or an event's number, to stop after.
    ram_fill: what each byte of RAM holds at power-on.
    bad_ram: (address, mask) of bytes that flip the bits in mask, for memtest= to find.

    Raises BootsimError for bad input, KernelPanic, MachineFault or DriverError if the boot dies.
    """
    return Boot(
        dtb=dtb,
        dts=dts,
        cmdline=cmdline,
        initrd=initrd,
        profile=profile,
        dtb_addr=dtb_addr,
        initrd_addr=initrd_addr,
        phys_offset=phys_offset,
        ram=ram,
        drivers=drivers,
        until=until,
        ram_fill=ram_fill,
        bad_ram=bad_ram,
    ).run()
