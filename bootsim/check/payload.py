"""What the boot loader does for a check: where kernel, initrd and tree go, and what they hit there.

Unlike the boot loader of `bootsim boot` this one does what it is told, and tells what comes of it.
Of an initrd only the size counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bootsim.batch import Task, tree_memory
from bootsim.check.findings import Area, Finding, span
from bootsim.devicetree.board import whole_pages
from bootsim.devicetree.chosen import set_chosen
from bootsim.devicetree.memory_node import set_memory
from bootsim.errors import BootsimError, DeviceTreeError
from bootsim.kernel.decompress import written_by_zimage
from bootsim.kernel.fdt import read_cells
from bootsim.kernel.libfdt import Fdt, FdtNode, fdt_check_header, fdt_totalsize
from bootsim.kernel.memory import PAGE_SIZE, round_up
from bootsim.kernel.profile import Profile
from bootsim.loader import KernelSpace, Wishes, kernel_base
from bootsim.machine.memory import PhysMemory, Range
from bootsim.numbers import size_text

_DTB_OFFSET = 128 << 20  # Documentation/arm/booting.rst: "just above 128 MiB" from the start
TREE, INITRD = "the device tree", "the initrd"
_TIGHT = 64 << 10  # bytes: trees and kernels grow by that from one release to the next
_ASSUMED_RAM = 512 << 20  # of a machine whose tree gives too little to start at all


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
    banks = whole_pages(tree_memory(fdt))
    if not banks:
        return Loaded(None, profile, (_no_memory(fdt),))
    space = KernelSpace.of(profile)
    findings: list[Finding] = []
    ram: tuple[tuple[int, int], ...] | None = None
    try:
        base = kernel_base(PhysMemory(banks), space, dtb, payload.phys_offset, name)
    except BootsimError as error:
        base = banks[0].base & -(2 << 20)
        findings.append(_too_small(fdt, banks, space, str(error)))
        ram = ((base, _ASSUMED_RAM),) if base + _ASSUMED_RAM <= 1 << 32 else None
        if ram is None or payload.phys_offset is not None:
            return Loaded(None, profile, tuple(findings))
        banks = whole_pages(Range(*bank) for bank in ram)
    kernel = Range(base + space.text_offset, space.size)
    initrd, told = _initrd(fdt, payload, kernel)
    if payload.cmdline is not None or told:
        ends = (initrd.base, initrd.end) if initrd is not None and told else None
        dtb = set_chosen(dtb, bootargs=payload.cmdline, initrd=ends, name=name)
    taken = [Range(base, kernel.end - base), *([initrd] if initrd else []), *_static(fdt)]
    dtb_addr = payload.dtb_addr
    if dtb_addr is None:
        dtb_addr = _free_place(banks, base, len(dtb), taken)
    loaded = [(TREE, Range(dtb_addr, len(dtb)), payload.dtb_addr is not None)]
    if initrd is not None:
        loaded.append((INITRD, initrd, True))
    hits = list(_overwritten(profile, payload, kernel, loaded))
    findings += hits
    lost = any(h.code == "E-PAYLOAD-OVERLAP" and h.areas[0].what == TREE for h in hits)
    if not lost and not _inside(banks, Range(dtb_addr, len(dtb))):
        findings.append(_dtb_outside(Range(dtb_addr, len(dtb)), banks))
        lost = True
    if lost:
        dtb_addr = _free_place(banks, base, len(dtb), taken)  # to see what else there is
    wishes = Wishes(phys_offset=base, dtb_addr=dtb_addr)
    task = Task(name, dtb, profile=profile.name, ram=ram, wishes=wishes)
    return Loaded(task, profile, tuple(findings), assumed=ram is not None)


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


def _no_memory(fdt: Fdt) -> Finding:
    nodes = [n for n in fdt.root.children if n.string("device_type") == "memory"]
    named = next((n for n in fdt.root.children if n.name.split("@")[0] == "memory"), None)
    node = nodes[0] if nodes else named
    if node is None:
        what = "the tree has no memory node"
    elif not nodes:
        what = 'the node has no device_type = "memory": Linux passes it over'
    elif "reg" not in node.props:
        what = "the memory node has no reg"
    elif not node.is_available():
        what = f'the memory node is not to be used: status = "{node.string("status")}"'
    else:
        what = "the memory node's reg gives no byte of RAM below 4 GiB"
    return Finding(
        "W-NO-MEMORY",
        f"{what}; nothing else was checked",
        remedy="Give the RAM in the tree, or check with --ram BASE:SIZE what the boot loader"
        " fills in.",
        node=node.path if node is not None else "/",
        prop="reg" if node is not None and "reg" in node.props else "",
    )


def _too_small(fdt: Fdt, banks: Sequence[Range], space: KernelSpace, error: str) -> Finding:
    node = next((n for n in fdt.root.children if n.string("device_type") == "memory"), fdt.root)
    total = sum(bank.size for bank in tree_memory(fdt))
    need = space.text_offset + space.size
    return Finding(
        "E-MEMORY-TOO-SMALL",
        f"the tree's memory is {size_text(total)}: the kernel alone takes {size_text(need)} from a"
        " multiple of 2 MiB on",
        cause=f"{error.split(': ', 1)[-1]}.",
        remedy="Mend reg of the memory node: sizes are in bytes, in #size-cells cells of the root.",
        node=node.path,
        prop="reg",
        areas=tuple(Area("memory", bank.base, bank.size) for bank in banks),
    )


def _initrd(fdt: Fdt, payload: Payload, kernel: Range) -> tuple[Range | None, bool]:
    """Where the initrd is, and whether the boot loader has put it there."""
    if payload.initrd is not None:
        start = payload.initrd_addr
        if start is None:
            start = round_up(max(kernel.end, kernel.base + _DTB_OFFSET), PAGE_SIZE)
        return Range(start, payload.initrd), True
    chosen = fdt.root.find("/chosen")
    if chosen is not None and "linux,initrd-start" in chosen.props:
        start = read_cells(chosen.props["linux,initrd-start"])
        end = read_cells(chosen.props.get("linux,initrd-end", b""))
        if start < end:
            return Range(start, end - start), False
    return None, False


def _static(fdt: Fdt) -> Iterator[Range]:
    """What the tree reserves at an address: a boot loader puts nothing there (U-Boot's lmb)."""
    yield from (Range(*entry) for entry in fdt.memory_reserve_entries())
    cells = [
        4 * int.from_bytes(fdt.root.props.get(f"#{what}-cells", b"\0\0\0\1")[:4], "big")
        for what in ("address", "size")
    ]
    nodes: list[FdtNode] = getattr(fdt.root.find("/reserved-memory"), "children", [])
    for node in nodes:
        reg = node.props.get("reg", b"")
        for at in range(0, len(reg) - sum(cells) + 1, sum(cells) or len(reg) + 1):
            size_at = at + cells[0]
            yield Range(read_cells(reg[at:size_at]), read_cells(reg[size_at : size_at + cells[1]]))


def _free_place(banks: Sequence[Range], base: int, size: int, taken: Sequence[Range]) -> int:
    """Where a careful boot loader puts the tree: from the middle of RAM, or 128 MiB, upwards."""
    bank = next((b for b in banks if b.base <= base < b.end), banks[0])
    middle = base + min((bank.end - base) // 2, _DTB_OFFSET)
    for start, stop in ((middle, bank.end), (base, bank.end)):
        at = round_up(start, PAGE_SIZE)
        while at + size <= stop:
            hit = next((t for t in taken if t.base < at + size and at < t.end), None)
            if hit is None:
                return at
            at = round_up(hit.end, PAGE_SIZE)
    return round_up(middle, PAGE_SIZE)


def _inside(banks: Sequence[Range], place: Range) -> bool:
    return any(bank.base <= place.base and place.end <= bank.end for bank in banks)


def _overwritten(
    profile: Profile, payload: Payload, kernel: Range, loaded: list[tuple[str, Range, bool]]
) -> Iterator[Finding]:
    """What the kernel writes over before Linux starts, and what it only just misses."""
    image = payload.image_size
    if image is None:
        image = profile.symbols["__bss_start"] - profile.symbols["_text"]
    zimage = None
    if payload.zimage_size is not None and payload.zimage_addr is not None:
        zimage = Range(payload.zimage_addr, payload.zimage_size)
    writes = list(written_by_zimage(kernel, image, zimage))
    safe = round_up(max(write.place.end for write in writes), 1 << 20)
    for what, place, told in loaded:
        if not told:
            continue
        hit = next((w for w in writes if _overlap(w.place, place)), None)
        areas = (Area(what, place.base, place.size),)
        if hit is not None:
            if what == INITRD and ".bss" in hit.what:
                continue  # Linux itself finds that out
            both = _overlap(hit.place, place)
            yield Finding(
                "E-PAYLOAD-OVERLAP",
                f"{hit.what} writes over {what}: {span(place.base, place.size)}, {size_text(both)}"
                f" of it are in {span(hit.place.base, hit.place.size)}",
                remedy=f"Load it at {safe:#010x} or above.",
                areas=(*areas, Area(hit.what, hit.place.base, hit.place.size)),
            )
            continue
        gap, before = min(
            ((place.base - w.place.end, w) for w in writes if w.place.end <= place.base),
            default=(_TIGHT, writes[0]),
            key=lambda pair: pair[0],
        )
        behind = min(
            (w.place.base - place.end for w in writes if w.place.base >= place.end), default=_TIGHT
        )
        if gap < _TIGHT or behind < _TIGHT:
            grows = before.what if gap <= behind else what
            yield Finding(
                "W-PAYLOAD-MARGIN",
                f"only {size_text(min(gap, behind))} lie between {what} at"
                f" {span(place.base, place.size)} and what is written over: if {grows} grows by"
                " more, one destroys the other",
                remedy=f"Load it at {safe:#010x} or above.",
                areas=(*areas, Area(before.what, before.place.base, before.place.size)),
            )


def _overlap(a: Range, b: Range) -> int:
    return max(min(a.end, b.end) - max(a.base, b.base), 0)


def _dtb_outside(place: Range, banks: Sequence[Range]) -> Finding:
    return Finding(
        "E-PAYLOAD-OVERLAP",
        f"the device tree at {span(place.base, place.size)} does not fit into RAM,"
        f" {', '.join(span(*bank) for bank in banks)}",
        remedy="Load it elsewhere.",
        areas=(Area(TREE, *place),),
    )
