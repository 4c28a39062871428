"""bootsim: see what an ARM32 Linux kernel does with physical memory before the buddy allocator.

>>> import bootsim
>>> boot = bootsim.boot(cmdline="memblock=debug")
>>> boot.log[-1][:7]
'Memory:'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bootsim.driver import Driver, load_driver
    from bootsim.errors import (
        BootsimError,
        DeviceTreeError,
        DriverError,
        KernelPanic,
        MachineFault,
        MemoryAccessError,
    )
    from bootsim.guest.driver import GuestOptions, load_guest_drivers
    from bootsim.kernel.memblock import Memblock
    from bootsim.kernel.profile import Profile
    from bootsim.machine.machine import Machine
    from bootsim.realkernel.boot import RealBoot
    from bootsim.realkernel.image import KernelImage, load_kernel_image
    from bootsim.simulate import Boot, boot
    from bootsim.trace import Trace

__version__ = "0.1.0"

__all__ = [
    "Boot",
    "BootsimError",
    "DeviceTreeError",
    "Driver",
    "DriverError",
    "GuestOptions",
    "KernelImage",
    "KernelPanic",
    "Machine",
    "MachineFault",
    "Memblock",
    "MemoryAccessError",
    "Profile",
    "RealBoot",
    "Trace",
    "boot",
    "load_driver",
    "load_guest_drivers",
    "load_kernel_image",
]

# Where each name lives: loaded on first use, so that `bootsim --help` loads no emulator.
_HOMES = {
    "bootsim.driver": ("Driver", "load_driver"),
    "bootsim.guest.driver": ("GuestOptions", "load_guest_drivers"),
    "bootsim.simulate": ("Boot", "boot"),
    "bootsim.errors": (
        "BootsimError",
        "DeviceTreeError",
        "DriverError",
        "KernelPanic",
        "MachineFault",
        "MemoryAccessError",
    ),
    "bootsim.kernel.memblock": ("Memblock",),
    "bootsim.kernel.profile": ("Profile",),
    "bootsim.machine.machine": ("Machine",),
    "bootsim.realkernel.boot": ("RealBoot",),
    "bootsim.realkernel.image": ("KernelImage", "load_kernel_image"),
    "bootsim.trace": ("Trace",),
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'bootsim' has no attribute '{name}'")
