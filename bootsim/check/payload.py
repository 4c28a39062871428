"""What the boot loader does for a check: where kernel, initrd and tree go, and what they hit there.

Unlike the boot loader of `bootsim boot` this one does what it is told, and tells what comes of it.
Of an initrd only the size counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bootsim.batch import Task, tree_memory
from bootsim.check.cells import Cells
from bootsim.check.findings import Finding
from bootsim.check.lack import no_memory, no_room, too_small
from bootsim.check.loading import INITRD, NOTHING, TREE, ZIMAGE, Loading, Piece
from bootsim.check.nodes import reserved_nodes
from bootsim.check.spans import first_fit, within
from bootsim.devicetree.board import whole_pages
from bootsim.devicetree.chosen import set_chosen
from bootsim.devicetree.memory_node import set_memory
from bootsim.errors import BootsimError, DeviceTreeError
from bootsim.kernel.decompress import written_by_zimage, zimage_moves_to
from bootsim.kernel.fdt import read_cells
from bootsim.kernel.fdt_check_mem_start import mem_start_of
from bootsim.kernel.init import initrd_place
from bootsim.kernel.libfdt import Fdt, fdt_check_header, fdt_totalsize
from bootsim.kernel.memory import PAGE_SIZE, PMD_SIZE
from bootsim.kernel.params import next_args
from bootsim.kernel.profile import Profile
from bootsim.kernel.setup import mem_range
from bootsim.loader import KernelSpace, Wishes, kernel_base
from bootsim.machine.memory import PhysMemory, Range

_DTB_OFFSET = 128 << 20  # Documentation/arm/booting.rst: "just above 128 MiB" from the start
# A machine whose tree gives too little to start at all.
_ASSUMED_BASE, _ASSUMED_RAM = 0x60000000, 512 << 20


@dataclass(frozen=True, slots=True)
class Payload:
    """What is loaded, and where: physical addresses and sizes in bytes, None where it is not told.

    `image_size` is what is unpacked of the kernel, `kernel_size` what it takes with its .bss;
    `initrd` its size. `ram` are banks of (base, size) that the boot loader writes into the tree.
    """

    kernel_size: int | None = None
    image_size: int | None = None
    zimage_size: int | None = None
    zimage_addr: int | None = None
    initrd: int | None = None
    initrd_addr: int | None = None
    dtb_addr: int | None = None
    phys_offset: int | None = None
    ram: tuple[tuple[int, int], ...] | None = None
    cmdline: str | None = None

    @property
    def zimage(self) -> Range | None:
        """Where the zImage is, if that is told."""
        if self.zimage_size is None or self.zimage_addr is None:
            return None
        return Range(self.zimage_addr, self.zimage_size)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the boot loader leaves behind: the boot to be made, and what is wrong already.

    `task` is None where nothing can be booted; `assumed` tells that it is on RAM that the tree does
    not have, to see what the kernel comes to.
    """

    task: Task | None
    profile: Profile
    findings: tuple[Finding, ...] = ()
    assumed: bool = False
    loading: Loading = NOTHING


@dataclass(frozen=True, slots=True)
class _Machine:
    """RAM, and where in it the kernel goes; `finding` says so where the tree has not that RAM, and
    `can_boot` whether it is assumed then. `usable` is what mem= leaves of it."""

    banks: tuple[Range, ...]
    base: int
    finding: Finding | None = None
    can_boot: bool = True
    usable: tuple[Range, ...] = ()


def load(name: str, dtb: bytes, payload: Payload, profile: Profile) -> Loaded:
    """Set up the boot of blob `dtb` with `payload`. Raises DeviceTreeError for what is no tree."""
    problem = fdt_check_header(dtb)
    if problem is not None:
        raise DeviceTreeError(f"{name}: {problem}")
    if fdt_totalsize(dtb) > len(dtb):
        raise DeviceTreeError(
            f"{name}: cut off: {len(dtb)} bytes of {fdt_totalsize(dtb)} that its header tells of"
        )
    dtb = dtb[: fdt_totalsize(dtb)]
    if payload.ram is not None:
        dtb = set_memory(dtb, payload.ram, name=name)
    fdt = Fdt(dtb)
    profile = sized(profile, payload.kernel_size)
    space = KernelSpace.of(profile)
    options = _command_line(fdt, payload)
    machine = _machine(name, dtb, fdt, payload, space)
    machine = replace(machine, usable=_within_mem(machine.banks, machine.base, options))
    findings = (machine.finding,) if machine.finding is not None else ()
    if not machine.can_boot:
        return Loaded(None, profile, findings)
    kernel = Range(machine.base + space.text_offset, space.size)
    taken = [Range(machine.base, kernel.end - machine.base), *_static(fdt)]
    initrd = _initrd(fdt, payload, profile, options)
    if initrd is None and payload.initrd is not None:
        free = _free_place(machine, payload.initrd, taken)
        if free is None:
            return Loaded(None, profile, (no_room(fdt, machine.banks, INITRD, payload.initrd),))
        initrd = Piece(INITRD, Range(free, payload.initrd), told=False)
    if initrd is not None:
        taken.append(initrd.place)
    if payload.cmdline is not None or payload.initrd is not None:
        given = initrd is not None and payload.initrd is not None
        ends = (initrd.place.base, initrd.place.end) if initrd is not None and given else None
        dtb = set_chosen(dtb, bootargs=payload.cmdline, initrd=ends, name=name)
    free = _free_place(machine, len(dtb), taken)
    if free is None:
        return Loaded(None, profile, (no_room(fdt, machine.banks, TREE, len(dtb)),))
    tree = _tree(payload, profile, kernel, len(dtb)) or Piece(
        TREE, Range(free, len(dtb)), told=False
    )
    loading = _loading(payload, profile, kernel, machine, (tree, *([initrd] if initrd else [])))
    # A tree that Linux would not find goes elsewhere, to see what else there is.
    dtb_addr = free if loading.is_lost(tree) else tree.place.base
    wishes = Wishes(phys_offset=machine.base, dtb_addr=dtb_addr)
    ram = None if machine.finding is None else tuple((b.base, b.size) for b in machine.banks)
    task = Task(name, dtb, profile=profile.name, ram=ram, wishes=wishes)
    return Loaded(task, profile, findings, ram is not None, loading)


def _machine(name: str, dtb: bytes, fdt: Fdt, payload: Payload, space: KernelSpace) -> _Machine:
    banks = whole_pages(tree_memory(fdt))
    if banks:
        try:
            asked, zimage = payload.phys_offset, payload.zimage_addr
            base = kernel_base(PhysMemory(banks), space, dtb, asked, name, zimage=zimage)
        except BootsimError as error:
            if (payload.phys_offset or 0) % PMD_SIZE:
                raise
            base = banks[0].base & -PMD_SIZE
            finding = too_small(fdt, banks, space, str(error))
        else:
            return _Machine(banks, base)
    else:
        base = mem_start_of(payload.zimage_addr or payload.dtb_addr or _ASSUMED_BASE)
        if payload.phys_offset is not None:
            base = payload.phys_offset & -PMD_SIZE
        finding = no_memory(fdt)
    can_boot = not (banks and payload.phys_offset) and base + _ASSUMED_RAM <= 1 << 32
    return _Machine((Range(base, _ASSUMED_RAM),), base, finding, can_boot)


def _loading(
    payload: Payload, profile: Profile, kernel: Range, machine: _Machine, pieces: tuple[Piece, ...]
) -> Loading:
    zimage, appended = payload.zimage, 0
    if zimage is not None:
        pieces += (Piece(ZIMAGE, zimage, told=True),)
        if payload.dtb_addr == zimage.end:
            appended = pieces[0].place.size
    image = _image_size(payload, profile)
    writes = tuple(written_by_zimage(kernel, image, zimage, appended))
    return Loading(pieces, writes, machine.banks, own_line=payload.cmdline is None)


def sized(profile: Profile, size: int | None) -> Profile:
    """The kernel of `profile` with `size` bytes from _text to _end; its .bss ends there."""
    if size is None:
        return profile
    last = max(value for name, value in profile.symbols.items() if name not in _ENDS)
    end = profile.symbols["_text"] + size
    if end <= last:
        least = last + 1 - profile.symbols["_text"]
        raise BootsimError(
            f"a kernel of {size:#x} bytes: profile {profile.name} cannot be smaller than {least:#x}"
        )
    return profile.with_symbols(dict.fromkeys(_ENDS, end))


_ENDS = ("_end", "__bss_stop")


def _image_size(payload: Payload, profile: Profile) -> int:
    if payload.image_size is not None:
        return payload.image_size
    return profile.symbols["__bss_start"] - profile.symbols["_text"]


def _command_line(fdt: Fdt, payload: Payload) -> list[tuple[str, str]]:
    """The options that Linux gets, and their values."""
    line = payload.cmdline
    if line is None:
        chosen = fdt.root.find("/chosen")
        line = (chosen.string("bootargs") if chosen is not None else None) or ""
    return [(name, value) for name, value in next_args(line) if value]


def _within_mem(
    banks: Sequence[Range], base: int, options: Sequence[tuple[str, str]]
) -> tuple[Range, ...]:
    """What mem= leaves to Linux of `banks`; all if that is none."""
    given = [mem_range(value, base) for name, value in options if name == "mem"]
    kept = tuple(
        part
        for bank in banks
        for start, size in given
        for part in within([bank], start, start + size)
    )
    return kept or tuple(banks)


def _initrd(
    fdt: Fdt, payload: Payload, profile: Profile, options: Sequence[tuple[str, str]]
) -> Piece | None:
    """The initrd, if something says where it is: initrd= before all else, as Linux has it."""
    chosen = fdt.root.find("/chosen")
    names = ("initrd", "initrdmem") if profile.features.initrdmem else ("initrd",)
    given = [initrd_place(value) for name, value in options if name in names]
    placed = [place for place in given if place is not None]
    if placed and placed[-1][1]:
        prop = "bootargs" if payload.cmdline is None else ""
        return Piece(INITRD, Range(*placed[-1]), told=True, prop=prop)
    if payload.initrd is not None:
        if payload.initrd_addr is None:
            return None
        return Piece(INITRD, Range(payload.initrd_addr, payload.initrd), told=True)
    if chosen is not None and "linux,initrd-start" in chosen.props:
        start = read_cells(chosen.props["linux,initrd-start"])
        end = read_cells(chosen.props.get("linux,initrd-end", b""))
        if start < end:
            return Piece(INITRD, Range(start, end - start), told=True, prop="linux,initrd-start")
    return None


def _tree(payload: Payload, profile: Profile, kernel: Range, size: int) -> Piece | None:
    """The tree where it is told to be, or where a zImage takes it that it is appended to."""
    at, zimage = payload.dtb_addr, payload.zimage
    if at is None:
        return None
    if zimage is None or at != zimage.end:
        return Piece(TREE, Range(at, size), told=True)
    to = zimage_moves_to(kernel, _image_size(payload, profile), zimage, size)
    return Piece(TREE, Range(at if to is None else to + zimage.size, size), told=False)


def _static(fdt: Fdt) -> Iterator[Range]:
    """What the tree reserves at an address: a boot loader puts nothing there (U-Boot's lmb)."""
    yield from (Range(*entry) for entry in fdt.memory_reserve_entries())
    for node in reserved_nodes(fdt):
        yield from Cells.of_root(fdt).read(node.props.get("reg", b""))


def _free_place(machine: _Machine, size: int, taken: Sequence[Range]) -> int | None:
    """Where a careful boot loader puts the tree: from the middle of RAM, or 128 MiB, upwards.

    It knows mem=; if nothing is free within, all RAM will do. None where that is not free either.
    """
    for banks in (machine.usable, machine.banks):
        bank = next((b for b in banks if b.base <= machine.base < b.end), banks[0])
        middle = bank.base + min(bank.size // 2, _DTB_OFFSET)
        holes = (Range(middle, bank.end - middle), *banks)
        free = first_fit(holes, size, PAGE_SIZE, taken)
        if free is not None:
            return free
    return None
