"""Whether firmware and hypervisor of this boot are UEFI and Xen.

Linux: drivers/firmware/efi/efi-init.c and fdtparams.c, arch/arm/xen/enlighten.c.
"""

from __future__ import annotations

from bootsim.errors import DeviceTreeError
from bootsim.kernel.fdt import chosen_node, tree
from bootsim.kernel.kernel import Kernel

_XEN = "xen,xen"
_XEN_PREFIX = b"xen,xen-"
_SYSTEM_TABLE = {"chosen": "linux,uefi-system-table", "uefi": "xen,uefi-system-table"}


def xen_early_init(kernel: Kernel) -> None:
    """Say which Xen /hypervisor speaks of. What Xen would answer to hypercalls is left out."""
    if not kernel.profile.config.xen or kernel.fdt.tree is None:
        return
    node = next((n for n in tree(kernel).root.children if n.name == "hypervisor"), None)
    if node is None or not node.is_compatible(_XEN):
        return
    first = node.props.get("compatible", b"")
    if len(first) > len(_XEN_PREFIX) + 3 and first.startswith(_XEN_PREFIX):
        version = first[len(_XEN_PREFIX) :].split(b"\0", 1)[0].decode("latin-1")
        kernel.pr_info(f"Xen {version} support found")


def arm_efi_init(kernel: Kernel) -> None:
    """Say that no UEFI has started this kernel.

    Raises DeviceTreeError where the tree says that one has: its memory map, which would replace
    the tree's memory, is not modelled.
    """
    if not kernel.profile.config.efi or kernel.fdt.tree is None:
        return
    xen = tree(kernel).root.find("/hypervisor/uefi")
    for node, name in (
        (xen, _SYSTEM_TABLE["uefi"]),
        (chosen_node(kernel), _SYSTEM_TABLE["chosen"]),
    ):
        if node is not None and name in node.props:
            raise DeviceTreeError(
                f"/{node.name}: {name}: a boot by UEFI, whose memory map counts, is not modelled"
            )
    kernel.pr_info("efi: UEFI not found.")
