"""Model kernels on bare RAM: no CPU, no firmware, only what head.S would have left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bootsim.devicetree.board import Board
from bootsim.devicetree.chosen import set_chosen
from bootsim.kernel.kernel import Hook, Kernel, ProcessorRegisters
from bootsim.kernel.main import start_kernel
from bootsim.kernel.profile_file import load_profile
from bootsim.machine.memory import PhysMemory
from bootsim.trace import BootStopped, Trace

# What code on a Cortex-A9 r0p0 reads (the seed's boot log: [410fc090], cr=10c5387d).
CORTEX_A9 = ProcessorRegisters(midr=0x410FC090, ctr=0x80038003, mpidr=0x80000000, sctlr=0x10C5387D)


def boot_without_cpu(
    dtb: bytes,
    *,
    cmdline: str | None = None,
    initrd: tuple[int, int] | None = None,
    dtb_addr: int | None = None,
    phys_offset: int | None = None,
    hooks: Mapping[str, Sequence[Hook]] | None = None,
    until: str | None = None,
    fill: int = 0,
) -> Kernel:
    """Run the model kernel on a machine that `dtb` describes, straight from start_kernel()."""
    profile = load_profile("linux-5.0")
    dtb = set_chosen(dtb, bootargs=cmdline, initrd=initrd, name="test.dtb")
    banks = Board.from_blob(dtb, "test.dtb").ram_banks()
    memory = PhysMemory(banks, fill=fill)
    if phys_offset is None:
        phys_offset = banks[0].base
    if dtb_addr is None:
        dtb_addr = phys_offset + 0x1000000
    memory.write(dtb_addr, dtb)
    linear = profile.linear(phys_offset)
    text = linear.virt_to_phys(profile.symbols["_text"])
    memory.zero(text, profile.image_size)
    memory.zero(linear.virt_to_phys(profile.swapper_pg_dir), 0x4000)
    memory.write_u32(linear.virt_to_phys(profile.symbols["__atags_pointer"]), dtb_addr)
    kernel = Kernel(
        memory,
        profile,
        Trace(),
        phys_offset=phys_offset,
        registers=CORTEX_A9,
        hooks=hooks,
        until=until,
    )
    try:
        start_kernel(kernel)
    except BootStopped:
        assert until is not None
    return kernel
