"""The CPU: what it is after reset, how a run ends, and that no guest harms the host."""

from __future__ import annotations

import gc
import os
import random
import signal
import struct
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.errors import BootsimError, MachineFault
from bootsim.machine import mmu
from bootsim.machine.cpu import Cpu
from bootsim.machine.devices import PL011
from bootsim.machine.memory import PhysMemory
from tests.requirements import missing

RAM = 0x60000000
RAM_SIZE = 16 << 20
UART = 0x10009000
TABLE = RAM + 0x10000
STACK = RAM + 0x8000
DATA = RAM + 0x100000
SCTLR_RESET = 0x00C50078  # Cortex-A9 TRM DDI 0388, 4.2.1, with TEINIT, VINITHI, CFGEND low

NOP = 0xE1A00000
BX_LR = 0xE12FFF1E
SELF = 0xEAFFFFFE  # b .


class Guest:
    """A machine of 16 MiB with a UART, and code at the start of its RAM."""

    def __init__(self, *words: int) -> None:
        self.memory = PhysMemory([(RAM, RAM_SIZE)])
        self.uart = PL011()
        self.cpu = Cpu(self.memory, [(UART, 0x1000, self.uart)])
        self.code(RAM, *words)

    def code(self, address: int, *words: int) -> None:
        self.memory.write(address, struct.pack(f"<{len(words)}I", *words))

    def map(self, virt: int, entry: mmu.L1Entry) -> None:
        self.memory.write_u32(TABLE + (virt >> 20) * 4, entry.encode())

    def mmu_on(self, dacr: int = 1) -> None:
        """Turn the MMU on by guest code, with the code mapped where it is."""
        self.map(RAM, section(RAM))
        self.code(
            RAM + 0x4000,
            0xEE020F10,  # mcr p15, 0, r0, c2, c0, 0: TTBR0
            0xEE031F10,  # mcr p15, 0, r1, c3, c0, 0: DACR
            0xEE012F10,  # mcr p15, 0, r2, c1, c0, 0: SCTLR
            BX_LR,
        )
        self.cpu.call(RAM + 0x4000, TABLE, dacr, 0x10C5387D)

    def fault(self, *, pc: int = RAM, **registers: int) -> MachineFault:
        """Run until the fault that must come."""
        for name, value in registers.items():
            self.cpu.set_register(int(name[1:]), value)
        with pytest.raises(MachineFault) as caught:
            self.cpu.run(pc)
        return caught.value


def section(phys: int, ap: mmu.AP = mmu.AP.RW, *, xn: bool = False, domain: int = 0) -> mmu.Section:
    return mmu.Section(phys, mmu.Attributes(ap, xn=xn, tex=1, c=True, b=True), domain)


def test_reset_state_is_a_cortex_a9() -> None:
    cpu = Guest().cpu
    assert cpu.midr == 0x410FC090
    assert cpu.cp15(0, 0, 0, 1) == 0x80038003  # CTR
    assert cpu.sctlr == SCTLR_RESET
    assert cpu.mode == "svc"
    assert cpu.cpsr & 0xC0 == 0xC0  # IRQ and FIQ masked
    assert not cpu.mmu_on
    assert not cpu.thumb


def test_a_run_ends_where_it_is_told() -> None:
    guest = Guest(0xE3A00005, 0xE2800001, NOP)  # mov r0, #5; add r0, r0, #1
    guest.cpu.run(RAM, until=RAM + 8)
    assert guest.cpu.register(0) == 6
    assert guest.cpu.pc == RAM + 8


def test_call_passes_arguments_and_restores_the_registers() -> None:
    guest = Guest(0xE0600001, 0xE0800102, 0xE0800003, BX_LR)  # r0 = r1 - r0 + (r2 << 2) + r3
    before = [0x11110000 + n for n in range(13)] + [STACK, 0x1234]
    for number, value in enumerate(before):
        guest.cpu.set_register(number, value)
    pc = guest.cpu.pc
    assert guest.cpu.call(RAM, 1, 10, 100, 1000) == 1409
    assert guest.cpu.registers() == (*before, pc)
    with pytest.raises(BootsimError, match="5 arguments"):
        guest.cpu.call(RAM, 1, 2, 3, 4, 5)


def test_thumb_code_runs() -> None:
    guest = Guest()
    guest.memory.write(RAM, struct.pack("<2H", 0x3007, 0x4770))  # adds r0, #7; bx lr
    assert guest.cpu.call(RAM | 1, 3) == 10
    assert not guest.cpu.thumb


def test_host_and_guest_see_each_others_writes() -> None:
    guest = Guest(0xE5910000, 0xE2800001, 0xE5810004, BX_LR)  # [r1 + 4] = [r1] + 1
    guest.memory.write_u32(DATA, 41)
    assert guest.cpu.call(RAM, 0, DATA) == 42
    assert guest.memory.read_u32(DATA + 4) == 42
    guest.memory.write_u32(DATA, 99)
    assert guest.cpu.call(RAM, 0, DATA) == 100


def test_code_that_the_host_changed_runs_once_it_is_told() -> None:
    guest = Guest(0xE3A00001, BX_LR)
    assert guest.cpu.call(RAM) == 1
    guest.code(RAM, 0xE3A00002)
    guest.cpu.invalidate_code(RAM, 4)
    assert guest.cpu.call(RAM) == 2


def test_uart_sees_what_the_guest_writes() -> None:
    guest = Guest(0xE5C10000, 0xE5910018, BX_LR)  # strb r0, [r1]; ldr r0, [r1, #0x18]
    assert guest.cpu.call(RAM, ord("A"), UART) == 0x90
    assert guest.uart.output == b"A"


# Faults, MMU off. Each: code, registers, and what the report says.

PHYSICAL = [
    ("read of nothing", (NOP, 0xE5910004), {"r1": 0x70000000}, 4, "read", 0x70000004),
    ("write to nothing", (NOP, 0xE5810000), {"r1": 0x70000000}, 4, "write", 0x70000000),
    ("past the end", (0xE1C120D0,), {"r1": RAM + RAM_SIZE - 4}, 0, "read", RAM + RAM_SIZE),
    ("no such device", (0xE5910000,), {"r1": UART + 0x1000}, 0, "read", UART + 0x1000),
]


@pytest.mark.parametrize(
    ("code", "registers", "offset", "access", "address"),
    [case[1:] for case in PHYSICAL],
    ids=[case[0] for case in PHYSICAL],
)
def test_access_to_no_memory(
    code: tuple[int, ...], registers: dict[str, int], offset: int, access: str, address: int
) -> None:
    fault = Guest(*code).fault(**registers)
    assert (fault.pc, fault.access, fault.address) == (RAM + offset, access, address)
    assert fault.mode == "svc"
    assert "no RAM or device" in fault.cause
    assert fault.instruction is not None
    assert fault.instruction.startswith("str" if access == "write" else "ldr")


def test_jump_to_nowhere_names_where_it_came_from() -> None:
    fault = Guest(0xE12FFF31).fault(r1=0x70000000)  # blx r1
    assert (fault.pc, fault.access, fault.address) == (0x70000000, "fetch", 0x70000000)
    assert "jump to nowhere (lr 0x60000004)" in fault.cause
    assert fault.instruction is None


def test_jump_into_a_device() -> None:
    fault = Guest(0xE12FFF11).fault(r1=UART)
    assert (fault.pc, fault.access) == (UART, "fetch")


ENDINGS = [
    ("udf", 0xE7F000F0, "undefined instruction", "udf #0"),
    ("vfp while off", 0xEEB70A00, "undefined instruction", None),
    ("no such cp15 register", 0xEE1F0F1F, "undefined instruction", None),
    ("svc", 0xEF000012, "SVC that nobody handles", "svc #0x12"),
    ("hvc", 0xE1400070, "undefined instruction", "hvc #0"),
    ("smc", 0xE1600070, "SMC that nobody handles", "smc #0"),
    ("bkpt", 0xE1200070, "breakpoint instruction", "bkpt #0"),
    ("wfi", 0xE320F003, "waits for an interrupt", "wfi"),
    ("b .", SELF, "endless loop", "b #0x60000004"),
]


@pytest.mark.parametrize(
    ("word", "cause", "text"), [case[1:] for case in ENDINGS], ids=[case[0] for case in ENDINGS]
)
def test_instructions_that_end_a_run(word: int, cause: str, text: str | None) -> None:
    fault = Guest(NOP, word, NOP).fault()
    assert fault.cause.startswith(cause)
    assert fault.pc == RAM + 4
    if text is not None:
        assert fault.instruction == text


def test_svc_in_thumb_code() -> None:
    guest = Guest()
    guest.memory.write(RAM, struct.pack("<2H", 0xBF00, 0xDF05))  # nop; svc 5
    fault = guest.fault(pc=RAM | 1)
    assert (fault.pc, fault.instruction) == (RAM + 2, "svc #5")


def test_alignment_fault() -> None:
    fault = Guest(0xE1910F9F).fault(r1=DATA + 2)  # ldrex r0, [r1]
    assert "alignment fault" in fault.cause
    assert (fault.access, fault.address) == ("read", DATA + 2)


@pytest.mark.parametrize("hint", [0xE320F002, 0xE320F001], ids=["wfe", "yield"])
def test_hints_do_nothing(hint: int) -> None:
    guest = Guest(0xE3A00001, hint, hint, 0xE2800001, BX_LR)
    assert guest.cpu.call(RAM) == 2


def test_an_undefined_instruction_right_after_a_hint_is_found() -> None:
    fault = Guest(0xE320F002, 0xE7F000F0).fault()
    assert (fault.pc, fault.instruction) == (RAM + 4, "udf #0")


def test_waiting_for_ever_in_wfe_ends() -> None:
    fault = Guest(0xE320F002, 0xEAFFFFFD).fault()  # 1: wfe; b 1b
    assert "budget of" in fault.cause


def test_the_user_mode_is_named() -> None:
    fault = Guest(0xE321F0D0, 0xE7F000F0).fault()  # msr cpsr_c, usr
    assert fault.mode == "usr"


def test_after_a_fault_the_cpu_goes_on() -> None:
    guest = Guest(0xE5910000, BX_LR)
    guest.fault(r1=0x70000000)
    guest.memory.write_u32(DATA, 7)
    assert guest.cpu.call(RAM, 0, DATA) == 7


# Faults, MMU on.

RO, XN, NO_DOMAIN, HOLE, PAGES, NO_TABLE = (RAM + (n << 20) for n in range(1, 7))
PAGE_TABLE = RAM + 0x20000


@pytest.fixture(scope="module")
def mapped() -> Guest:
    guest = Guest(0xE5910000, 0xE5810000, 0xE12FFF11)
    guest.map(RO, section(RAM, mmu.AP.KERNEL_R))
    guest.map(XN, section(RAM, xn=True))
    guest.map(NO_DOMAIN, section(RAM, domain=5))
    guest.map(HOLE, section(0x70000000))
    guest.map(PAGES, mmu.PageTable(PAGE_TABLE))
    guest.map(NO_TABLE, mmu.PageTable(0x70000000))
    page = mmu.SmallPage(RAM, mmu.Attributes(mmu.AP.KERNEL_RW))
    guest.memory.write_u32(PAGE_TABLE, page.encode())
    guest.mmu_on()
    return guest


@pytest.mark.parametrize(
    ("access", "address", "cause"),
    [
        ("read", 0x71000000, "translation fault, L1 descriptor 0x00000000 at 0x60011c40"),
        ("write", 0x71000000, "translation fault, L1 descriptor 0x00000000 at 0x60011c40"),
        ("fetch", 0x71000000, "translation fault, L1 descriptor 0x00000000 at 0x60011c40"),
        ("write", RO + 4, "permission fault, mapped r-x/---"),
        ("fetch", XN, "permission fault, mapped execute-never"),
        ("read", NO_DOMAIN, "domain fault, domain 5 has no access (DACR 0x00000001)"),
        ("fetch", NO_DOMAIN, "domain fault, domain 5 has no access"),
        ("read", PAGES + 0x1008, "translation fault, L2 descriptor 0x00000000 at 0x60020004"),
        ("read", NO_TABLE, "its L2 descriptor at 0x70000000 is not in RAM"),
        ("read", HOLE + 0x10, "no RAM or device at this physical address"),
        ("write", HOLE + 0x10, "no RAM or device at this physical address"),
        ("fetch", HOLE + 0x10, "jump to nowhere"),
    ],
)
def test_mmu_faults(mapped: Guest, access: str, address: int, cause: str) -> None:
    start = RAM + {"read": 0, "write": 4, "fetch": 8}[access]
    fault = mapped.fault(pc=start, r1=address)
    assert cause in fault.cause
    assert fault.access == access
    in_hole = HOLE <= address < HOLE + (1 << 20)
    assert fault.address == (address - HOLE + 0x70000000 if in_hole else address)
    assert fault.pc == (address if access == "fetch" else start)


def test_user_mode_may_not_touch_what_is_the_kernels() -> None:
    guest = Guest(0xE321F0D0, 0xE5910000)
    guest.map(RO, section(RAM, mmu.AP.KERNEL_RW))
    guest.mmu_on()
    fault = guest.fault(r1=RO)
    assert (fault.mode, fault.cause) == ("usr", "data abort: permission fault, mapped rwx/---")


def test_unprivileged_loads_are_checked_as_user_accesses() -> None:
    guest = Guest(0xE4B10004)  # ldrt r0, [r1], #4
    guest.map(RO, section(RAM, mmu.AP.KERNEL_RW))
    guest.mmu_on()
    assert "permission fault" in guest.fault(r1=RO).cause


# Every form of address: the emulator does not tell the address, so what is worked out from the
# instruction must be where the access goes. ldm and stm fault at the word that has no memory.

END = RO  # the first address behind what is mapped
FORMS = [
    ("ldr r0, [r1, #4]", 0xE5910004, {"r1": END}, END + 4),
    ("ldr r0, [r1, #-4]!", 0xE5310004, {"r1": END + 4}, END),
    ("ldr r0, [r1], #4", 0xE4910004, {"r1": END}, END),
    ("ldr r0, [r1, r2, lsl #2]", 0xE7910102, {"r1": END, "r2": 3}, END + 12),
    ("ldr r0, [r1, -r2, lsl #2]", 0xE7110102, {"r1": END + 16, "r2": 2}, END + 8),
    ("ldr r0, [r1, r2, asr #1]", 0xE79100C2, {"r1": END + 8, "r2": 0xFFFFFFF8}, END + 4),
    ("ldr r0, [r1, r2, ror #4]", 0xE7910262, {"r1": END, "r2": 0x40}, END + 4),
    ("ldr r0, [r1], r2", 0xE6910002, {"r1": END, "r2": 64}, END),
    ("ldrb r0, [r1, #3]", 0xE5D10003, {"r1": END}, END + 3),
    ("ldrh r0, [r1, -r2]", 0xE11100B2, {"r1": END + 8, "r2": 6}, END + 2),
    ("ldrsh r0, [r1, #2]", 0xE1D100F2, {"r1": END}, END + 2),
    ("ldrd r2, r3, [r1]", 0xE1C120D0, {"r1": END}, END),
    ("str r0, [r1, #4]", 0xE5810004, {"r1": END}, END + 4),
    ("strd r2, r3, [r1]", 0xE1C120F0, {"r1": END}, END),
    ("swp r0, r2, [r1]", 0xE1010092, {"r1": END}, END),
    ("ldm r1, {r2-r5}", 0xE891003C, {"r1": END - 8}, END),
    ("ldmib r1, {r2-r5}", 0xE991003C, {"r1": END - 4}, END),
    ("ldmda r1, {r2-r5}", 0xE811003C, {"r1": END + 4}, END),
    ("ldmdb r1, {r2-r5}", 0xE911003C, {"r1": END + 8}, END),
    ("stm r1, {r2-r5}", 0xE881003C, {"r1": END - 8}, END),
    ("stmdb r1!, {r2-r5}", 0xE921003C, {"r1": END + 8}, END),
    ("push {r4, lr}", 0xE92D4010, {"r13": END + 12}, END + 4),
    ("pop {r4, pc}", 0xE8BD8010, {"r13": END - 4}, END),
    ("ldr r0, [r1, #2], over the edge", 0xE5910002, {"r1": END - 4}, END + 1),
]


@pytest.mark.parametrize(
    ("word", "registers", "address"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS]
)
def test_address_of_a_data_abort(word: int, registers: dict[str, int], address: int) -> None:
    guest = Guest(word)
    guest.mmu_on()
    fault = guest.fault(**registers)
    assert fault.address == address
    assert "translation fault" in fault.cause
    assert fault.access in ("read", "write")


# Budgets.


def test_budget_of_instructions_is_exact() -> None:
    guest = Guest(0xE2800001, 0xEAFFFFFD)  # 1: add r0, r0, #1; b 1b
    with pytest.raises(MachineFault, match="budget of 2500000 instructions used up"):
        guest.cpu.run(RAM, max_instructions=2_500_000)
    assert guest.cpu.register(0) == 1_250_000


def test_budget_of_time() -> None:
    guest = Guest(0xE2800001, 0xEAFFFFFD)
    start = time.monotonic()
    with pytest.raises(MachineFault, match=r"budget of 0\.1 s used up"):
        guest.cpu.run(RAM, max_instructions=None, timeout=0.1)
    assert time.monotonic() - start < 5


def test_endless_loops_end_without_being_told() -> None:
    start = time.monotonic()
    fault = Guest(NOP, 0xEAFFFFFD).fault()
    assert "budget of 200000000 instructions used up" in fault.cause
    assert time.monotonic() - start < 30


def test_counted_and_uncounted_runs_mix() -> None:
    guest = Guest(0xE2500001, 0x1AFFFFFD, BX_LR)  # 1: subs r0, r0, #1; bne 1b
    for limit in (None, 3_000_000, None, 3_000_000):
        assert guest.cpu.call(RAM, 1_000_000, max_instructions=limit) == 0
    with pytest.raises(MachineFault, match="budget of 1000"):
        guest.cpu.call(RAM, 1_000_000, max_instructions=1000)


@pytest.mark.parametrize("limit", [None, 1 << 40], ids=["uncounted", "counted"])
@pytest.mark.parametrize("trapping", [False, True])
def test_ctrl_c_ends_a_spinning_guest(limit: int | None, trapping: bool) -> None:
    guest = Guest(0xEB0003FE, 0xEAFFFFFD)  # 1: bl RAM + 0x1000; b 1b
    guest.code(RAM + 0x1000, BX_LR)
    if trapping:
        guest.cpu.set_traps(RAM + 0x1000, RAM + 0x1004, lambda cpu, index: None)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    handler = signal.getsignal(signal.SIGINT)
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        guest.cpu.run(RAM, max_instructions=limit)
    assert time.monotonic() - start < 5
    timer.join()
    assert signal.getsignal(signal.SIGINT) is handler


def test_runs_outside_the_main_thread() -> None:
    results = []
    guest = Guest(0xE3A00007, BX_LR)
    thread = threading.Thread(target=lambda: results.append(guest.cpu.call(RAM)))
    thread.start()
    thread.join()
    assert results == [7]


# Traps.

TRAPS = RAM + 0x2000


def trapping(handler: Callable[[Cpu, int], None]) -> Guest:
    """Code that calls trap 1 and adds 1 to what it returns."""
    guest = Guest(
        0xE1A0400E,  # mov r4, lr
        0xEB000000 + (TRAPS + 4 - RAM - 12 >> 2),  # bl TRAPS + 4
        0xE2800001,  # add r0, r0, #1
        0xE12FFF14,  # bx r4
    )
    guest.code(TRAPS, *[BX_LR] * 4)
    guest.cpu.set_register(13, STACK)
    guest.cpu.set_traps(TRAPS, TRAPS + 16, handler)
    return guest


def test_a_trap_gets_arguments_and_returns_a_result() -> None:
    seen = []

    def handler(cpu: Cpu, index: int) -> None:
        seen.append((index, cpu.arguments(), cpu.pc, cpu.lr))
        cpu.set_register(0, 41)

    assert trapping(handler).cpu.call(RAM, 1, 2, 3, 4) == 42
    assert seen == [(1, (1, 2, 3, 4), TRAPS + 4, RAM + 8)]


def test_a_trap_can_stop_the_cpu() -> None:
    guest = trapping(lambda cpu, index: cpu.stop())
    guest.cpu.run(RAM)
    assert (guest.cpu.pc, guest.cpu.lr) == (TRAPS + 4, RAM + 8)


def test_a_trap_set_again_has_its_new_handler() -> None:
    guest = trapping(lambda cpu, index: cpu.set_register(0, 1))
    assert guest.cpu.call(RAM) == 2
    guest.cpu.set_traps(TRAPS, TRAPS + 16, lambda cpu, index: cpu.set_register(0, 5))
    assert guest.cpu.call(RAM) == 6


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_what_a_handler_raises_comes_out(error: BaseException) -> None:
    def handler(cpu: Cpu, index: int) -> None:
        raise error

    guest = trapping(handler)
    with pytest.raises(type(error)) as caught:
        guest.cpu.call(RAM)
    assert caught.value is error
    assert guest.cpu.pc == TRAPS + 4


def test_a_handler_can_call_guest_code() -> None:
    def handler(cpu: Cpu, index: int) -> None:
        before = cpu.registers()[:15]
        assert cpu.call(RAM + 0x3000, 5) == 50
        assert cpu.registers()[:15] == before
        cpu.set_register(0, 7)

    guest = trapping(handler)
    guest.code(RAM + 0x3000, 0xE3A0100A, 0xE0000190, BX_LR)  # r0 *= 10
    assert guest.cpu.call(RAM) == 8


def test_calls_and_traps_nest() -> None:
    def handler(cpu: Cpu, index: int) -> None:
        n = cpu.arguments()[0]
        cpu.set_register(0, n if n == 0 else cpu.call(RAM, n - 1))

    assert trapping(handler).cpu.call(RAM, 20) == 21


def test_a_fault_below_a_trap_comes_out_and_leaves_pc_at_the_trap() -> None:
    def handler(cpu: Cpu, index: int) -> None:
        cpu.call(RAM + 0x3000)

    guest = trapping(handler)
    guest.code(RAM + 0x3000, 0xE7F000F0)
    with pytest.raises(MachineFault, match="undefined instruction"):
        guest.cpu.call(RAM)
    assert guest.cpu.pc == TRAPS + 4


def test_a_handler_can_survive_a_fault_below_it() -> None:
    def handler(cpu: Cpu, index: int) -> None:
        with pytest.raises(MachineFault):
            cpu.call(RAM + 0x3000)
        cpu.set_register(0, 3)

    guest = trapping(handler)
    guest.code(RAM + 0x3000, 0xE7F000F0)
    guest.cpu.set_register(14, 0)
    assert guest.cpu.call(RAM) == 4


@pytest.mark.parametrize("limit", [None, 1 << 30], ids=["uncounted", "counted"])
def test_a_handler_may_write_code_and_run_it(limit: int | None) -> None:
    other = RAM + 0x3000

    def handler(cpu: Cpu, index: int) -> None:
        guest.code(other, 0xE3A00000 + cpu.arguments()[0], BX_LR)  # mov r0, #n
        cpu.invalidate_code(other, 8)
        cpu.set_register(0, cpu.call(other, max_instructions=limit))

    guest = trapping(handler)
    for n in range(50):
        assert guest.cpu.call(RAM, n) == n + 1


def test_a_handler_of_an_uncounted_run_cannot_run_guest_code() -> None:
    guest = trapping(lambda cpu, index: cpu.set_register(0, cpu.call(RAM + 0x3000)))
    with pytest.raises(BootsimError, match="only while instructions count"):
        guest.cpu.call(RAM, max_instructions=None)


def test_a_handler_may_replace_itself_but_not_set_other_traps() -> None:
    def first(cpu: Cpu, index: int) -> None:
        with pytest.raises(BootsimError, match="cannot be set while the CPU runs"):
            cpu.set_traps(RAM + 0x3000, RAM + 0x3004, second)
        cpu.set_traps(TRAPS, TRAPS + 16, second)
        cpu.set_register(0, 10)

    def second(cpu: Cpu, index: int) -> None:
        cpu.set_register(0, 20)

    guest = trapping(first)
    assert [guest.cpu.call(RAM), guest.cpu.call(RAM)] == [11, 21]


def test_stop_after_a_call_in_a_handler_still_stops_there() -> None:
    def handler(cpu: Cpu, index: int) -> None:
        cpu.stop()
        cpu.call(RAM + 0x3000)

    guest = trapping(handler)
    guest.code(RAM + 0x3000, BX_LR)
    guest.cpu.run(RAM)
    assert (guest.cpu.pc, guest.cpu.lr) == (TRAPS + 4, RAM + 8)


def test_a_running_cpu_is_not_closed() -> None:
    with pytest.raises(BootsimError, match="while it runs"):
        trapping(lambda cpu, index: cpu.close()).cpu.call(RAM)


def test_a_device_error_is_a_fault_at_its_instruction() -> None:
    fault = Guest(NOP, NOP, 0xE5810010).fault(r1=UART)
    assert "PL011 has no register at offset 0x010" in fault.cause
    assert (fault.pc, fault.access, fault.address) == (RAM + 8, "write", UART + 0x10)
    guest = Guest(NOP, NOP, 0xE5810010)
    guest.cpu.set_register(1, UART)
    with pytest.raises(MachineFault, match="pc is behind it"):
        guest.cpu.run(RAM, max_instructions=None)


# The MMU: our walk and the CPU's own.

LEAVES = st.sampled_from(["none", "section", "supersection", "small", "large", "no table"])


WINDOW = 0x80000000  # eight times 16 MiB, each mapped in its own way


def leaf(kind: str, index: int, rng: random.Random) -> mmu.L2Entry:
    rights = mmu.Attributes(mmu.AP.RW)
    if kind == "large":
        return mmu.LargePage(DATA + (index // 16 << 16), rights)
    if rng.random() < 0.5:
        return mmu.SmallPage(DATA + (rng.randrange(256) << 12), rights)
    return mmu.Fault()


def map_window(guest: Guest, number: int, kind: str, rng: random.Random) -> None:
    virt = WINDOW + (number << 24)
    table = PAGE_TABLE + number * mmu.L2_SIZE
    if kind in ("section", "supersection"):
        for index in range(16):
            entry: mmu.L1Entry = section(rng.choice((RAM, DATA)))
            if kind == "supersection":
                entry = mmu.Supersection(RAM, mmu.Attributes(mmu.AP.RW))
            guest.map(virt + (index << 20), entry)
    elif kind != "none":
        guest.map(virt, mmu.PageTable(0x70000000 if kind == "no table" else table))
        for index in range(mmu.L2_ENTRIES):
            guest.memory.write_u32(table + 4 * index, leaf(kind, index, rng).encode())


@settings(max_examples=12, deadline=None)
@given(st.lists(LEAVES, min_size=8, max_size=8), st.randoms(use_true_random=False))
def test_walk_agrees_with_the_cpu(kinds: list[str], rng: random.Random) -> None:
    guest = Guest(0xE5910000, BX_LR)  # ldr r0, [r1]
    memory = guest.memory
    words = struct.pack("<262144I", *range(0xA0000000, 0xA0040000))
    memory.write(DATA, words)
    for number, kind in enumerate(kinds):
        map_window(guest, number, kind, rng)
    guest.mmu_on()
    for number in range(8):
        for size in (1 << 20, 1 << 20, 1 << 20, 1 << 24):
            virt = WINDOW + (number << 24) + (rng.randrange(size) & ~3)
            try:
                expected = memory.read_u32(mmu.walk(memory, TABLE, virt).phys)
            except mmu.TranslationFault as fault:
                with pytest.raises(MachineFault) as caught:
                    guest.cpu.call(RAM, 0, virt)
                assert fault.found in caught.value.cause
                assert caught.value.address == virt
            else:
                assert guest.cpu.call(RAM, 0, virt) == expected
                assert guest.cpu.read(virt, 4) == expected.to_bytes(4, "little")


def test_page_tables_that_the_host_changed_count_once_the_tlb_is_flushed() -> None:
    guest = Guest(0xE5910000, BX_LR)
    guest.memory.write_u32(DATA, 1)
    guest.memory.write_u32(RAM + 0x200000, 2)
    guest.map(0x80000000, section(DATA))
    guest.mmu_on()
    assert guest.cpu.call(RAM, 0, 0x80000000) == 1
    guest.map(0x80000000, section(RAM + 0x200000))
    guest.cpu.flush_tlb_all()
    assert guest.cpu.call(RAM, 0, 0x80000000) == 2


# No guest harms the host.


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=24),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_random_code_ends_in_a_fault_or_where_it_should(
    words: list[int], thumb: bool, mmu_on: bool, counted: bool
) -> None:
    guest = Guest(*words)
    guest.cpu.set_register(13, STACK)
    for number in range(8):
        guest.cpu.set_register(number, (DATA, UART, 0x80000000, 0)[number % 4] + 4 * number)
    if mmu_on:
        guest.mmu_on()
    try:
        guest.cpu.call(RAM | thumb, max_instructions=20_000 if counted else None, timeout=0.05)
    except MachineFault as fault:
        assert str(fault).count("\n") == 0
    assert len(guest.cpu.registers()) == 16


@pytest.mark.parametrize("limit", [None, 1 << 20], ids=["uncounted", "counted"])
@pytest.mark.parametrize("table", [UART, 0x70000000, RAM + RAM_SIZE - 0x4000])
def test_page_tables_in_strange_places(table: int, limit: int | None) -> None:
    """In a device whose registers the walk reads, in no memory, and in zeroes."""
    guest = Guest(NOP, NOP)
    guest.code(RAM + 0x4000, 0xEE020F10, 0xEE031F10, 0xEE012F10, BX_LR)  # as in mmu_on()
    with pytest.raises(MachineFault):
        guest.cpu.call(RAM + 0x4000, table, 1, 0x10C5387D, max_instructions=limit)
    with pytest.raises(MachineFault):
        guest.cpu.run(RAM, max_instructions=limit)


def test_many_cpus_are_independent() -> None:
    guests = [Guest(0xE3A00000 + n, BX_LR) for n in range(8)]
    for guest in guests:
        guest.mmu_on()
    assert [guest.cpu.call(RAM) for guest in guests] == list(range(8))


def test_a_dropped_cpu_is_freed_at_once() -> None:
    gc.disable()
    try:
        guest = trapping(lambda cpu, index: None)
        guest.cpu.call(RAM)
        bank = guest.memory.banks[0]
        with pytest.raises(BufferError):
            bank.mapping.resize(4096)  # the emulator holds the RAM
        released = weakref.ref(guest.cpu)
        del guest
        assert released() is None
        bank.view.release()
        bank.mapping.close()  # nobody holds it any more
    finally:
        gc.enable()


def test_many_cpus_one_after_another_cost_no_memory() -> None:
    memory = PhysMemory([(RAM, RAM_SIZE)])
    memory.write(RAM, struct.pack("<I", BX_LR))
    sizes = []
    gc.disable()
    try:
        for _ in range(30):
            Cpu(memory, [(UART, 0x1000, PL011())]).call(RAM)
            sizes.append(address_space())
    finally:
        gc.enable()
    assert sizes[-1] - sizes[4] < 64 << 20  # each reserves 1 GiB while it lives


def address_space() -> int:
    """Bytes of address space that this process has reserved."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        missing("needs /proc/self/statm")
    return int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def test_a_closed_cpu_says_so() -> None:
    cpu = Guest(BX_LR).cpu
    cpu.close()
    cpu.close()
    for use in (lambda: cpu.pc, lambda: cpu.call(RAM), lambda: cpu.sctlr, cpu.registers):
        with pytest.raises(BootsimError, match="the Cpu is closed"):
            use()


def test_device_ranges_are_checked() -> None:
    memory = PhysMemory([(RAM, RAM_SIZE)])
    with pytest.raises(BootsimError, match="PL011 at 0x60000000"):
        Cpu(memory, [(RAM, 0x1000, PL011())])
    with pytest.raises(BootsimError, match="PL011 at 0x10009004"):
        Cpu(memory, [(0x10009004, 0x1000, PL011())])
