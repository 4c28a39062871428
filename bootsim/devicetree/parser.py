"""Device tree source to nodes: dtlib, made to say where things are and kept within bounds.

Zephyr's dtlib parses; this class adds to it what its users here need:
- every error with file, line and column, also behind a preprocessor or line markers, and also those
  that only come up once the whole tree is known (references, labels, phandles);
- numbers as dtc has them, 64 bits wide;
- an end for everything: nesting, files that include each other, huge numbers;
- labels found through a table (dtlib looks through all nodes for each reference).
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, NoReturn

from devicetree import dtlib

from bootsim.devicetree.blob import FDT_MAX_DEPTH
from bootsim.devicetree.text import MAX_INCLUDE_DEPTH, Position, SourceBudget, SourceText
from bootsim.errors import DeviceTreeError

_U64 = (1 << 64) - 1
_LOCATED_TOKENS = frozenset((dtlib._T.LABEL, dtlib._T.REF))


def parse(source: SourceText, include_dirs: Sequence[Path], budget: SourceBudget) -> Source:
    """The tree that `source` describes. Raises DeviceTreeError."""
    try:
        return Source(source, include_dirs, budget)
    except dtlib.DTError as error:  # what is found in the whole tree and has no place in the text
        raise DeviceTreeError(f"{source.file}: {' '.join(str(error).split())}") from error


class _Located(str):
    """A label or reference that knows where it stands."""

    place: tuple[SourceText, int]


class Source(dtlib.DT):
    """The tree that a text describes, with the place of each part of it."""

    def __init__(
        self, source: SourceText, include_dirs: Sequence[Path], budget: SourceBudget
    ) -> None:
        self._source = source
        self._budget = budget
        self._labels: dict[str, Any] | None = None
        self._has_subnode: list[bool] = []  # for each { } that is open
        self._cell_bits = 64
        self._in_expression = False
        self._assigned: dict[Any, tuple[SourceText, int]] = {}
        self._opened: dict[Any, tuple[SourceText, int]] = {}
        super().__init__(source.file, [str(directory) for directory in include_dirs])

    # Places and errors.

    def places(self) -> dict[tuple[str, str], tuple[SourceText, int]]:
        """Where each node begins and each property has its value, by node path and property name.

        The property of a node itself is "". What is written twice has its last value's place, and
        a node the first.
        """
        found: dict[tuple[str, str], tuple[SourceText, int]] = {}
        for node in self.node_iter():
            if node in self._opened:
                found[node.path, ""] = self._opened[node]
            for name, prop in node.props.items():
                if prop in self._assigned:
                    found[node.path, name] = self._assigned[prop]
        return found

    def _place(self) -> tuple[SourceText, int]:
        """The text that is being read, and the last token in it."""
        if self._file_contents is self._source.text:
            return self._source, self._tok_i
        return SourceText(self.filename, self._file_contents), self._tok_i

    def _fail(self, place: tuple[SourceText, int] | None, what: object) -> NoReturn:
        where: Position | str = place[0].position(place[1]) if place else self._source.file
        raise DeviceTreeError(f"{where}: {' '.join(str(what).split())}")

    def _parse_error(self, s: object) -> NoReturn:
        self._fail(self._place(), s)

    # Reading.

    def _parse_dt(self) -> None:
        self._file_contents = self._source.text  # dtlib has read the file itself, as it is
        try:
            super()._parse_dt()
        except RecursionError:
            self._parse_error("expressions are nested too deep")
        except AttributeError as error:  # only in /delete-node/ &{/}: the root has no parent
            if self.root is None or self.root.parent is not None:
                raise
            self._fail(self._place(), f"the root node cannot be deleted ({error})")

    def _next_token(self) -> Any:
        try:
            token = super()._next_token()
        except ValueError:
            self._tok_i = self._tok_end_i
            self._parse_error("malformed number")
        if token.id in _LOCATED_TOKENS and not isinstance(token.val, _Located):
            value = _Located(token.val)
            value.place = self._place()
            token = token._replace(val=value)
        return token

    def _parse_node(self, node: Any) -> Any:
        depth = 1
        above = node
        while above := above.parent:
            depth += 1
        if depth > FDT_MAX_DEPTH:
            self._parse_error(f"nodes are nested deeper than {FDT_MAX_DEPTH}")
        self._opened.setdefault(node, self._place())
        self._has_subnode[-1:] = [True]
        self._has_subnode.append(False)
        node = super()._parse_node(node)
        self._has_subnode.pop()
        return node

    def _check_token(self, val: str) -> bool:
        if val == "=" and self._has_subnode[-1]:  # asked for behind a property's name only
            self._parse_error("properties must precede subnodes")
        found: bool = super()._check_token(val)
        return found

    def _parse_cells(self, prop: Any, n_bytes: int) -> None:
        self._cell_bits = 8 * n_bytes
        super()._parse_cells(prop, n_bytes)
        self._cell_bits = 64

    def _parse_assignment(self, prop: Any) -> None:
        self._assigned[prop] = self._place()
        super()._parse_assignment(prop)

    def _parse_incbin(self, prop: Any) -> None:
        try:
            super()._parse_incbin(prop)
        except (ValueError, OverflowError) as error:
            self._parse_error(f"malformed /incbin/: {error}")

    def _open(self, filename: str, mode: str = "r", **kwargs: Any) -> Any:
        """Open for /include/ and /incbin/: first beside the file that names it, as dtc does."""
        text, offset = self._place()
        position = text.position(offset)
        path = next(
            (
                path
                for directory in (os.path.dirname(position.file), *self._include_path)
                if os.path.exists(path := os.path.join(directory, filename))
            ),
            None,
        )
        if path is None:
            self._fail((text, offset), f"'{filename}' could not be found")
        if "b" in mode:
            return BytesIO(self._budget.read_bytes(path))
        if len(self._filestack) > MAX_INCLUDE_DEPTH:
            self._fail((text, offset), f"/include/ is nested deeper than {MAX_INCLUDE_DEPTH} files")
        content = StringIO(self._budget.read(path))
        content.name = path  # dtlib asks for it
        return content

    # Numbers are unsigned and have 64 bits, as in dtc (its manual, "Expressions").

    def _eval_prim(self) -> int:
        outermost = not self._in_expression
        self._in_expression = True
        value: int = super()._eval_prim()
        if value > _U64:
            self._parse_error(f"{value:#x} does not fit in 64 bits")
        if outermost:
            self._in_expression = False
            # In a narrower cell high bits may be lost if all are ones: <(~0x80)>, <(-1)>.
            if value > _U64 - (1 << self._cell_bits):
                value &= (1 << self._cell_bits) - 1
        return value

    def _eval_ternary(self) -> int:
        value: int = super()._eval_ternary()
        return value & _U64

    def _eval_shift(self) -> int:
        value = self._eval_add()
        while True:
            if self._check_token("<<"):
                count = self._eval_add()
                value = value << count & _U64 if count < 64 else 0
            elif self._check_token(">>"):
                value >>= min(self._eval_add(), 64)
            else:
                return value

    def _eval_add(self) -> int:
        value: int = super()._eval_add()
        return value & _U64

    def _eval_mul(self) -> int:
        value: int = super()._eval_mul()
        return value & _U64

    def _eval_unary(self) -> int:
        value: int = super()._eval_unary()
        return value & _U64

    # What is done once all is read.

    def _ref2node(self, s: str) -> Any:
        node = self._labels.get(s) if self._labels is not None else None
        if self.root is None:  # dtlib would look for it in what is not there yet
            self._fail(self._place(), f"reference to '{s}', but no root node before it")
        try:
            return node or super()._ref2node(s)
        except dtlib.DTError as error:
            self._fail(s.place if isinstance(s, _Located) else self._place(), error)

    def _register_phandles(self) -> None:
        self._labels = {}
        for node in self.node_iter():
            for label in node.labels:
                self._labels.setdefault(label, node)
        try:
            super()._register_phandles()
        except dtlib.DTError as error:
            path = str(error).partition(": ")[0]
            self._fail(self._assigned.get(self.get_node(path).props["phandle"]), error)

    def _register_aliases(self) -> None:
        """dtlib refuses aliases that dtc warns of; nobody here resolves them in the source."""

    def _register_labels(self) -> None:
        owners: dict[str, str] = {}
        for node in self.node_iter():
            labels: list[tuple[Any, str]] = [(label, node.path) for label in node.labels]
            for prop in node.props.values():
                path = f"{node.path.rstrip('/')}/{prop.name}"
                labels += [(label, path) for label in prop.labels]
                labels += [(label, f"{path}+{at}") for label, at in prop._label_offset_lst]
            for label, owner in labels:
                if owners.setdefault(label, owner) != owner:
                    self._fail(label.place, f"label {label} is on {owners[label]} and on {owner}")
