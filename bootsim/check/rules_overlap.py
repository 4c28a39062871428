"""Memory that two have: nodes of /reserved-memory, /memreserve/, and what the boot loader loads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bootsim.check.examine import Examined
from bootsim.check.findings import Area, Finding, named
from bootsim.check.loading import TREE
from bootsim.check.nodes import is_pool, name_of, reserved_nodes
from bootsim.check.rules_cells import misread_nodes
from bootsim.check.rules_initrd import in_initrd
from bootsim.check.rules_payload import safe_place
from bootsim.check.spans import shared, span
from bootsim.kernel.cma import EBUSY
from bootsim.kernel.libfdt import FdtNode
from bootsim.kernel.memory import PMD_SIZE, round_up
from bootsim.kernel.of_reserved_mem import MEMRESERVE
from bootsim.numbers import size_text
from bootsim.trace import DEVICE_TREE, KERNEL_IMAGE, PG_DIR

# How deaths begin that come of pools which share memory.
_POOLS_OVERLAP = ("BUG: vm_area_add_early", "memblock_alloc: Linux faults")
_KERNEL = {KERNEL_IMAGE, PG_DIR}


@dataclass(frozen=True, slots=True)
class Definition:
    """A range that the tree sets aside, by a node or, where that is None, in /memreserve/."""

    area: Area
    node: FdtNode | None = None

    @property
    def nomap(self) -> bool:
        """Whether Linux is to take it out of its map."""
        return self.node is not None and "no-map" in self.node.props

    @property
    def pool(self) -> bool:
        """Whether Linux uses the memory itself until a device wants it."""
        return self.node is not None and is_pool(self.node)

    @property
    def name(self) -> str:
        """As Linux prints it."""
        return self.node.name if self.node is not None else MEMRESERVE


def definitions(boot: Examined) -> list[Definition]:
    """All that the tree sets aside at an address, as far as Linux reads it as it is meant."""
    found = [Definition(area) for area in boot.uses(MEMRESERVE)]
    if not any(boot.refused("reserved-memory-format")):
        unread = misread_nodes(boot) | {r.event.node for r in boot.refused("property-length")}
        for node in reserved_nodes(boot.tree):
            if node.is_available() and node.path not in unread:
                entries = boot.cells.read(node.props.get("reg", b""))
                found += [Definition(Area.of(node.path, entry), node) for entry in entries]
    return [definition for definition in found if definition.area.size]


def busy(boot: Examined) -> Iterator[Finding]:
    """E-DTB-IN-NOMAP, E-RESERVED-BUSY: no-map regions that Linux does not take out of its map."""
    unread = misread_nodes(boot)
    for refused in boot.refused("reserve"):
        event = refused.event
        if event.errno != -EBUSY or event.node in unread or in_initrd(boot, event):
            continue
        asked = Area.of(event.node, event)
        holders = boot.holders(event, refused.number)
        owners = [holder.what for holder in holders]
        both = min(sum(shared(asked, holder) for holder in holders), event.size)
        lies = "lies there and shares" if len(holders) == 1 else "lie there and share"
        code, remedy = "E-RESERVED-BUSY", "Move one of the two, or make one region of both."
        if _KERNEL & set(owners):
            end = round_up(max(holder.end for holder in holders), PMD_SIZE)
            remedy = f"Move the region, to {end:#x} or above, or have the kernel put elsewhere."
        elif DEVICE_TREE in owners:
            code, tree = "E-DTB-IN-NOMAP", holders[owners.index(DEVICE_TREE)]
            remedy = f"{safe_place(boot, TREE, tree.size)} In U-Boot: fdt_addr_r, fdt_high."
        elif owners == [MEMRESERVE]:
            remedy = "Leave that out of /memreserve/: the node alone keeps its memory from Linux."
        name = name_of(event.node)
        yield Finding(
            code,
            f"the no-map region {span(event)} is refused (EBUSY):"
            f" {named(holders)} {lies} {size_text(both)}",
            remedy=remedy,
            node=event.node,
            prop="reg",
            related=tuple(owner for owner in owners if owner.startswith("/")),
            areas=(asked, *holders),
            log=boot.log(
                f"failed to reserve memory for node '{name}'", f"{name} ({event.base:#010x}--"
            ),
        )


def overlaps(boot: Examined) -> Iterator[Finding]:
    """E-RESERVED-OVERLAP, W-RESERVED-OVERLAP, I-RESERVED-DUPLICATE: two have the same memory."""
    told = {
        frozenset((finding.node, *finding.related[n : n + 1]))
        for finding in busy(boot)
        for n in range(max(len(finding.related), 1))
    }
    found = definitions(boot)
    for one, other in dict.fromkeys((*_pairs(found), *_told(boot, found))):
        if frozenset((one.area.what, other.area.what)) not in told:
            yield _overlap(boot, one, other)
    for area in boot.kernel.cma_areas:
        if boot.node_of(area) is None:
            taken = [d for d in found if d.nomap and shared(d.area, area)]
            yield from (_cma_over_nomap(Area.of("cma=", area), d) for d in taken)


def _pairs(found: Iterable[Definition]) -> Iterator[tuple[Definition, Definition]]:
    """Each definition that overlaps one before it, with that of those which reaches farthest."""
    widest: Definition | None = None
    for one in sorted(found, key=lambda d: (d.area.base, d.node is not None)):
        if widest is not None and one.area.base < widest.area.end:
            yield widest, one
        if widest is None or one.area.end >= widest.area.end:
            widest = one


def _told(boot: Examined, found: Iterable[Definition]) -> Iterator[tuple[Definition, Definition]]:
    """The pairs that Linux tells of: neighbours in its table, sorted by address."""
    named = {(one.area.what, one.area.base): one for one in found}
    for refused in boot.refused("reserved-overlap"):
        event = refused.event
        pair = (named.get((event.node, event.base)), named.get((event.other, event.start)))
        if event.size and pair[0] is not None and pair[1] is not None:
            yield pair[0], pair[1]


def _overlap(boot: Examined, one: Definition, other: Definition) -> Finding:
    same = (one.area.base, one.area.size) == (other.area.base, other.area.size)
    both = size_text(shared(one.area, other.area))
    first, second = (other, one) if one.node is None else (one, other)
    areas = (first.area, second.area)
    if second.node is None:
        if same and not first.pool:
            return Finding(
                "I-RESERVED-DUPLICATE",
                f"{span(one.area)} is in /memreserve/"
                + (" too" if first.node is not None else " twice"),
                node=_path(first),
                prop="reg" if first.node is not None else "",
                areas=areas,
            )
        differ = "" if same else ", and differ"
        return Finding(
            "W-RESERVED-OVERLAP",
            f"{first.area} and {second.area} share {both}{differ}",
            cause="The node is reusable: Linux uses its memory, whatever /memreserve/ says."
            if first.pool
            else "",
            remedy="Take the pool's memory out of /memreserve/, or move the pool."
            if first.pool
            else "",
            node=_path(first),
            prop="reg" if first.node is not None else "",
            areas=areas,
        )
    said, cause = boot.log(_words(one, other), _words(other, one)), ""
    if first.node is second.node:
        cause = "They are entries of one reg. Linux says nothing of that."
    elif not said:
        cause = "Linux compares only neighbours, by the first entry of reg: it says nothing here."
    deadly = (one.pool or other.pool) and boot.dies_of(*_POOLS_OVERLAP)
    return Finding(
        "E-RESERVED-OVERLAP",
        f"{first.area} and {second.area} share {both}",
        cause=cause,
        cost=boot.fate if deadly else "",
        node=_path(first),
        prop="reg",
        related=(second.area.what,),
        areas=areas,
        log=said,
        deadly=deadly,
    )


def _words(one: Definition, other: Definition) -> str:
    """How Linux tells of both."""
    end = one.area.end & 0xFFFFFFFF
    return (
        f"{one.name} ({one.area.base:#010x}--{end:#010x}) overlaps with {other.name}"
        f" ({other.area.base:#010x}--"
    )


def _cma_over_nomap(area: Area, other: Definition) -> Finding:
    return Finding(
        "E-RESERVED-OVERLAP",
        f"{area} and the no-map region {other.area} share {size_text(shared(area, other.area))}",
        cause="What is no-map is not reserved, and with @BASE Linux asks for no more than that.",
        cost="Linux uses the region's memory.",
        remedy="Another @BASE, or none.",
        node=_path(other),
        prop="reg",
        areas=(area, other.area),
    )


def _path(definition: Definition) -> str:
    return definition.node.path if definition.node is not None else ""
