"""A kernel's file -> the raw Image in it, where that is linked to run, and its symbols."""

from __future__ import annotations

import hashlib
import os
import re
from array import array
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bootsim.errors import BootsimError
from bootsim.inputs import FilePath, read_content
from bootsim.realkernel.container import banner_at, banners, open_kernel
from bootsim.realkernel.imagecache import ImageCache, Stored
from bootsim.realkernel.kallsyms import decode
from bootsim.realkernel.symbols import Symbols, parse_system_map
from bootsim.realkernel.vmlinux import Vmlinux

_FILE_MAX = 512 << 20  # bytes: a vmlinux with its debug information
_PAGE_OFFSETS = (0x40000000, 0x80000000, 0xB0000000, 0xC0000000)  # arch/arm/Kconfig: VMSPLIT_*
_TEXT_OFFSET_STEP = 0x8000  # arch/arm/Makefile: textofs-y is 0x8000, or that and some MiB
_TEXT_OFFSET_MAX = 16 << 20
_BSS_MAX = 64 << 20  # bytes
_BSS_GAP_MAX = 0x2000  # bytes that linkers leave before .bss, which Image does not have
_MMAP_SWITCHED_SIZE = 0x100  # bytes: __mmap_switched and the addresses behind it
_VERSION = re.compile(r"Linux version (\d+)\.(\d+)")
_BUILD_NUMBER = re.compile(r" #\d")
_COMPARED = 256  # symbols that two tables are compared by


@dataclass(frozen=True, slots=True)
class KernelImage:
    """A kernel to run. Addresses are virtual.

    `code` is what lies in RAM from `text` (_text) on, `text_offset` above where RAM begins for the
    kernel (PHYS_OFFSET); `end` (_end) is behind its .bss, which `code` is without. `kind` is that
    of the file: zImage, Image, uImage or vmlinux; `digest` the SHA-256 of its content.
    """

    name: str
    kind: str
    code: memoryview
    text: int
    page_offset: int
    text_offset: int
    end: int
    banner: str
    version: tuple[int, int]
    symbols: Symbols
    digest: str
    appended_dtb: bytes | None = None


def load_kernel_image(
    source: bytes | FilePath,
    *,
    name: str | None = None,
    system_map: FilePath | None = None,
    vmlinux: FilePath | None = None,
    cache: bool | Path = True,
) -> KernelImage:
    """The kernel in a file, or in a file's content.

    Its symbols are those that it carries (kallsyms), or those of `system_map` or `vmlinux`, which
    must belong to it. What was unpacked is kept in `cache`: a folder, or the user's (True).
    Raises BootsimError, in one line, for what is no kernel for ARM, is truncated or damaged,
    unpacks to more than a kernel can have, or does not tell where it is linked to run.
    """
    content = read_content(source, _FILE_MAX)
    if name is None:
        given = isinstance(source, bytes | bytearray | memoryview)
        name = "kernel" if given else Path(os.fsdecode(source)).name
    if system_map is not None and vmlinux is not None:
        raise BootsimError("give either a System.map or a vmlinux, not both")
    symbol_file = system_map if vmlinux is None else vmlinux
    listing = None if symbol_file is None else read_content(symbol_file, _FILE_MAX)
    digest = key = hashlib.sha256(content).hexdigest()
    if listing is not None:
        key = f"{digest[:32]}{hashlib.sha256(listing).hexdigest()[:32]}"
    store = ImageCache(None if cache is True else Path(cache)) if cache else None
    stored = store.find(key) if store else None
    if stored is None:
        given_symbols = None
        if listing is not None:
            read = parse_system_map if vmlinux is None else _vmlinux_symbols
            given_symbols = read(listing, str(symbol_file))
        stored = _unpack(content, name, given_symbols, str(symbol_file))
        if store:
            store.keep(key, stored)
    page_offset = _page_offset(stored.text)
    version = _VERSION.match(stored.banner)
    assert version is not None, "a banner has one"
    return KernelImage(
        name=name,
        kind=stored.kind,
        code=stored.code,
        text=stored.text,
        page_offset=page_offset,
        text_offset=stored.text - page_offset,
        end=stored.end,
        banner=stored.banner,
        version=(int(version[1]), int(version[2])),
        symbols=stored.symbols,
        digest=digest,
        appended_dtb=stored.appended_dtb,
    )


def _vmlinux_symbols(content: bytes, name: str) -> Symbols:
    return Vmlinux(memoryview(content), name).symbols()


def _unpack(content: bytes, name: str, given: Symbols | None, given_name: str) -> Stored:
    contents = open_kernel(memoryview(content), name)
    code = contents.code
    carried = decode(code) if contents.symbols is None else contents.symbols
    symbols = carried if given is None else given
    if symbols is None:
        raise BootsimError(
            f"{name}: it carries no symbols (CONFIG_KALLSYMS is off): give its System.map or its"
            " vmlinux"
        )
    if given is not None and carried is not None:
        _compare(given, carried, name, given_name)
    text = _text(code, symbols, contents.text_offset)
    if text is None:
        raise BootsimError(
            f"{name}: cannot tell where it is linked to run: give its System.map or its vmlinux"
        )
    if given is not None and "__mmap_switched" in given and _bss_end(code, given, text) is None:
        raise BootsimError(
            f"{given_name}: not the symbols of {name}, whose .bss does not begin where"
            f" __mmap_switched ({given.address('__mmap_switched'):#010x}) should have it"
        )
    if not 0 <= text - _page_offset(text) < _TEXT_OFFSET_MAX:
        raise BootsimError(
            f"{name}: linked to run at {text:#010x}: expected one of"
            f" {', '.join(f'{offset:#x}' for offset in _PAGE_OFFSETS)}, or little above"
        )
    end = _end(code, symbols, text, contents.bss)
    if end is None or not text + len(code) <= end <= text + len(code) + _BSS_MAX:
        raise BootsimError(
            f"{name}: cannot tell where its .bss ends: give its System.map or its vmlinux"
        )
    banner = _banner(code, symbols, text)
    if banner is None:
        raise BootsimError(
            f"{given_name}: not the symbols of {name}, where no banner lies at linux_banner"
            f" ({symbols.address('linux_banner'):#010x})"
        )
    return Stored(
        kind=contents.kind,
        code=memoryview(code),
        text=text,
        end=end,
        banner=banner,
        symbols=symbols,
        appended_dtb=contents.dtb,
    )


def _compare(given: Symbols, carried: Symbols, name: str, given_name: str) -> None:
    """Whether two tables agree about the addresses of what both have."""
    step = max(len(carried) // _COMPARED, 1)
    for number in range(0, len(carried), step):
        symbol = carried[number]
        elsewhere = given.addresses_of(symbol.name)
        if elsewhere and symbol.address not in elsewhere:
            raise BootsimError(
                f"{given_name}: not the symbols of {name}: {symbol.name} at"
                f" {elsewhere[0]:#010x}, there at {symbol.address:#010x}"
            )


def _text(code: bytes, symbols: Symbols, text_offset: int | None) -> int | None:
    """_text: as a symbol, or by what the zImage says, or where __mmap_switched makes sense."""
    text = symbols.get("_text")
    if text is not None:
        return text
    lowest = symbols[0].address
    page_offset = _page_offset(lowest)
    if text_offset is not None:
        return page_offset + text_offset
    last = min(lowest, page_offset + _TEXT_OFFSET_MAX)
    for text in range(page_offset + _TEXT_OFFSET_STEP, last + 1, _TEXT_OFFSET_STEP):
        if _bss_end(code, symbols, text) is not None:
            return text
    return None


def _end(code: bytes, symbols: Symbols, text: int, bss: int | None) -> int | None:
    """_end: as a symbol, or as the kernel's head has it, or by what the zImage says."""
    end = symbols.get("_end")
    if end is None:
        end = _bss_end(code, symbols, text)
    if end is None and bss is not None:
        end = text + len(code) + bss
    return end


def _bss_end(code: bytes, symbols: Symbols, text: int) -> int | None:
    """Where .bss ends, if the image begins at `text`.

    __mmap_switched zeroes it: behind its code lie __bss_start, which is where the image ends, and
    __bss_stop or _end (arch/arm/kernel/head-common.S).
    """
    switched = symbols.get("__mmap_switched")
    if switched is None or not 0 <= switched - text <= len(code) - _MMAP_SWITCHED_SIZE:
        return None
    at = switched - text & -4
    loaded = text + len(code)
    for start, stop in pairwise(array("I", code[at : at + _MMAP_SWITCHED_SIZE])):
        if loaded <= start < loaded + _BSS_GAP_MAX and start <= stop <= loaded + _BSS_MAX:
            return stop
    return None


def _page_offset(address: int) -> int:
    return max((offset for offset in _PAGE_OFFSETS if offset <= address), default=0)


def _banner(code: bytes, symbols: Symbols, text: int) -> str | None:
    """linux_banner. Since 6.1 an image has another one, without a build number (init/version.c)."""
    address = symbols.get("linux_banner")
    if address is not None:
        return banner_at(code, address - text)
    found = list(banners(code))
    return next((banner for banner in found if _BUILD_NUMBER.search(banner)), found[0])
