"""What a boot came to: the end of `bootsim boot`."""

from __future__ import annotations

from bootsim.simulate import Boot
from bootsim.trace import as_data
from bootsim.views import View, size_text, zones


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
    lines: list[str] = []
    if boot.handed_over:
        allocator = boot.buddy
        buddyinfo = zones.buddyinfo(allocator)
        free = allocator.nr_free_pages()
        data["buddyinfo"] = buddyinfo
        data["nr_free_pages"] = free
        reserved = boot.memblock.reserved
        lines.append("")
        lines.append(
            f"Handed to the buddy allocator: {free} pages, {size_text(free * 4096)};"
            f" {reserved.cnt} reserved regions hold {size_text(reserved.total_size)}"
        )
        lines.append("Free blocks of order 0 to 10 (4 KiB to 4 MiB):")
        lines.extend(zones.format_buddyinfo(buddyinfo))
    else:
        lines.append("")
        lines.append(f"Stopped after {boot.stage}: `bootsim inspect regions --at ...` shows why")
    return View(data, lines)


def events(boot: Boot) -> list[dict[str, object]]:
    """The boot's events as JSON-ready data, in order: their places are the numbers for --at."""
    return [as_data(event) for event in boot.trace]
