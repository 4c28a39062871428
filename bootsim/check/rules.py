"""All that `bootsim check` looks for: each rule reads a boot of the model, and no rule boots."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bootsim.check import (
    rules_cells,
    rules_cma,
    rules_crash,
    rules_devices,
    rules_initrd,
    rules_memory,
    rules_overlap,
    rules_pools,
    rules_reserved,
    rules_sections,
)
from bootsim.check.examine import Examined
from bootsim.check.findings import Finding, Severity

Rule = Callable[[Examined], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    rules_cells.cell_count,
    rules_memory.ignored,
    rules_memory.mem_parameter,
    rules_memory.lowmem,
    rules_memory.unaligned_bank,
    rules_memory.nomap_start,
    rules_sections.split_section,
    rules_initrd.initrd,
    rules_reserved.unreadable,
    rules_overlap.busy,
    rules_overlap.overlaps,
    rules_reserved.not_memory,
    rules_reserved.tables_full,
    rules_devices.mapped_ram,
    rules_cma.failed,
    rules_cma.straddles,
    rules_pools.no_room,
    rules_pools.pools,
    rules_crash.crash_kernel,
)
# What says itself that the kernel dies, and why.
_FATAL = frozenset(
    {"E-NOMAP-START", "E-KERNEL-OUTSIDE", "E-INITRD-HIGHMEM", "E-SECTION-SPLIT", "E-MEMBLOCK-FULL"}
)


def findings_of(boot: Examined) -> list[Finding]:
    """What the rules find in `boot`; and that it died, if no finding is about that."""
    found = [finding for rule in RULES for finding in rule(boot)]
    if boot.died is not None and not any(f.code in _FATAL for f in found):
        errors = [f.code for f in found if f.severity is Severity.ERROR]
        found.append(
            Finding(
                "E-BOOT-DIES",
                f"the kernel dies after {boot.kernel.trace.stage}: {boot.died}",
                cause=f"See also {', '.join(dict.fromkeys(errors))}." if errors else "",
                cost="There is no console yet"
                + (", and Linux says nothing." if boot.silently else ": nobody sees the message."),
                log=boot.log("Kernel panic"),
            )
        )
    return found
