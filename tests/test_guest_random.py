"""Random code on the emulated CPU: it ends in a report or returns, and never harms the host."""

from __future__ import annotations

import time
from random import Random

import pytest

from bootsim.errors import KernelPanic, MachineFault
from bootsim.guest.driver import kernel_symbols
from bootsim.guest.guest import Budget, Guest
from bootsim.guest.report import GuestFault
from bootsim.guest.stubs import KernelSymbols
from bootsim.kernel.profile_file import load_profile
from bootsim.simulate import Boot
from tests.trees import board

PROFILE = load_profile("linux-5.0")
SYMBOLS = kernel_symbols(PROFILE, "5.0")
SMALL = board((0x60000000, 64 << 20))
BUDGET = Budget(instructions=3000, seconds=1.0)
SECONDS_MAX = 1.5  # of a run and its report

_ADDRESSES = (
    *(0, 4, 0x60000000, 0x60004000, 0x63FFFFFC, 0x64000000, 0x80000000, 0x80004000, 0x80008000),
    *(0x80100000, 0x80108000, 0x80B02040, 0x80B5A040, 0x80B01FF0, 0x83FFFFFC, 0x10009000),
    *(0xFFFF0000, 0xFFFFFFFC, 0xDEADBEEF, 0x7FFFFFFF, 0xC0000000),
)
_CP15 = (  # opc1, CRn, CRm, opc2: SCTLR, ACTLR, CPACR, TTBR0, TTBCR, DACR, TLBIALL, ICIALLU, VBAR
    *((0, 1, 0, 0), (0, 1, 0, 1), (0, 1, 0, 2), (0, 2, 0, 0), (0, 2, 0, 2), (0, 3, 0, 0)),
    *((0, 8, 7, 0), (0, 7, 5, 0), (0, 12, 0, 0)),
)


def guest_of_a_new_boot() -> tuple[Boot, Guest]:
    """In the middle of a boot of its own: code could leave nothing of the machine as it was."""
    boot = Boot(dtb=SMALL, profile=PROFILE, until="cmd_line").run()
    kernel = boot.started_kernel
    cpu = boot.machine.cpu
    return boot, Guest(cpu, kernel.memblock, SYMBOLS, kernel=kernel, budget=BUDGET)


@pytest.mark.parametrize(
    ("first", "count"),
    [(0, 200), pytest.param(200, 2000, marks=pytest.mark.slow)],
    ids=["some", "many"],
)
def test_random_code_returns_or_is_reported(first: int, count: int) -> None:
    reports = returns = 0
    for seed in range(first, first + count):
        boot, guest = guest_of_a_new_boot()  # which lives as long as the boot does
        code = random_code(Random(seed), SYMBOLS.end, SYMBOLS)
        guest.memory.write(SYMBOLS.end, code)
        start = time.monotonic()
        try:
            guest.call(SYMBOLS.end)
            returns += 1
        except (MachineFault, KernelPanic) as error:
            assert isinstance(error, GuestFault | KernelPanic), f"seed {seed}"
            assert error.exit_code == 1
            assert "\n" not in str(error), f"seed {seed}"
            assert any("  sp " in line for line in error.details), f"seed {seed}"
            reports += 1
        assert time.monotonic() - start < SECONDS_MAX, f"seed {seed}"
        assert boot.stage == "cmd_line"
    assert reports > count // 2
    assert returns > 0


# What is run.


def random_code(random: Random, at: int, symbols: KernelSymbols) -> bytes:
    """Code to lie at `at`: of three kinds, up to 64 words."""
    count = random.randint(1, 64)
    kind = random.random()
    if kind < 0.15:
        return random.randbytes(4 * count)
    if kind < 0.3:  # Thumb code, as likely as not
        switch = 0xE28F0001, 0xE12FFF10  # add r0, pc, #1; bx r0
        return _words(*switch) + random.randbytes(4 * count)
    tame = kind < 0.65  # calls of the kernel with arguments of all kinds: it goes further
    stubs = list(symbols.addresses().values())[: len(symbols.names)]
    code = b""
    while len(code) < 4 * count:
        number = random.choice((0, 1, 1, 1, 7, 8)) if tame else random.randrange(14)
        code += _words(*_instructions(random, number, at + len(code), stubs))
    return code + _words(0xE12FFF1E)  # bx lr


def _words(*words: int) -> bytes:
    return b"".join((word & 0xFFFFFFFF).to_bytes(4, "little") for word in words)


def _instructions(random: Random, number: int, at: int, stubs: list[int]) -> tuple[int, ...]:
    """One thing to do, in ARM instructions for address `at` (ARM ARM DDI 0406C, A5)."""
    always = 0xE << 28
    cond = random.choice((always, always, always, random.randrange(15) << 28))
    rd, rn, rm = (random.randrange(13) for _ in range(3))
    argument = random.randrange(4)
    immediate = random.getrandbits(12)
    match number:
        case 0 | 1:  # a constant
            size = random.getrandbits(random.randrange(33))
            value = random.choice((size, size & -0x1000, random.choice(_ADDRESSES) + size % 64))
            low = 0x03000000 | (value & 0xF000) << 4 | argument << 12 | value & 0xFFF
            high = 0x03400000 | (value >> 12 & 0xF0000) | argument << 12 | value >> 16 & 0xFFF
            return always | low, always | high
        case 2:  # data processing
            return (cond | random.getrandbits(26) & 0x03FFFFFF,)
        case 3 | 4:  # LDR, STR
            return (
                cond | 0x04000000 | random.getrandbits(5) << 20 | rn << 16 | rd << 12 | immediate,
            )
        case 5:  # LDM, STM
            return (
                cond | 0x08000000 | random.getrandbits(5) << 20 | rn << 16 | random.getrandbits(16),
            )
        case 6:  # B, BL nearby
            return (
                cond
                | 0x0A000000
                | random.getrandbits(1) << 24
                | random.randint(-20, 20) & 0xFFFFFF,
            )
        case 7 | 8:  # a call of the kernel
            offset = random.choice(stubs) - at - 8
            return (always | 0x0B000000 | offset >> 2 & 0xFFFFFF,)
        case 9:  # MCR, MRC
            opc1, crn, crm, opc2 = random.choice(_CP15)
            read = random.getrandbits(1)
            return (
                always
                | 0x0E000F10
                | opc1 << 21
                | read << 20
                | crn << 16
                | rd << 12
                | opc2 << 5
                | crm,
            )
        case 10:  # CPS, SETEND, MSR
            return (
                random.choice(
                    (
                        0xF1020000 | random.getrandbits(5),
                        0xF1010200,
                        0xE129F000 | rm,
                        0xE16FF000 | rm,
                    )
                ),
            )
        case 11:  # WFI, WFE, SVC, BKPT, UDF, CLREX
            return (
                random.choice(
                    (0xE320F003, 0xE320F002, 0xEF000000, 0xE1200070, 0xE7F000F0, 0xF57FF01F)
                ),
            )
        case 12:  # jumps, to Thumb code too
            return (random.choice((0xE12FFF10, 0xE12FFF30, 0xE1A0F000)) | rm,)
        case _:  # the stack
            return (cond | random.choice((0x092D0000, 0x08BD0000)) | random.getrandbits(16),)
