"""The tree as the kernel keeps it: struct device_node and struct property, in RAM.

Linux: drivers/of/fdt.c, unflatten_device_tree() and what it calls; include/linux/of.h. Of the
structures the fields are written that hold the tree: names, values, phandles and links.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from bootsim.kernel.fdt import tree
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.libfdt import Fdt, FdtNode
from bootsim.kernel.memory import round_up
from bootsim.kernel.of_base import early_init_dt_alloc_memory_arch, of_alias_scan
from bootsim.kernel.profile import BootSizes

FDT_MAX_DEPTH = 64
_ALIGN = 4  # of both structures
_END_OF_TREE = b"\xde\xad\xbe\xef"
# Offsets in struct device_node, and from the end of its fwnode_handle on.
_NP_NAME, _NP_PHANDLE, _NP_FULL_NAME, _NP_FWNODE = 0, 4, 8, 12
_NP_PROPERTIES, _NP_PARENT, _NP_CHILD, _NP_SIBLING = 0, 8, 12, 16
_PROPERTY = struct.Struct("<IIII")  # name, length, value, next


def unflatten_device_tree(kernel: Kernel) -> None:
    """Build the tree of device nodes in RAM, then scan the aliases."""
    sizes = kernel.profile.boot_sizes
    if kernel.fdt.tree is None or sizes is None:
        return
    fdt = tree(kernel)
    plan = unflatten_dt_nodes(fdt, sizes, all_nodes=kernel.profile.config.of_kobj)
    at = early_init_dt_alloc_memory_arch(
        kernel, plan.size + len(_END_OF_TREE), _ALIGN, "unflattened device tree"
    )
    blob = kernel.vars.initial_boot_params
    image = plan.write(fdt, sizes, kernel.phys_to_virt(at), blob)
    kernel.memory.write(at, bytes(image) + _END_OF_TREE)
    of_alias_scan(kernel)


@dataclass(slots=True)
class _PlannedProperty:
    at: int
    name: int  # offset in the blob; 0 for the name made of the node's
    length: int
    value: int  # offset in the blob, or in the tree for a made name


@dataclass(slots=True)
class _PlannedNode:
    node: FdtNode
    at: int
    properties: list[_PlannedProperty]
    parent: _PlannedNode | None
    children: list[_PlannedNode]


@dataclass(slots=True)
class UnflattenedPlan:
    """Where each node and property goes, from the start of the memory for them; bytes."""

    nodes: list[_PlannedNode]
    size: int

    def write(self, fdt: Fdt, sizes: BootSizes, virt: int, blob: int) -> bytearray:
        """The tree as it lies at `virt`, with the flattened one at `blob`, both virtual."""
        image = bytearray(self.size)
        links = _NP_FWNODE + sizes.fwnode_handle

        def put(at: int, value: int) -> None:
            image[at : at + 4] = value.to_bytes(4, "little")

        for planned in self.nodes:
            at, name = planned.at, planned.node.name.encode("latin-1") + b"\0"
            full_name = at + sizes.device_node
            image[full_name : full_name + len(name)] = name
            put(at + _NP_FULL_NAME, virt + full_name)
            if planned.parent is not None:
                put(at + links + _NP_PARENT, virt + planned.parent.at)
            if planned.children:
                put(at + links + _NP_CHILD, virt + planned.children[0].at)
            for child, sibling in zip(planned.children, planned.children[1:], strict=False):
                put(child.at + links + _NP_SIBLING, virt + sibling.at)
            link = at + links + _NP_PROPERTIES
            for entry in planned.properties:
                put(link, virt + entry.at)
                link = entry.at + 12
                made = not entry.name
                value = (virt if made else blob) + entry.value
                pname = blob + entry.name
                if made:
                    text = planned.node.name.split("@")[0].encode("latin-1")
                    image[entry.value : entry.value + len(text)] = text
                    pname = value  # the literal "name" lies in .rodata: the model has no place
                _PROPERTY.pack_into(image, entry.at, pname, entry.length, value, 0)
                if made or fdt.blob[entry.name : entry.name + 5] == b"name\0":
                    put(at + _NP_NAME, value)
            for phandle in ("phandle", "linux,phandle"):
                cell = planned.node.props.get(phandle)
                if cell is not None and len(cell) >= 4:
                    put(at + _NP_PHANDLE, int.from_bytes(cell[:4], "big"))
                    break
        return image


def unflatten_dt_nodes(fdt: Fdt, sizes: BootSizes, *, all_nodes: bool) -> UnflattenedPlan:
    """The first pass, which finds the size; nodes deeper than FDT_MAX_DEPTH are left out.

    So are those that are not available, but for `all_nodes`. Nodes below them are kept, and go to
    the last node that was kept one level above, as in Linux.
    """
    at = 0
    nodes: list[_PlannedNode] = []
    parents: dict[int, _PlannedNode] = {}  # by depth
    for node in fdt.root.walk():
        if node.depth >= FDT_MAX_DEPTH - 1 or not (all_nodes or node.is_available()):
            continue
        at = round_up(at, _ALIGN)
        parent = parents.get(node.depth - 1)
        planned = _PlannedNode(node, at, [], parent, [])
        if parent is not None:
            parent.children.append(planned)
        nodes.append(planned)
        parents[node.depth] = planned
        at += sizes.device_node + len(node.name) + 1
        has_name = False
        for name, length, value in fdt.property_offsets(node):
            at = round_up(at, _ALIGN)
            planned.properties.append(_PlannedProperty(at, name, length, value))
            at += sizes.property
            has_name = has_name or fdt.blob[name : name + 5] == b"name\0"
        if not has_name:
            at = round_up(at, _ALIGN)
            length = len(node.name.split("@")[0]) + 1
            planned.properties.append(_PlannedProperty(at, 0, length, at + sizes.property))
            at += sizes.property + length
    return UnflattenedPlan(nodes, round_up(at, 4))
