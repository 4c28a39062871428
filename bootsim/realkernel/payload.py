"""What is packed in a kernel file, unpacked: by each method that Linux and U-Boot know.

A file that unpacks to more than any ARM kernel has is refused while it is being unpacked.
Formats: RFC 1952 (gzip), the .xz and .lzma file formats of XZ Utils, LZ4 frame format (legacy
frame), RFC 8878 (zstd), the headers that lzop writes.
"""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from struct import Struct
from types import ModuleType
from typing import Any

from bootsim.errors import BootsimError

UNPACKED_MAX = 256 << 20  # bytes; kernels for ARM have 2 to 60 MiB

_LZMA_MEMORY_MAX = 512 << 20  # bytes that liblzma may take; xz -9 needs 65 MiB
_ZSTD_WINDOW_MAX = 128 << 20  # zstd -22 --ultra has this one
_ZSTD_STEP = 1 << 10  # bytes; each 4 of them unpack to 128 KiB at most
_PROBE = 1 << 12  # bytes

# lz4 -l (lz4 doc/lz4_Frame_format.md, legacy frame)
_LZ4_LEGACY_BLOCK = 8 << 20
_LZ4_COMPRESS_BOUND = _LZ4_LEGACY_BLOCK + _LZ4_LEGACY_BLOCK // 255 + 16
_LE32 = Struct("<I")
_BE32 = Struct(">I")

# lzop (its src/conf.h and src/lzop.c; Linux: lib/decompress_unlzo.c)
_LZOP_HEADER = Struct(">9sHHHBBI")
_LZOP_VERSION_MIN = 0x0940  # headers were shorter before 1997
_F_ADLER32_D, _F_ADLER32_C, _F_CRC32_D, _F_CRC32_C = 0x1, 0x2, 0x100, 0x200
_F_H_EXTRA_FIELD, _F_H_FILTER = 0x40, 0x800
_LZO_BLOCK_SIZE = 256 << 10


class _Damaged(Exception):
    """Why something cannot be unpacked, in words that follow a place."""


def unpack(method: str, data: memoryview, place: str, limit: int = UNPACKED_MAX) -> bytes:
    """What `data` begins with, packed by `method` (a key of MAGICS, or bzip2).

    Raises BootsimError, with `place` in front, for what is damaged, ends early, or unpacks to more
    than `limit` bytes, and where the Python package for that method is not installed.
    """
    try:
        return _METHODS[method](data, limit)
    except _Damaged as error:
        raise BootsimError(f"{place}: {error}") from None
    except (zlib.error, lzma.LZMAError, OSError, MemoryError) as error:
        words = " ".join(str(error).split()) or "out of memory"
        raise BootsimError(f"{place}: damaged {method} data: {words}") from None


def looks_packed(method: str, data: memoryview) -> bool:
    """Whether `data` begins as `method` packs: the magic number alone is found by chance."""
    if method not in _STREAMS:
        return True
    with suppress(zlib.error, lzma.LZMAError, OSError, MemoryError):
        return bool(_STREAMS[method]().decompress(data, _PROBE))
    return False


def _stream(method: str, data: memoryview, limit: int) -> bytes:
    """What one of the standard library's decompressors makes of `data`."""
    decompressor = _STREAMS[method]()
    unpacked: bytes = decompressor.decompress(data, limit + 1)
    if len(unpacked) > limit:
        raise _too_much(limit)
    if not decompressor.eof:
        raise _early(unpacked)
    return unpacked


def _zstd(data: memoryview, limit: int) -> bytes:
    zstandard = _library("zstandard", "zstandard", "zstd")
    stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_MAX).decompressobj()
    unpacked = bytearray()
    try:
        for start in range(0, len(data), _ZSTD_STEP):
            unpacked += stream.decompress(data[start : start + _ZSTD_STEP])
            if len(unpacked) > limit:
                raise _too_much(limit)
            if stream.eof:
                return bytes(unpacked)
    except zstandard.ZstdError as error:
        raise _Damaged(f"damaged zstd data: {error}") from None
    raise _early(unpacked)


def _lz4(data: memoryview, limit: int) -> bytes:
    """A legacy frame. It does not tell where it ends: that is where no block follows.

    What follows in a kernel is the size of it all, appended by the build.
    """
    block = _library("lz4.block", "lz4", "lz4")
    unpacked = bytearray()
    at = 4
    while at + 4 <= len(data) and len(unpacked) % _LZ4_LEGACY_BLOCK == 0:
        (size,) = _LE32.unpack_from(data, at)
        if unpacked and (size == len(unpacked) or not 0 < size <= _LZ4_COMPRESS_BOUND):
            break
        at += 4 + size
        if at > len(data):
            raise _early(unpacked)
        try:
            unpacked += block.decompress(data[at - size : at], _LZ4_LEGACY_BLOCK)
        except (block.LZ4BlockError, ValueError) as error:
            raise _Damaged(f"damaged lz4 data: {error}") from None
        if len(unpacked) > limit:
            raise _too_much(limit)
        if not unpacked:
            break
    if not unpacked:
        raise _early(unpacked)
    return bytes(unpacked)


def _lzo(data: memoryview, limit: int) -> bytes:
    lzallright = _library("lzallright", "lzallright", "lzo")
    reader = _Lzop(data)
    unpacked = bytearray()
    codec = lzallright.LZOCompressor()
    while (block := reader.block()) is not None:
        packed, size = block
        if len(packed) == size:
            unpacked += packed
        else:
            try:
                piece = codec.decompress(bytes(packed), size)
            except lzallright.LZOError as error:
                raise _Damaged(f"damaged lzo data: {error}") from None
            if len(piece) != size:
                raise _Damaged(f"an lzo block has {len(piece)} bytes: expected {size}")
            unpacked += piece
        if len(unpacked) > limit:
            raise _too_much(limit)
    return bytes(unpacked)


class _Lzop:
    """The blocks in a file that lzop wrote."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0
        header = self._take(_LZOP_HEADER.size)
        _, version, _, _, _, _, self._flags = _LZOP_HEADER.unpack(header)
        if version < _LZOP_VERSION_MIN:
            raise _Damaged(f"written by lzop {version:#06x}: expected {_LZOP_VERSION_MIN:#06x}")
        if self._flags & _F_H_FILTER:
            self._take(4)
        self._take(12)  # mode, times
        self._take(self._take(1)[0])  # the file's name
        self._take(4)  # the header's checksum
        if self._flags & _F_H_EXTRA_FIELD:
            self._take(self._word())
            self._take(4)

    def block(self) -> tuple[memoryview, int] | None:
        """The next block and its unpacked size, or None behind the last."""
        size = self._word()
        if not size:
            return None
        packed = self._word()
        if not packed <= size <= _LZO_BLOCK_SIZE:
            raise _Damaged(f"an lzo block of {packed} bytes for {size}")
        for flag in (_F_ADLER32_D, _F_CRC32_D):
            if self._flags & flag:
                self._take(4)
        if packed < size:
            for flag in (_F_ADLER32_C, _F_CRC32_C):
                if self._flags & flag:
                    self._take(4)
        return self._take(packed), size

    def _word(self) -> int:
        word: int = _BE32.unpack(self._take(4))[0]
        return word

    def _take(self, size: int) -> memoryview:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise _Damaged("it ends early, in lzo data")
        self._at += size
        return taken


def _library(module: str, package: str, method: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise _Damaged(
            f"it is packed with {method}, which needs the Python package {package}:"
            ' pip install "bootsim[kernel]"'
        ) from None


def _early(unpacked: bytes | bytearray) -> _Damaged:
    return _Damaged(f"it ends early, after {len(unpacked)} unpacked bytes")


def _too_much(limit: int) -> _Damaged:
    return _Damaged(f"it unpacks to more than {limit >> 20} MiB, the most that a kernel may have")


_STREAMS: dict[str, Callable[[], Any]] = {
    "gzip": partial(zlib.decompressobj, 16 + zlib.MAX_WBITS),
    "xz": partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, _LZMA_MEMORY_MAX),
    "lzma": partial(lzma.LZMADecompressor, lzma.FORMAT_ALONE, _LZMA_MEMORY_MAX),
    "bzip2": bz2.BZ2Decompressor,
}
_METHODS: dict[str, Callable[[memoryview, int], bytes]] = {
    **{method: partial(_stream, method) for method in _STREAMS},
    "lz4": _lz4,
    "zstd": _zstd,
    "lzo": _lzo,
}

# What packed data begins with: long magics first, as they are seldom found by chance.
MAGICS: dict[str, bytes] = {
    "lzo": b"\x89LZO\0\r\n\x1a\n",
    "xz": b"\xfd7zXZ\0",
    "lz4": b"\x02\x21\x4c\x18",
    "zstd": b"\x28\xb5\x2f\xfd",
    "gzip": b"\x1f\x8b\x08",
    "lzma": b"\x5d\0\0",
}
