"""What a file is, that someone takes for an ARM kernel: the raw Image in it, or what it is instead.

zImage: arch/arm/boot/compressed/head.S and vmlinux.lds.S. uImage: U-Boot, include/image.h.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from struct import Struct

from bootsim.errors import BootsimError
from bootsim.realkernel.payload import MAGICS, UNPACKED_MAX, looks_packed, unpack
from bootsim.realkernel.symbols import Symbols
from bootsim.realkernel.vmlinux import ELF_MAGIC, Vmlinux

_BANNER = re.compile(rb"Linux version \d{1,3}\.\d{1,5}[^\n\0]{1,1000}\n\0")

_WORD = Struct("<I")
_FDT_MAGIC = b"\xd0\x0d\xfe\xed"

# The words behind the entry of a zImage (head.S), and what its table begins with.
_ZIMAGE_MAGICS = Struct("<IIIIII")
_ZIMAGE_MAGICS_AT = 0x24
_ZIMAGE_MAGIC, _ZIMAGE_MAGIC_BE = 0x016F2818, 0x18286F01
_LITTLE_ENDIAN = 0x04030201
_TABLE_MAGIC = 0x45454545
_TABLE_SIZE_MAX = 64  # words
_TAG_KERNEL_SIZE = 0x5A534C4B  # "KLSZ"

# image_header_t
_UIMAGE = Struct(">7I4B32s")
_UIMAGE_MAGIC = b"\x27\x05\x19\x56"
_IH_ARCH_ARM = 2
_IH_ARCHS = {
    1: "Alpha",
    3: "x86",
    4: "IA-64",
    5: "MIPS",
    6: "MIPS64",
    7: "PowerPC",
    8: "s390",
    9: "SuperH",
    10: "SPARC",
    11: "SPARC64",
    12: "m68k",
    14: "MicroBlaze",
    15: "Nios II",
    21: "OpenRISC",
    22: "arm64",
    23: "ARC",
    24: "x86-64",
    25: "Xtensa",
    26: "RISC-V",
}
_IH_TYPE_KERNEL, _IH_TYPE_MULTI, _IH_TYPE_KERNEL_NOLOAD = 2, 4, 14
_UIMAGE_FILES_MAX = 64
_IH_COMPS = {1: "gzip", 2: "bzip2", 3: "lzma", 4: "lzo", 5: "lz4", 6: "zstd"}

# Other files that one may take for an ARM kernel: where something tells, what, and what they are.
_FOREIGN = (
    (0x38, b"ARM\x64", "a kernel for another CPU: arm64, expected ARM (32 bits)"),
    (0x38, b"RSC\x05", "a kernel for another CPU: RISC-V, expected ARM"),
    (0x38, b"\xcd\x23\x82\x81", "a kernel for another CPU: LoongArch, expected ARM"),
    (0x202, b"HdrS", "a kernel for another CPU: x86 (bzImage), expected ARM"),
    (0x04, b"zimg", "an EFI zboot image, which no kernel for ARM (32 bits) comes in"),
    (0x00, _FDT_MAGIC, "a device tree or a FIT image: take the kernel out of it (dumpimage)"),
    (0x00, b"ANDROID!", "an Android boot image: take the kernel out of it (unpack_bootimg)"),
    (0x00, b"\x1f\x9d", "a file of compress(1), not a kernel"),
)
_MAGICS_MAX = 256  # places with one method's magic number that are looked at
_TRIALS_MAX = 3  # and of those that look packed, how many are unpacked
_BANNERS_MAX = 64
_CODE_MIN = 0x4000  # bytes; no kernel is that small


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found in a file: the raw Image, and what the file tells of it.

    `text_offset` and `bss` (the size of .bss, bytes) are None where it does not tell; `symbols` are
    those of a vmlinux. `dtb` is a device tree that was appended to a zImage.
    """

    kind: str
    code: bytes
    text_offset: int | None = None
    bss: int | None = None
    symbols: Symbols | None = None
    dtb: bytes | None = None


def open_kernel(data: memoryview, name: str) -> Contents:
    """The kernel in a file's content `data`; `name` is for messages.

    Raises BootsimError, in one line, for what is none, is damaged, or is for another CPU.
    """
    if not data:
        raise BootsimError(f"{name}: not a kernel: the file is empty")
    if data[:4] == _UIMAGE_MAGIC:
        return _uimage(data, name)
    for method, magic in MAGICS.items():
        if data[: len(magic)] == magic:
            unpacked = unpack(method, data, f"{name}: {method} data")
            return _bare(memoryview(unpacked), f"{name} (unpacked)")
    return _bare(data, name)


def _bare(data: memoryview, name: str) -> Contents:
    """A kernel with nothing around it."""
    if data[:4] == ELF_MAGIC:
        elf = Vmlinux(data, name)
        symbols = elf.symbols()
        code = elf.image(symbols.address("_text"))
        if not is_kernel(code):
            raise BootsimError(
                f"{name}: an ELF file, but no kernel: nowhere has it the words 'Linux version';"
                " expected the vmlinux at the top of the build, not the decompressor's"
            )
        return Contents("vmlinux", code, symbols=symbols)
    if len(data) >= _ZIMAGE_MAGICS_AT + _ZIMAGE_MAGICS.size:
        words = _ZIMAGE_MAGICS.unpack_from(data, _ZIMAGE_MAGICS_AT)
        if words[0] == _ZIMAGE_MAGIC_BE or (
            words[0] == _ZIMAGE_MAGIC and words[3] != _LITTLE_ENDIAN
        ):
            raise BootsimError(f"{name}: a big-endian zImage: bootsim runs little-endian kernels")
        if words[0] == _ZIMAGE_MAGIC:
            return _zimage(data, words, name)
    for offset, magic, what in _FOREIGN:
        if data[offset : offset + len(magic)] == magic:
            raise BootsimError(f"{name}: {what}")
    code = bytes(data)
    if not is_kernel(code):
        raise BootsimError(
            f"{name}: not a kernel: expected a zImage, Image, uImage or vmlinux for ARM; it begins"
            f" with {data[:4].hex(' ')} and nowhere has the words 'Linux version'"
        )
    return Contents("Image", code)


def is_kernel(code: bytes) -> bool:
    """Whether an image is one of Linux."""
    return len(code) >= _CODE_MIN and next(banners(code), None) is not None


def banners(code: bytes) -> Iterator[str]:
    """What looks like linux_banner in `code`, without its newline."""
    for match in islice(re.finditer(rb"Linux version ", code), _BANNERS_MAX):
        banner = banner_at(code, match.start())
        if banner is not None:
            yield banner


def banner_at(code: bytes, offset: int) -> str | None:
    """The banner at `offset`, if one is there."""
    match = _BANNER.match(code, offset) if offset >= 0 else None
    return match and match[0][:-2].decode("utf-8", "backslashreplace")


# zImage


@dataclass(frozen=True, slots=True)
class _Table:
    """What the table of a zImage tells (since 4.15; TEXT_OFFSET since 5.10)."""

    piggy_size_at: int
    bss: int
    text_offset: int | None


def _zimage(data: memoryview, words: tuple[int, ...], name: str) -> Contents:
    _, start, end, _, table_magic, table_at = words
    size = end - start
    if size <= _ZIMAGE_MAGICS_AT:
        raise BootsimError(f"{name}: damaged: its header says that it has {size} bytes")
    if len(data) < size:
        raise BootsimError(
            f"{name}: truncated: a zImage of {len(data)} bytes, whose header says {size}"
        )
    behind = data[size:]
    data = data[:size]
    table = _zimage_table(data, table_at, name) if table_magic == _TABLE_MAGIC else None
    if table is None:
        code = _payload(data, name)
        return Contents("zImage", code, dtb=_appended(behind))
    at = table.piggy_size_at
    expected: int = _WORD.unpack_from(data, at)[0]
    if expected > UNPACKED_MAX:
        raise BootsimError(
            f"{name}: its payload unpacks to {expected} bytes, as the word at {at:#x} says:"
            f" expected at most {UNPACKED_MAX >> 20} MiB"
        )
    code = _payload(data[: at + _WORD.size], name)
    if len(code) != expected:
        raise BootsimError(
            f"{name}: its payload unpacks to {len(code)} bytes: expected {expected}, as the word at"
            f" {at:#x} says"
        )
    return Contents("zImage", code, table.text_offset, table.bss, dtb=_appended(behind))


def _zimage_table(data: memoryview, at: int, name: str) -> _Table | None:
    """The entry for the kernel's sizes in the table at `at`, if there is one."""
    limit = at + _TABLE_SIZE_MAX * _WORD.size
    while at + 2 * _WORD.size <= min(len(data), limit):
        words, tag = Struct("<II").unpack_from(data, at)
        if not words:
            return None
        if at + words * _WORD.size > len(data):
            break
        if tag == _TAG_KERNEL_SIZE and words >= 4:
            fields = Struct(f"<{words - 2}I").unpack_from(data, at + 2 * _WORD.size)
            if fields[0] + _WORD.size > len(data):
                break
            return _Table(fields[0], fields[1], fields[2] if len(fields) > 2 else None)
        at += words * _WORD.size
    raise BootsimError(f"{name}: damaged: the table of its sizes, at {at:#x}, makes no sense")


def _payload(data: memoryview, name: str) -> bytes:
    """The kernel that is packed somewhere in `data`."""
    failure = f"{name}: nothing in this zImage unpacks: expected one of {', '.join(sorted(MAGICS))}"
    for number, (offset, method) in enumerate(islice(_places(data), _TRIALS_MAX)):
        place = f"{name}: its {method} payload at {offset:#x}"
        try:
            code = unpack(method, data[offset:], place)
        except BootsimError as error:
            words = str(error)
        else:
            if is_kernel(code):
                return code
            words = f"{place} unpacks to {len(code)} bytes that are no kernel"
        failure = failure if number else words
    raise BootsimError(failure)


def _places(data: memoryview) -> Iterator[tuple[int, str]]:
    """Where something packed begins, and by which method."""
    found = [
        (match.start(), method)
        for method, magic in MAGICS.items()
        for match in islice(re.finditer(re.escape(magic), data), _MAGICS_MAX)
    ]
    return ((at, method) for at, method in sorted(found) if looks_packed(method, data[at:]))


def _appended(behind: memoryview) -> bytes | None:
    """The device tree behind a zImage (CONFIG_ARM_APPENDED_DTB)."""
    return bytes(behind) if behind[:4] == _FDT_MAGIC else None


# uImage


def _uimage(data: memoryview, name: str) -> Contents:
    if len(data) < _UIMAGE.size:
        raise BootsimError(f"{name}: truncated: a uImage of {len(data)} bytes")
    _, header_crc, _, size, _, _, data_crc, _, arch, type_, comp, _ = _UIMAGE.unpack_from(data)
    header = bytearray(data[: _UIMAGE.size])
    header[4:8] = bytes(4)
    if zlib.crc32(header) != header_crc:
        raise BootsimError(f"{name}: damaged: the checksum of its uImage header is wrong")
    if arch != _IH_ARCH_ARM:
        cpu = _IH_ARCHS.get(arch, f"architecture {arch}")
        raise BootsimError(f"{name}: a kernel for another CPU: {cpu}, expected ARM")
    content = data[_UIMAGE.size : _UIMAGE.size + size]
    if len(content) < size:
        raise BootsimError(
            f"{name}: truncated: a uImage of {len(data)} bytes, whose header says"
            f" {_UIMAGE.size + size}"
        )
    if zlib.crc32(content) != data_crc:
        raise BootsimError(f"{name}: damaged: the checksum of the uImage's data is wrong")
    if type_ == _IH_TYPE_MULTI:
        content = _first_of_many(content, name)
    elif type_ not in (_IH_TYPE_KERNEL, _IH_TYPE_KERNEL_NOLOAD):
        raise BootsimError(f"{name}: a uImage of type {type_}: expected a kernel (2)")
    if comp:
        if comp not in _IH_COMPS:
            raise BootsimError(f"{name}: a uImage packed by method {comp}, which is not known")
        content = memoryview(unpack(_IH_COMPS[comp], content, f"{name}: the uImage's data"))
    return replace(_bare(content, name), kind="uImage")


def _first_of_many(content: memoryview, name: str) -> memoryview:
    """The kernel of a multi-file uImage: a list of sizes that ends with 0, then the files."""
    sizes: list[int] = []
    for at in range(0, min(len(content) - 3, 4 * _UIMAGE_FILES_MAX), 4):
        size = int.from_bytes(content[at : at + 4], "big")
        if not size:
            first = at + 4
            if not sizes or first + sizes[0] > len(content):
                break
            return content[first : first + sizes[0]]
        sizes.append(size)
    raise BootsimError(f"{name}: damaged: a multi-file uImage without a kernel")
