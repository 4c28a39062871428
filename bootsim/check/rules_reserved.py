"""/reserved-memory: nodes that Linux cannot read, that lie outside of RAM, that are too many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bootsim.check.cells import PHYSICAL, meant
from bootsim.check.examine import Examined
from bootsim.check.findings import Area, Finding, number
from bootsim.check.nodes import is_pool, is_used, name_of
from bootsim.check.rules_cells import misread_nodes, misread_regs
from bootsim.check.spans import Span, shared, span, spans
from bootsim.kernel.memblock_features import ENOMEM
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.machine.memory import Range
from bootsim.numbers import size_text
from bootsim.trace import MemblockFailure, Refusal

_ENOENT = 2  # include/uapi/asm-generic/errno-base.h
_U32 = 0xFFFFFFFF


def unreadable(boot: Examined) -> Iterator[Finding]:
    """E-RESERVED-FORMAT: what Linux passes over, or reads as something else."""
    for refused in boot.refused("reserved-memory-format"):
        yield _parent(boot, refused.event.node)
    for refused in boot.refused("property-length"):
        yield _length(boot, refused.event)
    unread = misread_nodes(boot)
    for refused in boot.refused("reserve"):
        event = refused.event
        if not event.size and event.node not in unread:
            yield _nothing(
                boot, event.node, "" if event.errno == -_ENOENT else event.other or "reg"
            )
    for region in boot.kernel.fdt.reserved_mem:
        value = region.node.props.get("size", b"\1")
        if "reg" not in region.node.props and not any(value):
            yield _nothing(boot, region.node.path, "size")
    for refused in boot.refused("beyond-32-bits"):
        event = refused.event
        cells = event.base + event.size > PHYSICAL or (
            event.other == "reg" and event.node in misread_regs(boot)
        )
        if event.other != "cma=" and not (event.node and cells):  # E-CELL-COUNT
            yield _beyond(event)


def _parent(boot: Examined, path: str) -> Finding:
    """A /reserved-memory that Linux passes over."""
    node, cells = boot.node(path), boot.cells
    props = node.props if node is not None else {}
    wanted = {"#address-cells": cells.address, "#size-cells": cells.size}
    other = [name for name, count in wanted.items() if props.get(name) != count.to_bytes(4, "big")]
    missing = [name for name in (*other, "ranges") if name not in props]
    remedy = " ".join(f"{name} = <{wanted[name]}>;" for name in other)
    if "ranges" in missing:
        remedy = f"{remedy} ranges;".lstrip()
    if set(other) - set(missing):
        remedy += " And each reg below with as many cells."
    return Finding(
        "E-RESERVED-FORMAT",
        "nothing of it is reserved: it must have ranges and the root's"
        f" {cells}, and {' and '.join(missing or other)} {'lack' if missing else 'differ'}",
        remedy=remedy,
        node=path,
        prop="" if missing else other[0],
        log=boot.log("unsupported node format"),
    )


def _length(boot: Examined, event: Refusal) -> Finding:
    """A property whose bytes do not make whole numbers."""
    cells, remedy = boot.cells, "Write each number with as many cells as the root says."
    expected = {"size": 4 * cells.size, "alignment": 4 * cells.address}.get(event.other)
    node = boot.node(event.node)
    other = (
        meant(node, node.props.get("reg", b""), cells) if event.other == "reg" and node else None
    )
    if other is not None:
        remedy = f"reg = {cells.write(other[1])};"
    return Finding(
        "E-RESERVED-FORMAT",
        f"{event.other} has {event.size} bytes: with the root's {cells}"
        + (f" it takes {expected}" if expected else f" each entry takes {cells.entry}")
        + "; the node is passed over",
        remedy=remedy,
        node=event.node,
        prop=event.other,
        log=boot.log(f"invalid {event.other} property in '{name_of(event.node)}'"),
    )


def _nothing(boot: Examined, path: str, prop: str) -> Finding:
    """A node that asks for nothing in `prop`; or has neither reg nor size, where that is empty."""
    neither, name = not prop, name_of(path)
    return Finding(
        "E-RESERVED-FORMAT",
        "the node has neither reg nor size: nothing is reserved"
        if neither
        else "the region has size 0: nothing is reserved",
        cause="Linux looks at the nodes right below /reserved-memory, and at none below those."
        if neither
        else "",
        remedy="Give it a reg, or a size for Linux to find it a place."
        if neither
        else "Give the size in bytes, in as many cells as the root says.",
        node=path,
        prop=prop,
        log=boot.log(f"node '{name}'", f"node {name} compatible"),
    )


def _beyond(event: Refusal) -> Finding:
    """Numbers that a kernel without LPAE cuts off (dt_mem_next_cell, phys_addr_t)."""
    place = Range(event.base & _U32, event.size & _U32)
    areas: tuple[Area, ...] = ()
    if event.other == "alloc-ranges":
        asked, end = span(event), place.end & _U32
        taken = f"{place.base:#x} to {end:#x}" if end else f"{place.base:#x} and up"
        cost = "Linux looks for room there, and not where the tree says."
    elif event.other == "alignment":
        asked, taken = number(event.size), f"{place.size:#x}"
        cost = "The region is not aligned as the tree says."
    elif event.other == "size":
        asked, taken = number(event.size), f"{place.size:#x}"
        cost = "Less is reserved than the tree says." if place.size else "Nothing is reserved."
    else:
        asked, taken = span(event), span(place) if place.size else "nothing"
        cost = "Nothing is reserved."
        if place.size:
            cost = "Other memory is reserved than the tree says, and somebody else may need it."
            areas = (Area.of(event.node or event.other, place),)
    what = f"{event.other or 'reg'} says" if event.node else f"{event.other} has"
    return Finding(
        "E-RESERVED-FORMAT",
        f"{what} {asked}: a kernel without LPAE keeps 32 bits of each number and takes {taken}",
        cause="Physical addresses have 32 bits without LPAE, and Linux does not look at the rest.",
        cost=cost,
        remedy="Keep it below 4 GiB, or use a kernel with LPAE.",
        node=event.node,
        prop=event.other if event.node else "",
        areas=areas,
    )


def not_memory(boot: Examined) -> Iterator[Finding]:
    """E-POOL-, W- and I-RESERVED-NOT-RAM: regions in part or all where the tree has no RAM."""
    scanned = boot.tables.get("setup_machine_fdt")
    if scanned is None:
        return
    unread = misread_nodes(boot)
    for region in boot.kernel.fdt.reserved_mem:
        if not region.size or region.node.props.get("reg") is None or region.node.path in unread:
            continue
        outside = region.size - sum(shared(bank, region) for bank in scanned.memory)
        if outside < PAGE_SIZE:
            continue
        area = Area.of(region.node.path, region)
        code = "W-RESERVED-NOT-RAM"
        if is_pool(region.node):
            code = "E-POOL-NOT-RAM"
        elif outside == area.size and (region.nomap or not is_used(region.node)):
            code = "I-RESERVED-NOT-RAM"  # SRAM, or what is RAM on other boards
        yield Finding(
            code,
            outside_words(area, outside, scanned.memory),
            node=region.node.path,
            prop="reg",
            areas=(area,),
        )


def outside_words(area: Area, outside: int, ram: Iterable[Span]) -> str:
    """That `outside` bytes of `area` are not in `ram`."""
    part = "" if outside == area.size else f": {size_text(outside)} of it"
    return f"{area}{part} {'lie' if part else 'lies'} outside of RAM, which is {spans(ram)}"


def tables_full(boot: Examined) -> Iterator[Finding]:
    """E-RESERVED-MANY, E-MEMBLOCK-FULL: tables that cannot grow yet."""
    many = list(boot.refused("reserved-mem-full"))
    if many:
        limit = boot.kernel.profile.config.max_reserved_regions
        yield Finding(
            "E-RESERVED-MANY",
            f"{limit + len(many)} regions: Linux keeps {limit}; {many[0].event.node} is the first"
            " that it forgets",
            node=many[0].event.node,
            related=tuple(refused.event.node for refused in many[1:]),
            log=boot.log("not enough space"),
        )
    full = [event for event in boot.kernel.trace if isinstance(event, MemblockFailure)]
    if full:
        places = tuple(Area.of(event.function, event) for event in full)
        limit = boot.kernel.profile.config.init_memblock_regions
        nodes = [r.event.node for r in boot.refused("reserve") if r.event.errno == -ENOMEM]
        yield Finding(
            "E-MEMBLOCK-FULL",
            f"memblock has no room for {len(full)} more regions, the first at {span(full[0])}",
            cause=f"Its tables have {limit} entries and grow only once lowmem is mapped.",
            cost=boot.fate,
            node=nodes[0] if nodes else "",
            related=tuple(nodes[1:]),
            areas=places[:8],
            log=boot.log(*(f"failed to reserve memory for node '{name_of(n)}'" for n in nodes))
            + boot.log("cma: Failed", "failed to allocate memory for node", "Kernel panic"),
            deadly=True,
        )
