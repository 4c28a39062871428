"""All that `bootsim check` looks for: each rule reads a boot of the model, and no rule boots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from bootsim.check import (
    rules_cells,
    rules_cma,
    rules_crash,
    rules_devices,
    rules_initrd,
    rules_kernel,
    rules_limit,
    rules_lowmem,
    rules_memory,
    rules_overlap,
    rules_payload,
    rules_pools,
    rules_reserved,
    rules_sections,
)
from bootsim.check.examine import Examined
from bootsim.check.findings import Finding, Severity

Rule = Callable[[Examined], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    rules_cells.cell_count,
    rules_payload.overwritten,
    rules_payload.margins,
    rules_payload.in_reserved,
    rules_memory.ignored,
    rules_memory.memory_nodes,
    rules_limit.cuts,
    rules_limit.exceeds,
    rules_lowmem.lowmem,
    rules_memory.unaligned_bank,
    rules_kernel.kernel_place,
    rules_kernel.kernel_edge,
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
# What only follows where the kernel has no memory to live in.
_FOLLOWS = frozenset({"E-CMA-FAILED", "W-MEM-CUTS", "I-CMA-HIGHMEM"})


def findings_of(boot: Examined) -> list[Finding]:
    """What the rules find in `boot`; and that it died, if no finding is about that."""
    unseen = list(rules_payload.not_taken(boot))
    if unseen:
        return unseen
    found = _once([finding for rule in RULES for finding in rule(boot)])
    if boot.died is not None and not any(finding.deadly for finding in found):
        errors = [f.code for f in found if f.severity is Severity.ERROR]
        found.append(
            Finding(
                "E-BOOT-DIES",
                boot.fate,
                cause=f"See also {', '.join(dict.fromkeys(errors))}." if errors else "",
                cost="There is no console yet"
                + (", and Linux says nothing." if boot.silently else ": nobody sees the message."),
                log=boot.log("Kernel panic"),
            )
        )
    return found


def _once(found: list[Finding]) -> list[Finding]:
    """`found` without what only follows from another: that one says what Linux says of it."""
    cause = next((f for f in found if f.code == "E-KERNEL-OUTSIDE"), None)
    if cause is not None:
        follow = [f for f in found if f.code in _FOLLOWS or _is_of_mem(f)]
        lines = [*cause.log, *(line for f in follow for line in f.log)]
        told = replace(cause, log=tuple(dict.fromkeys(lines)))
        return [told if f is cause else f for f in found if f not in follow]
    cut = {area.what for f in found if f.code == "W-MEM-CUTS" for area in f.areas}
    return [f for f in found if f.code != "W-CMA-HIGHMEM" or f.node not in cut]


def _is_of_mem(finding: Finding) -> bool:
    return finding.code == "W-MEMORY-IGNORED" and not finding.node
