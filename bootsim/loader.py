"""The boot loader: initrd, device tree and kernel find their places in RAM before the CPU starts.

Where the caller asks for no address, things go where QEMU puts them (hw/arm/boot.c): the initrd
into the middle of RAM or 128 MiB above its start, the tree right behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootsim.devicetree.chosen import set_chosen
from bootsim.errors import BootsimError
from bootsim.kernel.fdt_check_mem_start import fdt_check_mem_start, mem_start_of
from bootsim.kernel.libfdt import Fdt
from bootsim.kernel.memory import PAGE_SIZE, PMD_SIZE, round_up
from bootsim.machine.memory import PhysMemory, Range

if TYPE_CHECKING:
    from bootsim.kernel.profile import Profile

_KERNEL_LOAD_ADDR = 0x10000  # hw/arm/boot.c: of a zImage, above the start of RAM
_INITRD_OFFSET_MAX = 128 << 20  # hw/arm/boot.c
_PG_DIR_SIZE = 0x4000  # arch/arm/kernel/head.S
_BOOT_STUB_SIZE = 0x100


@dataclass(frozen=True, slots=True)
class Wishes:
    """Where the user wants things: physical addresses; None leaves it to the boot loader."""

    phys_offset: int | None = None
    dtb_addr: int | None = None
    initrd_addr: int | None = None


@dataclass(frozen=True, slots=True)
class KernelSpace:
    """What a kernel asks of the boot loader, in bytes.

    It lies `text_offset` above the base of RAM and takes `size`, .bss included. `checks_mem_start`:
    its decompressor looks for that base in the device tree (since 5.12).
    """

    text_offset: int
    size: int
    checks_mem_start: bool

    @classmethod
    def of(cls, profile: Profile) -> KernelSpace:
        """What the kernel of `profile` asks for."""
        offset = profile.symbols["_text"] - profile.layout.page_offset
        return cls(offset, profile.image_size, profile.features.checks_mem_start)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where things are, physical addresses in bytes; `initrd` is None if there is none."""

    phys_offset: int
    kernel: Range
    dtb: Range
    initrd: Range | None


def place(
    memory: PhysMemory,
    space: KernelSpace,
    *,
    dtb: bytes,
    name: str,
    cmdline: str | None = None,
    initrd: bytes | None = None,
    wishes: Wishes = Wishes(),
) -> Placement:
    """Put `initrd` and the blob `dtb` into RAM, the latter with `cmdline` in its /chosen.

    Raises BootsimError, in one line, for what does not fit or would lie over something else.
    """
    base = kernel_base(memory, space, dtb, wishes.phys_offset, name)
    kernel = Range(base + space.text_offset, space.size)
    middle = base + min((memory.bank(base).end - base) // 2, _INITRD_OFFSET_MAX)
    default = max(middle, round_up(kernel.end, PAGE_SIZE))
    taken = [
        ("boot stub", Range(base, _BOOT_STUB_SIZE)),
        ("kernel's page table", Range(kernel.base - _PG_DIR_SIZE, _PG_DIR_SIZE)),
        ("kernel", kernel),
    ]
    placed = None
    if initrd is not None:
        start = default if wishes.initrd_addr is None else wishes.initrd_addr
        placed = Range(start, len(initrd))
        _put(memory, "initrd", placed, initrd, taken)
        taken.append(("initrd", placed))
    if cmdline is None and placed is None:
        blob = dtb
    else:
        ends = (placed.base, placed.end) if placed else None
        blob = set_chosen(dtb, bootargs=cmdline, initrd=ends, name=name)
    dtb_addr = wishes.dtb_addr
    if dtb_addr is None:
        dtb_addr = round_up(placed.end if placed else default, PAGE_SIZE)
    tree = Range(dtb_addr, len(blob))
    _put(memory, "device tree", tree, blob, taken)
    return Placement(base, kernel, tree, placed)


def kernel_base(
    memory: PhysMemory,
    space: KernelSpace,
    dtb: bytes,
    asked: int | None,
    name: str,
    *,
    zimage: int | None = None,
) -> int:
    """Where RAM begins for the kernel: as asked, or where the kernel puts itself.

    That is up to its decompressor, if it looks into the tree (`checks_mem_start`), with the zImage
    at physical address `zimage`, or where QEMU loads it; else the first bank that has room for it.
    """
    need = space.text_offset + space.size
    if asked is not None:
        if asked % PMD_SIZE:
            raise BootsimError(f"--phys-offset {asked:#x} is not a multiple of 2 MiB")
        if not memory.contains(asked, need):
            raise BootsimError(
                f"--phys-offset {asked:#x}: no bank holds the kernel's {need:#x} bytes there"
            )
        return asked
    if space.checks_mem_start:
        pc = memory.banks[0].base + _KERNEL_LOAD_ADDR if zimage is None else zimage
        base = fdt_check_mem_start(mem_start_of(pc), Fdt(dtb))
        if not memory.contains(base, need):
            raise BootsimError(
                f"{name}: the kernel takes RAM to begin at {base:#010x}: no bank holds the"
                f" {need:#x} bytes that it needs there"
            )
        return base
    for bank in memory.banks:
        base = round_up(bank.base, PMD_SIZE)
        if base + need <= bank.end:
            return base
    raise BootsimError(
        f"{name}: no RAM bank has room for the kernel: it needs {need:#x} bytes from a multiple of"
        " 2 MiB on"
    )


def _put(
    memory: PhysMemory,
    what: str,
    place: Range,
    content: bytes,
    taken: Sequence[tuple[str, Range]],
) -> None:
    if not memory.contains(place.base, place.size):
        banks = ", ".join(str(Range(bank.base, bank.size)) for bank in memory.banks)
        raise BootsimError(
            f"the {what} does not fit: {place.size} bytes at {place.base:#010x}; RAM is {banks}"
        )
    for name, other in taken:
        if place.base < other.end and other.base < place.end:
            raise BootsimError(f"the {what} at {place} would lie over the {name} at {other}")
    memory.write(place.base, content)
