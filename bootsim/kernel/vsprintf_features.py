"""What the kernel's printf needs from its surroundings, and what differs between kernels.

Linux: lib/vsprintf.c.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from bootsim.kernel.mmflags import GFP_FLAG_NAMES_6_1, VMA_FLAG_NAMES_6_1, FlagNames


class Arguments(Protocol):
    """Variable arguments in the order of the call: AAPCS registers and stack, or a va_list."""

    def word(self) -> int:
        """The next 32-bit argument, unsigned."""
        ...

    def long_long(self) -> int:
        """The next 64-bit argument, unsigned; skips to the pair that the ABI puts it in."""
        ...


class Symbol(NamedTuple):
    """A symbol as kallsyms knows it; `module` is None for those of the kernel itself."""

    name: str
    address: int
    size: int
    module: str | None = None


class Memory(Protocol):
    """The kernel's memory by virtual address. What it raises for bad addresses is passed on."""

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes."""
        ...

    def string(self, address: int, limit: int | None = None) -> bytes:
        """The bytes up to the first NUL, which is left out; `limit` bytes at most are read."""
        ...

    def va_list(self, ap: int) -> Arguments:
        """The arguments of a va_list whose `__ap` is this (AAPCS, 8.1.4)."""
        ...

    def symbol(self, address: int) -> Symbol | None:
        """The symbol whose bytes hold `address` (kallsyms_lookup())."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceNodeLayout:
    """Where members of struct device_node lie (include/linux/of.h), in bytes."""

    phandle: int = 4
    full_name: int = 8
    properties: int = 44
    parent: int = 52
    flags: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class VsprintfFeatures:
    """How one kernel's vsnprintf() differs from another's; the defaults are those of Linux 6.1.

    The first group is the command line and the configuration, the second what changed over the
    versions, with the release that brought it, as far as known. `linux_5_0()` and `linux_6_1()`
    give the sets of those two. A table that is None is not known for that kernel: its %p extension
    is an error.
    """

    no_hash_pointers: bool = False  # command line (5.12)
    debug_boot_weak_hash: bool = False  # command line (4.19)
    symbolic_errname: bool = True  # CONFIG_SYMBOLIC_ERRNAME
    dma_addr_bits: int = 32  # 64 with CONFIG_ARCH_DMA_ADDR_T_64BIT: CONFIG_XEN selects it
    zones_width: int = 2  # ZONES_WIDTH: 2 bits with 3 or 4 zones, 1 with 2
    device_node: DeviceNodeLayout | None = DeviceNodeLayout()  # with CONFIG_OF_KOBJ
    gfp_flag_names: FlagNames | None = GFP_FLAG_NAMES_6_1
    vma_flag_names: FlagNames | None = VMA_FLAG_NAMES_6_1

    # Pointers that %s and %p extensions follow are checked: 0 is "(null)", others below PAGE_SIZE
    # and error pointers are "(efault)", and extensions that do not exist have words of their own,
    # as in "(%pI?)": 5.2. Before, %s says "(null)" below PAGE_SIZE, %p and its extensions say it
    # for 0, padded to 8 columns, and the rest is followed or treated as %p.
    checks_pointers: bool = True
    plain_bad_pointers: bool = True  # %p shows 0 and error pointers as they are: 5.7
    function_pointers: bool = False  # %pf and %pF are %ps and %pS: to 5.1
    error_names: bool = True  # %pe: 5.5
    firmware_nodes: bool = True  # %pfw: 5.5
    string_pointers: bool = True  # %pks and %pus: 5.9
    fourcc: bool = True  # %p4cc: 5.13
    rust: bool = True  # %pA, a WARN without CONFIG_RUST: 6.1
    time64: bool = True  # %ptT: 5.11
    time_separator: bool = True  # %pt[RT]s, a space between date and time: 5.14
    page_flag_fields: bool = True  # %pGp shows the number and the zone: 5.13
    escapes_quotes: bool = True  # %pEc escapes double quotes: 5.15

    @classmethod
    def of_linux(cls, version: Literal["5.0", "6.1"]) -> VsprintfFeatures:
        """Those of a kernel whose profile has this for `printk`."""
        return cls.linux_5_0() if version == "5.0" else cls.linux_6_1()

    @classmethod
    def linux_6_1(cls) -> VsprintfFeatures:
        """Linux 6.1, multi_v7_defconfig."""
        return cls()

    @classmethod
    def linux_5_0(cls) -> VsprintfFeatures:
        """Linux 5.0."""
        return cls(
            device_node=None,
            gfp_flag_names=None,
            vma_flag_names=None,
            checks_pointers=False,
            plain_bad_pointers=False,
            function_pointers=True,
            error_names=False,
            firmware_nodes=False,
            string_pointers=False,
            fourcc=False,
            rust=False,
            time64=False,
            time_separator=False,
            page_flag_fields=False,
            escapes_quotes=False,
        )


class Context(NamedTuple):
    """What showing one value may need beside the value.

    `warn` is called with the text of a WARN_ONCE(); `vsnprintf` formats in the same surroundings,
    for %pV.
    """

    memory: Memory
    features: VsprintfFeatures
    warn: Callable[[str], None]
    vsnprintf: Callable[[bytes, Arguments], bytes]

    def word(self, address: int) -> int:
        """The 32-bit word at `address`."""
        return int.from_bytes(self.memory.read(address, 4), "little")
