"""The same kernel, configured otherwise.

What follows from an option is changed, and what another build would only place or size a little
otherwise (its code, its tables) stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from bootsim.errors import BootsimError
from bootsim.kernel.profile import Profile

# PAGE_OFFSET by the choice CONFIG_VMSPLIT_* (arch/arm/Kconfig).
VMSPLIT: Mapping[str, int] = MappingProxyType(
    {"3G": 0xC0000000, "3G_OPT": 0xB0000000, "2G": 0x80000000, "1G": 0x40000000}
)


def with_highmem(profile: Profile, highmem: bool) -> Profile:
    """`profile` with CONFIG_HIGHMEM or without: RAM above lowmem is a zone, or is not used."""
    if profile.config.highmem == highmem:
        return profile
    name = f"{profile.name}, {'HIGHMEM' if highmem else 'no HIGHMEM'}"
    return replace(profile, name=name, config=replace(profile.config, highmem=highmem))


def with_vmsplit(profile: Profile, split: str) -> Profile:
    """`profile` with the split of address space `split`, one of VMSPLIT.

    PAGE_OFFSET moves, and with it the linear map and all of the kernel in it; below are modules,
    kmap() and user space, which go by it. The vmalloc area ends where it did (VMALLOC_END), and so
    lowmem has more room the lower PAGE_OFFSET is. Raises BootsimError for another split.
    """
    if split not in VMSPLIT:
        raise BootsimError(f"vmsplit {split}: there are {', '.join(VMSPLIT)}")
    by = VMSPLIT[split] - profile.layout.page_offset
    if not by:
        return profile
    return replace(
        profile,
        name=f"{profile.name}, VMSPLIT_{split}",
        layout=replace(profile.layout, page_offset=VMSPLIT[split]),
        symbols=MappingProxyType({name: at + by for name, at in profile.symbols.items()}),
    )
