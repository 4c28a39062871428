"""What the boot loader has loaded, what the kernel writes over before Linux starts, and how far
the two are apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from bootsim.check.spans import Span, first_fit, has, shared
from bootsim.kernel.decompress import Written
from bootsim.machine.memory import Range

TREE, INITRD, ZIMAGE = "the device tree", "the initrd", "the zImage"
TIGHT = 64 << 10  # bytes: kernels grow by that from one release to the next
# U-Boot adds that much to a tree before it fills it in (CONFIG_SYS_FDT_PAD).
PAD = 0x3000


@dataclass(frozen=True, slots=True)
class Piece:
    """Something loaded; `told` if the user or the tree says where it is, not just this check.

    `prop` is the property of the tree's /chosen that says it, if one does.
    """

    what: str
    place: Range
    told: bool
    prop: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """`size` bytes lie between `low` and `high`, of which one is loaded; both may grow into it."""

    low: str
    high: str
    size: int
    enough: int


@dataclass(frozen=True, slots=True)
class Loading:
    """All that was loaded, and all that is written over; `ram` are the machine's banks.

    `own_line` tells that the command line is the tree's own.
    """

    pieces: tuple[Piece, ...] = ()
    writes: tuple[Written, ...] = ()
    ram: tuple[Range, ...] = ()
    own_line: bool = True

    def piece(self, what: str) -> Piece | None:
        """What is called so, if it was loaded."""
        return next((piece for piece in self.pieces if piece.what == what), None)

    def hit(self, place: Range) -> Written | None:
        """What first writes over a part of `place`."""
        return next((write for write in self.writes if shared(write.place, place)), None)

    def is_outside(self, piece: Piece) -> bool:
        """Whether `piece` is, in part, where there is no RAM."""
        return not has(self.ram, piece.place)

    def is_lost(self, piece: Piece) -> bool:
        """Whether Linux does not find what was loaded: it is written over, or no RAM is there."""
        if not piece.told:
            return False
        zimage = self.piece(ZIMAGE)
        over = zimage is not None and shared(zimage.place, piece.place) > 0
        return over or self.hit(piece.place) is not None or self.is_outside(piece)

    def clashes(self) -> Iterator[tuple[Piece, Piece]]:
        """Pieces that are loaded over each other; the lower one first."""
        for pair in combinations(self.pieces, 2):
            if shared(pair[0].place, pair[1].place):
                low, high = sorted(pair, key=lambda piece: piece.place.base)
                yield low, high

    def gaps(self, piece: Piece) -> list[Gap]:
        """Between `piece` and what is next to it, below and above, either written or loaded."""
        others = [(w.what, w.place, TIGHT) for w in self.writes]
        others += [(p.what, p.place, 0) for p in self.pieces if p.told and p is not piece]
        place = piece.place
        below = [(place.base - at.end, what, enough) for what, at, enough in others]
        above = [(at.base - place.end, what, enough) for what, at, enough in others]
        found = []
        for sides, is_below in ((below, True), (above, False)):
            size, what, enough = min((s for s in sides if s[0] >= 0), default=(-1, "", 0))
            if size >= 0:
                low, high = (what, piece.what) if is_below else (piece.what, what)
                found.append(Gap(low, high, size, enough or PAD * (low == TREE)))
        return found

    def first_safe(
        self,
        what: str,
        holes: Iterable[Range],
        size: int,
        align: int,
        *,
        kept: Iterable[Span] = (),
        apart: bool = True,
    ) -> int | None:
        """The lowest multiple of `align` where `size` bytes of piece `what` lie in one of `holes`,
        in nothing of `kept`, are not written over, and, if `apart`, keep their distance from what
        is; None where there is none."""
        taken = [*kept, *(_widened(write.place, TIGHT * apart) for write in self.writes)]
        taken += [
            _widened(piece.place, PAD * apart)
            for piece in self.pieces
            if piece.told and piece.what != what
        ]
        return first_fit(holes, size, align, taken)


NOTHING = Loading()


def _widened(place: Range, by: int) -> Range:
    return Range(place.base - by, place.size + 2 * by)
