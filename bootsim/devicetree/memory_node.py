"""What a boot loader tells Linux of RAM: it fills in the device tree's /memory.

Many trees leave that to it: they have no memory node, or one of size 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from bootsim.devicetree.board import root_cells
from bootsim.devicetree.edit import BlobEdit
from bootsim.errors import BootsimError, DeviceTreeError
from bootsim.machine.memory import PAGE_SIZE, Range

_MAX_CELLS = 4  # scripts/dtc/libfdt/libfdt.h, FDT_MAX_NCELLS
_CELLS_READ = 2  # at most, the last ones: include/linux/of.h, of_read_number()


def set_memory(
    data: bytes, banks: Iterable[tuple[int, int]], *, name: str = "device tree"
) -> bytes:
    """Blob `data` with RAM `banks`, each (base, size) in bytes, in place of all that it has.

    As U-Boot's fdt_fixup_memory_banks(): device_type and reg of /memory, the root's first subnode
    of that name whatever its unit address, are set, and it is added if there is none. U-Boot leaves
    the rest alone, and Linux would take what is there for RAM, too, or in place of reg; so
    /memory's linux,usable-memory and status go, and so do other subnodes with device_type =
    "memory", as barebox has it (of_memory_fixup()). Bytes past totalsize are cut off.

    Raises DeviceTreeError for a blob that cannot be read, and BootsimError for banks that overlap,
    are not in whole pages, or do not fit into the root's cells.
    """
    edit = BlobEdit(data, name)
    reg = _reg([Range(*bank) for bank in banks], edit.root, name)
    memory = edit.find_or_add_subnode("memory")
    edit.set_property(memory, "device_type", b"memory\0")
    edit.set_property(memory, "reg", reg)
    edit.delete_property(memory, "linux,usable-memory")
    edit.delete_property(memory, "status")
    for node in edit.subnodes:
        device_type = node.properties.get("device_type", b"")
        if node is not memory and device_type.split(b"\0")[0] == b"memory":
            edit.delete_subnode(node)
    return edit.blob()


def _reg(banks: Sequence[Range], root: Mapping[str, bytes], name: str) -> bytes:
    if not banks:
        raise BootsimError("RAM of no banks: give one at least")
    address_cells = _cells(root, "#address-cells", name)
    size_cells = _cells(root, "#size-cells", name)
    address_limit = 1 << 32 * min(address_cells, _CELLS_READ)
    size_limit = 1 << 32 * min(size_cells, _CELLS_READ)
    reg = b""
    for bank in banks:
        where = f"RAM bank {bank.base:#x}:{bank.size:#x}"
        if bank.size < 1:
            raise BootsimError(f"{where}: there is nothing in it")
        if bank.base % PAGE_SIZE or bank.size % PAGE_SIZE:
            raise BootsimError(f"{where}: it is not of whole pages, {PAGE_SIZE:#x} bytes each")
        if bank.base < 0 or bank.end > address_limit or bank.size >= size_limit:
            raise BootsimError(
                f"{where}: it does not fit into the numbers of {name}: #address-cells is"
                f" {address_cells}, #size-cells {size_cells}"
            )
        reg += bank.base.to_bytes(4 * address_cells, "big")
        reg += bank.size.to_bytes(4 * size_cells, "big")
    for one, other in pairwise(sorted(banks)):
        if other.base < one.end:
            raise BootsimError(f"RAM banks overlap: {one} and {other}")
    return reg


def _cells(root: Mapping[str, bytes], key: str, name: str) -> int:
    cells = root_cells(root, key, name)
    if cells > _MAX_CELLS:
        raise DeviceTreeError(f"{name}: /: {key} is {cells:#x}, expected at most {_MAX_CELLS}")
    return cells
