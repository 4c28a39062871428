"""Where a kernel's sections and variables lie, for a profile made from it.

An image without symbols of data tells the sections' ends all the same: by its own, by where its
functions lie, and by the sizes in its line "Memory:". Variables that it does not name lie anywhere
in its data where nothing else is that the model uses.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable

from bootsim.errors import BootsimError
from bootsim.kernel.memory import PAGE_SIZE, round_down, round_up
from bootsim.kernel.mmzone import PageLayout
from bootsim.kernel.profile import Profile
from bootsim.realkernel.image import KernelImage
from bootsim.realkernel.profile_text import Fact, Facts
from bootsim.realkernel.readback import MemblockPlace

Places = dict[str, tuple[int, str]]  # of symbols: virtual addresses, each with its origin

_MEMORY_LINE = re.compile(r"^Memory: .* (\d+)K rodata, (\d+)K init, ")
_TEXT_SYMBOLS = ("_stext", "_etext", "_sinittext", "_einittext")
_SECTIONS = (
    *("_text", "_stext", "_etext", "__start_rodata", "__end_rodata", "__init_begin", "_sinittext"),
    *("_einittext", "__init_end", "_sdata", "_edata", "__bss_start", "__bss_stop", "_end"),
)
_THREAD_SIZE = 8192  # bytes: arch/arm/include/asm/thread_info.h
_WORD = 4
_CACHE_LINE = 64
_BANNER_MAX = 512  # bytes
_NAMES = 3 * 8  # bytes: "memory", "reserved", "physmem"
_DIGITS = 17  # and a NUL
_MAX_ORDER = 13  # of any of ARM's Kconfig


def sections(
    image: KernelImage, log: Iterable[str], kernel_data: tuple[int, int] | None = None
) -> Places:
    """The ends of the sections.

    `log` holds the kernel's "Memory:" line, unless that comes later; `kernel_data` is where the
    kernel says that its data are, virtual. Raises BootsimError where neither is known.
    """
    if all(name in image.symbols for name in _SECTIONS):
        return {name: (image.symbols.address(name), "[image]") for name in _SECTIONS}
    start_rodata = round_up(image.symbols.address("_etext"), PAGE_SIZE)
    init_begin = round_down(image.symbols.address("_sinittext"), PAGE_SIZE)
    sizes = next(filter(None, map(_MEMORY_LINE.match, log)), None)
    if sizes is not None:
        rodata, init = (int(size) << 10 for size in sizes.groups())
        end_rodata = start_rodata + rodata, f'[run] "{rodata >> 10}K rodata"'
        init_end, init_origin = init_begin + init, f'[run] "{init >> 10}K init"'
    elif kernel_data is not None:
        end_rodata = init_begin, '[chosen] as far as can be: only "Memory:" shows it'
        init_end, init_origin = kernel_data[0], '[run] "Kernel data" of /proc/iomem'
    else:
        raise BootsimError(f"{image.name}: no sizes of its sections in its log or its resources")
    data_end = image.text + len(image.code)
    return {
        "_text": (image.text, "[image]"),
        **{name: (image.symbols.address(name), "[image]") for name in _TEXT_SYMBOLS},
        "__start_rodata": (start_rodata, "[image] the page after _etext"),
        "__end_rodata": end_rodata,
        "__init_begin": (init_begin, "[image] the page of _sinittext"),
        "__init_end": (init_end, init_origin),
        "_sdata": (init_end, "[linux] arch/arm/kernel/vmlinux.lds.S: at __init_end"),
        **dict.fromkeys(("_edata", "__bss_start"), (data_end, "[image] its end")),
        **dict.fromkeys(("__bss_stop", "_end"), (image.end, "[image]")),
    }


def symbols(
    image: KernelImage,
    base: Profile,
    ends: Places,
    place: MemblockPlace,
    log_buf: tuple[int, int],
) -> Facts:
    """All symbols that profile `base` has, as `image` has them; `ends` are its sections'.

    `log_buf` is the log buffer's address, 0 for unknown, and its size in bytes. Raises BootsimError
    where the image's data have no room for what it does not name.
    """
    known = {
        "memblock": place.virt,
        "memblock_memory_init_regions": place.memory_regions,
        "memblock_reserved_init_regions": place.reserved_regions,
        "__log_buf": log_buf[0] or None,
    }
    room = _Room(ends["_sdata"][0], ends["_end"][0])
    sizes = _sizes(base, place, log_buf[1])
    facts = {name: Fact(*end) for name, end in ends.items()}
    for name in base.symbols:
        address = known.get(name) or image.symbols.get(name)
        if name not in facts and address is not None:
            facts[name] = Fact(address, "[image]")
            room.take(address, sizes.get(name, (_WORD, _WORD))[0])
    missing = [name for name in base.symbols if name not in facts]
    # The most demanding first: what is small fits anywhere.
    for name in sorted(missing, key=lambda name: sizes.get(name, (_WORD, _WORD)), reverse=True):
        size, align = sizes.get(name, (_WORD, _WORD))
        found = room.find(size, align)
        if found is None:
            raise BootsimError(f"{image.name}: no room in its data for {name}, {size} bytes")
        facts[name] = Fact(found, "[chosen]")
        room.take(found, size)
    return {name: facts[name] for name in base.symbols}


def _sizes(base: Profile, place: MemblockPlace, log_buf_size: int) -> dict[str, tuple[int, int]]:
    """Size and alignment, in bytes, of the model's variables that are more than a word."""
    config, layout = base.config, place.layout
    regions = (layout.region_size * config.init_memblock_regions, _WORD)
    node = PageLayout.linux_6_1(0, max_order=_MAX_ORDER).pgdat_size()
    return {
        "__log_buf": (log_buf_size, _CACHE_LINE),
        "init_thread_union": (_THREAD_SIZE, _THREAD_SIZE),
        "bm_pte": (PAGE_SIZE, PAGE_SIZE),
        "contig_page_data": (node, _CACHE_LINE),
        "memblock_memory_init_regions": regions,
        "memblock_reserved_init_regions": regions,
        "boot_command_line": (config.command_line_size, _WORD),
        "linux_banner": (_BANNER_MAX, _WORD),
        "memblock": (ctypes.sizeof(layout.memblock), _WORD),
        "memblock_names": (_NAMES, _WORD),
        "hex_asc": (_DIGITS, _WORD),
        "hex_asc_upper": (_DIGITS, _WORD),
        "console_printk": (4 * _WORD, _WORD),
        "__pv_offset": (2 * _WORD, 2 * _WORD),
    }


class _Room:
    """Virtual addresses from `start` to `end`, some of them taken."""

    def __init__(self, start: int, end: int) -> None:
        self._start = start
        self._end = end
        self._taken: list[tuple[int, int]] = []

    def take(self, address: int, size: int) -> None:
        self._taken.append((address, address + size))
        self._taken.sort()

    def find(self, size: int, align: int) -> int | None:
        """The lowest free address for that much."""
        at = round_up(self._start, align)
        for start, end in self._taken:
            if start < at + size and at < end:
                at = round_up(end, align)
        return at if at + size <= self._end else None
