"""A simulated boot: board, boot loader, firmware, model kernel.

The machine is built from a device tree; the boot loader puts initrd, tree and kernel into its RAM;
the firmware runs on the emulated CPU up to start_kernel; from there the model kernel goes on.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bootsim.devicetree import Board, compile_dts, load_blob, set_chosen
from bootsim.errors import BootsimError, DriverError, KernelPanic, MachineFault
from bootsim.kernel.kernel import Hook, Kernel, ProcessorRegisters
from bootsim.kernel.main import DRIVER_STAGE, STAGES, start_kernel
from bootsim.kernel.memblock import Memblock
from bootsim.kernel.memory import PAGE_SIZE, PMD_SIZE, round_up
from bootsim.kernel.mmzone import Zone
from bootsim.kernel.page_alloc import PageAllocator
from bootsim.kernel.profile import DEFAULT_PROFILE, Profile, load_profile
from bootsim.machine.firmware import Firmware, FirmwareParams, load_firmware
from bootsim.machine.machine import Machine
from bootsim.machine.memory import Bank, PhysMemory, Range
from bootsim.resources import resource_path
from bootsim.trace import BootStopped, Trace
from bootsim.views import log as log_view

BUILTIN_BOARD = "vexpress-v2p-ca9.dts"
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
        dtb: bytes | None = None,
        dts: str | os.PathLike[str] | None = None,
        name: str | None = None,
        cmdline: str | None = None,
        initrd: bytes | None = None,
        profile: str | Profile = DEFAULT_PROFILE,
        dtb_addr: int | None = None,
        initrd_addr: int | None = None,
        phys_offset: int | None = None,
        drivers: Iterable[Driver | Hook] = (),
        until: str | int | None = None,
        ram_fill: int = 0,
    ) -> None:
        """Set up a machine; parameters as in boot()."""
        if dtb is not None and dts is not None:
            raise BootsimError("give either a device tree blob or its source, not both")
        if isinstance(until, str) and until not in STAGES:
            raise BootsimError(f"no stage '{until}': there are {', '.join(STAGES)}")
        if until is not None and isinstance(until, int) and until < 0:
            raise BootsimError(f"event {until}: events are numbered from 0")
        self.profile = load_profile(profile) if isinstance(profile, str) else profile
        if dtb is None:
            path = Path(dts) if dts is not None else resource_path("dts", BUILTIN_BOARD)
            dtb, name = compile_dts(path), name or path.name
        self.name = name or "device tree"
        self.board = Board.from_blob(dtb, self.name)
        self.machine = Machine(
            self.board.ram_banks(), uart_base=next(iter(self.board.uarts), None), fill=ram_fill
        )
        self.placement = self._load(dtb, cmdline, initrd, phys_offset, dtb_addr, initrd_addr)
        self._firmware = self._load_firmware()
        self.trace = Trace(until=until if isinstance(until, int) else None)
        self._until_stage = until if isinstance(until, str) else None
        self._drivers = [d if isinstance(d, Driver) else Driver(d) for d in drivers]
        for driver in self._drivers:
            if driver.hook not in STAGES:
                raise BootsimError(
                    f"{driver.name}: no stage '{driver.hook}' to hook at:"
                    f" there are {', '.join(STAGES)}"
                )
        self._kernel: Kernel | None = None

    def run(self) -> Boot:
        """Run to the handover, or to where it was asked to stop.

        Raises MachineFault, KernelPanic or DriverError where the boot dies; log, trace and memory
        are there to look at then, too.
        """
        self.machine.cpu.run(self._firmware.entry)
        if self.machine.halted is not None:
            raise KernelPanic(self.machine.halted)
        kernel = Kernel(
            self.machine.memory,
            self.profile,
            self.trace,
            phys_offset=self.placement.phys_offset,
            registers=self._processor_registers(),
            hooks=self._hooks(),
            until=self._until_stage,
            cpu=self.machine.cpu,
        )
        self._kernel = kernel
        try:
            start_kernel(kernel)
        except BootStopped:
            pass
        return self
