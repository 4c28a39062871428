"""SMC and HVC reach the machine's firmware, which answers as PSCI 1.0 does."""

from __future__ import annotations

import struct

import pytest

from bootsim.errors import MachineFault
from bootsim.machine.absent import absent_cp15
from bootsim.machine.cpu import Cpu
from bootsim.machine.memory import PhysMemory
from bootsim.machine.psci import psci_call

RAM = 0x60000000
SMC, HVC, BX_LR = 0xE1600070, 0xE1400070, 0xE12FFF1E
ADD_R0_2 = 0xE2800002
NOT_SUPPORTED = 0xFFFFFFFF


def machine(code: bytes) -> Cpu:
    memory = PhysMemory([(RAM, 1 << 20)])
    memory.write(RAM, code)
    cpu = Cpu(memory)
    cpu.firmware = psci_call
    return cpu


# Function ids, arguments and answers: ARM DEN 0022D, tables 3 and 5.
@pytest.mark.parametrize(
    ("function", "argument", "answer"),
    [
        (0x84000000, 0, 0x10000),
        (0x84000006, 0, 2),
        (0x8400000A, 0x84000006, 0),
        (0x8400000A, 0x84000003, NOT_SUPPORTED),  # CPU_ON: there is one CPU
        (0x84000001, 0, NOT_SUPPORTED),
        (0x82000001, 1, NOT_SUPPORTED),  # a vendor's own
    ],
)
@pytest.mark.parametrize("conduit", [SMC, HVC], ids=["smc", "hvc"])
def test_answers(conduit: int, function: int, argument: int, answer: int) -> None:
    cpu = machine(struct.pack("<2I", conduit, BX_LR))
    for limit in (10, None):  # counted and not
        assert cpu.call(RAM, function, argument, max_instructions=limit) == answer


@pytest.mark.parametrize("conduit", [SMC, HVC], ids=["smc", "hvc"])
def test_what_follows_a_call_runs_once(conduit: int) -> None:
    cpu = machine(struct.pack("<5I", conduit, ADD_R0_2, conduit, ADD_R0_2, BX_LR))
    assert cpu.call(RAM, 0x84000006) == (NOT_SUPPORTED + 2) & 0xFFFFFFFF


@pytest.mark.parametrize("call", [(0xF7F0, 0x8000), (0xF7E0, 0x8000)], ids=["smc", "hvc"])
def test_calls_from_thumb_code(call: tuple[int, int]) -> None:
    cpu = machine(struct.pack("<4H", *call, 0x3001, 0x4770))  # adds r0, #1; bx lr
    assert cpu.call(RAM | 1, 0x84000000) == 0x10001


def test_registers_of_cp15_that_are_not_there() -> None:
    # mrc p15, 0, r0, c1, c1, 0 (SCR); mrrc p15, 4, r1, r2, c14 (CNTVOFF); mcr back; bx lr
    code = struct.pack("<4I", 0xEE110F11, 0xEC521F4E, 0xEE010F11, BX_LR)
    cpu = machine(code)
    with pytest.raises(MachineFault, match="undefined instruction"):
        cpu.call(RAM, 1, 2, 3)
    cpu.absent_cp15 = absent_cp15
    cpu.set_register(2, 3)
    cpu.run(RAM, until=RAM + 12)
    assert [cpu.register(number) for number in range(3)] == [0, 0, 0]
