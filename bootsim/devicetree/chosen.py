"""What a boot loader tells Linux of itself: it fills in the device tree's /chosen."""

from __future__ import annotations

from bootsim.devicetree.edit import BlobEdit
from bootsim.errors import DeviceTreeError


def set_chosen(
    data: bytes,
    *,
    bootargs: str | None = None,
    initrd: tuple[int, int] | None = None,
    name: str = "device tree",
) -> bytes:
    """Blob `data` with `bootargs` and `initrd` in /chosen; what is None stays as the tree has it.

    `initrd` is the physical (start, end) of the initial RAM disk, end exclusive, in bytes; it is
    written as 32-bit cells, or 64-bit ones where the root's #address-cells is 2. The blob's free
    space is used; it grows only if there is too little. Bytes past totalsize are cut off.
    Raises DeviceTreeError.
    """
    edit = BlobEdit(data, name)
    values: dict[str, bytes] = {}
    if bootargs is not None:
        if "\0" in bootargs:
            raise DeviceTreeError(f"{name}: /chosen: bootargs with a NUL in it: {bootargs!r}")
        values["bootargs"] = bootargs.encode("utf-8", "surrogateescape") + b"\0"
    if initrd is not None:
        # libfdt's fdt_address_cells(): 2 where the root has no such property.
        cells = edit.root.get("#address-cells")
        size = 8 if cells is None or int.from_bytes(cells, "big") == 2 else 4
        start, end = initrd
        if not 0 <= start <= end < 1 << 8 * size:
            raise DeviceTreeError(
                f"{name}: /chosen: initrd from {start:#x} to {end:#x} is not a range of "
                f"{8 * size}-bit addresses"
            )
        values["linux,initrd-start"] = start.to_bytes(size, "big")
        values["linux,initrd-end"] = end.to_bytes(size, "big")
    if values:
        chosen = edit.find_or_add_subnode("chosen")
        for key, value in values.items():
            edit.set_property(chosen, key, value)
    return edit.blob()
