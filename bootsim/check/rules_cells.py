"""Numbers of the tree that are read with other cells than they were written with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bootsim.check.cells import PHYSICAL, Cells, meant, sound
from bootsim.check.examine import Examined
from bootsim.check.findings import Finding, number
from bootsim.check.nodes import memory_nodes, name_of
from bootsim.check.spans import span
from bootsim.kernel.libfdt import Fdt, FdtNode
from bootsim.machine.memory import Range
from bootsim.numbers import listed

_NUMBERS = ("size", "alignment", "alloc-ranges")


def cell_count(boot: Examined) -> Iterator[Finding]:
    """E-CELL-COUNT: numbers that are none with the root's counts of cells."""
    for finding in misread(boot.tree):
        name = name_of(finding.node)
        words = f"failed to reserve memory for node '{name}'"
        if not finding.node.startswith("/reserved-memory/"):
            words = "Ignoring memory"
        yield replace(finding, log=boot.log(words))
    cells = boot.cells
    for refused in boot.refused("beyond-32-bits"):
        event = refused.event
        if event.other in _NUMBERS and event.base + event.size > PHYSICAL:
            yield Finding(
                "E-CELL-COUNT",
                f"{event.other} says {_entry(Range(event.base, event.size))}, read with the root's"
                f" {cells}: no 32-bit ARM has addresses past 2^40",
                remedy=f"Write each number of {event.other} with as many cells as the root says.",
                node=event.node,
                prop=event.other,
                log=boot.log(f"node '{event.node.rsplit('/', 1)[-1]}'"),
            )


def misread_regs(boot: Examined) -> frozenset[str]:
    """The nodes whose reg E-CELL-COUNT is about."""
    return frozenset(finding.node for finding in misread(boot.tree))


def misread_nodes(boot: Examined) -> frozenset[str]:
    """The nodes in which Linux reads other numbers than are meant: what else is said of them
    follows from that."""
    beyond = {refused.event.node for refused in boot.refused("beyond-32-bits")}
    return misread_regs(boot) | (beyond - {""})


def misread(fdt: Fdt) -> Iterator[Finding]:
    """E-CELL-COUNT for each reg of memory and of /reserved-memory that cannot be meant so."""
    cells = Cells.of_root(fdt)
    for node in memory_nodes(fdt):
        if node.is_available() and _reg(node):
            short = len(_reg(node)) < cells.entry or len(_reg(node)) % (cells.entry or 1)
            yield from _misread(node, cells, short=bool(short))
    parent = fdt.root.find("/reserved-memory")
    if parent is None or not _repeats(parent, cells):
        return
    for node in parent.children:
        whole = cells.entry and not len(_reg(node)) % cells.entry
        if node.is_available() and _reg(node) and whole:  # Linux itself says what is not whole
            yield from _misread(node, cells, short=False)


def _reg(node: FdtNode) -> bytes:
    return node.props.get("reg", b"")


def _repeats(parent: FdtNode, cells: Cells) -> bool:
    own = (parent.props.get("#address-cells"), parent.props.get("#size-cells"))
    return own == (cells.address.to_bytes(4, "big"), cells.size.to_bytes(4, "big"))


def _misread(node: FdtNode, cells: Cells, *, short: bool) -> Iterator[Finding]:
    value = _reg(node)
    if sound(node, value, cells):
        return
    entries, other = cells.read(value), meant(node, value, cells)
    beyond = next((entry for entry in entries if entry.end > PHYSICAL), None)
    none = not cells.address or not cells.size
    if not (short or beyond is not None or other is not None or none):
        return
    text = f"reg has {len(value)} bytes, read with the root's {cells}: "
    if none:
        text += "without cells there are no numbers"
    elif short:
        text += f"an entry has {cells.entry}"
    elif beyond is not None:
        text += f"that is {_entry(beyond)}, and no 32-bit ARM has addresses past 2^40"
    else:
        text += f"that is {listed(map(_entry, entries))}"
    remedy = "Write each number of reg with as many cells as the root says."
    if none:
        remedy = "Give the root #address-cells and #size-cells of 1 or 2."
    elif other is not None:
        how = f"with {other[0]}" if other[0] != cells else "with the upper cell last"
        text += f". It was written {how}: {listed(map(_entry, other[1]))}"
        remedy = f"reg = {cells.write(other[1])};"
    yield Finding("E-CELL-COUNT", text, remedy=remedy, node=node.path, prop="reg")


def _entry(entry: Range) -> str:
    if entry.end <= PHYSICAL:
        return span(entry)
    if not entry.base:
        return number(entry.size)
    return f"{number(entry.base)}, {number(entry.size)} long"
