"""/reserved-memory and /memreserve/: what overlaps, fails, or is not where it seems to be."""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.check.examine import Examined, Refused
from bootsim.check.findings import Area, Finding, span
from bootsim.check.loading import TREE
from bootsim.check.rules_initrd import in_initrd
from bootsim.check.rules_payload import safe_place
from bootsim.kernel.memblock_features import MemblockFlags
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.kernel.of_reserved_mem import MEMRESERVE
from bootsim.numbers import size_text
from bootsim.trace import MemblockFailure, Use

EBUSY = 16


def failed(boot: Examined) -> Iterator[Finding]:
    """E-DTB-IN-NOMAP, E-RESERVED-BUSY, E-RESERVED-FORMAT: static nodes that Linux passes over."""
    for refused in boot.refused("reserve"):
        event = refused.event
        if not event.size:
            yield Finding(
                "E-RESERVED-FORMAT",
                "the region has size 0: nothing is reserved",
                remedy="Give the size in bytes, in as many cells as the root says.",
                node=event.node,
                prop="reg",
                log=boot.log(_name(event.node)),
            )
        elif event.errno == -EBUSY and not in_initrd(boot, event):
            yield _busy(boot, refused)
    for refused in boot.refused("reserved-memory-format"):
        variables = boot.kernel.vars
        yield Finding(
            "E-RESERVED-FORMAT",
            "nothing of it is reserved: its #address-cells and #size-cells must be the root's,"
            f" {variables.dt_root_addr_cells} and {variables.dt_root_size_cells}, and ranges must"
            " be there",
            remedy=f"#address-cells = <{variables.dt_root_addr_cells}>;"
            f" #size-cells = <{variables.dt_root_size_cells}>; ranges;",
            node=refused.event.node,
            log=boot.log("unsupported node format"),
        )
    for refused in boot.refused("property-length"):
        event = refused.event
        yield Finding(
            "E-RESERVED-FORMAT",
            f"{event.other} has {event.size} bytes, which the root's cell counts do not divide: the"
            " node is passed over",
            remedy="Write each number with as many cells as the root says.",
            node=event.node,
            prop=event.other,
            log=boot.log("invalid "),
        )


def _busy(boot: Examined, refused: Refused) -> Finding:
    event = refused.event
    holders = boot.holders(event.base, event.size, refused.number)
    names = ", ".join(str(area) for area in holders)
    tree = next((area for area in holders if area.what == "device tree"), None)
    code, remedy = "E-RESERVED-BUSY", "Move one of the two."
    tree = next((area for area in holders if area.what == "device tree"), None)
    code, remedy = "E-RESERVED-BUSY", "Move one of the two."
    if tree is not None:
        code = "E-DTB-IN-NOMAP"
        remedy = safe_place(boot, TREE, tree.size) + " In U-Boot: fdt_addr_r, fdt_high."
    verb = "lies" if len(holders) == 1 else "lie"
    return Finding(
        code,
        f"the no-map region {span(event.base, event.size)} is refused (EBUSY):"
        f" {names} {verb} there",
        remedy=remedy,
        node=event.node,
        prop="reg",
        related=tuple(area.what for area in holders if area.what.startswith("/")),
        areas=(Area(event.node, event.base, event.size), *holders),
        log=boot.log(f"failed to reserve memory for node '{_name(event.node)}'"),
    )


def overlaps(boot: Examined) -> Iterator[Finding]:
    """E-RESERVED-OVERLAP, I-RESERVED-DUPLICATE: two definitions of the same memory."""
    for refused in boot.refused("reserved-overlap"):
        event = refused.event
        if not event.size:
            continue  # one that is still to be allocated
        shared = min(event.base + event.size, event.end) - max(event.base, event.start)
        yield Finding(
            "E-RESERVED-OVERLAP",
            f"{event.node} {span(event.base, event.size)} and {event.other}"
            f" {span(event.start, event.end - event.start)} share {size_text(shared)}",
            remedy="Move one of them, or make one region of both.",
            node=event.node,
            prop="reg",
            related=(event.other,),
            areas=(
                Area(event.node, event.base, event.size),
                Area(event.other, event.start, event.end - event.start),
            ),
            log=boot.log(f"{_name(event.node)} (0x"),
        )
    listed = [
        e for e in boot.kernel.trace if isinstance(e, Use) and e.what == MEMRESERVE and e.size
    ]
    for entry in listed:
        place = Area(MEMRESERVE, entry.base, entry.size)
        for region in boot.kernel.fdt.reserved_mem:
            start, end = max(entry.base, region.base), min(place.end, region.base + region.size)
            if start >= end:
                continue
            node = Area(region.node.path, region.base, region.size)
            if (place.base, place.size) == (node.base, node.size):
                yield Finding(
                    "I-RESERVED-DUPLICATE",
                    f"{span(node.base, node.size)} is in /memreserve/ too",
                    cause="Both reserve the same bytes: the second changes nothing."
                    + (" But no-map fails then, as the memory is taken." if region.nomap else ""),
                    remedy="Leave one out.",
                    node=node.what,
                    prop="reg",
                    areas=(node, place),
                )
            elif not region.nomap:  # of a no-map region Linux itself finds out
                yield Finding(
                    "W-RESERVED-OVERLAP",
                    f"{node} and {place} share {size_text(end - start)}, and differ",
                    remedy="Give both the same range, or leave one out.",
                    node=node.what,
                    prop="reg",
                    areas=(node, place),
                )


def not_memory(boot: Examined) -> Iterator[Finding]:
    """W-RESERVED-NOT-RAM: regions that are, in part or all, where the tree has no RAM."""
    scanned = boot.tables.get("setup_machine_fdt")
    if scanned is None:
        return
    for region in boot.kernel.fdt.reserved_mem:
        if not region.size or region.node.props.get("reg") is None:
            continue
        end = region.base + region.size
        inside = sum(max(min(r.end, end) - max(r.base, region.base), 0) for r in scanned.memory)
        pool = "reusable" in region.node.props
        if region.size - inside < PAGE_SIZE or (not inside and not pool):
            continue  # what has nothing to do with RAM is SRAM, or kept back by the boot loader
        where = "all of it lies" if not inside else f"{size_text(region.size - inside)} of it lie"
        yield Finding(
            "E-POOL-NOT-RAM" if pool else "W-RESERVED-NOT-RAM",
            f"{where} outside of RAM: {span(region.base, region.size)}; RAM is"
            f" {', '.join(span(r.base, r.size) for r in scanned.memory)}",
            cost="The pool hands out pages that are not there."
            if pool
            else "Whoever uses it meets the end of RAM.",
            remedy="Move or shrink the region, or mend reg of the memory node.",
            node=region.node.path,
            prop="reg",
            areas=(Area(region.node.path, region.base, region.size),),
        )


def tables_full(boot: Examined) -> Iterator[Finding]:
    """E-RESERVED-MANY, E-MEMBLOCK-FULL: tables that cannot grow yet."""
    many = list(boot.refused("reserved-mem-full"))
    if many:
        limit = boot.kernel.profile.config.max_reserved_regions
        yield Finding(
            "E-RESERVED-MANY",
            f"{limit + len(many)} regions: Linux keeps {limit}; {many[0].event.node} is the first"
            " that it forgets",
            remedy="Merge regions, or leave some out.",
            node=many[0].event.node,
            related=tuple(refused.event.node for refused in many[1:]),
            log=boot.log("not enough space"),
        )
    full = [event for event in boot.kernel.trace if isinstance(event, MemblockFailure)]
    if full:
        places = tuple(Area(event.function, event.base, event.size) for event in full)
        limit = boot.kernel.profile.config.init_memblock_regions
        yield Finding(
            "E-MEMBLOCK-FULL",
            f"memblock has no room for {len(full)} more regions, the first at"
            f" {span(full[0].base, full[0].size)}",
            cause=f"Its tables have {limit} entries and grow only once lowmem is mapped.",
            remedy="Fewer banks and fewer regions; neighbours make one entry.",
            areas=places[:8],
        )


def mapped_ram(boot: Examined) -> Iterator[Finding]:
    """W-RAM-IOREMAP: memory of devices that Linux has mapped as its own."""
    if boot.kernel.fdt.tree is None or "paging_init" not in boot.tables:
        return
    memblock = boot.kernel.memblock
    for node, user in _firmware_regions(boot):
        region = next((r for r in boot.kernel.fdt.reserved_mem if r.node.path == node), None)
        if region is None or region.nomap or not region.size:
            continue
        if {"reusable", "compatible"} & region.node.props.keys():
            continue
        index = memblock.search(memblock.memory, region.base)
        if index < 0 or memblock.memory[index].flags & MemblockFlags.NOMAP:
            continue
        yield Finding(
            "W-RAM-IOREMAP",
            f"{span(region.base, region.size)} is for {user}, and Linux maps it as RAM: it has no"
            " no-map",
            remedy="Add no-map; to the node.",
            node=node,
            related=(user,),
            areas=(Area(node, region.base, region.size),),
        )


def _firmware_regions(boot: Examined) -> Iterator[tuple[str, str]]:
    """(path, user) of regions that memory-region refers to, or that bear OP-TEE's name."""
    tree = boot.kernel.fdt.tree
    if tree is None or b"reserved-memory" not in tree.blob:
        return
    regions = {
        int.from_bytes(r.node.props["phandle"], "big"): r.node.path
        for r in boot.kernel.fdt.reserved_mem
        if "phandle" in r.node.props
    }
    tee = tree.root.find("/firmware/optee")
    if tee is not None and tee.is_compatible("linaro,optee-tz"):
        for region in boot.kernel.fdt.reserved_mem:
            if region.node.name.startswith("optee"):
                yield region.node.path, tee.path
    if not regions or b"memory-region\0" not in tree.blob:
        return
    for node in tree.root.walk():
        value = node.props.get("memory-region")
        if not value or node.path.startswith("/reserved-memory/") or not node.is_available():
            continue
        for at in range(0, len(value), 4):
            path = regions.get(int.from_bytes(value[at : at + 4], "big"))
            if path is not None:
                yield path, node.path


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
