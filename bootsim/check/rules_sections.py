"""Memory cut so that the linear map cannot be made of it."""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.check.examine import Examined
from bootsim.check.findings import Area, Finding
from bootsim.check.spans import span
from bootsim.kernel.memory import PMD_SIZE, SECTION_SIZE, round_down, round_up
from bootsim.machine.memory import Range
from bootsim.trace import CreateMapping


def split_section(boot: Examined) -> Iterator[Finding]:
    """E-SECTION-SPLIT: a hole that leaves a section and needs a page table in the same 2 MiB."""
    if boot.died is None or not boot.died.startswith("BUG: a section maps"):
        return
    made = [event for event in boot.kernel.trace if isinstance(event, CreateMapping)]
    behind = made[-1].phys
    base = max(event.phys + event.size for event in made[:-1] if event.phys < behind)
    hole = Area("the hole", base, behind - base)
    owner = next(iter(boot.nomap_in(hole)), None)
    cells = boot.cells
    below, above = round_down(base, PMD_SIZE), round_up(behind, SECTION_SIZE)
    wider = " or ".join(
        cells.write([Range(start, end - start)]) for start, end in ((below, behind), (base, above))
    )
    yield Finding(
        "E-SECTION-SPLIT",
        (f"the no-map region {owner}" if owner else f"the hole between banks {span(hole)}")
        + f" cuts the 2 MiB at {below:#x}, and the kernel dies when it maps what is behind,"
        f" {behind:#x}",
        remedy=f"reg = {wider};" if owner else "Align the banks in reg to 2 MiB (0x200000).",
        node=owner.what if owner else boot.memory_node(behind),
        prop="reg",
        areas=(owner or hole,),
        deadly=True,
    )
