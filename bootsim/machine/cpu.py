"""The emulated CPU: one Cortex-A9, on Unicorn, with its RAM, its devices and traps into Python.

The guest can neither crash nor hang the host. Every hook runs inside one guard: the first exception
raised in it stops the CPU and comes out of `Cpu.run`. Whatever stops the guest otherwise (a fault,
an undefined instruction, an endless loop, a budget used up) is a MachineFault, after which the CPU
can still be looked at, and be run again.

Unicorn never enters the guest's exception vectors: an exception ends in a MachineFault instead.
Source of the architecture: ARM ARM DDI 0406C; of the CPU's registers: Cortex-A9 TRM, DDI 0388.
"""

from __future__ import annotations

import ctypes
import math
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any, NoReturn

import unicorn as unicorn_package
from unicorn import arm_const
from unicorn.unicorn_py3.unicorn import uclib

from bootsim.errors import BootsimError
from bootsim.machine import faults, mmu
from bootsim.machine.devices import Device, DeviceError
from bootsim.machine.memory import ADDRESS_LIMIT, PhysMemory
from bootsim.machine.watch import Watch

unicorn: Any = unicorn_package  # only parts of it are annotated

# What a run may take if it is not told otherwise: a second or so of guest code.
DEFAULT_INSTRUCTIONS = 200_000_000
DEFAULT_TIMEOUT = 60.0

# A counted run is made of slices, so that signals (Ctrl-C) and the clock are looked at in between.
_SLICE_INSTRUCTIONS = 1_000_000  # about 4 ms, of code that is translated already
_FIRST_SLICE_INSTRUCTIONS = 50_000  # a guest that has lost its way is found soon
_PAGE = 1 << 12
_NOWHERE = 0xFFFFFFFF  # odd: no instruction's address

# Where `call` returns to unless it is told better: with the MMU off nothing is there.
_RETURN_ADDRESS = 0xFFFFFFF0

# CPSR (B1.3.3).
_MODES = {
    0b10000: "usr",
    0b10001: "fiq",
    0b10010: "irq",
    0b10011: "svc",
    0b10110: "mon",
    0b10111: "abt",
    0b11010: "hyp",
    0b11011: "und",
    0b11111: "sys",
}
_MODE_USR = 0b10000
_CPSR_THUMB = 1 << 5

_SCTLR_M = 1 << 0  # MMU on (B4.1.130)

# CP15 registers as (CRn, opc1, CRm, opc2), B4.1.
_MIDR = (0, 0, 0, 0)
_SCTLR = (1, 0, 0, 0)
_TTBR0 = (2, 0, 0, 0)
_TTBCR = (2, 0, 0, 2)
_DACR = (3, 0, 0, 0)
_TLBIALL = (8, 0, 7, 0)

# Exceptions as Unicorn's interrupt hook numbers them (QEMU, target/arm/cpu.h).
_EXCP_PREFETCH_ABORT = 3
_EXCP_DATA_ABORT = 4
_EXCP_SMC = 13
_EXCEPTIONS = {
    2: "SVC that nobody handles",
    7: "breakpoint instruction",
    _EXCP_SMC: "SMC that nobody handles",
}
_AFTER_INSTRUCTION = {2, _EXCP_SMC}  # these leave pc behind the instruction

# What a WFE or YIELD takes off the budget: they are met in loops that wait.
_HINT_INSTRUCTIONS = 10_000

_UNMAPPED = {
    unicorn.UC_MEM_READ_UNMAPPED: "read",
    unicorn.UC_MEM_WRITE_UNMAPPED: "write",
    unicorn.UC_MEM_FETCH_UNMAPPED: "fetch",
    unicorn.UC_MEM_READ_PROT: "read",
    unicorn.UC_MEM_WRITE_PROT: "write",
    unicorn.UC_MEM_FETCH_PROT: "fetch",
}

TrapHandler = Callable[["Cpu", int], None]
PlacedDevice = tuple[int, int, Device]


class Cpu:
    """A Cortex-A9 after reset: supervisor mode, interrupts masked, MMU off."""

    def __init__(self, memory: PhysMemory, devices: Sequence[PlacedDevice] = ()) -> None:
        """`devices` are (physical base, size in bytes, device); nothing else is on the bus.

        Raises BootsimError if a device's range is not page-aligned or overlaps something.
        """
        self.memory = memory
        # Where `call` returns to: the CPU stops before it runs what is there. With the MMU on it
        # must be mapped: else the call ends in an abort, and of calls in trap handlers Unicorn
        # remembers that it was stopped, and calls no more hooks of the run around them.
        self.return_address = _RETURN_ADDRESS
        self.devices = tuple(devices)
        # What SMC and HVC call, with its arguments in the registers; they are faults without it.
        self.firmware: Callable[[Cpu], None] | None = None
        # What an access to a CP15 register that this core lacks calls, with the ARM instruction.
        self.absent_cp15: Callable[[Cpu, int], None] | None = None
        self._traps: dict[tuple[int, int], TrapHandler] = {}
        self._error: BaseException | None = None
        self._end = _NOWHERE  # where the run ends
        self._stop = False  # asked for by a handler
        self._in_guest = False  # Unicorn runs, and no hook does
        self._signal: tuple[int, Any] | None = None  # that came while it ran
        self._depth = 0  # of runs inside trap handlers
        self._counting = False  # code is translated with instructions counted
        self._guards: list[tuple[int, int, str]] = []  # from, to, what a write there means
        self._hint: int | None = None  # pc behind a WFE or YIELD that was just met
        self._stepping: int | None = None  # the one instruction that runs by itself
        self._deadline = math.inf, 0.0  # of the run: the clock's time, and how long that was ahead

        uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_ARM)
        uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_A9)
        self._uc = uc
        self._registers = _Registers(uc)
        self._shared: list[ctypes.c_char] = []  # the start of each bank that Unicorn knows
        self._hooks: list[int] = []
        self._finalizer = weakref.finalize(self, _release, uc, self._hooks, self._shared)
        self._add_hooks()
        filled = sum(bank.size for bank in memory) + sum(size for _, size, _ in self.devices)
        self._hooks_misses = False
        if filled < ADDRESS_LIMIT:
            self._hook_misses()
        for base, size, device in self.devices:
            self._add_device(base, size, device)

    # Hooks refer to the Cpu weakly, so that dropping it frees Unicorn's memory at once.

    def _add_hooks(self) -> None:
        ref = weakref.ref(self)

        def interrupt(_uc: object, number: int, _data: object) -> None:
            cpu = _alive(ref)
            cpu._guard(cpu._on_exception, number)

        def invalid_instruction(_uc: object, _data: object) -> bool:
            cpu = _alive(ref)
            return cpu._guard(cpu._on_undefined) is True

        for kind, hook in (
            (unicorn.UC_HOOK_INTR, interrupt),
            (unicorn.UC_HOOK_INSN_INVALID, invalid_instruction),
        ):
            self._hooks.append(self._uc.hook_add(kind, hook))

    def _hook_misses(self) -> None:
        """Hear of accesses to what is not there, or is guarded.

        Only where there may be any: with such a hook Unicorn takes three times as long, since no
        access is made in translated code then.
        """
        ref = weakref.ref(self)

        def invalid_memory(
            _uc: object, kind: int, address: int, size: int, value: int, _data: object
        ) -> bool:
            cpu = _alive(ref)
            cpu._guard(cpu._on_unmapped, kind, address)
            return False

        if not self._hooks_misses:
            self._hooks_misses = True
            self._hooks.append(self._uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, invalid_memory))

    def _map_memory(self) -> None:
        """Share each bank with Unicorn, guarded pages apart: to protect a part of what it has
        mapped already, it would copy all of it."""
        for bank in self.memory:
            # Held for as long as Unicorn knows the address: it keeps the mapping from closing.
            start = ctypes.c_char.from_buffer(bank.mapping)
            self._shared.append(start)
            host = ctypes.addressof(start) - bank.base
            at = bank.base
            for low, high, _ in sorted(self._guards):
                if bank.base <= low < bank.end:
                    self._map(at, low, host, unicorn.UC_PROT_ALL)
                    self._map(low, high, host, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
                    at = high
            self._map(at, bank.end, host, unicorn.UC_PROT_ALL)

    def _map(self, start: int, end: int, host: int, rights: int) -> None:
        if start < end:
            self._uc.mem_map_ptr(start, end - start, rights, host + start)

    def _add_device(self, base: int, size: int, device: Device) -> None:
        ref = weakref.ref(self)

        def read(_uc: object, offset: int, width: int, _data: object) -> int:
            cpu = _alive(ref)
            value = cpu._guard(cpu._on_device, "read", base + offset, device.read, offset, width)
            return int(value or 0)

        def write(_uc: object, offset: int, width: int, value: int, _data: object) -> None:
            cpu = _alive(ref)
            cpu._guard(cpu._on_device, "write", base + offset, device.write, offset, width, value)

        place = f"device {device.name} at {base:#010x}, size {size:#x}"
        if any(base < bank.end and bank.base < base + size for bank in self.memory):
            raise BootsimError(f"{place}: there is RAM")
        try:
            self._uc.mmio_map(base, size, read, None, write, None)
        except unicorn.UcError as error:
            raise BootsimError(f"{place}: {error}") from None

    def close(self) -> None:
        """Free the emulator now; what is asked of the Cpu from then on is a BootsimError."""
        if self._depth:
            raise BootsimError("the Cpu cannot be closed while it runs")
        self._finalizer()
        closed: Any = _Closed()
        self._uc = self._registers = closed

    # Registers.

    def register(self, number: int) -> int:
        """r0 to r15; r15 is the address of the instruction to come."""
        return self._registers.read(number)

    def set_register(self, number: int, value: int) -> None:
        self._registers.write(number, value)

    def registers(self) -> tuple[int, ...]:
        """r0 to r15."""
        return self._registers.first(16)

    def arguments(self) -> tuple[int, ...]:
        """r0 to r3: the first four words that a function was called with (AAPCS)."""
        return self._registers.first(4)

    @property
    def pc(self) -> int:
        return self._registers.read(15)

    @property
    def sp(self) -> int:
        return self._registers.read(13)

    @property
    def lr(self) -> int:
        return self._registers.read(14)

    @property
    def cpsr(self) -> int:
        return int(self._uc.reg_read(arm_const.UC_ARM_REG_CPSR))

    @property
    def thumb(self) -> bool:
        """Whether the CPU runs Thumb code."""
        return bool(self.cpsr & _CPSR_THUMB)

    @property
    def mode(self) -> str:
        """The processor mode, as "svc"."""
        return _MODES.get(self.cpsr & 0x1F, f"{self.cpsr & 0x1F:#x}")

    @property
    def privileged(self) -> bool:
        return self.cpsr & 0x1F != _MODE_USR

    def cp15(self, crn: int, opc1: int, crm: int, opc2: int) -> int:
        """A CP15 register, as MRC p15, opc1, <rt>, CRn, CRm, opc2 reads it."""
        return int(self._uc.cpr_read(15, opc1, crn, crm, opc2, 0, False))

    @property
    def midr(self) -> int:
        return self.cp15(*_MIDR)

    @property
    def sctlr(self) -> int:
        return self.cp15(*_SCTLR)

    @property
    def ttbr0(self) -> int:
        return self.cp15(*_TTBR0)

    @property
    def ttbcr(self) -> int:
        return self.cp15(*_TTBCR)

    @property
    def dacr(self) -> int:
        return self.cp15(*_DACR)

    @property
    def mmu_on(self) -> bool:
        return bool(self.sctlr & _SCTLR_M)

    # Memory as the guest sees it.

    def translate(self, virt: int) -> int:
        """The physical address behind `virt`; raises mmu.TranslationFault."""
        if not self.mmu_on:
            return virt
        return mmu.walk(self.memory, self.ttbr0, virt, ttbcr=self.ttbcr).phys

    def read(self, virt: int, size: int) -> bytes:
        """`size` bytes of RAM at virtual address `virt`; raises TranslationFault."""
        if not self.mmu_on:
            return self.memory.read(virt, size)
        ranges = mmu.physical_ranges(self.memory, self.ttbr0, virt, size, ttbcr=self.ttbcr)
        return b"".join(self.memory.read(*part) for part in ranges)

    def flush_tlb_all(self) -> None:
        """Forget all translations: for page tables that the host changed."""
        crn, opc1, crm, opc2 = _TLBIALL
        self._uc.cpr_write(15, opc1, crn, crm, opc2, 0, False, 0)

    def invalidate_code(self, virt: int, size: int) -> None:
        """Forget what was translated of `size` bytes at `virt`: for code that the host changed."""
        self._uc.ctl_remove_cache(virt, virt + size)

    def guard(self, phys: int, size: int, meaning: str) -> None:
        """Have the guest fault with `meaning` when it writes to `size` bytes of RAM at `phys`.

        Python may still write there. Raises BootsimError for what is no whole pages of one bank,
        overlaps another guard, or comes after the CPU first ran.
        """
        end = phys + size
        if self._shared:
            raise BootsimError("a guard must be set before the CPU runs")
        if phys % _PAGE or end % _PAGE or size <= 0 or not self.memory.contains(phys, size):
            raise BootsimError(f"guard at {phys:#x}, {size:#x} bytes: expected pages of one bank")
        if any(low < end and phys < high for low, high, _ in self._guards):
            raise BootsimError(f"guard at {phys:#x} overlaps another")
        self._guards.append((phys, end, meaning))
        self._hook_misses()

    # Traps.

    def set_traps(self, start: int, end: int, handler: TrapHandler) -> None:
        """Call `handler(cpu, index)` when the guest comes to the word `index` of [start, end).

        Addresses are virtual. Each word of the range is an instruction to return with (`bx lr`):
        it runs after the handler, which reads `arguments()` and sets r0. The stub that the guest
        calls branches here, so that a debugger at the stub still sees the call as it was. An
        exception in the handler stops the CPU and comes out of `run`; so does `stop()`.
        Setting the same range again replaces its handler; a new one raises BootsimError in a
        handler, as Unicorn cannot take a hook while it runs.
        """
        place = start, end
        if place in self._traps:
            self._traps[place] = handler
            return
        if self._depth:
            raise BootsimError(f"traps at {start:#010x} cannot be set while the CPU runs")
        ref = weakref.ref(self)

        def trap(_uc: object, address: int, _size: int, _data: object) -> None:
            cpu = _alive(ref)
            cpu._guard(cpu._on_trap, cpu._traps[place], address, address - start >> 2)

        self._traps[place] = handler
        self._hooks.append(self._uc.hook_add(unicorn.UC_HOOK_CODE, trap, None, start, end - 1))
        self._uc.ctl_flush_tb()  # code that is already translated would not come here

    def stop(self) -> None:
        """In a trap handler: end the run, with pc at the trap."""
        self._stop = True
        self._uc.emu_stop()

    # Running.

    def run(
        self,
        pc: int | None = None,
        *,
        until: int | None = None,
        max_instructions: int | None = DEFAULT_INSTRUCTIONS,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        """Run from `pc` (bit 0 set: Thumb code; None: where the CPU is) until a trap stops the CPU
        or it comes to `until`.

        `max_instructions` counts guest instructions, `timeout` seconds, trap handlers included.
        None for the first: no counting, three to four times as fast, for long runs; a fault that a
        device or the clock raises then gives an inexact pc, an endless loop ends by the clock
        alone, and a trap handler cannot run guest code. Raises MachineFault, and whatever a
        handler raised.
        """
        if pc is None:
            pc = self.pc | self.thumb
        if not self._shared:
            self._map_memory()
        if self._depth and not self._counting:
            # Unicorn has one timer for all of its nested runs.
            raise BootsimError("a trap handler can run guest code only while instructions count")
        outer = self._end, self._stop, self._hint, self._stepping, self._deadline
        self._end = _NOWHERE if until is None else until
        self._stop, self._hint, self._stepping = False, None, None
        try:
            with self._signals() if not self._depth else nullcontext():
                self._run(pc, max_instructions, timeout)
        finally:
            self._end, self._stop, self._hint, self._stepping, self._deadline = outer
        if self._stop:
            self._uc.emu_stop()

    def call(
        self,
        address: int,
        *arguments: int,
        max_instructions: int | None = DEFAULT_INSTRUCTIONS,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> int:
        """Call guest code by the AAPCS with up to four words; returns r0.

        In a trap handler too: the registers of the trapped code are then as they were.
        """
        if len(arguments) > 4:
            raise BootsimError(f"call with {len(arguments)} arguments: at most 4 are passed")
        saved, cpsr = self.registers(), self.cpsr
        for number, value in enumerate(arguments):
            self.set_register(number, value & 0xFFFFFFFF)
        self.set_register(14, self.return_address)
        try:
            self.run(
                address,
                until=self.return_address,
                max_instructions=max_instructions,
                timeout=timeout,
            )
        except BaseException:
            if self._depth:  # else what is left is there to be looked at
                self._restore(saved, cpsr)
            raise
        result = self.register(0)
        self._restore(saved, cpsr)
        return result

    def _restore(self, saved: Sequence[int], cpsr: int) -> None:
        self._uc.reg_write(arm_const.UC_ARM_REG_CPSR, cpsr)
        for number, value in enumerate(saved[:15]):
            self.set_register(number, value)
        if not self._depth:  # in a handler pc must stay: writing it would run the trap again
            self.set_register(15, saved[15] | self.thumb)

    def _run(self, pc: int, max_instructions: int | None, timeout: float) -> None:
        self._deadline = min((time.monotonic() + timeout, timeout), self._deadline)
        left = max_instructions
        longest = _FIRST_SLICE_INSTRUCTIONS
        while True:
            length = None if left is None else min(left, longest)
            longest = _SLICE_INSTRUCTIONS
            self._run_slice(pc, length)
            if self._stop or self.pc == self._end:
                return
            pc = self.pc | self.thumb
            if self._hint is not None:
                length = None if length is None else _HINT_INSTRUCTIONS
            elif self._stepping is not None:
                length = None if length is None else 1
            elif stuck := faults.no_progress(self):
                raise stuck
            self._stepping, self._hint = self._hint, None
            if left is not None and length is not None:
                left -= length
                if left <= 0:
                    raise faults.fault(self, f"budget of {max_instructions} instructions used up")
            self._check_time()

    def _check_time(self) -> None:
        deadline, seconds = self._deadline
        if time.monotonic() > deadline:
            raise faults.fault(self, f"budget of {seconds:g} s used up")

    def _run_slice(self, pc: int, instructions: int | None) -> None:
        if self._stepping is not None:
            instructions = 1
        elif self._depth and self._counting and instructions is None:
            instructions = _SLICE_INSTRUCTIONS
        counting = instructions is not None
        if counting != self._counting:  # not below a trap: its code must not be thrown away
            self._uc.ctl_flush_tb()
            self._counting = counting
        failure: Exception | None = None
        interrupted = False
        self._depth += 1
        self._in_guest = True
        try:
            interrupted = self._emulate(pc, instructions)
        except unicorn.UcError as error:
            failure = error
        finally:
            self._in_guest = False
            self._depth -= 1
        raised, self._error = self._error, None
        pending, self._signal = self._signal, None
        if pending is not None:
            self._signal_handler(*pending)
        try:
            if isinstance(raised, _DeviceAccessError):
                cause = f"{raised} (pc is behind it)"
                raise faults.fault(self, cause, raised.address, raised.access)
            if raised is not None:
                raise raised
            if failure is not None and self.pc != self._end:
                raise faults.fault(self, str(failure))
            if interrupted:
                raise faults.fault(self, "stopped by a signal")
        finally:
            del raised, failure  # an exception that its own frame knows keeps all of the machine

    def _emulate(self, pc: int, instructions: int | None) -> bool:
        """Let Unicorn run; returns whether a signal has ended that."""
        if instructions is not None:
            self._uc.emu_start(pc, self._end, count=instructions)
            return False
        # In one go: Unicorn loses its place in code that a timer stops.
        with Watch(self._uc.emu_stop, self._deadline[0]) as watch:
            self._uc.emu_start(pc, self._end)
        return watch.interrupted

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Keep Ctrl-C from getting lost while the guest runs.

        Python calls a signal's handler as soon as some Python code runs: when the guest is
        running that is the first instruction of a hook, still outside its guard, where ctypes
        prints the exception and drops it. So the handler is called once the guest is stopped.
        """
        previous = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or not callable(previous):
            yield
            return

        def handler(number: int, frame: FrameType | None) -> None:
            if self._in_guest:
                self._signal = number, frame
                self._uc.emu_stop()
            else:
                previous(number, frame)

        self._signal_handler = previous
        signal.signal(signal.SIGINT, handler)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)

    def _guard(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run what a hook does; its exception stops the CPU, for _run_slice to raise.

        Hooks that are still met before the CPU stands only ask it again: when the first one
        comes from a walk of page tables, Unicorn forgets that it was asked.
        """
        try:
            self._in_guest = False
            if self._error is None:
                return function(*arguments)
        except BaseException as error:
            self._error = error
        finally:
            self._in_guest = True
        self._uc.emu_stop()
        return None

    # What the guest did.

    def _on_trap(self, handler: TrapHandler, address: int, index: int) -> None:
        try:
            handler(self, index)
            if time.monotonic() > self._deadline[0]:  # handlers can be slow, and many in a slice
                self._check_time()
        except BaseException:
            self._stop_at(address)
            raise
        if self._stop:
            self._stop_at(address)

    def _stop_at(self, address: int) -> None:
        """Have pc at the trap, also if the handler called guest code."""
        self.set_register(15, address | self.thumb)

    def _on_device(
        self, access: str, address: int, function: Callable[..., Any], *arguments: int
    ) -> Any:
        try:
            return function(*arguments)
        except DeviceError as error:
            if self._counting:
                raise faults.fault(self, str(error), address, access) from None
            # Only counted code keeps pc up to date inside a block.
            raise _DeviceAccessError(str(error), address, access) from None

    def _on_unmapped(self, kind: int, address: int) -> None:
        access = _UNMAPPED[kind]
        for start, end, meaning in self._guards:
            if start <= address < end:
                raise faults.guarded(self, meaning, access)
        if access != "fetch" or self.pc != self._end:
            raise faults.unmapped(self, address, access)

    def _on_undefined(self) -> bool:
        """Undefined instructions, HVC included; WFE and YIELD come here too, with pc behind them.

        Those do nothing. What follows runs by itself, so that if it comes here as well it is known
        to be undefined in its own right. Returns whether to go on.
        """
        pc = self.pc
        if self.firmware is not None and faults.at_hvc(self):
            self.firmware(self)
            self.set_register(15, pc + 4 | self.thumb)
            return True
        word = None if self.absent_cp15 is None else faults.cp15_access(self)
        if self.absent_cp15 is not None and word is not None:
            self.absent_cp15(self, word)
            self.set_register(15, pc + 4)
            return True
        if pc == self._stepping or not faults.behind_hint(self):
            raise faults.fault(self, "undefined instruction")
        self._hint = pc
        self._uc.emu_stop()
        return True

    def _on_exception(self, number: int) -> None:
        pc = self.pc
        if number == _EXCP_PREFETCH_ABORT:
            if pc != self._end:
                raise faults.prefetch_abort(self)
            self._uc.emu_stop()  # where the run ends there need not be any memory
            return
        if number == _EXCP_DATA_ABORT:
            raise faults.data_abort(self)
        if number == _EXCP_SMC and self.firmware is not None:
            self.firmware(self)
            return
        if number in _AFTER_INSTRUCTION:
            pc -= 2 if self.thumb else 4
        raise faults.fault(self, _EXCEPTIONS.get(number, f"exception {number}"), pc=pc)


class _DeviceAccessError(BootsimError):
    """A DeviceError whose pc is not known yet."""

    def __init__(self, message: str, address: int, access: str) -> None:
        super().__init__(message)
        self.address = address
        self.access = access


class _Registers:
    """r0 to r15, read several at a time: unicorn's own Python functions take 2 us for each.

    The library's functions are called with plain numbers, which spares most of a call's cost.
    """

    _IDS = (
        *range(arm_const.UC_ARM_REG_R0, arm_const.UC_ARM_REG_R12 + 1),
        arm_const.UC_ARM_REG_SP,
        arm_const.UC_ARM_REG_LR,
        arm_const.UC_ARM_REG_PC,
    )
    _READ_BATCH = ctypes.CFUNCTYPE(
        *(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
    )
    _WRITE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

    def __init__(self, uc: Any) -> None:
        self._handle = uc._uch.value
        self._buffers = (ctypes.c_int32 * 16)(*self._IDS), (ctypes.c_uint32 * 16)()
        first = ctypes.addressof(self._buffers[1])
        self._pointers = (ctypes.c_void_p * 16)(*range(first, first + 64, 4))
        self._ids = ctypes.addressof(self._buffers[0])
        self._places = ctypes.addressof(self._pointers)
        self._values = memoryview(self._buffers[1]).cast("B").cast("I")
        self._one = ctypes.c_uint32()
        self._place = ctypes.addressof(self._one)
        self._read_batch = self._READ_BATCH(_address(uclib.uc_reg_read_batch))
        self._write = self._WRITE(_address(uclib.uc_reg_write))

    def read(self, number: int) -> int:
        return self.first(number + 1)[number]

    def write(self, number: int, value: int) -> None:
        self._one.value = value
        self._write(self._handle, self._IDS[number], self._place)

    def first(self, count: int) -> tuple[int, ...]:
        """r0 to r(count - 1)."""
        self._read_batch(self._handle, self._ids, self._places, count)
        return tuple(self._values[:count])


def _address(function: Any) -> int:
    """Where a library's function lies."""
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _alive(ref: weakref.ref[Cpu]) -> Cpu:
    cpu = ref()
    assert cpu is not None, "a hook ran without its Cpu"
    return cpu


class _Closed:
    """In the place of an emulator that is gone."""

    def __getattr__(self, name: str) -> NoReturn:
        raise BootsimError("the Cpu is closed")


def _release(uc: Any, hooks: list[int], shared: list[ctypes.c_char]) -> None:
    """Free the emulator, which would else wait for the garbage collector: 4 MB, 1 GiB reserved."""
    for hook in hooks:
        uc.hook_del(hook)
    uc._Uc__finalizer()  # what unicorn itself calls when it is collected; it runs only once
    shared.clear()  # no more seen by the emulator
