"""Kernel files for tests: small ones (tests/data/realkernel), and what kernels are wrapped in."""

from __future__ import annotations

import functools
import struct
import subprocess
import tarfile
from pathlib import Path

ARCHIVE = Path(__file__).parent / "data" / "realkernel" / "kernels.tar.xz"
VERSIONS = ("3.4", "4.4", "4.9", "4.9-aligned", "6.1", "6.1-all", "6.5", "7.0")

# arch/arm/boot/compressed: Makefile and, of 6.1, scripts/Makefile.lib, scripts/xz_wrap.sh
COMMANDS = {
    "gzip": ("gzip", "-n", "-f", "-9"),
    "xz": ("xz", "--check=crc32", "--arm", "--lzma2=dict=32MiB"),
    "lzma": ("xz", "--format=lzma", "-9"),
    "lz4": ("lz4", "-l", "-9", "-", "-"),
    "lzo": ("lzop", "-9"),
    "zstd": ("zstd", "-19"),
}
MODULES = {"lz4": "lz4.block", "lzo": "lzallright", "zstd": "zstandard"}
SIZE_INCLUDED = ("gzip",)  # by the format itself


@functools.cache
def _archive() -> dict[str, bytes]:
    with tarfile.open(ARCHIVE) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]


def kernel_file(version: str, name: str = "Image") -> bytes:
    """Image, System.map or (6.1) vmlinux of one of the small kernels."""
    return _archive()[f"{version}/{name}"]


def system_map(version: str) -> list[tuple[int, str, str]]:
    """What nm said of a small kernel: address, kind, name."""
    lines = kernel_file(version, "System.map").decode().splitlines()
    return [(int(a, 16), kind, name) for a, kind, name in map(str.split, lines)]


def address_of(version: str, wanted: str) -> int:
    return next(address for address, _, name in system_map(version) if name == wanted)


@functools.cache
def pack(program: str, method: str, data: bytes) -> bytes:
    """`data` packed as the build of a kernel does it, the size appended."""
    command = (program, *COMMANDS[method][1:])
    packed = subprocess.run(command, input=data, check=True, capture_output=True).stdout
    return packed if method in SIZE_INCLUDED else packed + struct.pack("<I", len(data))


def zimage(
    payload: bytes,
    *,
    table: tuple[int, ...] | None = (0x1000, 0x8000),
    behind: bytes = b"",
    magic: bytes = struct.pack("<I", 0x016F2818),
    endianness: int = 0x04030201,
) -> bytes:
    """A zImage: code that is none, the header, the table with `.bss` and TEXT_OFFSET, `payload`.

    The payload ends with its size; `table` has what follows where that lies.
    """
    head = bytearray(0x1000)
    end = len(head) + len(payload) + 8
    head[0x24:0x28] = magic
    table_at = 0x800
    extension = 0x45454545 if table is not None else 0
    struct.pack_into("<5I", head, 0x28, 0, end, endianness, extension, table_at)
    if table is not None:
        words = (0x5A534C4B, len(head) + len(payload) - 4, *table)
        fields = (len(words) + 1, *words, 0)
        struct.pack_into(f"<{len(fields)}I", head, table_at, *fields)
    return bytes(head) + payload + bytes(8) + behind
