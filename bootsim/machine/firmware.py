"""The firmware: what runs on the CPU before the model kernel, and the guest code that it keeps.

Three flat binaries out of `firmware/`, each running wherever it is placed:

    boot    what a boot loader leaves behind, at PHYS_OFFSET
    head    Linux's arch/arm/kernel/head.S in behaviour, at PHYS_OFFSET + TEXT_OFFSET
    text    functions of the model kernel that are guest code, at _stext

Loading them is what a linker and a boot loader do: parameters are written into their blocks.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from bootsim.errors import BootsimError
from bootsim.machine.cpu import Cpu
from bootsim.machine.devices import PL011
from bootsim.machine.memory import PhysMemory
from bootsim.resources import resource_path

MACHINE_TYPE_DT = 0xFFFFFFFF  # r1 where the device tree says what the machine is
PG_DIR_SIZE = 0x4000  # arch/arm/kernel/head.S, without LPAE

# DACR_INIT with CONFIG_CPU_SW_DOMAIN_PAN: domains 0 (kernel), 2 (I/O) and 3 (vectors) client, 1
# (user) no access. arch/arm/include/asm/domain.h.
DACR_INIT = 0x51

# The blocks at the end of firmware/boot.S and firmware/head.S.
_BOOT_PARAMS = struct.Struct("<3I")
_HEAD_PARAMS = struct.Struct("<12I")


@dataclass(frozen=True, slots=True)
class FirmwareParams:
    """Where a kernel build and a boot loader put things; bytes, virtual unless said otherwise."""

    phys_offset: int  # physical: the start of RAM
    page_offset: int
    text_offset: int
    stext: int
    end: int
    dtb: int  # physical
    processor_id: int
    machine_arch_type: int
    atags_pointer: int
    cr_alignment: int
    init_sp: int
    uart: int | None = None  # physical: where the head reports errors
    fdt_fixed_base: int | None = None  # None: the blob is seen in the linear map
    dacr: int = DACR_INIT

    @property
    def entry(self) -> int:
        """Physical address of the kernel's first instruction."""
        return self.phys_offset + self.text_offset

    @property
    def swapper_pg_dir(self) -> int:
        """Physical address of the first page table."""
        return self.entry - PG_DIR_SIZE

    def virt_to_phys(self, virt: int) -> int:
        return virt - self.page_offset + self.phys_offset

    def phys_to_virt(self, phys: int) -> int:
        return phys - self.phys_offset + self.page_offset

    @property
    def dtb_virt(self) -> int:
        """Where the kernel sees the blob."""
        if self.fdt_fixed_base is None:
            return self.phys_to_virt(self.dtb) & 0xFFFFFFFF
        return self.fdt_fixed_base + self.dtb % (1 << 20)


@dataclass(frozen=True, slots=True)
class Firmware:
    """The firmware as it lies in RAM."""

    params: FirmwareParams
    boot: Mapping[str, int]  # symbols: physical addresses
    head: Mapping[str, int]  # physical
    text: Mapping[str, int]  # virtual, as are the functions that `Cpu.call` calls

    @property
    def reset(self) -> int:
        """Physical address where the CPU starts."""
        return self.boot["boot"]

    def symbol(self, name: str) -> int:
        """Virtual address of a function of the text part, for `Cpu.call`."""
        return self.text[name]

    def run(self, cpu: Cpu) -> None:
        """Run from reset to start_kernel(): the CPU is then in its trap, with the MMU on.

        Raises HeadError if the head gives up, with what it printed on the UART; MachineFault.
        """

        def gave_up(cpu: Cpu, _index: int) -> None:
            uarts = (device for base, _, device in cpu.devices if base == self.params.uart)
            raise HeadError("".join(uart.text for uart in uarts if isinstance(uart, PL011)))

        error = self.head["error"]
        cpu.set_traps(error, error + 4, gave_up)
        cpu.set_traps(self.text["traps"], self.text["traps_end"], lambda cpu, _index: cpu.stop())
        cpu.run(self.reset)
        cpu.return_address = self.text["call_return"]


class HeadError(BootsimError):
    """The kernel's head gave up; `text` is what it printed on the UART."""

    exit_code = 1

    def __init__(self, text: str) -> None:
        self.text = text
        said = " ".join(text.split())
        super().__init__(f"the kernel's head stopped: {said or '(no UART to say why)'}")


def load_firmware(memory: PhysMemory, params: FirmwareParams) -> Firmware:
    """Write the firmware into RAM; raises BootsimError where it does not fit there."""
    if params.phys_offset % (1 << 20) or params.page_offset % (1 << 20):
        raise BootsimError(
            f"PHYS_OFFSET {params.phys_offset:#x} and PAGE_OFFSET {params.page_offset:#x} "
            "must be multiples of 1 MiB, the size of a section"
        )
    if params.text_offset < 2 * PG_DIR_SIZE or params.text_offset % PG_DIR_SIZE:
        raise BootsimError(
            f"TEXT_OFFSET {params.text_offset:#x} leaves no aligned room for the page table below"
        )
    symbols = json.loads(resource_path("firmware", "symbols.json").read_text())

    def place(part: str, phys: int, seen_at: int) -> dict[str, int]:
        memory.write(phys, resource_path("firmware", f"{part}.bin").read_bytes())
        return {name: seen_at + offset for name, offset in symbols[part].items()}

    boot = place("boot", params.phys_offset, params.phys_offset)
    head = place("head", params.entry, params.entry)
    text = place("text", params.virt_to_phys(params.stext), params.stext)
    memory.write(boot["boot_params"], _BOOT_PARAMS.pack(MACHINE_TYPE_DT, params.dtb, params.entry))
    memory.write(
        head["head_params"],
        _HEAD_PARAMS.pack(
            params.text_offset,
            params.page_offset,
            params.end,
            params.fdt_fixed_base or 0,
            params.dacr,
            params.uart or 0,
            params.processor_id,
            params.machine_arch_type,
            params.atags_pointer,
            params.cr_alignment,
            text["start_kernel"],
            params.init_sp,
        ),
    )
    return Firmware(params, boot, head, text)
