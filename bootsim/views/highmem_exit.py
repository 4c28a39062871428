"""The highmem-exit report: what becomes of a fleet's boards when Linux has no HIGHMEM any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from bootsim.kernel.variants import VMSPLIT
from bootsim.numbers import size_text
from bootsim.views.whatif import boards_text, left_out
from bootsim.whatif import DEFAULT, Answer, Row

_NAMES_MAX = 8  # boards that are named
_GIB = 1 << 30
_SIZES = (256 << 20, 512 << 20, _GIB, 2 * _GIB, 4 * _GIB)
_NONE = "none"


def highmem_exit(answers: Sequence[Answer], kernel: str) -> Iterator[str]:
    """Who loses RAM without HIGHMEM, how much, which split keeps it, and what does not boot.

    The answers' settings are highmem, vmsplit and vmalloc, in this order; `kernel` is the
    profile's name.
    """
    booted = [answer for answer in answers if any(row.stage for row in answer.rows)]
    if booted:
        report = _Report(booted)
        yield f"{boards_text(len(booted))} on {kernel}, without HIGHMEM"
        yield from report.sizes()
        yield ""
        yield from report.losses()
        for area in report.areas:
            yield ""
            yield from report.needs(area)
        yield from report.worst()
        yield from report.deaths()
    left = list(left_out(answers))
    if booted and left:
        yield ""
    yield from left


class _Report:
    def __init__(self, booted: Sequence[Answer]) -> None:
        self._booted = booted
        first = booted[0].rows
        self._splits = list(dict.fromkeys(row.settings[1][1] for row in first))
        self.areas = list(dict.fromkeys(row.settings[2][1] for row in first))
        self._rows = {
            (answer.tree, row.settings[1][1], row.settings[2][1]): row
            for answer in booted
            for row in answer.rows
        }

    def _row(self, answer: Answer, split: str, area: str) -> Row:
        return self._rows[answer.tree, split, area]

    def _column(self, split: str, area: str) -> list[tuple[Answer, Row]]:
        return [(answer, self._row(answer, split, area)) for answer in self._booted]

    def sizes(self) -> Iterator[str]:
        """How many boards have how much RAM."""
        totals = [answer.rows[0].total for answer in self._booted]
        counts = []
        below = 0
        for limit in _SIZES:
            counts.append((f"to {size_text(limit)}", sum(below < t <= limit for t in totals)))
            below = limit
        counts.append(("more", sum(total > below for total in totals)))
        yield "RAM: " + ", ".join(f"{name} {count}" for name, count in counts if count)

    def losses(self) -> Iterator[str]:
        """The table: boards that lose RAM, and how much half of them lose, and the worst."""
        yield "Boards that lose RAM, and how much of it: half of them at least, and the most"
        yield (
            "  "
            + f"{'vmsplit':8}{'programs':>9}"
            + "".join(f"{_area_title(area):>20}" for area in self.areas)
        )
        for split in self._splits:
            cells = []
            for area in self.areas:
                cuts = [row.cut for _, row in self._column(split, area) if row.cut]
                sizes = f"{_short(median(cuts))}..{_short(max(cuts))}" if cuts else ""
                cells.append(f"{len(cuts):>6} {sizes:13}")
            yield f"  {split:8}{_user_space(split):>9}{''.join(cells)}".rstrip()
        yield "  (programs: the address space that each may have, of which a split takes some for"
        yield "  lowmem; kernels with LPAE have no 3G_OPT)"

    def needs(self, area: str) -> Iterator[str]:
        """Which split each board needs to lose nothing, and to come through."""
        boards: dict[str, list[str]] = {split: [] for split in (*self._splits, _NONE)}
        for answer in self._booted:
            rows = ((split, self._row(answer, split, area)) for split in self._splits)
            fits = (split for split, row in rows if not row.cut and row.error is None)
            boards[next(fits, _NONE)].append(answer.tree)
        yield f"The first split that keeps a board all its RAM, with {_area_words(area)}:"
        for need, trees in boards.items():
            if trees:
                words = _advice(need, self._splits)
                yield f"  {need:8}{len(trees):>6}  {words}"

    def worst(self) -> Iterator[str]:
        """The boards that lose most where no split helps, or with the first split."""
        area = self.areas[0]
        last = self._splits[-1]
        losing = sorted(
            ((row.cut, answer) for answer, row in self._column(last, area) if row.cut),
            key=lambda pair: (-pair[0], pair[1].tree),
        )
        if not losing:
            return
        yield ""
        yield f"Most is lost even with vmsplit={last}, {_area_words(area)}:"
        for cut, answer in losing[:_NAMES_MAX]:
            yield f"  {size_text(cut):>9} of {size_text(answer.rows[0].total):9} {_name(answer)}"
        if losing[_NAMES_MAX:]:
            yield f"  and {len(losing) - _NAMES_MAX} more boards"

    def deaths(self) -> Iterator[str]:
        """Boards that do not come through: by combination, and by what they die of."""
        dying = [
            (split, area, found)
            for split in self._splits
            for area in self.areas
            if (found := [(a, r) for a, r in self._column(split, area) if r.error is not None])
        ]
        if not dying:
            return
        yield ""
        yield "Boards that do not come through:"
        for split, area, found in dying:
            yield f"  vmsplit={split} vmalloc={area}: {len(found)}"
            reasons: dict[str, list[Answer]] = {}
            for answer, row in found:
                reasons.setdefault(row.error or "", []).append(answer)
            for reason, answers in sorted(reasons.items(), key=lambda item: -len(item[1]))[:3]:
                yield f"    {len(answers):>4}  as {_name(answers[0])}: {reason}"
            if len(reasons) > 3:
                yield f"          and {len(reasons) - 3} more reasons"
        yield "  (A page table where a section is: the board maps devices at a fixed virtual"
        yield "  address, and with so small a vmalloc area lowmem reaches up to there.)"


def _advice(need: str, splits: Sequence[str]) -> str:
    if need == _NONE:
        return "lose some in any case: less RAM, or a 64-bit kernel if the CPU can"
    if need == splits[0]:
        return f"need not change anything from VMSPLIT_{need}"
    return f"build with VMSPLIT_{need}: programs have {_user_space(need)} each"


def _user_space(split: str) -> str:
    """What programs have of the address space; TASK_SIZE, but for the modules below PAGE_OFFSET."""
    page_offset = VMSPLIT.get(split)
    return "as built" if page_offset is None else f"{page_offset / _GIB:g} GiB"


def _area_title(area: str) -> str:
    return "no vmalloc=" if area == DEFAULT else f"vmalloc={area}"


def _area_words(area: str) -> str:
    return "no vmalloc= (240M)" if area == DEFAULT else f"vmalloc={area}"


def _name(answer: Answer) -> str:
    return answer.tree.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".dtb")


def _short(size: float) -> str:
    """Bytes in M below 1 GiB, else in G, to a hundredth."""
    if size < _GIB:
        return f"{size / (1 << 20):.0f}M"
    return f"{size / _GIB:.2f}".rstrip("0").removesuffix(".") + "G"
