"""The guest's page tables: all that is mapped, or the walk for one address."""

from __future__ import annotations

from typing import Any

from bootsim.errors import BootsimError
from bootsim.machine import mmu
from bootsim.views import View, size_text
from bootsim.views.booted import Booted


def pagetable(boot: Booted, address: int | None = None) -> View:
    """All mappings of the page table in TTBR0, or with `address` how that one is translated.

    Raises TranslationFault for an address that nothing maps.
    """
    cpu = boot.machine.cpu
    if address is not None:
        return _walk(boot, address)
    lines = [f"TTBR0 {cpu.ttbr0:#010x}, SCTLR {cpu.sctlr:#010x}, DACR {cpu.dacr:#x}"]
    data: list[dict[str, Any]] = []
    for mapping in mmu.mappings(boot.memory, cpu.ttbr0, ttbcr=cpu.ttbcr):
        permissions, kind = mapping.attributes.permissions, mapping.attributes.memory_type()
        lines.append(
            f"{mapping.virt:#010x}-{mapping.end - 1:#010x} -> {mapping.phys:#010x}"
            f" {size_text(mapping.size):>10}  {mapping.kind:10}  {permissions}  {kind}"
        )
        data.append(
            {
                "virtual": mapping.virt,
                "physical": mapping.phys,
                "size": mapping.size,
                "kind": mapping.kind,
                "permissions": permissions,
                "memory_type": kind,
                "domain": mapping.domain,
            }
        )
    return View({"ttbr0": cpu.ttbr0, "mappings": data}, lines)


def _walk(boot: Booted, address: int) -> View:
    cpu = boot.machine.cpu
    if not 0 <= address <= 0xFFFFFFFF:
        raise BootsimError(f"address {address:#x} has more than 32 bits")
    found = mmu.walk(boot.memory, cpu.ttbr0, address, ttbcr=cpu.ttbcr)
    permissions, kind = found.attributes.permissions, found.attributes.memory_type()
    lines = [f"{address:#010x} -> {found.phys:#010x}"]
    lines += [f"  {descriptor}" for descriptor in found.descriptors]
    lines.append(
        f"  {found.entry.name} of {size_text(found.size)}, domain {found.domain},"
        f" {permissions}, {kind}"
    )
    data = {
        "virtual": address,
        "physical": found.phys,
        "size": found.size,
        "kind": found.entry.name,
        "permissions": permissions,
        "memory_type": kind,
        "domain": found.domain,
        "descriptors": [
            {"level": d.level, "address": d.address, "word": d.word} for d in found.descriptors
        ],
    }
    return View(data, lines)
