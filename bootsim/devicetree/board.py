"""What a machine needs to know of its device tree: RAM, console, CPUs, and what /chosen says.

RAM is found as Linux finds it (drivers/of/fdt.c, early_init_dt_scan_memory()), addresses of devices
are brought up through the buses as in drivers/of/address.c, __of_translate_address(). Where Linux
goes on with memory that cannot be, the machine cannot be built, and an error says why. What a CPU
of 32-bit physical addresses cannot reach is not built either: Linux is told of it by the tree and
says that it ignores it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bootsim.devicetree.blob import parse_blob
from bootsim.devicetree.bus import Bus, numbers
from bootsim.devicetree.tree import Node, Tree
from bootsim.errors import DeviceTreeError
from bootsim.machine.memory import ADDRESS_LIMIT, PAGE_SIZE, Range

_MPIDR_HWID_BITMASK = 0xFFFFFF  # arch/arm/include/asm/cputype.h
_U64_MASK = 0xFFFFFFFFFFFFFFFF
_GIVE_RAM = "give --ram BASE:SIZE, as the boot loader would"


@dataclass(frozen=True, slots=True)
class Board:
    """A board. Addresses are physical, sizes in bytes.

    `memory` are the RAM banks in the tree's order, as it has them; `uarts` the base addresses of
    its PL011s, the console's first; `cpus` the ids of its CPUs; `bootargs` and `initrd` (end
    exclusive) what /chosen says, None if nothing.
    """

    model: str
    compatible: tuple[str, ...]
    memory: tuple[Range, ...]
    uarts: tuple[int, ...]
    cpus: tuple[int, ...]
    bootargs: str | None
    initrd: tuple[int, int] | None

    @classmethod
    def from_blob(
        cls, data: bytes, name: str, *, ram: Iterable[tuple[int, int]] | None = None
    ) -> Board:
        """The board that blob `data` describes; with `ram`, banks of (base, size), in place of its
        memory. Raises DeviceTreeError."""
        return cls.from_tree(parse_blob(data, name), ram=ram)

    @classmethod
    def from_tree(cls, tree: Tree, *, ram: Iterable[tuple[int, int]] | None = None) -> Board:
        """The board that `tree` describes, or with `ram` that RAM.

        Raises DeviceTreeError if there is no usable RAM.
        """
        memory = _memory(tree) if ram is None else tuple(Range(*bank) for bank in ram)
        if not whole_pages(memory):
            raise DeviceTreeError(f"{tree.name}: no RAM below 4 GiB")
        compatible = tree.root.strings("compatible")
        chosen = tree.root.child("chosen")
        return cls(
            model=tree.root.string("model") or next(iter(compatible), ""),
            compatible=compatible,
            memory=memory,
            uarts=_uarts(tree),
            cpus=_cpus(tree),
            bootargs=chosen.string("bootargs") if chosen else None,
            initrd=_initrd(chosen) if chosen else None,
        )

    @property
    def boot_cpu(self) -> int:
        """The id of the CPU that boots: the lowest one; 0 without any that MPIDR can hold."""
        hwid = min(self.cpus, default=0)
        return hwid if hwid <= _MPIDR_HWID_BITMASK else 0

    def ram_banks(self) -> tuple[Range, ...]:
        """RAM as a machine can have it: whole_pages() of `memory`."""
        return whole_pages(self.memory)


def devices_of(blob: bytes) -> list[tuple[str, int]]:
    """Each usable device of a valid blob that the CPU can reach: path, physical address of its
    first registers."""
    tree = parse_blob(blob, "device tree")
    return [(node.path, address) for node, address in _device_addresses(tree.root, None)]


def whole_pages(memory: Iterable[Range]) -> tuple[Range, ...]:
    """RAM below 4 GiB in whole pages, sorted: rounded outwards, what overlaps is one bank."""
    banks: list[Range] = []
    for bank in sorted(memory):
        start = bank.base // PAGE_SIZE * PAGE_SIZE
        end = min(-(-bank.end // PAGE_SIZE) * PAGE_SIZE, ADDRESS_LIMIT)
        if start >= end:
            continue
        if banks and start < banks[-1].end:
            last = banks.pop()
            start, end = last.base, max(last.end, end)
        banks.append(Range(start, end - start))
    return tuple(banks)


def root_cells(root: Mapping[str, bytes], key: str, name: str) -> int:
    """The root's #address-cells or #size-cells; 1 where there is none, as Linux has it for ARM.

    Linux takes any number of them; without any there is no memory to speak of. `root` has the
    root's properties, `name` is the tree's; raises DeviceTreeError.
    """
    value = root.get(key)
    cells = 1 if value is None else int.from_bytes(value, "big")
    if cells < 1 or (value is not None and len(value) != 4):
        found = f"{cells:#x} in {len(value or b'')} bytes"
        raise DeviceTreeError(f"{name}: /: {key} is {found}, expected one cell: 1 or more")
    return cells


def _memory(tree: Tree) -> tuple[Range, ...]:
    nodes = [node for node in tree.root.children if node.string("device_type") == "memory"]
    if not nodes:
        why = f'no subnode has device_type = "memory": {_GIVE_RAM}'
        raise DeviceTreeError(f"{tree.name}: /: no memory: {why}")
    address_cells = root_cells(tree.root.properties, "#address-cells", tree.name)
    size_cells = root_cells(tree.root.properties, "#size-cells", tree.name)
    usable = [node for node in nodes if node.available and "reg" in node.properties]
    banks = [
        (bank, node.path)
        for node in usable
        for bank in _reg(tree, node, address_cells, size_cells)
        if bank.size
    ]
    if not banks:
        why = "of size 0" if usable else 'without "reg" or not "okay"'
        paths = ", ".join(node.path for node in usable or nodes)
        raise DeviceTreeError(f"{tree.name}: {paths}: no memory: all of it is {why}: {_GIVE_RAM}")
    if all(bank.base >= ADDRESS_LIMIT for bank, _ in banks):
        bank, path = banks[0]
        raise DeviceTreeError(f"{tree.name}: {path}: no memory below 4 GiB: {bank} is the first")
    return tuple(bank for bank, _ in banks)


def _reg(tree: Tree, node: Node, address_cells: int, size_cells: int) -> Iterator[Range]:
    value = node.properties["reg"]
    entry = 4 * (address_cells + size_cells)
    if not value or len(value) % entry:
        raise DeviceTreeError(
            f"{tree.name}: {node.path}: reg has {len(value)} bytes, expected a multiple of {entry} "
            f"(#address-cells {address_cells}, #size-cells {size_cells})"
        )
    for offset in range(0, len(value), entry):
        base, size = numbers(value[offset : offset + entry], address_cells, size_cells)
        yield Range(base & _U64_MASK, size & _U64_MASK)  # of_read_number()


def _uarts(tree: Tree) -> tuple[int, ...]:
    """PL011s that the CPU can reach. Like Linux, leaves out one that no bus gives an address."""
    console = _console(tree)
    found = [
        (node is not console, address)
        for node, address in _device_addresses(tree.root, None)
        if "arm,pl011" in node.strings("compatible")
    ]
    return tuple(address for _, address in sorted(found, key=lambda uart: uart[0]))


def _console(tree: Tree) -> Node | None:
    """The node of /chosen's stdout-path, or else of alias serial0."""
    chosen = tree.root.child("chosen")
    if chosen:
        path = chosen.string("stdout-path") or chosen.string("linux,stdout-path")
        if path:
            return tree.node(path.split(":")[0])
    return tree.node("serial0")


def _device_addresses(parent: Node, above: Bus | None) -> Iterator[tuple[Node, int]]:
    """Each usable device below `parent` with the physical address of its first reg entry.

    `above` is the bus that `parent` is on, None for the root.
    """
    bus = Bus.of(parent.properties, above)
    for node in parent.children:
        if not node.available:
            continue
        address = bus.first(node.properties.get("reg", b""))
        if address is not None:
            yield node, address
        yield from _device_addresses(node, bus)


def _cpus(tree: Tree) -> tuple[int, ...]:
    """The ids of the CPUs in /cpus that have not failed (drivers/of/base.c, of_get_cpu_hwid())."""
    cpus = tree.root.child("cpus")
    if cpus is None:
        return ()
    cells = cpus.properties.get("#address-cells") or tree.root.properties.get("#address-cells")
    size = 4 * (int.from_bytes(cells[:4], "big") if cells else 1)
    ids = []
    for node in cpus.children:
        if node.name.split("@")[0] != "cpu" and node.string("device_type") != "cpu":
            continue
        status, reg = node.string("status") or "", node.properties.get("reg", b"")
        if not status.startswith("fail") and 0 < size <= len(reg):
            ids.append(int.from_bytes(reg[:size], "big"))
    return tuple(ids)


def _initrd(chosen: Node) -> tuple[int, int] | None:
    start = chosen.properties.get("linux,initrd-start")
    end = chosen.properties.get("linux,initrd-end")
    if not start or not end:
        return None
    return int.from_bytes(start, "big"), int.from_bytes(end, "big")
