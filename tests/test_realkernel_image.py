"""realkernel/image.py, container.py, imagecache.py: files that hold a kernel, or do not."""

from __future__ import annotations

import gzip
import os
import random
import struct
import subprocess
import time
import zlib
from pathlib import Path

import pytest

from bootsim.errors import BootsimError
from bootsim.realkernel import image as image_module
from bootsim.realkernel.image import KernelImage, load_kernel_image
from tests.kernel_files import (
    COMMANDS,
    MODULES,
    VERSIONS,
    address_of,
    kernel_file,
    pack,
    system_map,
    zimage,
)
from tests.requirements import need_kernel, need_module, need_program

DTB = b"\xd0\x0d\xfe\xed" + bytes(100)


def load(source: bytes | Path, **options: object) -> KernelImage:
    return load_kernel_image(source, cache=False, **options)  # type: ignore[arg-type]


def refusal(source: bytes | Path, **options: object) -> str:
    """The line that says why there is no kernel in `source`."""
    with pytest.raises(BootsimError) as error:
        load(source, **options)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2
    return str(error.value)


def check(image: KernelImage, version: str, kind: str) -> None:
    """Whether `image` is the small kernel of `version`, as its linker made it."""
    assert image.kind == kind
    assert image.code == kernel_file(version)
    assert image.text == address_of(version, "_text")
    assert image.end == address_of(version, "_end")
    assert image.text_offset == image.text & 0x0FFFFFFF
    assert image.page_offset == image.text & 0xF0000000
    number = version.split("-", maxsplit=1)[0]
    assert image.banner == f"Linux version {number}.7-tiny (nobody@nowhere) (gcc) #1 SMP"
    assert image.version == tuple(map(int, number.split(".")))
    for name in ("start_kernel", "__mmap_switched", "_stext"):
        assert image.symbols.address(name) == address_of(version, name)


# What holds a kernel.


@pytest.mark.parametrize("version", VERSIONS)
def test_image(version: str) -> None:
    """Where it is linked to run is found in the code: four VMSPLITs, two text offsets."""
    image = load(kernel_file(version))
    check(image, version, "Image")
    assert image.name == "kernel"
    assert image.appended_dtb is None


@pytest.mark.parametrize("method", sorted(COMMANDS))
@pytest.mark.parametrize("table", [(0x1234, 0x8000), (0x1234,), None])
def test_zimage(method: str, table: tuple[int, ...] | None) -> None:
    """With the table of 5.10, of 4.15, and without one."""
    if method in MODULES:
        need_module(MODULES[method])
    packed = pack(need_program(COMMANDS[method][0]), method, kernel_file("6.1"))
    check(load(zimage(packed, table=table)), "6.1", "zImage")


@pytest.fixture
def packed() -> bytes:
    return gzip.compress(kernel_file("6.1"), mtime=0)


def test_appended_dtb(packed: bytes) -> None:
    image = load(zimage(packed, behind=DTB))
    check(image, "6.1", "zImage")
    assert image.appended_dtb == DTB
    assert load(zimage(packed, behind=bytes(512))).appended_dtb is None


def test_decoys_in_a_zimage(packed: bytes) -> None:
    """Magic numbers in the code before the payload, and other things packed."""
    other = gzip.compress(b"not a kernel" * 10_000)
    decoys = b"\xfd7zXZ\0" + b"\x1f\x8b\x08" + b"\x5d\0\0" + b"\x1f\x8b\x08\0" * 100 + other
    check(load(zimage(decoys + packed, table=None)), "6.1", "zImage")


def test_vmlinux() -> None:
    image = load(kernel_file("6.1", "vmlinux"))
    check(image, "6.1", "vmlinux")
    assert {(s.address, s.kind, s.name) for s in image.symbols} == set(system_map("6.1"))


def test_an_elf_file_without_a_kernel() -> None:
    other = kernel_file("6.1", "vmlinux").replace(b"Linux version ", b"Minix version ")
    with pytest.raises(BootsimError, match="an ELF file, but no kernel"):
        load(other)


@pytest.mark.parametrize(
    ("kind", "comp"),
    [
        *(("kernel", comp) for comp in ("none", "gzip", "lzma", "bzip2")),
        ("kernel_noload", "none"),
        ("multi", "none"),
    ],
)
@pytest.mark.parametrize("inner", ["Image", "zImage"])
def test_uimage(kind: str, comp: str, inner: str, packed: bytes, tmp_path: Path) -> None:
    """As U-Boot's mkimage makes it."""
    content = tmp_path / "content"
    content.write_bytes(kernel_file("6.1") if inner == "Image" else zimage(packed))
    if comp != "none":
        program = {"lzma": "xz"}.get(comp, comp)
        options = ["--format=lzma"] if comp == "lzma" else []
        command = [need_program(program), *options, "-c", content]
        content.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    made = tmp_path / "uImage"
    files = f"{content}:{content}" if kind == "multi" else content
    arguments = ["-A", "arm", "-O", "linux", "-T", kind, "-C", comp, "-a", "0x60208000"]
    command = [need_program("mkimage"), *arguments, "-d", files, made]
    subprocess.run(command, check=True, capture_output=True)
    check(load(made), "6.1", "uImage")
    assert load(made).name == "uImage"


def test_packed_file(packed: bytes) -> None:
    check(load(packed), "6.1", "Image")
    check(load(gzip.compress(zimage(packed))), "6.1", "zImage")


def test_debian() -> None:
    image = load(need_kernel())
    assert image.kind == "zImage"
    assert image.name == need_kernel().name
    assert (image.text, image.end) == (0xC0208000, 0xC1607588)  # as its log has them
    assert (image.page_offset, image.text_offset) == (0xC0000000, 0x208000)
    assert len(image.code) == 20_582_580
    assert image.version == (6, 1)
    assert image.banner.startswith("Linux version 6.1.0-50-armmp (debian-kernel@lists.debian.org)")
    assert image.banner.endswith("#1 SMP Debian 6.1.176-1 (2026-07-02)")
    raw = load(bytes(image.code))
    assert (raw.text, raw.end, raw.banner) == (image.text, image.end, image.banner)
    # head.S maps the kernel up to _end - 1, a literal near the first instruction.
    assert struct.pack("<I", image.end - 1) in bytes(image.code[:0x1000])


# Symbols from outside.


@pytest.fixture
def map_file(tmp_path: Path) -> Path:
    path = tmp_path / "System.map"
    path.write_bytes(kernel_file("6.1", "System.map"))
    return path


def without_kallsyms(version: str) -> bytes:
    """An image whose tables of symbols nobody finds."""
    return kernel_file(version).replace(b"0\x001\x002\0", b"0\x001\x00#\0")


def test_system_map(packed: bytes, map_file: Path) -> None:
    image = load(zimage(packed), system_map=map_file)
    check(image, "6.1", "zImage")
    assert image.symbols.address("init_thread_union") == address_of("6.1", "init_thread_union")


def test_vmlinux_beside_the_image(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_bytes(kernel_file("6.1", "vmlinux"))
    image = load(kernel_file("6.1"), vmlinux=tmp_path / "vmlinux")
    check(image, "6.1", "Image")
    assert image.symbols.address("processor_id") == address_of("6.1", "processor_id")


def test_without_kallsyms(map_file: Path) -> None:
    code = without_kallsyms("6.1")
    assert refusal(code) == (
        "kernel: it carries no symbols (CONFIG_KALLSYMS is off): give its System.map or its vmlinux"
    )
    image = load(code, system_map=map_file)
    assert (image.text, image.end) == (address_of("6.1", "_text"), address_of("6.1", "_end"))


def test_symbols_of_another_kernel(map_file: Path) -> None:
    assert refusal(kernel_file("6.5"), name="Image", system_map=map_file) == (
        f"{map_file}: not the symbols of Image: _stext at 0x80009000, there at 0x40009000"
    )
    line = refusal(without_kallsyms("6.1-all"), name="Image", system_map=map_file)
    assert line.startswith(f"{map_file}: not the symbols of Image, whose .bss does not begin where")
    line = refusal(without_kallsyms("6.5"), name="Image", system_map=map_file)
    assert line.startswith(f"{map_file}: not the symbols of Image")


def test_one_source_of_symbols(map_file: Path) -> None:
    line = refusal(kernel_file("6.1"), system_map=map_file, vmlinux=map_file)
    assert line == "give either a System.map or a vmlinux, not both"


# What holds none.


def uimage(content: bytes, *, arch: int = 2, type_: int = 2, comp: int = 0) -> bytes:
    header = struct.pack(
        ">7I4B32s",
        *(0x27051956, 0, 0, len(content), 0, 0, zlib.crc32(content)),
        *(5, arch, type_, comp, b"test"),
    )
    crc = struct.pack(">I", zlib.crc32(header))
    return header[:4] + crc + header[8:] + content


def put(offset: int, what: bytes, size: int = 0x1000) -> bytes:
    return bytes(offset) + what + bytes(size)


ELF = kernel_file("6.1", "vmlinux")
FOREIGN = {
    "empty": (b"", "not a kernel: the file is empty"),
    "text": (b"hello\n" * 1000, "not a kernel: expected a zImage, Image, uImage or vmlinux"),
    "zeros": (bytes(1 << 20), "not a kernel"),
    "banner": (b"Linux version 6.1.7 x\n\0", "not a kernel"),
    "arm64": (put(0x38, b"ARM\x64"), "a kernel for another CPU: arm64, expected ARM"),
    "riscv": (put(0x38, b"RSC\x05"), "a kernel for another CPU: RISC-V"),
    "x86": (put(0x202, b"HdrS"), "a kernel for another CPU: x86 (bzImage)"),
    "zboot": (put(0, b"MZ\0\0zimg"), "an EFI zboot image"),
    "dtb": (DTB + bytes(100), "a device tree or a FIT image"),
    "android": (put(0, b"ANDROID!"), "an Android boot image"),
    "BE32": (
        zimage(b"", magic=b"\x01\x6f\x28\x18"),
        "a big-endian zImage: bootsim runs little-endian kernels",
    ),
    "BE8": (zimage(b"", endianness=0x01020304), "a big-endian zImage"),
    "arm64 ELF": (
        ELF[:4] + b"\2" + ELF[5:18] + b"\xb7\0" + ELF[20:],
        "a kernel for another CPU: arm64",
    ),
    "big-endian ELF": (
        ELF[:5] + b"\2" + ELF[6:18] + b"\0\x28" + ELF[20:],
        "a big-endian kernel",
    ),
    "object file": (ELF[:16] + b"\1" + ELF[17:], "an ELF file of type 1: expected a linked"),
    "MIPS uImage": (uimage(kernel_file("6.1"), arch=5), "a kernel for another CPU: MIPS"),
    "script": (uimage(b"x", type_=6), "a uImage of type 6: expected a kernel (2)"),
    "method 9": (uimage(b"x", comp=9), "a uImage packed by method 9, which is not known"),
    "bad header": (
        uimage(b"x")[:40] + b"\1" + uimage(b"x")[41:],
        "damaged: the checksum of its uImage header is wrong",
    ),
    "bad data": (uimage(b"x")[:-1] + b"y", "damaged: the checksum of the uImage's data is wrong"),
    "short data": (uimage(b"xyz")[:-1], "truncated: a uImage of 66 bytes, whose header says 67"),
    "no payload": (zimage(b"nothing", table=None), "nothing in this zImage unpacks"),
    "no end": (zimage(b"")[:0x2C] + bytes(4) + zimage(b"")[0x30:], "damaged: its header says"),
    "4 GiB": (
        zimage(gzip.compress(b"x")[:-4] + b"\xff\xff\xff\xff"),
        "its payload unpacks to 4294967295 bytes, as the word at 0x1011 says: expected at most"
        " 256 MiB",
    ),
    "wrong size": (
        zimage(gzip.compress(kernel_file("6.1")) + struct.pack("<I", 5)),
        "its payload unpacks to 37084 bytes: expected 5",
    ),
    "no kernel": (
        zimage(gzip.compress(bytes(100_000))),
        "its gzip payload at 0x1000 unpacks to 100000 bytes that are no kernel",
    ),
    "text in it": (gzip.compress(b"hello\n" * 10_000), "(unpacked): not a kernel"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_refused(name: str) -> None:
    content, words = FOREIGN[name]
    line = refusal(content, name="file")
    assert line.startswith("file")
    assert words in line


def test_no_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent") == f"{tmp_path}/absent: No such file or directory"
    assert refusal(tmp_path) == f"{tmp_path}: Is a directory"


def test_endless_file() -> None:
    start = time.monotonic()
    assert refusal(Path("/dev/zero")) == "/dev/zero: more than 512 MiB do not fit"
    assert time.monotonic() - start < 10


def test_truncated(packed: bytes) -> None:
    for whole in (zimage(packed), kernel_file("6.1"), ELF, uimage(kernel_file("6.1"))):
        for size in [*range(0, 0x100, 7), *range(0x100, len(whole) - 0x800, 1999)]:
            refusal(whole[:size])


@pytest.mark.parametrize("table", [(0x1000, 0x8000), None])
def test_damaged_zimage(table: tuple[int, ...] | None, packed: bytes) -> None:
    whole = zimage(packed, table=table)
    places = [*range(0x24, 0x3C), *range(0x800, 0x81C), *range(0x1000, len(whole), 97)]
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 0x55
        try:
            image = load(bytes(changed))
        except BootsimError as error:
            assert "\n" not in str(error)
        else:
            assert image.code == kernel_file("6.1")


def test_damaged_image() -> None:
    dice = random.Random(1)
    for _ in range(150):
        changed = bytearray(kernel_file("6.1"))
        for _ in range(3):
            changed[dice.randrange(len(changed))] = dice.randrange(256)
        try:
            image = load(bytes(changed))
        except BootsimError as error:
            assert "\n" not in str(error)
        else:
            assert image.text < image.text + len(image.code) <= image.end


def test_a_payload_that_is_many_bombs() -> None:
    """What looks like a payload and is none is tried a few times, not forever."""
    bomb = gzip.compress(bytes(30 << 20))
    start = time.monotonic()
    assert "no kernel" in refusal(zimage(bomb * 50, table=None))
    assert time.monotonic() - start < 10


def test_debian_truncated_and_damaged() -> None:
    whole = need_kernel().read_bytes()
    for size in (0x1000, len(whole) // 2, len(whole) - 1):
        line = refusal(whole[:size], name="vmlinuz")
        assert (
            line == f"vmlinuz: truncated: a zImage of {size} bytes, whose header says {len(whole)}"
        )
    changed = bytearray(whole)
    changed[len(whole) // 3] ^= 1
    assert refusal(bytes(changed), name="vmlinuz").startswith("vmlinuz: its xz payload at 0xe6a5: ")


# The cache.


@pytest.fixture
def cached(tmp_path: Path, packed: bytes) -> tuple[Path, Path]:
    """A zImage, and a cache that has it."""
    source, cache = tmp_path / "zImage", tmp_path / "cache"
    source.write_bytes(zimage(packed, behind=DTB))
    load_kernel_image(source, cache=cache)
    return source, cache


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_kernel(*_: object) -> None:
        raise AssertionError("unpacked again")

    monkeypatch.setattr(image_module, "open_kernel", open_kernel)


def test_cached(cached: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source, cache = cached
    fresh = load(source)
    forbid(monkeypatch)
    image = load_kernel_image(source, cache=cache, name="other")
    check(image, "6.1", "zImage")
    assert image.name == "other"
    assert image.appended_dtb == DTB
    assert image.digest == fresh.digest
    assert list(image.symbols) == list(fresh.symbols)
    assert image.code.readonly


def test_the_users_cache(
    cached: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    load_kernel_image(cached[0])
    assert len(list((tmp_path / "xdg" / "bootsim" / "kernels").iterdir())) == 1
    forbid(monkeypatch)
    check(load_kernel_image(cached[0]), "6.1", "zImage")


def test_another_system_map_is_another_entry(
    cached: tuple[Path, Path], map_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cache = cached
    given = load_kernel_image(source, cache=cache, system_map=map_file)
    assert "_end" in given.symbols
    forbid(monkeypatch)
    assert "_end" in load_kernel_image(source, cache=cache, system_map=map_file).symbols
    assert "_end" not in load_kernel_image(source, cache=cache).symbols


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "garbage", "directory"])
def test_damaged_entries_are_made_anew(
    damage: str, cached: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cache = cached
    (entry,) = cache.iterdir()
    content = entry.read_bytes()
    entry.unlink()
    if damage == "directory":
        entry.mkdir()
    else:
        middle = len(content) // 2
        changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        ways = {"cut": content[:-1], "empty": b"", "changed": changed, "garbage": b"x" * 5000}
        entry.write_bytes(ways[damage])
    check(load_kernel_image(source, cache=cache), "6.1", "zImage")
    if damage != "directory":
        assert entry.read_bytes() == content
        forbid(monkeypatch)
        load_kernel_image(source, cache=cache)


def test_every_cut_of_an_entry(cached: tuple[Path, Path]) -> None:
    source, cache = cached
    (entry,) = cache.iterdir()
    content = entry.read_bytes()
    for size in [*range(0, 200, 9), *range(200, len(content), 9973)]:
        entry.write_bytes(content[:size])
        check(load_kernel_image(source, cache=cache), "6.1", "zImage")


def test_where_nothing_can_be_written(cached: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for cache in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none")):
        check(load_kernel_image(cached[0], cache=cache), "6.1", "zImage")


def test_the_oldest_go(cached: tuple[Path, Path], tmp_path: Path) -> None:
    source, cache = cached
    (first,) = cache.iterdir()
    for number in range(7):
        load_kernel_image(source.read_bytes() + bytes([number]), cache=cache)
    assert len(list(cache.iterdir())) == 8
    for path in cache.iterdir():
        os.utime(path, (1000, 1000))
    load_kernel_image(source, cache=cache)  # used: it stays
    load_kernel_image(source.read_bytes() + b"last", cache=cache)
    assert len(list(cache.iterdir())) == 8
    assert first.exists()
    assert not list(cache.glob("tmp*"))


def test_debian_from_the_cache_in_no_time(tmp_path: Path) -> None:
    load_kernel_image(need_kernel(), cache=tmp_path)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        load_kernel_image(need_kernel(), cache=tmp_path)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1  # 16 ms where this was written; some 500 ms without the cache
