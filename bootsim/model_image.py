"""The model kernel's image: its head and guest code in RAM, and the guard below its stack."""

from __future__ import annotations

from bootsim.kernel.memory import PAGE_SIZE, round_down, round_up
from bootsim.kernel.profile import Profile
from bootsim.loader import Placement
from bootsim.machine.firmware import Firmware, FirmwareParams, load_firmware
from bootsim.machine.machine import Machine
from bootsim.machine.memory import Range

_STACK_GUARD = 64 << 10  # bytes: no function of the kernel's takes more at once
_THREAD_START_SP = 0x2000 - 8  # arch/arm/include/asm/thread_info.h


def stack_guard(profile: Profile, placement: Placement) -> Range:
    """Physical memory below the first stack, as far as nothing of the kernel lies there.

    Linux finds out later, if at all, that a stack has grown into it.
    """
    stack = profile.symbols["init_thread_union"]
    below = max(address for address in profile.symbols.values() if address < stack)
    start = max(round_up(below + 1, PAGE_SIZE), stack - _STACK_GUARD)
    size = max(round_down(stack, PAGE_SIZE) - start, 0)
    return Range(profile.linear(placement.phys_offset).virt_to_phys(start), size)


def load_kernel(machine: Machine, profile: Profile, placement: Placement) -> Firmware:
    """Put the kernel's image into RAM: its head, its guest code, its zeroed data."""
    symbols = profile.symbols
    machine.memory.zero(placement.kernel.base, placement.kernel.size)
    return load_firmware(
        machine.memory,
        FirmwareParams(
            phys_offset=placement.phys_offset,
            page_offset=profile.layout.page_offset,
            text_offset=profile.layout.text_offset,
            stext=symbols["_stext"],
            end=symbols["_end"],
            dtb=placement.dtb.base,
            processor_id=symbols["processor_id"],
            machine_arch_type=symbols["__machine_arch_type"],
            atags_pointer=symbols["__atags_pointer"],
            cr_alignment=symbols["cr_alignment"],
            init_sp=symbols["init_thread_union"] + _THREAD_START_SP,
            uart=machine.uart_base,
        ),
    )
