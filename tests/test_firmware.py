"""The firmware on the CPU: from reset to start_kernel(), and the guest code that stays."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bootsim.errors import BootsimError, MachineFault
from bootsim.machine import mmu
from bootsim.machine.cpu import Cpu
from bootsim.machine.devices import PL011
from bootsim.machine.firmware import Firmware, FirmwareParams, HeadError, load_firmware
from bootsim.machine.memory import PhysMemory
from bootsim.resources import resource_path
from tests.requirements import need_module

UART = 0x10009000
FDT_MAGIC = bytes.fromhex("d00dfeed")

SECTIONS = 1 << 20
VARIABLES = ("processor_id", "machine_arch_type", "atags_pointer", "cr_alignment")


def params(
    phys_offset: int, page_offset: int, text_offset: int, stext: int, end: int, dtb: int
) -> FirmwareParams:
    data = end - 0x10000 & ~0xFFFF
    places = {name: data + 4 * n for n, name in enumerate(VARIABLES)}
    return FirmwareParams(
        phys_offset=phys_offset,
        page_offset=page_offset,
        text_offset=text_offset,
        stext=stext,
        end=end,
        dtb=dtb,
        init_sp=data + 0x4000 - 8,
        uart=UART,
        **places,
    )


# The vexpress kernel of the seed (2G/2G split), and a Debian armmp kernel at two places.
LINUX_5_0 = params(0x60000000, 0x80000000, 0x8000, 0x80100000, 0x80B90998, 0x69CF7000)
ARMMP = replace(
    params(0x60000000, 0xC0000000, 0x208000, 0xC0300000, 0xC1607588, 0x680FFFFC),
    fdt_fixed_base=0xFF800000,
)
LAYOUTS = {
    "linux-5.0": LINUX_5_0,
    "armmp": ARMMP,
    "armmp-at-0": replace(ARMMP, phys_offset=0, dtb=0x04000000),
    "at-0x80000000": replace(LINUX_5_0, phys_offset=0x80000000, dtb=0x88000000),
}


class Machine:
    def __init__(self, params: FirmwareParams, blob: bytes = FDT_MAGIC, fill: int = 0) -> None:
        self.params = params
        self.memory = PhysMemory([(params.phys_offset, 256 << 20)], fill=fill)
        self.uart = PL011()
        self.cpu = Cpu(self.memory, [(UART, 0x1000, self.uart)])
        if self.memory.contains(params.dtb, len(blob)):
            self.memory.write(params.dtb, blob)
        self.firmware = load_firmware(self.memory, params)

    def boot(self) -> Machine:
        self.firmware.run(self.cpu)
        return self

    def call(self, name: str, *arguments: int) -> int:
        return self.cpu.call(self.firmware.symbol(name), *arguments)


@pytest.fixture(params=LAYOUTS, ids=str)
def machine(request: pytest.FixtureRequest) -> Machine:
    return Machine(LAYOUTS[request.param], fill=0xA5).boot()


def test_start_kernel_is_reached_in_the_linear_map_with_the_mmu_on(machine: Machine) -> None:
    cpu, params = machine.cpu, machine.params
    assert cpu.pc == machine.firmware.symbol("traps")
    assert cpu.pc == params.stext
    assert cpu.sctlr == 0x10C5387D
    assert cpu.mode == "svc"
    assert cpu.cpsr & 0xC0 == 0xC0
    assert cpu.sp == params.init_sp
    assert cpu.lr == 0
    assert machine.uart.output == b""


def test_cp15_is_as_linux_leaves_it(machine: Machine) -> None:
    cpu = machine.cpu
    assert cpu.ttbr0 == machine.params.swapper_pg_dir | 0x59  # TTB_FLAGS_UP
    assert cpu.cp15(2, 0, 0, 1) == cpu.ttbr0  # TTBR1
    assert cpu.ttbcr == 0
    assert cpu.dacr == 0x51
    assert cpu.cp15(10, 0, 2, 0) == 0xFF0A81A8  # PRRR
    assert cpu.cp15(10, 0, 2, 1) == 0x40E040E0  # NMRR


def test_what_the_head_stores(machine: Machine) -> None:
    params = machine.params
    stored = [
        machine.memory.read_u32(params.virt_to_phys(getattr(params, name))) for name in VARIABLES
    ]
    assert stored == [0x410FC090, 0xFFFFFFFF, params.dtb, 0x10C5387D]


def test_page_table_is_the_one_that_linux_makes(machine: Machine) -> None:
    """Every word of it: the kernel's sections, the identity section, two for the blob."""
    params = machine.params
    flags = 0xC0E  # SECT | B | C | AP_WRITE | AP_READ
    expected = dict.fromkeys(range(mmu.L1_ENTRIES), 0)
    expected[params.entry >> 20] = params.entry & ~0xFFFFF | flags
    for virt in range(params.page_offset, params.end, SECTIONS):
        expected[virt >> 20] = params.virt_to_phys(virt) | flags
    for section in (0, 1):
        expected[(params.dtb_virt >> 20) + section] = (params.dtb >> 20) + section << 20 | flags
    table = machine.memory.words(params.swapper_pg_dir, mmu.L1_ENTRIES)
    assert dict(enumerate(table)) == expected


def test_the_guest_reads_its_blob_where_the_kernel_sees_it(machine: Machine) -> None:
    params = machine.params
    assert machine.call("guest_load32", params.dtb_virt) == 0xEDFE0DD0
    assert machine.cpu.translate(params.dtb_virt) == params.dtb
    assert machine.cpu.translate(params.dtb_virt + SECTIONS) == params.dtb + SECTIONS


def test_registers_as_guest_code_reads_them(machine: Machine) -> None:
    assert machine.call("read_cpuid_id") == 0x410FC090
    assert machine.call("read_cpuid_cachetype") == 0x80038003
    assert machine.call("read_cpuid_mpidr") == 0x80000000
    assert machine.call("read_cpuid_mmfr0") & 0xF == 3  # VMSAv7
    assert machine.call("get_cr") == 0x10C5387D
    assert machine.call("get_ttbr0") == machine.cpu.ttbr0
    assert machine.call("get_ttbcr") == 0
    assert machine.call("get_dacr") == 0x51


def test_cache_size_of_the_instruction_cache(machine: Machine) -> None:
    machine.call("set_csselr", 1)
    ccsidr = machine.call("read_ccsidr")
    ways, sets, words = (ccsidr >> 3 & 0x3FF) + 1, (ccsidr >> 13 & 0x7FFF) + 1, 4 << (ccsidr & 7)
    assert ways * sets * words * 4 in (16 << 10, 32 << 10, 64 << 10)  # DDI 0388, 1.5.1


def test_nothing_above_the_kernel_is_mapped(machine: Machine) -> None:
    above = machine.params.end + 2 * SECTIONS
    with pytest.raises(MachineFault, match="translation fault") as caught:
        machine.call("guest_load8", above)
    assert (caught.value.access, caught.value.address) == ("read", above)


def test_flushing_the_tlb_makes_a_new_mapping_seen(machine: Machine) -> None:
    params = machine.params
    virt = params.page_offset + 0x08000000
    machine.memory.write_u32(params.phys_offset + 0x08000010, 0xCAFE)
    first = mmu.Section(params.phys_offset, mmu.Attributes(mmu.AP.KERNEL_RW))
    slot = params.swapper_pg_dir + (virt >> 20) * 4
    machine.memory.write_u32(slot, first.encode())
    machine.call("guest_load32", virt + 0x10)
    machine.memory.write_u32(slot, replace(first, base=params.phys_offset + 0x08000000).encode())
    machine.call("local_flush_tlb_all")
    assert machine.call("guest_load32", virt + 0x10) == 0xCAFE


# The probes.


@pytest.fixture(scope="module")
def booted() -> Machine:
    return Machine(LINUX_5_0).boot()


BUFFER = 0x80400000  # in the kernel's sections


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("size", [0, 1, 3, 24, 25, 61, 200])
def test_find_not_finds_each_byte(booted: Machine, start: int, size: int) -> None:
    phys = LINUX_5_0.virt_to_phys(BUFFER)
    booted.memory.fill(phys, 256, 0xEE)
    booted.memory.fill(phys + start, size, 0x5A)
    for byte, name in ((0x5A, "guest_find_not"), (0, "guest_find_nonzero")):
        booted.memory.fill(phys + start, size, byte)
        arguments = (BUFFER + start, size, byte)[: 3 if byte else 2]
        assert booted.call(name, *arguments) == 0
        for place in range(size):
            booted.memory.write(phys + start + place, b"\x80")
            assert booted.call(name, *arguments) == BUFFER + start + place
            booted.memory.write(phys + start + place, bytes([byte]))


def test_loads_and_stores(booted: Machine) -> None:
    phys = LINUX_5_0.virt_to_phys(BUFFER)
    booted.call("guest_store32", BUFFER, 0x12345678)
    booted.call("guest_store8", BUFFER + 4, 0x1FF)
    assert booted.memory.read(phys, 5) == bytes.fromhex("78563412ff")
    assert booted.call("guest_load8", BUFFER + 1) == 0x56
    assert booted.call("guest_load32", BUFFER) == 0x12345678


def test_memset_and_memcmp(booted: Machine) -> None:
    phys = LINUX_5_0.virt_to_phys(BUFFER)
    booted.memory.fill(phys, 64, 0)
    assert booted.call("guest_memset", BUFFER + 1, 0x1AB, 5) == BUFFER + 1
    assert booted.memory.read(phys, 8) == b"\0" + b"\xab" * 5 + b"\0\0"
    assert booted.call("guest_memset", BUFFER, 0xFF, 0) == BUFFER
    assert booted.memory.read(phys, 1) == b"\0"
    booted.memory.write(phys, b"same\x10" + b"same\x20")
    assert booted.call("guest_memcmp", BUFFER, BUFFER + 5, 4) == 0
    assert booted.call("guest_memcmp", BUFFER, BUFFER + 5, 5) == -0x10 & 0xFFFFFFFF
    assert booted.call("guest_memcmp", BUFFER + 5, BUFFER, 5) == 0x10
    assert booted.call("guest_memcmp", BUFFER, BUFFER, 0) == 0


# Bad input: in Linux's words, on the UART.

INVALID = "\nError: invalid dtb and unrecognized/unsupported machine ID\n"


def test_bad_magic_is_told_on_the_uart() -> None:
    machine = Machine(LINUX_5_0, blob=bytes(range(16)))
    with pytest.raises(HeadError) as caught:
        machine.boot()
    assert machine.uart.text == (
        INVALID + "  r1=0xffffffff, r2=0x69cf7000\n"
        "  r2[]=00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f\n"
    )
    assert caught.value.text == machine.uart.text
    assert "\n" not in str(caught.value)
    assert not machine.cpu.mmu_on
    assert machine.uart.output.count(b"\r\n") == machine.uart.output.count(b"\n")


def test_unaligned_blob_is_told_on_the_uart() -> None:
    machine = Machine(replace(LINUX_5_0, dtb=0x69CF7002))
    with pytest.raises(HeadError, match="invalid dtb"):
        machine.boot()
    assert machine.uart.text == INVALID + "  r1=0xffffffff, r2=0x69cf7002\n"


def test_another_processor_is_told_on_the_uart() -> None:
    machine = Machine(LINUX_5_0)
    head = resource_path("firmware", "head.bin").read_bytes()
    cortex_a9 = (0x410FC090).to_bytes(4, "little")
    assert head.count(cortex_a9) == 1
    a15 = (0x410FC0F0).to_bytes(4, "little")  # have it look for a Cortex-A15
    machine.memory.write(LINUX_5_0.entry + head.index(cortex_a9), a15)
    with pytest.raises(HeadError):
        machine.boot()
    expected = "\nError: unrecognized/unsupported processor variant (0x410fc090).\n"
    assert machine.uart.text == expected


def test_blob_outside_ram_is_a_fault() -> None:
    machine = Machine(replace(LINUX_5_0, dtb=0x20000000))
    with pytest.raises(MachineFault, match="no RAM or device") as caught:
        machine.boot()
    assert (caught.value.access, caught.value.address) == ("read", 0x20000000)


def test_without_a_uart_the_head_stops_silently() -> None:
    with pytest.raises(HeadError, match="no UART to say why"):
        Machine(replace(LINUX_5_0, uart=None), blob=bytes(16)).boot()


@pytest.mark.parametrize(
    "change",
    [
        {"phys_offset": 0x60001000},
        {"page_offset": 0x80010000},
        {"text_offset": 0x2000},
        {"text_offset": 0xA000},
        {"stext": 0xA0000000},
    ],
)
def test_layouts_that_cannot_be(change: dict[str, int]) -> None:
    with pytest.raises(BootsimError):
        load_firmware(PhysMemory([(0x60000000, 1 << 20)]), replace(LINUX_5_0, **change))


# The binaries.


def test_the_binaries_are_what_their_sources_give(tmp_path: Path) -> None:
    need_module("ziglang")
    source = resource_path("firmware", "build.py")
    spec = importlib.util.spec_from_file_location("firmware_build", source)
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    build.build(tmp_path)
    for name in ("boot.bin", "head.bin", "text.bin", "symbols.json"):
        assert (tmp_path / name).read_bytes() == resource_path("firmware", name).read_bytes(), name


def test_head_and_text_lie_apart() -> None:
    symbols = json.loads(resource_path("firmware", "symbols.json").read_text())
    firmware: Firmware = Machine(LINUX_5_0).firmware
    assert firmware.head["stext"] == 0x60008000
    assert firmware.text["start_kernel"] == 0x80100000 + symbols["text"]["start_kernel"]
    size = resource_path("firmware", "boot.bin").stat().st_size
    assert size <= LINUX_5_0.text_offset - 0x4000  # below the page table
