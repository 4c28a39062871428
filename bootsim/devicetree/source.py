"""Device tree source (DTS): text to tree, and to blob.

Text with directives goes through a C preprocessor first, as Linux's own device trees do. The parser
and the preprocessor are imported only where they are needed: a blob needs neither.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from bootsim.devicetree.blob import flatten
from bootsim.devicetree.text import Position, SourceBudget, SourceText
from bootsim.devicetree.tree import Node, Tree
from bootsim.machine.memory import Range

if TYPE_CHECKING:
    from devicetree import dtlib

# `#define` and the like, but not the property `#if-cells` nor a line marker.
_DIRECTIVE = re.compile(
    r"^[ \t]*#[ \t]*(?:define|elif|else|endif|error|if|ifdef|ifndef|include|pragma|undef|warning)"
    r"(?![-,\w])",
    re.MULTILINE,
)


def compile_dts(path: Path | str, *, include_dirs: Sequence[Path] = ()) -> bytes:
    """The blob of the DTS file at `path`: what dtc makes of it.

    `include_dirs` are looked through for included files, after the directory of the file that
    includes. Raises DeviceTreeError, one line that begins with `file:line:column:` wherever the
    fault has such a place.
    """
    return flatten(compile_tree(path, include_dirs=include_dirs))


def compile_tree(path: Path | str, *, include_dirs: Sequence[Path] = ()) -> Tree:
    """The tree of the DTS file at `path`; as compile_dts(), for who wants the tree too."""
    return read_source(path, include_dirs=include_dirs)[0]


@dataclass(frozen=True, slots=True)
class Places:
    """Where in which file the nodes and properties of a tree are written."""

    _places: Mapping[tuple[str, str], tuple[SourceText, int]]

    def position(self, path: str, prop: str = "") -> Position | None:
        """Where property `prop` of the node at `path` is, or else the node; None for neither."""
        place = self._places.get((path, prop)) or self._places.get((path, ""))
        return place[0].position(place[1]) if place else None


def read_source(path: Path | str, *, include_dirs: Sequence[Path] = ()) -> tuple[Tree, Places]:
    """The tree of the DTS file at `path`, and where its parts are; raises as compile_dts()."""
    from bootsim.devicetree.parser import parse  # noqa: PLC0415

    budget = SourceBudget()
    source = SourceText(str(path), budget.read(path))
    if _DIRECTIVE.search(source.text):
        from bootsim.devicetree.preprocessor import preprocess  # noqa: PLC0415

        source = preprocess(source.file, source.text, include_dirs, budget)
    parsed = parse(source, include_dirs, budget)
    root = _node(parsed.root, "/")
    reserved = tuple(Range(address, size) for _, address, size in parsed.memreserves)
    tree = Tree(source.file, root, reserved, _boot_cpuid(root))
    return tree, Places(parsed.places())


def _node(node: dtlib.Node, path: str) -> Node:
    properties = {prop.name: bytes(prop.value) for prop in node.props.values()}
    below = path.rstrip("/") + "/"
    children = tuple(_node(child, below + child.name) for child in node.nodes.values())
    return Node(node.name, path, MappingProxyType(properties), children)


def _boot_cpuid(root: Node) -> int:
    """The first CPU's reg, as dtc guesses it."""
    cpus = root.child("cpus")
    reg = cpus.children[0].properties.get("reg", b"") if cpus and cpus.children else b""
    return int.from_bytes(reg, "big") if len(reg) == 4 else 0
