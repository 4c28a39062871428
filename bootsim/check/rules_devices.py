"""RAM that devices and firmware have for themselves, and that Linux has mapped all the same."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bootsim.check.cells import unit_address
from bootsim.check.examine import Examined
from bootsim.check.findings import Area, Finding
from bootsim.check.spans import shared, span
from bootsim.devicetree.bus import Bus
from bootsim.kernel.kernel import ReservedMem
from bootsim.kernel.libfdt import Fdt, FdtNode
from bootsim.kernel.memblock_features import MemblockFlags
from bootsim.machine.memory import Range

# What the nodes of secure memory are called.
_SECURE = re.compile(r"(?:optee|op-tee|tee|tz|trust|secure|secmon)(?![a-z])|(?:optee|trustzone)")
# Whose drivers do not ioremap() RAM: fs/pstore/ram_core.c, persistent_ram_buffer_map().
_VMAP = ("ramoops",)


def mapped_ram(boot: Examined) -> Iterator[Finding]:
    """W-RAM-IOREMAP: memory of devices that Linux has mapped as its own."""
    if "paging_init" not in boot.tables:
        return
    users: dict[str, str] = {}
    for region, user in _users(boot):
        if region.node.path not in users and _is_plain(region) and _is_mapped(boot, region.base):
            users[region.node.path] = user
            yield Finding(
                "W-RAM-IOREMAP",
                f"{span(region)} is for {user}, and Linux maps it as RAM: it has no no-map",
                remedy="Add no-map; to the node.",
                node=region.node.path,
                related=(user,),
                areas=(Area.of(region.node.path, region),),
            )
    in_ram: dict[str, list[Area]] = {}
    for device, place in _registers(boot.tree):
        if _is_mapped(boot, place.base):
            first = Range(place.base, 1)
            around = next((r for r in boot.kernel.fdt.reserved_mem if shared(r, first)), None)
            in_ram.setdefault(around.node.path if around is not None else "", []).append(
                Area.of(device.path, place)
            )
    for node, places in in_ram.items():
        if node not in users:
            yield _registers_in_ram(node, places)


def _registers_in_ram(region: str, places: list[Area]) -> Finding:
    """`places`, which devices have registers in, are RAM, part of the node `region` if any."""
    first, *others = dict.fromkeys(place.what for place in places)
    more = f" and {len(others)} more are" if others else " is"
    return Finding(
        "W-RAM-IOREMAP",
        f"{span(places[0])} of {first}{more} where Linux has mapped RAM",
        remedy=f"Add no-map; to {region}."
        if region
        else "Give it a node with no-map in /reserved-memory, if it is RAM; else correct reg of the"
        " memory node, or of the device.",
        node=first,
        prop="reg",
        related=(*((region,) if region else ()), *others),
        areas=tuple(places[:8]),
    )


def _is_plain(region: ReservedMem) -> bool:
    """Whether a region is no more than reserved: a driver that is its own knows how to map it."""
    own = {"reusable", "compatible"} & region.node.props.keys()
    return bool(region.size) and not region.nomap and not own


def _is_mapped(boot: Examined, base: int) -> bool:
    """memblock_is_map_memory(), which is what ioremap() asks of the first page."""
    memblock = boot.kernel.memblock
    index = memblock.search(memblock.memory, base)
    return index >= 0 and not memblock.memory[index].flags & MemblockFlags.NOMAP


def _users(boot: Examined) -> Iterator[tuple[ReservedMem, str]]:
    """(region, user) for regions that memory-region refers to, or whose name is a TEE's."""
    tree = boot.tree
    if b"reserved-memory" not in tree.blob:
        return
    tee = tree.root.find("/firmware/optee")
    if tee is not None and tee.is_compatible("linaro,optee-tz") and _is_usable(tee):
        for region in boot.kernel.fdt.reserved_mem:
            if _SECURE.match(region.node.name.lower()):
                yield region, tee.path
    regions = {
        int.from_bytes(r.node.props["phandle"], "big"): r
        for r in boot.kernel.fdt.reserved_mem
        if "phandle" in r.node.props
    }
    if not regions or b"memory-region\0" not in tree.blob:
        return
    for node in tree.root.walk():
        value = node.props.get("memory-region")
        if not value or node.path.startswith("/reserved-memory/") or not _is_usable(node):
            continue
        for at in range(0, len(value), 4):
            found = regions.get(int.from_bytes(value[at : at + 4], "big"))
            if found is not None:
                yield found, node.path


def _is_usable(node: FdtNode) -> bool:
    """Whether neither the node nor one above it is disabled."""
    above: FdtNode | None = node
    while above is not None:
        if not above.is_available():
            return False
        above = above.parent
    return True


def _registers(tree: Fdt) -> Iterator[tuple[FdtNode, Range]]:
    """The registers, physical, of each device that a driver may take, in tree order.

    Without those whose number is not the one in their name: what they mean by it is their own.
    """
    # Of the nodes above, by depth; None where what is below has no physical address.
    buses: list[Bus | None] = [Bus.of(tree.root.props, None)]
    for node in tree.root.walk():
        if node.parent is None:
            continue
        del buses[node.depth :]
        above = buses[-1]
        buses.append(None)
        top = node.name.split("@", 1)[0] if node.depth == 1 else ""
        if above is None or not node.is_available() or top == "reserved-memory":
            continue
        if "ranges" in node.props:
            buses[-1] = Bus.of(node.props, above)
        kinds, reg = node.strings("compatible"), node.props.get("reg", b"")
        if not reg or not kinds or set(kinds) & set(_VMAP):
            continue
        if node.string("device_type") == "memory":
            continue
        if unit_address(node) in (None, int.from_bytes(reg[: 4 * above.address_cells], "big")):
            yield from ((node, place) for place in above.registers(reg) if place.size)
