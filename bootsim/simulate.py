"""A simulated boot: board, boot loader, firmware, model kernel.

The machine is built from a device tree; the boot loader puts initrd, tree and kernel into its RAM;
the firmware runs on the emulated CPU up to start_kernel; from there the model kernel goes on.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bootsim.devicetree.board import Board
from bootsim.devicetree.chosen import set_chosen
from bootsim.devicetree.source import compile_dts
from bootsim.errors import BootsimError, DriverError, KernelPanic, MachineFault
from bootsim.kernel.kernel import Hook, Kernel, ProcessorRegisters
from bootsim.kernel.log import log_lines
from bootsim.kernel.main import DRIVER_STAGE, HANDOVER, STAGES, start_kernel
from bootsim.kernel.memblock import Memblock
from bootsim.kernel.memory import PAGE_SIZE, PMD_SIZE, round_up
from bootsim.kernel.mmzone import Zone
from bootsim.kernel.page_alloc import PageAllocator
from bootsim.kernel.profile import DEFAULT_PROFILE, Profile, load_profile
from bootsim.machine.firmware import Firmware, FirmwareParams, load_firmware
from bootsim.machine.machine import Machine
from bootsim.machine.memory import PhysMemory, Range
from bootsim.resources import resource_path
from bootsim.trace import BootStopped, Note, Trace

FilePath = str | os.PathLike[str]

BUILTIN_BOARD = "vexpress-v2p-ca9.dts"
THREAD_START_SP = 0x2000 - 8  # arch/arm/include/asm/thread_info.h
_INITRD_OFFSET_MAX = 128 << 20  # QEMU hw/arm/boot.c: half of RAM, 128 MiB at most


@dataclass(frozen=True, slots=True)
class Driver:
    """A debug driver: `entry` is called with the kernel once the boot has come past `hook`."""

    entry: Hook
    hook: str = DRIVER_STAGE
    name: str = "driver"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the boot loader put things, physical addresses in bytes; None: there is none."""

    phys_offset: int
    kernel: Range
    dtb: Range
    initrd: Range | None


class Boot:
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
        drivers: Iterable[Driver | Hook] = (),
        until: str | int | None = None,
        ram_fill: int = 0,
        bad_ram: Iterable[tuple[int, int]] = (),
        progress: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Set up a machine; parameters as in boot().

        `name` stands for the blob in messages; `progress` is told now and then what takes long.
        """
        if dtb is not None and dts is not None:
            raise BootsimError("give either a device tree blob or its source, not both")
        if isinstance(until, str) and until not in STAGES:
            raise BootsimError(f"no stage '{until}': there are {', '.join(STAGES)}")
        if until is not None and isinstance(until, int) and until < 0:
            raise BootsimError(f"event {until}: events are numbered from 0")
        self.profile = load_profile(profile) if isinstance(profile, str) else profile
        if dtb is None:
            path = Path(dts) if dts is not None else resource_path("dts", BUILTIN_BOARD)
            blob, self.name = compile_dts(path), name or path.name
        else:
            blob, self.name = _content(dtb), name or _name_of(dtb)
        self.board = Board.from_blob(blob, self.name)
        self._loader_notes: list[str] = []
        self.machine = Machine(self.board.ram_banks(), uart_base=self._uart(), fill=ram_fill)
        for address, mask in bad_ram:
            self._add_bad_cell(address, mask)
        self._progress = progress
        payload = _content(initrd) if initrd is not None else None
        self.placement = self._load(blob, cmdline, payload, phys_offset, dtb_addr, initrd_addr)
        self.firmware = self._load_firmware()
        self.trace = Trace(until=until if isinstance(until, int) else None)
        self._until_stage = until if isinstance(until, str) else None
        self._drivers = [d if isinstance(d, Driver) else Driver(d) for d in drivers]
        for driver in self._drivers:
            if driver.hook not in STAGES:
                raise BootsimError(
                    f"{driver.name}: no stage '{driver.hook}' to hook at:"
                    f" there are {', '.join(STAGES)}"
                )
        self.kernel: Kernel | None = None

    def run(self) -> Boot:
        """Run to the handover, or to where it was asked to stop.

        Raises MachineFault, KernelPanic or DriverError where the boot dies; log, trace and memory
        are there to look at then, too.
        """
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
            ),
            hooks=self._hooks(),
            until=self._until_stage,
            cpu=cpu,
            progress=self._progress,
        )
        self.kernel = kernel
        with suppress(BootStopped):
            start_kernel(kernel)
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
    def memory(self) -> PhysMemory:
        """The machine's RAM, by physical address."""
        return self.machine.memory

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

    @property
    def stage(self) -> str | None:
        """The last stage that the boot has come past."""
        return self.trace.stage

    @property
    def handed_over(self) -> bool:
        """Whether the buddy allocator has the free pages."""
        return self.stage == HANDOVER

    def read(self, address: int, size: int, *, virtual: bool = False) -> bytes:
        """`size` bytes at `address`; `virtual` goes through the guest's page tables.

        Raises MemoryAccessError or TranslationFault where there is nothing.
        """
        if virtual:
            return self.machine.cpu.read(address, size)
        return self.memory.read(address, size)

    # The boot loader.

    def _uart(self) -> int | None:
        """The console's PL011, unless the tree has RAM at its address."""
        for base in self.board.uarts:
            if not any(bank.base <= base < bank.end for bank in self.board.memory):
                return base
            self._loader_notes.append(f"the PL011 at {base:#010x} lies in RAM: it is left out")
        return None

    def _add_bad_cell(self, address: int, mask: int) -> None:
        if not self.machine.memory.contains(address):
            raise BootsimError(f"bad cell at {address:#010x}: there is no RAM")
        if not 1 <= mask <= 0xFF:
            raise BootsimError(f"bad cell at {address:#010x}: mask {mask:#x} is not 1 to 0xff")
        self.machine.memory.bad_cells.append((address, mask))

    def _load(
        self,
        dtb: bytes,
        cmdline: str | None,
        initrd: bytes | None,
        phys_offset: int | None,
        dtb_addr: int | None,
        initrd_addr: int | None,
    ) -> Placement:
        """Put initrd and tree into RAM, by QEMU's rules where the caller has none."""
        limit = self.profile.config.command_line_size
        if cmdline is not None and len(cmdline.encode("utf-8", "replace")) >= limit:
            self._loader_notes.append(
                f"the command line has {len(cmdline)} characters: the kernel keeps {limit - 1}"
            )
        base = self._phys_offset(phys_offset)
        linear = self.profile.linear(base)
        text = linear.virt_to_phys(self.profile.symbols["_text"])
        kernel = Range(text, self.profile.image_size)
        bank = self.machine.memory.bank(base)
        after_kernel = round_up(kernel.end, PAGE_SIZE)
        default = max(base + min((bank.end - base) // 2, _INITRD_OFFSET_MAX), after_kernel)
        if initrd_addr is None:
            initrd_addr = default
        placed = Range(initrd_addr, len(initrd)) if initrd is not None else None
        blob = set_chosen(
            dtb,
            bootargs=cmdline,
            initrd=(placed.base, placed.end) if placed is not None else None,
            name=self.name,
        )
        if dtb_addr is None:
            dtb_addr = round_up(placed.end if placed is not None else default, PAGE_SIZE)
        tree = Range(dtb_addr, len(blob))
        if placed is not None and initrd is not None:
            self._place("initrd", placed, initrd, [("kernel", kernel)])
        others = [("kernel", kernel)] + ([("initrd", placed)] if placed is not None else [])
        self._place("device tree", tree, blob, others)
        return Placement(base, kernel, tree, placed)

    def _load_firmware(self) -> Firmware:
        """Put the kernel's image into RAM: its head, its guest code, its zeroed data."""
        profile, base = self.profile, self.placement.phys_offset
        symbols = profile.symbols
        self.machine.memory.zero(self.placement.kernel.base, self.placement.kernel.size)
        return load_firmware(
            self.machine.memory,
            FirmwareParams(
                phys_offset=base,
                page_offset=profile.layout.page_offset,
                text_offset=profile.layout.text_offset,
                stext=symbols["_stext"],
                end=symbols["_end"],
                dtb=self.placement.dtb.base,
                processor_id=symbols["processor_id"],
                machine_arch_type=symbols["__machine_arch_type"],
                atags_pointer=symbols["__atags_pointer"],
                cr_alignment=symbols["cr_alignment"],
                init_sp=symbols["init_thread_union"] + THREAD_START_SP,
                uart=self.machine.uart_base,
            ),
        )

    def _phys_offset(self, asked: int | None) -> int:
        """Where RAM begins for the kernel: as asked, or the first bank that has room for it."""
        need = self.profile.layout.text_offset + self.profile.image_size
        if asked is not None:
            if asked % PMD_SIZE:
                raise BootsimError(f"--phys-offset {asked:#x} is not a multiple of 2 MiB")
            if not self.machine.memory.contains(asked, need):
                raise BootsimError(
                    f"--phys-offset {asked:#x}: no bank holds the kernel's {need:#x} bytes there"
                )
            return asked
        for bank in self.machine.memory.banks:
            base = round_up(bank.base, PMD_SIZE)
            if base + need <= bank.end:
                return base
        raise BootsimError(
            f"{self.name}: no RAM bank has room for the kernel: it needs {need:#x} bytes from a"
            " multiple of 2 MiB on"
        )

    def _place(
        self, what: str, place: Range, content: bytes, others: Sequence[tuple[str, Range]]
    ) -> None:
        if not self.machine.memory.contains(place.base, place.size):
            banks = ", ".join(str(Range(b.base, b.size)) for b in self.machine.memory.banks)
            raise BootsimError(
                f"the {what} does not fit: {place.size} bytes at {place.base:#010x}; RAM is {banks}"
            )
        for name, other in others:
            if place.base < other.end and other.base < place.end:
                raise BootsimError(f"the {what} at {place} would lie over the {name} at {other}")
        self.machine.memory.write(place.base, content)

    # Drivers.

    def _hooks(self) -> dict[str, list[Hook]]:
        hooks: dict[str, list[Hook]] = {}
        for driver in self._drivers:
            hooks.setdefault(driver.hook, []).append(partial(_run_driver, driver))
        return hooks


def _content(source: bytes | FilePath) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise BootsimError(f"{Path(source)}: {error.strerror}") from error


def _name_of(source: bytes | FilePath) -> str:
    return "device tree" if isinstance(source, bytes | bytearray | memoryview) else str(source)


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
        drivers=drivers,
        until=until,
        ram_fill=ram_fill,
        bad_ram=bad_ram,
    ).run()


def load_driver(path: FilePath, *, hook: str | None = None) -> Driver:
    """The driver in Python file `path`: its function `driver(kernel)`, run at its HOOK.

    Raises BootsimError if the file cannot be read or has no such function, DriverError if it
    raises while it is loaded.
    """
    path = Path(path)
    try:
        code = compile(path.read_bytes(), str(path), "exec")
    except OSError as error:
        raise BootsimError(f"{path}: {error.strerror}") from error
    except SyntaxError as error:
        raise BootsimError(f"{path}:{error.lineno}: {error.msg}") from error
    except ValueError as error:
        raise BootsimError(f"{path}: {error}") from error
    namespace: dict[str, object] = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(code, namespace)
    except Exception as error:
        raise _driver_error(str(path), error) from error
    entry = namespace.get("driver")
    if not callable(entry):
        raise BootsimError(f"{path}: it defines no function driver(kernel)")
    asked = namespace.get("HOOK", DRIVER_STAGE)
    return Driver(entry, hook or str(asked), str(path))


def _run_driver(driver: Driver, kernel: Kernel) -> None:
    try:
        driver.entry(kernel)
    except (BootStopped, KernelPanic, MachineFault):
        raise
    except Exception as error:
        raise _driver_error(driver.name, error) from error


def _driver_error(name: str, error: Exception) -> DriverError:
    """Say what a driver raised, and at which of its own lines."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == name] or frames[-1:]
    place = f"{name}:{own[-1].lineno}: in {own[-1].name}" if own else name
    return DriverError(f"{place}: {type(error).__name__}: {error}")
