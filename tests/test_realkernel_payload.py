"""realkernel/payload.py: what the programs that a kernel's build calls have packed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import struct
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from bootsim.errors import BootsimError
from bootsim.realkernel.payload import MAGICS, UNPACKED_MAX, looks_packed, unpack
from tests.kernel_files import COMMANDS, MODULES, kernel_file, pack
from tests.requirements import need_module, need_program

METHODS = sorted(COMMANDS)


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    """A method whose Python package is there."""
    name: str = request.param
    if name in MODULES:
        need_module(MODULES[name])
    return name


@pytest.fixture
def packed(method: str) -> bytes:
    """The image of a small kernel."""
    return pack(need_program(COMMANDS[method][0]), method, kernel_file("6.1"))


def test_methods_are_those_with_a_magic_number() -> None:
    assert set(METHODS) == set(MAGICS)


def test_as_a_kernel_is_packed(method: str, packed: bytes) -> None:
    assert packed.startswith(MAGICS[method])
    assert looks_packed(method, memoryview(packed))
    assert unpack(method, memoryview(packed), "file") == kernel_file("6.1")


@pytest.mark.parametrize("size", [1, 4096, 256 << 10, (256 << 10) + 1])
def test_sizes(method: str, size: int) -> None:
    """lzo packs 256 KiB at once."""
    data = (bytes(7000) + random.Random(size).randbytes(1000)) * (size // 8000 + 1)
    packed = pack(need_program(COMMANDS[method][0]), method, data[:size])
    assert unpack(method, memoryview(packed), "file") == data[:size]


@pytest.mark.parametrize("size", [(8 << 20) - 1, 8 << 20, (8 << 20) + 1, 17 << 20])
def test_sizes_of_lz4(size: int) -> None:
    """It packs 8 MiB at once, and does not tell where the last of them is."""
    need_module(MODULES["lz4"])
    data = bytes(size - 5000) + random.Random(size).randbytes(5000)
    packed = pack(need_program("lz4"), "lz4", data)
    assert unpack("lz4", memoryview(packed), "file") == data


def test_what_does_not_shrink(method: str) -> None:
    data = random.Random(1).randbytes(300_000)
    packed = pack(need_program(COMMANDS[method][0]), method, data)
    assert unpack(method, memoryview(packed), "file") == data


def test_what_follows_is_left_alone(method: str, packed: bytes) -> None:
    behind = bytes(8) + b"\xd0\x0d\xfe\xed" + random.Random(1).randbytes(5000)
    assert unpack(method, memoryview(packed + behind), "file") == kernel_file("6.1")


def test_truncated(method: str, packed: bytes) -> None:
    whole = packed[:-4]  # the size, or gzip's
    for size in [*range(40), *range(40, len(whole) - 16, 311)]:
        with pytest.raises(BootsimError, match=r"^file at 0x40: ") as error:
            unpack(method, memoryview(whole[:size]), "file at 0x40")
        assert "\n" not in str(error.value)


def test_damaged(method: str, packed: bytes) -> None:
    dice = random.Random(method)
    refused = 0
    for _ in range(200):
        changed = bytearray(packed)
        changed[dice.randrange(len(packed))] ^= 1 << dice.randrange(8)
        try:
            found = unpack(method, memoryview(changed), "file")
        except BootsimError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            assert len(found) < 16 << 20
    assert refused > 0


def test_garbage(method: str) -> None:
    dice = random.Random(method)
    for size in range(0, 400, 7):
        data = MAGICS[method] + dice.randbytes(size)
        with pytest.raises(BootsimError):
            unpack(method, memoryview(data), "file")


BOMBS: dict[str, Callable[[int], bytes]] = {
    "gzip": lambda size: gzip.compress(bytes(size)),
    "xz": lambda size: lzma.compress(bytes(size), preset=0),
    "lzma": lambda size: lzma.compress(bytes(size), lzma.FORMAT_ALONE, preset=0),
    "bzip2": lambda size: bz2.compress(bytes(size)),
    "lz4": lambda size: pack(need_program("lz4"), "lz4", bytes(size)),
    "lzo": lambda size: pack(need_program("lzop"), "lzo", bytes(size)),
    "zstd": lambda size: pack(need_program("zstd"), "zstd", bytes(size)),
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_bombs_are_stopped_at_the_limit(name: str) -> None:
    if name in MODULES:
        need_module(MODULES[name])
    limit = 9 << 20
    bomb = BOMBS[name](40 << 20)
    tracemalloc.start()
    start = time.monotonic()
    with pytest.raises(BootsimError, match=r"^file: it unpacks to more than 9 MiB"):
        unpack(name, memoryview(bomb), "file", limit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 << 20
    assert time.monotonic() - start < 5


def test_four_gibibytes() -> None:
    """256 times 16 MiB of zeros, in 4 MB."""
    packer = zlib.compressobj(9, wbits=31)
    start = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    bomb = start + piece * 256 + packer.flush()
    assert len(bomb) < 5 << 20
    with pytest.raises(BootsimError, match=r"^file: it unpacks to more than 256 MiB"):
        unpack("gzip", memoryview(bomb), "file")


def test_the_limit_itself() -> None:
    data = bytes(1 << 20)
    assert unpack("gzip", memoryview(gzip.compress(data)), "file", len(data)) == data
    assert UNPACKED_MAX == 256 << 20


def test_a_hostile_dictionary_takes_no_memory() -> None:
    """An .lzma header that asks for a dictionary of 4 GiB."""
    data = b"\x5d" + struct.pack("<IQ", 0xFFFFFFFF, 1 << 20) + bytes(100)
    with pytest.raises(BootsimError, match=r"^file: damaged lzma data"):
        unpack("lzma", memoryview(data), "file")


@pytest.mark.parametrize("name", sorted(MODULES))
def test_without_its_package(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, MODULES[name], None)
    package = MODULES[name].split(".")[0]
    with pytest.raises(
        BootsimError,
        match=rf"^file: it is packed with {name}, which needs the Python package {package}: pip"
        r' install "bootsim\[kernel\]"$',
    ):
        unpack(name, memoryview(MAGICS[name] + bytes(100)), "file")


def test_chance_finds_magic_numbers() -> None:
    dice = random.Random(1)
    for name in ("gzip", "xz", "lzma"):
        found = sum(
            looks_packed(name, memoryview(MAGICS[name] + dice.randbytes(4096))) for _ in range(500)
        )
        assert found < 5, name
