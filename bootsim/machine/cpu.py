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
import signal
import threading
import time
import weakref
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any, NoReturn

import unicorn as unicorn_package
from unicorn import arm_const
from unicorn.unicorn_py3.unicorn import uclib

from bootsim.errors import BootsimError, MachineFault
from bootsim.machine import mmu
from bootsim.machine.devices import Device, DeviceError
from bootsim.machine.disasm import accesses, disassemble
from bootsim.machine.memory import PhysMemory

unicorn: Any = unicorn_package  # only parts of it are annotated

# What a run may take if it is not told otherwise: a second or so of guest code.
DEFAULT_INSTRUCTIONS = 200_000_000
DEFAULT_TIMEOUT = 60.0

# A run is made of slices, so that signals (Ctrl-C) and the clock are looked at in between.
_SLICE_INSTRUCTIONS = 1_000_000  # about 4 ms
_SLICE_MICROSECONDS = 50_000
_NOWHERE = 0xFFFFFFFF  # odd: no instruction's address

# Where `call` returns to: no code is fetched there, as the CPU stops first.
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
_EXCEPTIONS = {
    2: "SVC that nobody handles",
    7: "breakpoint instruction",
    13: "SMC that nobody handles",
}
_AFTER_INSTRUCTION = {2, 13}  # these leave pc behind the instruction

# Instructions that the run loop looks for: A8.8.18, A8.8.425, A8.8.426 (any condition), A8.8.427.
_SELF_BRANCH_ARM = bytes.fromhex("feffffea")
_SELF_BRANCH_THUMB = bytes.fromhex("fee7")


def _hint(number: int) -> frozenset[bytes]:
    words = (cond << 28 | 0x0320F000 | number for cond in range(15))
    return frozenset(word.to_bytes(4, "little") for word in words)


_HINTS_ARM = _hint(1) | _hint(2)  # YIELD, WFE
_HINTS_THUMB = frozenset((bytes.fromhex("10bf"), bytes.fromhex("20bf")))
_WFI_ARM = _hint(3)
_WFI_THUMB = frozenset((bytes.fromhex("30bf"),))

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
        self.devices = tuple(devices)
        self._traps: dict[tuple[int, int], int] = {}
        self._error: BaseException | None = None
        self._end = _NOWHERE  # where the run ends
        self._stop = False  # asked for by a handler
        self._in_guest = False  # Unicorn runs, and no hook does
        self._signal: tuple[int, Any] | None = None  # that came while it ran
        self._depth = 0  # of runs inside trap handlers
        self._counting = False  # code is translated with instructions counted
        self._hint: int | None = None  # pc behind a WFE or YIELD that was just met
        self._stepping: int | None = None  # the one instruction that runs by itself

        uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_ARM)
        uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_A9)
        self._uc = uc
        self._registers = _Registers(uc)
        shared = []
        for bank in memory:
            # Held for as long as Unicorn knows the address: it keeps the mapping from closing.
            start = ctypes.c_char.from_buffer(bank.mapping)
            shared.append(start)
            uc.mem_map_ptr(bank.base, bank.size, unicorn.UC_PROT_ALL, ctypes.addressof(start))
        self._hooks: list[int] = []
        self._mapped: list[tuple[int, int]] = []  # devices
        self._finalizer = weakref.finalize(self, _release, uc, self._hooks, self._mapped, shared)
        self._add_hooks()
        for base, size, device in self.devices:
            self._add_device(base, size, device)

    # Hooks refer to the Cpu weakly, so that dropping it frees Unicorn's memory at once.

    def _add_hooks(self) -> None:
        ref = weakref.ref(self)

        def interrupt(_uc: object, number: int, _data: object) -> None:
            cpu = _alive(ref)
            cpu._guard(cpu._on_exception, number)

        def invalid_memory(
            _uc: object, kind: int, address: int, size: int, value: int, _data: object
        ) -> bool:
            cpu = _alive(ref)
            cpu._guard(cpu._on_unmapped, kind, address)
            return False

        def invalid_instruction(_uc: object, _data: object) -> bool:
            cpu = _alive(ref)
            return cpu._guard(cpu._on_undefined) is True

        for kind, hook in (
            (unicorn.UC_HOOK_INTR, interrupt),
            (unicorn.UC_HOOK_MEM_INVALID, invalid_memory),
            (unicorn.UC_HOOK_INSN_INVALID, invalid_instruction),
        ):
            self._hooks.append(self._uc.hook_add(kind, hook))

    def _add_device(self, base: int, size: int, device: Device) -> None:
        ref = weakref.ref(self)

        def read(_uc: object, offset: int, width: int, _data: object) -> int:
            cpu = _alive(ref)
            value = cpu._guard(cpu._on_device, "read", base + offset, device.read, offset, width)
            return int(value or 0)

        def write(_uc: object, offset: int, width: int, value: int, _data: object) -> None:
            cpu = _alive(ref)
            cpu._guard(cpu._on_device, "write", base + offset, device.write, offset, width, value)

        try:
            self._uc.mmio_map(base, size, read, None, write, None)
        except unicorn.UcError as error:
            raise BootsimError(
                f"device {device.name} at {base:#010x}, size {size:#x}: {error}"
            ) from None
        self._mapped.append((base, size))

    def close(self) -> None:
        """Free the emulator now; what is asked of the Cpu from then on is a BootsimError."""
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

    def invalidate_code(self) -> None:
        """Forget all translated code: for code that the host changed."""
        self._uc.ctl_flush_tb()

    # Traps.

    def set_traps(self, start: int, end: int, handler: TrapHandler) -> None:
        """Call `handler(cpu, index)` when the guest comes to the word `index` of [start, end).

        Addresses are virtual. Each word of the range is an instruction to return with (`bx lr`):
        it runs after the handler, which reads `arguments()` and sets r0. The stub that the guest
        calls branches here, so that a debugger at the stub still sees the call as it was. An
        exception in the handler stops the CPU and comes out of `run`; so does `stop()`.
        Setting the same range again replaces its handler.
        """
        ref = weakref.ref(self)

        def trap(_uc: object, address: int, _size: int, _data: object) -> None:
            cpu = _alive(ref)
            cpu._guard(cpu._on_trap, handler, address, address - start >> 2)

        previous = self._traps.pop((start, end), None)
        if previous is not None:
            self._hooks.remove(previous)
            self._uc.hook_del(previous)
        hook = self._uc.hook_add(unicorn.UC_HOOK_CODE, trap, None, start, end - 1)
        self._traps[start, end] = hook
        self._hooks.append(hook)
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
        None for the first: no counting, four times as fast, for long runs; a fault that a device
        raises then gives an inexact pc. Raises MachineFault, and whatever a handler raised.
        """
        if pc is None:
            pc = self.pc | self.thumb
        outer_stop, self._stop = self._stop, False
        outer_end, self._end = self._end, _NOWHERE if until is None else until
        try:
            with self._signals() if not self._depth else nullcontext():
                self._run(pc, max_instructions, timeout)
        finally:
            self._stop, self._end = outer_stop, outer_end
        if outer_stop:
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
        self.set_register(14, _RETURN_ADDRESS)
        try:
            self.run(
                address, until=_RETURN_ADDRESS, max_instructions=max_instructions, timeout=timeout
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
        deadline = time.monotonic() + timeout
        left = max_instructions
        self._error = None
        while True:
            length = None if left is None else min(left, _SLICE_INSTRUCTIONS)
            self._run_slice(pc, length)
            if self._stop or self.pc == self._end:
                return
            pc = self.pc | self.thumb
            if self._hint is not None:
                length = None if length is None else _HINT_INSTRUCTIONS
            elif self._stepping is not None:
                length = None if length is None else 1
            else:
                self._check_progress()
            self._stepping, self._hint = self._hint, None
            if left is not None and length is not None:
                left -= length
                if left <= 0:
                    self._fault(f"budget of {max_instructions} instructions used up")
            if time.monotonic() > deadline:
                self._fault(f"budget of {timeout:g} s used up")

    def _run_slice(self, pc: int, instructions: int | None) -> None:
        if self._stepping is not None:
            instructions = 1
        counting = instructions is not None
        if counting != self._counting:
            self._uc.ctl_flush_tb()
            self._counting = counting
        failure: Exception | None = None
        self._depth += 1
        self._in_guest = True
        try:
            if instructions is not None:
                self._uc.emu_start(pc, self._end, count=instructions)
            else:
                self._uc.emu_start(pc, self._end, timeout=_SLICE_MICROSECONDS)
        except unicorn.UcError as error:
            failure = error
        finally:
            self._in_guest = False
            self._depth -= 1
        if self._signal is not None:
            pending, self._signal = self._signal, None
            self._signal_handler(*pending)
        if self._error is not None:
            raised, self._error = self._error, None
            self._stepping = self._hint = None
            if isinstance(raised, _DeviceAccessError):
                self._fault(f"{raised} (pc is behind it)", raised.address, raised.access)
            raise raised
        if failure is not None and self.pc != self._end:
            self._stepping = self._hint = None
            self._fault(str(failure))

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
        """Run what a hook does; its first exception stops the CPU, for _run_slice to raise."""
        try:
            self._in_guest = False
            return function(*arguments)
        except BaseException as error:
            if self._error is None:
                self._error = error
            self._uc.emu_stop()
            return None
        finally:
            self._in_guest = True

    # What the guest did.

    def _on_trap(self, handler: TrapHandler, address: int, index: int) -> None:
        try:
            handler(self, index)
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
                self._fault(str(error), address, access)
            # Only counted code keeps pc up to date inside a block.
            raise _DeviceAccessError(str(error), address, access) from None

    def _on_unmapped(self, kind: int, address: int) -> None:
        access = _UNMAPPED[kind]
        if access == "fetch" and self.pc == self._end:
            return
        if access == "fetch":
            self._fault(f"jump to nowhere (lr {self.lr:#010x})", address, access)
        self._fault("no RAM or device at this physical address", address, access)

    def _on_undefined(self) -> bool:  # True: go on
        """Undefined instructions, HVC included; WFE and YIELD come here too, with pc behind them.

        Those do nothing. What follows runs by itself, so that if it comes here as well it is known
        to be undefined in its own right.
        """
        pc = self.pc
        if pc == self._stepping or not self._previous_is(pc, _HINTS_ARM, _HINTS_THUMB):
            self._fault("undefined instruction")
        self._hint = pc
        self._uc.emu_stop()
        return True

    def _on_exception(self, number: int) -> None:
        pc = self.pc
        if number == _EXCP_PREFETCH_ABORT and pc == self._end:
            self._uc.emu_stop()  # where the run ends there need not be any memory
            return
        if number in _AFTER_INSTRUCTION:
            pc -= 2 if self.thumb else 4
        if number == _EXCP_PREFETCH_ABORT:
            why = self._refusal(pc, "fetch", privileged=self._privileged)
            self._fault(f"prefetch abort: {why or 'no reason found'}", pc, "fetch")
        if number == _EXCP_DATA_ABORT:
            self._data_abort(pc)
        self._fault(_EXCEPTIONS.get(number, f"exception {number}"), pc=pc)

    def _data_abort(self, pc: int) -> NoReturn:
        found = accesses(self._code(pc), pc, self.registers(), thumb=self.thumb)
        for access in found:
            privileged = self._privileged and not access.unprivileged
            for address in (access.address, access.address + access.size - 1 & 0xFFFFFFFF):
                why = self._refusal(address, access.kind, privileged=privileged)
                if why:
                    self._fault(f"data abort: {why}", address, access.kind)
        for access in found:
            if access.address % access.size:
                self._fault("data abort: alignment fault", access.address, access.kind)
        self._fault("data abort: no reason found")

    def _refusal(self, virt: int, access: str, *, privileged: bool) -> str | None:
        """Why the MMU refuses an access, in words; None if it does not."""
        if not self.mmu_on:
            return None
        try:
            found = mmu.walk(self.memory, self.ttbr0, virt, ttbcr=self.ttbcr)
        except mmu.TranslationFault as fault:
            return f"translation fault, {fault.found}"
        except BootsimError as error:
            return str(error)
        return found.refusal(access, self.dacr, privileged=privileged)

    def _check_progress(self) -> None:
        """Stop at once where nothing can happen any more, as no interrupt ever comes."""
        pc, thumb = self.pc, self.thumb
        code = self._code(pc)
        if code[:2] == _SELF_BRANCH_THUMB if thumb else code == _SELF_BRANCH_ARM:
            self._fault("endless loop, a branch to itself")
        if self._previous_is(pc, _WFI_ARM, _WFI_THUMB):
            size = 2 if thumb else 4
            self._fault("waits for an interrupt, but none can come", pc=pc - size)

    def _previous_is(self, pc: int, arm: Container[bytes], thumb: Container[bytes]) -> bool:
        size, wanted = (2, thumb) if self.thumb else (4, arm)
        return self._code(pc - size)[:size] in wanted

    def _code(self, pc: int) -> bytes:
        """Up to 4 bytes of code at `pc`; fewer where there is no memory."""
        for size in (4, 2):
            try:
                return self.read(pc & 0xFFFFFFFF, size)
            except BootsimError:
                continue
        return b""

    @property
    def _privileged(self) -> bool:
        return self.cpsr & 0x1F != _MODE_USR

    def _fault(
        self,
        cause: str,
        address: int | None = None,
        access: str | None = None,
        *,
        pc: int | None = None,
    ) -> NoReturn:
        pc = self.pc if pc is None else pc
        raise MachineFault(
            cause,
            pc=pc,
            mode=self.mode,
            address=address,
            access=access,
            instruction=disassemble(self._code(pc), pc, thumb=self.thumb),
        )


class _DeviceAccessError(BootsimError):
    """A DeviceError whose pc is not known yet."""

    def __init__(self, message: str, address: int, access: str) -> None:
        super().__init__(message)
        self.address = address
        self.access = access


class _Registers:
    """r0 to r15, read several at a time: unicorn's own Python functions take 2 us for each."""

    _IDS = (
        *range(arm_const.UC_ARM_REG_R0, arm_const.UC_ARM_REG_R12 + 1),
        arm_const.UC_ARM_REG_SP,
        arm_const.UC_ARM_REG_LR,
        arm_const.UC_ARM_REG_PC,
    )

    def __init__(self, uc: Any) -> None:
        self._handle = uc._uch
        self._ids = (ctypes.c_int32 * 16)(*self._IDS)
        self._values = (ctypes.c_uint32 * 16)()
        first = ctypes.addressof(self._values)
        self._places = (ctypes.c_void_p * 16)(*range(first, first + 64, 4))
        self._one = ctypes.c_uint32()
        self._place = ctypes.byref(self._one)

    def read(self, number: int) -> int:
        uclib.uc_reg_read(self._handle, self._IDS[number], self._place)
        return self._one.value

    def write(self, number: int, value: int) -> None:
        self._one.value = value
        uclib.uc_reg_write(self._handle, self._IDS[number], self._place)

    def first(self, count: int) -> tuple[int, ...]:
        """r0 to r(count - 1)."""
        uclib.uc_reg_read_batch(self._handle, self._ids, self._places, count)
        return tuple(self._values[:count])


def _alive(ref: weakref.ref[Cpu]) -> Cpu:
    cpu = ref()
    assert cpu is not None, "a hook ran without its Cpu"
    return cpu


class _Closed:
    """In the place of an emulator that is gone."""

    def __getattr__(self, name: str) -> NoReturn:
        raise BootsimError("the Cpu is closed")


def _release(
    uc: Any, hooks: list[int], mapped: list[tuple[int, int]], shared: list[ctypes.c_char]
) -> None:
    """Free the emulator, which would else wait for the garbage collector: 4 MB, 1 GiB reserved."""
    for hook in hooks:
        uc.hook_del(hook)
    for base, size in mapped:
        uc.mem_unmap(base, size)
    uc._Uc__finalizer()  # what unicorn itself calls when it is collected; it runs only once
    shared.clear()  # no more seen by the emulator
