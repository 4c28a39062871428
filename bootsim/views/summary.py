"""What a boot came to: the end of `bootsim boot` and `bootsim kernel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import BootsimError
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.trace import as_data
from bootsim.views import View, size_text, zones
from bootsim.views.booted import Booted

if TYPE_CHECKING:
    from bootsim.realkernel.boot import RealBoot
    from bootsim.simulate import Boot


def summary(boot: Boot) -> View:
    """Where the boot stopped, and what the buddy allocator got; as data, the log too."""
    data: dict[str, object] = {
        "stage": boot.stage,
        "model": boot.board.model,
        "profile": boot.profile.name,
        "command_line": boot.started_kernel.boot_command_line,
        "uart": boot.machine.uart.text,
        "log": boot.log,
        "notes": boot.notes,
    }
    lines = [""]
    if boot.handed_over:
        handed = _handed_over(boot)
        data.update(handed.data)
        lines += handed.lines
    else:
        lines.append(f"Stopped after {boot.stage}: `bootsim inspect regions --at ...` shows why")
    return View(data, lines)


def events(boot: Booted) -> list[dict[str, object]]:
    """The boot's events as JSON-ready data, in order: their places are the numbers for --at."""
    return [as_data(event) for event in boot.trace]


def kernel_summary(boot: RealBoot) -> View:
    """Where a real kernel's boot stopped, what it left, and which hardware it looked for."""
    image, load = boot.image, boot.placement.kernel
    absent = boot.absent_devices()
    data: dict[str, object] = {
        "stage": boot.stage,
        "model": boot.board.model,
        "kernel": image.name,
        "kind": image.kind,
        "banner": image.banner,
        "loaded_at": load.base,
        "uart": boot.machine.uart.text,
        "log": boot.log,
        "notes": boot.notes,
        "absent_hardware": [
            {"page": page, "device": path, "reads": reads, "writes": writes}
            for page, path, reads, writes in absent
        ],
    }
    lines = ["", f"{image.name}, {image.kind}: {size_text(load.size)} at {load.base:#010x}"]
    passed = f"has come past {boot.stage}, and" if boot.stage else "is before setup_arch(), and"
    lines.append(f"The boot {passed} stands in {boot.place()}")
    if boot.handed_over:
        if not any(line.startswith("Memory: ") for line in boot.log):
            lines.append("This kernel prints its Memory: line later, if at all")
        try:
            handed = _handed_over(boot)
        except BootsimError as error:
            handed = View({"buddyinfo": None, "zones_error": str(error)}, [f"Its zones: {error}"])
        data.update(handed.data)
        lines += handed.lines
    if absent:
        lines.append("It looked for hardware that is not there, and read zeros:")
        lines += [
            f"  {page:#010x}  {reads:4} reads, {writes:4} writes  {path}"
            for page, path, reads, writes in absent
        ]
    return View(data, lines)


def _handed_over(boot: Booted) -> View:
    """What the buddy allocator has got."""
    allocator = boot.buddy
    buddyinfo = zones.buddyinfo(allocator)
    free = allocator.nr_free_pages()
    reserved = boot.memblock.reserved
    orders = len(buddyinfo[0]["free"]) if buddyinfo else 0
    lines = [
        f"Handed to the buddy allocator: {free} pages, {size_text(free * PAGE_SIZE)};"
        f" {reserved.cnt} reserved regions hold {size_text(reserved.total_size)}",
        f"Free blocks of order 0 to {orders - 1} (4 KiB to {size_text(PAGE_SIZE << orders - 1)}):",
        *zones.format_buddyinfo(buddyinfo),
    ]
    return View({"buddyinfo": buddyinfo, "nr_free_pages": free}, lines)
