"""Whether each allocation in a log lies where memblock's rules put it, and if not, why.

A kernel does not log all that an address follows from. What is missing is taken from what shows:

- the limit (memblock.current_limit): the start of HighMem where the log has it, else none; where
  an allocation fits another limit exactly, that one from then on. On ARM it can be an end of memory
  rounded down to PMD_SIZE (adjust_lowmem_bounds() in arch/arm/mm/mmu.c, until paging_init() sets
  the end of low memory), and the end of the highest allocation below the limit, rounded up (where
  the log does not begin at the start, that one at once);
- the direction (memblock_set_bottom_up()), and SMP_CACHE_BYTES;
- the alignment, of allocators that log no request: the size's own, if any fits;
- what a line that is lost had taken: so much as makes the address come out.
"""

from __future__ import annotations

from dataclasses import dataclass

from bootsim.dmesg.findings import FindingKind
from bootsim.dmesg.spans import contains, difference, intersection
from bootsim.dmesg.state import State
from bootsim.kernel.memblock import NUMA_NO_NODE
from bootsim.kernel.memory import round_up
from bootsim.machine.memory import Range
from bootsim.trace import MemblockAlloc

PMD_SIZE = 2 << 20  # arch/arm/include/asm/pgtable-2level.h, pgtable-3level.h
_EXPLAINED_MAX = 200  # a log with more surprises is not explained any further
_EVIDENT_ALIGN = 0x1000
_CACHE_BYTES = (32, 64, 128, 16, 256)  # SMP_CACHE_BYTES of the architectures
# Those that allocate in a range of their caller's choice, as for CMA.
_FOR_A_RANGE = frozenset({"memblock_alloc_range", "memblock_alloc_range_nid"})


@dataclass(frozen=True, slots=True)
class Request:
    """What an allocator was asked for. `end` 0 means the current limit.

    `retries` whether it goes below `start` if it must; `told` whether a line tells of it, so that
    `align` and the rest are known. `bounded` whether it was perhaps for a range of its own.
    """

    size: int
    align: int
    start: int = 0
    end: int = 0
    nid: int = NUMA_NO_NODE
    exact_nid: bool = False
    retries: bool = False
    told: bool = True
    bounded: bool = False

    @classmethod
    def of(cls, event: MemblockAlloc) -> Request:
        """What `event` asks for."""
        physical = "phys_alloc" in event.function
        return cls(
            event.size,
            event.align,
            event.min_addr,
            event.max_addr,
            event.nid,
            exact_nid="exact" in event.function,
            retries=not physical,
        )

    @classmethod
    def guessed(cls, span: Range, reserver: str) -> Request:
        """The request that led to `span`, of which no line tells but memblock_reserve()'s, called
        by the function `reserver`."""
        align = min(_lowest_bit(span.size), _lowest_bit(span.base))
        return cls(span.size, align, told=False, bounded=reserver in _FOR_A_RANGE)


class AllocationCheck:
    """Asks memblock's rules where each allocation of `state` would lie."""

    def __init__(
        self, state: State, *, limit: int | None, evident_limit: int | None, knows_start: bool
    ) -> None:
        """`limit` as the log tells it, `evident_limit` as its allocations do; `knows_start`
        whether what was reserved before is known."""
        self._state = state
        self._memblock = state.memblock
        self._told_limit = limit
        self._evident_limit = evident_limit
        self._knows_start = knows_start
        self._highest = 0  # end of the highest allocation below the limit
        self._explained = 0
        self._cache_bytes = state.memblock.features.smp_cache_bytes
        # CMA and the tree's reservations, with bounds of their own, come before the dump.
        self.early_areas_done = False
        # Reserved to explain an address, and perhaps too much.
        self._assumed: list[Range] = []
        if limit is not None:
            self._memblock.set_current_limit(limit)
        elif not knows_start and evident_limit is not None:
            # Else all up to the end of memory would seem to be taken already.
            self._memblock.set_current_limit(min(evident_limit, self._memblock.phys_addr_max))

    def find(self, request: Request) -> int:
        """Where the rules put `request`, 0 for nowhere."""
        memblock = self._memblock
        most = memblock.phys_addr_max
        if max(request.size, request.align, request.start, request.end) > most:
            return 0
        # Only the allocators of virtual addresses keep to the limit whatever is asked for.
        end = min(request.end, memblock.current_limit) if request.retries else request.end
        mirror = memblock.choose_memblock_flags()
        nodes = [request.nid]
        if request.nid != NUMA_NO_NODE and not request.exact_nid:
            nodes.append(NUMA_NO_NODE)
        starts = [request.start, 0] if request.retries and request.start else [request.start]
        align = request.align or self._cache_bytes
        for start in starts:
            for flags in dict.fromkeys((mirror, 0)):
                for nid in nodes:
                    found = memblock.find_in_range_node(request.size, align, start, end, nid, flags)
                    if found:
                        return found
        return 0

    def check(self, request: Request, span: Range) -> bool | None:
        """Whether `span` is where the rules put `request`, None if that cannot be told.

        What explains a difference is found, and taken as done. `span` itself is not reserved here.
        """
        if self._explained > _EXPLAINED_MAX:
            return None
        if self._lies_at(request, span):
            self._accept(request, span)
            return True
        self._explained += 1
        if self._explained > _EXPLAINED_MAX:
            self._state.found(
                FindingKind.AMBIGUOUS,
                f"more than {_EXPLAINED_MAX} allocations lie elsewhere than the rules put them: "
                "none is checked from here",
            )
            return None
        return self._explain(request, span)

    def _accept(self, request: Request, span: Range) -> None:
        """Remember how high an allocation reaches that keeps to the limit."""
        if request.retries or (self.early_areas_done and not request.told):
            self._highest = max(self._highest, span.end)

    def _lies_at(self, request: Request, span: Range) -> bool:
        if self.find(request) == span.base:
            return True
        return not request.told and self._fits_other_terms(request, span)

    def _fits_other_terms(self, request: Request, span: Range) -> bool:
        """Whether an unknown request, of a smaller alignment or another range, leads to `span`."""
        everywhere = self._memblock.phys_addr_max
        limits = [self._memblock.current_limit, self._told_limit, self._evident_limit]
        ranges = [(0, 0), (0, everywhere)]
        for limit in dict.fromkeys(limit for limit in limits if limit is not None):
            ranges += [(0, limit), (limit, everywhere)]
        align = request.align
        while align >= 1:
            for start, end in ranges:
                if self.find(Request(span.size, align, start, end, told=False)) == span.base:
                    return True
            align >>= 1
        return False

    def _explain(self, request: Request, span: Range) -> bool | None:
        assumed_too_much = contains(self._assumed, span)
        if self._was_not_free(span) and (assumed_too_much or self._lies_at(request, span)):
            return None if assumed_too_much else False
        if not request.align and self._other_cache(request, span):
            return True
        if self._other_direction(request, span) or self._other_limit(request, span):
            return True
        predicted = self.find(request)
        if request.bounded:
            self._state.found(
                FindingKind.AMBIGUOUS,
                f"{span} was allocated by a request that is not logged, with bounds of its own "
                f"or after a line that is lost: without either it would lie at {predicted:#010x}",
            )
            return None
        if not request.told and self._larger_alignment(request, span, predicted):
            return None
        if predicted > span.base and not self._memblock.bottom_up():
            self._something_lies_above(request, span, predicted)
        elif self._memblock.bottom_up() and 0 < predicted < span.base:
            self._something_lies_below(request, span, predicted)
        else:
            self._mismatch(request, span, f"at {predicted:#010x}" if predicted else "nowhere")
        return False

    def _mismatch(self, request: Request, span: Range, where: str) -> None:
        self._state.found(
            FindingKind.MISMATCH,
            f"{_shown(request)} lie at {span}: by memblock's rules {where}",
        )

    # What explains an address.

    def _was_not_free(self, span: Range) -> bool:
        """Whether `span` was reserved or no memory by what is known: made free then."""
        state = self._state
        absent = difference([span], state.memory())
        for piece in absent:
            state.found(FindingKind.UNLOGGED, f"{piece} must be memory: no line adds it")
            state.infer("memblock_add", piece, "?")
        taken = intersection([span], state.reserved())
        for piece in difference(taken, self._assumed):
            state.found(
                FindingKind.LOST, f"{piece} was free when it was allocated: no line tells of that"
            )
        for piece in taken:
            state.infer(self._free_function(), piece, "?")
        self._assumed = difference(self._assumed, [span])
        return bool(absent or taken)

    def _other_cache(self, request: Request, span: Range) -> bool:
        """Whether `span` is aligned to another processor's SMP_CACHE_BYTES, as `align` 0 asks."""
        was = self._cache_bytes
        for self._cache_bytes in _CACHE_BYTES:
            if self.find(request) == span.base:
                return True
        self._cache_bytes = was
        return False

    def _other_direction(self, request: Request, span: Range) -> bool:
        memblock = self._memblock
        was = memblock.bottom_up()
        memblock.set_bottom_up(not was)
        if self.find(request) == span.base:
            way = "top down" if was else "bottom up"
            self._state.found(
                FindingKind.UNLOGGED,
                f"from here memblock allocates {way}: memblock_set_bottom_up() is not logged",
            )
            return True
        memblock.set_bottom_up(was)
        return False

    def _other_limit(self, request: Request, span: Range) -> bool:
        """Whether another limit leads to `span`."""
        if request.bounded and not self.early_areas_done:
            return False
        if request.end > 1 and not request.retries:
            return False
        memblock = self._memblock
        was = memblock.current_limit
        for limit in self._limits(span):
            lower = limit < was
            # What was reserved before the log begins is as good a reason for a low address.
            if limit == was or limit < self._highest or (lower and not self._knows_start):
                continue
            memblock.set_current_limit(limit)
            if self.find(request) == span.base:
                self._accept(request, span)
                self._state.found(
                    FindingKind.UNLOGGED,
                    f"allocations end at {limit:#010x} from here: "
                    "memblock_set_current_limit() is not logged",
                )
                return True
        memblock.set_current_limit(was)
        return False

    def _limits(self, span: Range) -> list[int]:
        """The limits that there can be at or above `span`, the likeliest first."""
        memblock = self._memblock
        limits = [limit for limit in (self._told_limit, self._evident_limit) if limit is not None]
        if memblock.features.phys_addr_bits == 32:
            for piece in self._state.usable():
                limits += [edge // PMD_SIZE * PMD_SIZE for edge in (piece.base, piece.end)]
        rounded = round_up(span.end, PMD_SIZE)
        if rounded > memblock.current_limit or not (self._told_limit or self._highest):
            limits.append(rounded)
        return [limit for limit in limits if span.end <= limit <= memblock.phys_addr_max]

    def _larger_alignment(self, request: Request, span: Range, predicted: int) -> bool:
        align = _lowest_bit(span.base)
        asked = Request(span.size, align, told=False)
        if align <= request.align or self.find(asked) != span.base:
            return False
        self._state.found(
            FindingKind.AMBIGUOUS,
            f"{span} is where the rules put it only for a request aligned to {align:#x}: "
            f"else {Range(predicted, span.size)} was taken by a line that is lost",
        )
        return True

    def _something_lies_above(self, request: Request, span: Range, predicted: int) -> None:
        """Reserve so much of what is free above `span` that `request` comes to lie there."""
        pieces: list[Range] = []
        while predicted > span.base:
            gap = next(free for free in self._state.free() if free.end > predicted)
            base = max(gap.base, span.end) if gap.base <= span.base else gap.base
            piece = Range(base, predicted + span.size - base)
            if piece.size <= 0 or self._memblock.reserve(piece.base, piece.size):
                break
            pieces.append(piece)
            predicted = self.find(request)
        self._assume(request, span, pieces, predicted)

    def _something_lies_below(self, request: Request, span: Range, predicted: int) -> None:
        """The same for allocation bottom up."""
        pieces: list[Range] = []
        while 0 < predicted < span.base:
            gap = next(free for free in self._state.free() if free.end > predicted)
            end = min(gap.end, span.base)
            if end <= predicted or self._memblock.reserve(predicted, end - predicted):
                break
            pieces.append(Range(predicted, end - predicted))
            predicted = self.find(request)
        self._assume(request, span, pieces, predicted)

    def _assume(self, request: Request, span: Range, pieces: list[Range], found: int) -> None:
        state, memblock = self._state, self._memblock
        for piece in pieces:  # so far for trial
            memblock.phys_free(piece.base, piece.size)
        pieces.sort()
        places = " ".join(str(piece) for piece in pieces)
        if found != span.base:
            even = f", even with {places} taken" if pieces else ""
            self._mismatch(request, span, f"at {found:#010x}{even}")
            return
        evident = self._knows_start and request.align <= _EVIDENT_ALIGN and len(pieces) == 1
        exact = "" if evident else "up to "
        size = sum(piece.size for piece in pieces)
        state.found(
            FindingKind.LOST,
            f"{exact}{size} bytes at {places} were taken before this line, and no line tells by "
            f"whom: without them {_shown(request)} would lie at "
            f"{Range(self.find(request), span.size)}",
        )
        for piece in pieces:
            state.infer("memblock_reserve", piece, "?")
            state.take(piece, "taken by a line that is lost")
        self._assumed += pieces

    def _free_function(self) -> str:
        physical = self._memblock.features.free_is_physical
        return "memblock_free" if physical else "memblock_phys_free"


def _shown(request: Request) -> str:
    text = f"{request.size} bytes"
    return f"{text} align={request.align:#x}" if request.told else text


def _lowest_bit(number: int) -> int:
    """The largest power of two that divides `number`; for 0 one that any address has."""
    return number & -number or 1 << 63
