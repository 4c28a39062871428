"""The C preprocessor in front of device tree source: pcpp, with every token's origin kept.

Linux runs its device trees through cpp: macros and headers (dt-bindings) are shared with C code.
Properties such as `#address-cells` look like directives but are not.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from pcpp.preprocessor import Preprocessor

from bootsim.devicetree.text import MAX_INCLUDE_DEPTH, Position, PreprocessedText, SourceBudget
from bootsim.errors import DeviceTreeError

# What macros may expand to in all, in characters and 4 more a token: beyond is a macro bomb.
MAX_EXPANSION = 4 << 20
_CONDITIONS = ("if", "ifdef", "ifndef", "elif", "else", "endif")
_DIRECTIVES = ("define", "undef", "include", *_CONDITIONS, "error", "warning", "pragma", "line")


def preprocess(
    path: str, text: str, include_dirs: Sequence[Path], budget: SourceBudget
) -> PreprocessedText:
    """`text` of file `path` with its directives carried out. Raises DeviceTreeError."""
    preprocessor = _Preprocessor(path, include_dirs, budget)
    try:
        return preprocessor.run(text)
    except DeviceTreeError:
        raise
    except RecursionError:
        preprocessor.fail("macros are nested too deep")
    except IndexError:  # pcpp takes what follows a directive's name for granted
        preprocessor.fail("this directive is incomplete")
    except Exception as error:
        preprocessor.fail(f"the preprocessor failed: {error!r}")


class _Preprocessor(Preprocessor):
    def __init__(self, path: str, include_dirs: Sequence[Path], budget: SourceBudget) -> None:
        super().__init__()
        self._path = path
        self._budget = budget
        self._texts: dict[str, str] = {}  # by the name that pcpp has for the file
        self._line = Position(path, 1, 1)  # the line that is being worked on
        self._expanding = 0
        self._expansion_left = MAX_EXPANSION
        self._evaluator = self.evaluator
        self.evaluator = self._evaluate  # type: ignore[assignment]
        self.define("__DTS__ 1")
        for directory in include_dirs:
            self.add_path(str(directory))

    def run(self, text: str) -> PreprocessedText:
        """The text of all tokens that come out, each with its origin."""
        self.parse(text, self._path)
        pieces: list[str] = []
        starts: list[int] = []
        origins: list[Position] = []
        size = 0
        end = Position(self._path, 1, 1)  # of the last token that stands in a file as it is
        while token := self.token():
            if getattr(token, "expanded_from", None):
                # pcpp knows the line where the macro was used; it follows the last token there.
                here = Position(self._file(token.source), token.lineno, 1)
                origin = end if end[:2] == here[:2] else here
            else:
                origin = self._origin(token)
                end = origin._replace(column=origin.column + len(token.value))
            pieces.append(token.value)
            starts.append(size)
            origins.append(origin)
            size += len(token.value)
        return PreprocessedText(self._path, "".join(pieces), starts, origins)

    def fail(self, what: str, position: Position | None = None) -> NoReturn:
        raise DeviceTreeError(f"{position or self._line}: {' '.join(what.split())}")

    def _file(self, source: str) -> str:
        """The file's name as the user wrote it, where it is the first file."""
        return self._path if source == next(iter(self._texts)) else source

    def _origin(self, token: Any) -> Position:
        newline = self._texts[token.source].rfind("\n", 0, token.lexpos)
        return Position(self._file(token.source), token.lineno, token.lexpos - newline)

    # What pcpp calls.

    def group_lines(self, input: str, abssource: str) -> Iterator[list[Any]]:
        """Lines of tokens. Where `#` begins a property's name it is made one token with what
        follows, so that it is no directive."""
        self._texts[abssource] = "\n".join(line.rstrip() for line in input.splitlines())
        for line in super().group_lines(input, abssource):
            visible = [token for token in line if not token.value.isspace()]
            if visible:
                self._line = self._origin(visible[0])
            if len(visible) > 1 and visible[0].value == "#" and not self._is_directive(visible):
                visible[0].value += visible[1].value
                visible[1].value = ""
            yield line

    def _is_directive(self, visible: list[Any]) -> bool:
        sign, name, *rest = visible
        if name.value not in _DIRECTIVES:
            # Not a property's name either: a line marker, say.
            return name.lexpos > sign.lexpos + 1 or not name.value[0].isalpha()
        adjacent = bool(rest) and rest[0].lexpos == name.lexpos + len(name.value)
        return not (rest and (rest[0].value in "=;" or (adjacent and rest[0].value in "-,")))

    def expand_macros(self, tokens: list[Any], expanding_from: Sequence[str] = ()) -> list[Any]:
        """Expand, and count what macros expand to."""
        self._expanding += 1
        expanded: list[Any] = super().expand_macros(tokens, list(expanding_from))
        self._expanding -= 1
        if self._expanding:
            self._spend(expanded)
        return expanded

    def macro_expand_args(self, macro: Any, args: list[list[Any]]) -> list[Any]:
        """Expand a macro with arguments, unless it is sure to be too large."""
        for _ in macro.patch:
            self._spend(token for argument in args for token in argument)
        expanded: list[Any] = super().macro_expand_args(macro, args)
        return expanded

    def _spend(self, tokens: Iterable[Any]) -> None:
        self._expansion_left -= sum(len(token.value) + 4 for token in tokens)
        if self._expansion_left < 0:
            self.fail(f"macros expand to more than {MAX_EXPANSION >> 20} MiB")

    def _evaluate(self, input: list[Any], **names: Any) -> Any:
        """The value of an #if's expression. pcpp would really shift 1 by 4 billion bits."""
        visible = [token.value for token in input if token.value not in " ("]
        for operator, count in pairwise(visible):
            if operator == "<<" and count[0].isdigit() and int(count.rstrip("uUlL"), 0) > 63:
                raise ValueError("shift by 64 bits or more")
        return self._evaluator(input, **names)

    def on_error(self, file: str, line: int, msg: str) -> NoReturn:
        text = self._texts.get(file, "").splitlines()[line - 1 : line]
        column = len(text[0]) - len(text[0].lstrip()) + 1 if text else 1
        self.fail(msg, Position(self._file(file), line, column))

    def on_file_open(self, is_system_include: bool, includepath: str) -> StringIO:
        if not Path(includepath).exists():
            raise FileNotFoundError(includepath)  # pcpp goes on to the next directory
        if self.include_depth >= MAX_INCLUDE_DEPTH:
            self.fail(f"#include is nested deeper than {MAX_INCLUDE_DEPTH} files")
        return StringIO(self._budget.read(includepath))

    def on_include_not_found(
        self, is_malformed: bool, is_system_include: bool, curdir: str, includepath: str
    ) -> NoReturn:
        if is_malformed:
            self.fail(f"#include of {includepath}, expected a name in quotes or <>")
        self.fail(f"'{includepath}' could not be found")

    def on_directive_unknown(
        self, directive: Any, toks: list[Any], ifpassthru: bool, precedingtoks: list[Any]
    ) -> bool | None:
        if directive.value == "error":
            self.fail("#error " + "".join(token.value for token in toks))
        if directive.value in ("warning", "pragma"):
            return True
        return None  # a line marker: passed on
