"""Linux sources: a directory, or the archive that distributions make of it."""

from __future__ import annotations

import hashlib
import lzma
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from bootsim.cache import user_cache
from bootsim.errors import BootsimError

SUITE = "tools/testing/memblock"
_HEADERS = ("include/linux/memblock.h", "tools/testing/selftests/kselftest.h")
_NEEDED = (f"{SUITE}/main.c", f"{SUITE}/tests/common.c", "tools/include/linux/types.h", *_HEADERS)
# What of an archive is unpacked. mm/memblock.c, and what it includes, is for who compares with it.
_UNPACKED_FILES = (
    *("Makefile", "mm/memblock.c", *_HEADERS, "include/linux/gfp_types.h"),
    *("include/linux/errno.h", "include/uapi/linux/errno.h"),
)
_UNPACKED_FOLDERS = (f"{SUITE}/", "tools/include/")
_VERSION = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(\S*)", re.MULTILINE)


def source_tree(path: Path, tell: Callable[[str], None] | None = None) -> Path:
    """The directory of the Linux sources at `path`, with the tests of memblock.

    What the tests need of an archive is unpacked, once, into the user's cache; `tell` gets a line
    first, as that takes a while. Raises BootsimError where there are no such sources.
    """
    if path.is_dir():
        check(path, path)
        return path
    try:
        status = path.stat()
    except OSError as error:
        raise BootsimError(f"{path}: {error.strerror}") from error
    parts = (*_UNPACKED_FILES, *_UNPACKED_FOLDERS)
    key = f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {parts}"
    folder = user_cache("linux") / hashlib.sha256(key.encode()).hexdigest()[:16]
    if not folder.is_dir():
        if tell is not None:
            tell(f"{path}: unpacking what the tests need")
        _unpack_as(folder, path)
    return folder


def check(tree: Path, path: Path) -> None:
    """Raise BootsimError that names `path` if something is missing in `tree`."""
    for name in _NEEDED:
        if not (tree / name).is_file():
            raise BootsimError(f"{path}: expected Linux sources with tests of memblock: no {name}")


def version(tree: Path) -> str:
    """As "6.1.115", by the Makefile at the top; empty where there is none."""
    try:
        text = (tree / "Makefile").read_text(errors="replace")
    except OSError:
        return ""
    said: dict[str, str] = dict(_VERSION.findall(text))
    numbers = [said[name] for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL") if said.get(name)]
    return ".".join(numbers) + said.get("EXTRAVERSION", "")


def _unpack_as(folder: Path, archive: Path) -> None:
    """Make `folder` of `archive`: all of it or nothing, as others may do the same."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent))
    except OSError as error:
        raise BootsimError(
            f"{archive}: cannot unpack into {folder.parent}: {error.strerror}: unpack it elsewhere,"
            " and name that directory"
        ) from error
    try:
        _unpack(archive, scratch)
        check(scratch, archive)
        scratch.rename(folder)
    except OSError as error:
        if not folder.is_dir():  # else somebody was faster
            raise BootsimError(f"{archive}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with archive.open("rb") as file, tarfile.open(fileobj=file, mode="r|*") as members:
            for member in members:
                name = PurePosixPath(*PurePosixPath(member.name.removeprefix("./")).parts[1:])
                content = members.extractfile(member) if _is_needed(member, name) else None
                if content is not None:
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_bytes(content.read())
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise BootsimError(
            f"{archive}: expected a directory or a tar archive of Linux sources: {error}"
        ) from error


def _is_needed(member: tarfile.TarInfo, name: PurePosixPath) -> bool:
    return (
        member.isreg()
        and ".." not in name.parts
        and (str(name) in _UNPACKED_FILES or str(name).startswith(_UNPACKED_FOLDERS))
    )
