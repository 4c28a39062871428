"""What machines ask memblock for once the tree is unflattened.

Linux: the init_early() of arch/arm/mach-omap2, named by the machine descriptions of a profile. What
else they do needs the devices themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from bootsim.errors import BootsimError
from bootsim.kernel.fdt import tree
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.libfdt import FdtNode

_CLK_IOMAP = 8  # bytes of struct clk_iomap: drivers/clk/ti/clk.c
_CLKCTRL_PROVIDER = 24  # bytes of struct clkctrl_provider: mach-omap2/omap_hwmod.c
_POINTER = 4


def machine_init_early(kernel: Kernel) -> None:
    """mdesc->init_early(), at setup_arch()'s end."""
    machine = kernel.machine_desc
    if machine is None or not machine.init_early:
        return
    function = _INIT_EARLY.get(machine.init_early)
    if function is None:
        raise BootsimError(
            f"machine '{machine.name}': no init_early '{machine.init_early}': there are"
            f" {', '.join(_INIT_EARLY)}"
        )
    function(kernel)


def omap3_init_early(kernel: Kernel) -> None:
    """The clocks' registers in PRM and CM, then the clock providers."""
    align = kernel.memblock.features.smp_cache_bytes
    for compatible in ("ti,omap3-prm", "ti,omap3-cm"):
        for node in _compatible(kernel, compatible):
            caller = "omap2_clk_legacy_provider_init"
            what = f"clock registers of {node.name}"
            kernel.memblock_alloc(_CLK_IOMAP, align, what, caller=caller, says=caller)
    omap_hwmod_init(kernel)


def omap_hwmod_init(kernel: Kernel) -> None:
    """_setup_clkctrl_provider() for each provider of module clocks."""
    align, caller = kernel.memblock.features.smp_cache_bytes, "omap_hwmod_init"
    for node in _compatible(kernel, "ti,clkctrl"):
        count = len(node.props.get("reg", b"")) // 4 // 2
        for size in (_CLKCTRL_PROVIDER, _POINTER * count, 4 * count):
            virt = kernel.memblock.alloc(size, align, caller=caller)
            if not virt:
                return
            kernel.use(kernel.virt_to_phys(virt), size, f"clock provider {node.name}")


def _compatible(kernel: Kernel, compatible: str) -> Iterator[FdtNode]:
    return (node for node in tree(kernel).root.walk() if node.is_compatible(compatible))


_INIT_EARLY: Mapping[str, Callable[[Kernel], None]] = MappingProxyType(
    {
        "omap_hwmod_init": omap_hwmod_init,
        "omap3_init_early": omap3_init_early,
        "ti814x_init_early": omap_hwmod_init,
        "ti816x_init_early": omap_hwmod_init,
    }
)
