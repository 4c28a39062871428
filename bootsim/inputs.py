"""What users hand in: device trees and other files, read whole and bounded."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootsim.devicetree.board import Board
from bootsim.devicetree.memory_node import set_memory
from bootsim.errors import BootsimError, in_one_line
from bootsim.kernel.libfdt import FDT_MAGIC
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.numbers import size_text
from bootsim.resources import resource_path

if TYPE_CHECKING:
    from bootsim.devicetree.source import Places

FilePath = str | os.PathLike[str]

BLOB_MAX = 64 << 20  # bytes; the largest of Debian's trees has 150 KB
BUILTIN_BOARD = "vexpress-v2p-ca9"  # dts/: its source, and what that compiles to


def read_content(source: bytes | FilePath, limit: int) -> bytes:
    """The bytes of a file, or those given; raises BootsimError for a file of over `limit` bytes."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    try:
        with Path(source).open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise BootsimError(f"{Path(source)}: {error.strerror}") from error
    if len(content) > limit:
        raise BootsimError(f"{Path(source)}: more than {size_text(limit)} do not fit")
    return content


def read_tree(
    dtb: bytes | FilePath | None = None,
    dts: FilePath | None = None,
    name: str | None = None,
    *,
    ram: Iterable[tuple[int, int]] | None = None,
) -> tuple[bytes, str]:
    """A device tree's blob and its name for messages; that of the built-in board without any.

    With `ram`, banks of (base, size) bytes, its memory is what set_memory() makes of them. Raises
    BootsimError for both blob and source and for banks that cannot be, and DeviceTreeError for
    source that does not compile.
    """
    blob, name = _read_tree(dtb, dts, name)
    return (blob if ram is None else set_memory(blob, ram, name=name)), name


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A device tree out of a file: `name` as it was given; `places` are its source's, if any."""

    name: str
    dtb: bytes
    places: Places | None = None


def read_tree_file(path: FilePath) -> TreeFile:
    """The tree in a file, be it a blob or source. Raises BootsimError, as read_tree() does."""
    name = os.fspath(path)
    content = read_content(path, BLOB_MAX)
    if Path(path).suffix == ".dtb" or content[:4] == FDT_MAGIC.to_bytes(4, "big"):
        return TreeFile(name, content)
    from bootsim.devicetree.blob import flatten  # noqa: PLC0415
    from bootsim.devicetree.source import read_source  # noqa: PLC0415 - 15 ms

    tree, places = read_source(name)
    return TreeFile(name, flatten(tree), places)


def tree_error(name: str, error: Exception) -> str:
    """Why nothing came of the tree in file `name`, in one line that begins with it."""
    words = in_one_line(error)
    return words if words.startswith(name) else f"{name}: {words}"


def console_uart(board: Board) -> tuple[int | None, list[str]]:
    """The base address of the console's PL011, unless the tree has RAM there, and what is left out.

    None if the machine has no such console.
    """
    left_out: list[str] = []
    for base in board.uarts:
        if base % PAGE_SIZE:
            why = "does not begin at a page"
        elif any(bank.base <= base < bank.end for bank in board.ram_banks()):
            why = "lies in RAM, or in a page of it"
        else:
            return base, left_out
        left_out.append(f"the PL011 at {base:#010x} {why}: it is left out")
    return None, left_out


def _read_tree(
    dtb: bytes | FilePath | None, dts: FilePath | None, name: str | None
) -> tuple[bytes, str]:
    if dtb is not None and dts is not None:
        raise BootsimError("give either a device tree blob or its source, not both")
    if dts is not None:
        from bootsim.devicetree.source import compile_dts  # noqa: PLC0415 - 15 ms

        return compile_dts(Path(dts)), name or Path(dts).name
    if dtb is None:
        blob = resource_path("dts", f"{BUILTIN_BOARD}.dtb").read_bytes()
        return blob, name or f"{BUILTIN_BOARD}.dtb"
    given = isinstance(dtb, bytes | bytearray | memoryview)
    return read_content(dtb, BLOB_MAX), name or ("device tree" if given else str(dtb))
