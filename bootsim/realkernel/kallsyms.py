"""kallsyms: the table of symbols that a kernel carries, decoded out of its image.

Linux: scripts/kallsyms.c writes it, kernel/kallsyms.c reads it. Nothing in an image tells where its
tables are: they are found by what they hold, and each is checked against another. In memory lie

    4.6 to 6.4:  offsets, relative_base, num_syms, names, markers, [seqs_of_names,]
                 token_table, token_index
    since 6.5:   num_syms, names, markers, token_table, token_index, offsets, relative_base,
                 seqs_of_names

with addresses in the place of offsets and relative_base where CONFIG_KALLSYMS_BASE_RELATIVE is off,
before 4.6, and since 7.0. A name is a length (ULEB128) and that many bytes, each of which stands
for a token; the first character is the symbol's kind.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from operator import le

from bootsim.kernel.memory import round_up
from bootsim.realkernel.symbols import Symbols

_TOKENS = 256
_DIGITS = b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00"  # the tokens '0' to '9'
_TOKEN_MAX = 512  # KSYM_NAME_LEN
_MARKER_STEP = 256  # symbols
_ALIGN_MAX = 16  # bytes: `.align 4`, which older versions have; it is `.balign 4` now
_SYMBOLS_MIN, _SYMBOLS_MAX = 32, 1 << 20
_TABLES_MAX = 32 << 20  # bytes from num_syms to token_table
_CHUNK = 1 << 18  # bytes searched for num_syms at once
_BYTES_A_SYMBOL = 2 + _TOKEN_MAX + 3 + 1  # at most: in names, seqs_of_names, markers
_KINDS = frozenset({b"%c" % kind for kind in b"ABDGRSTVWabdgrstvw?"})
_GRAPHIC = bytes(range(0x21, 0x7F))
_PROBE = 32  # names looked at before all are
_TEXT_MAX = 256 << 20  # bytes that all names may take, written out
# What an image may have that looks like a table and is none, before it is given up.
_DIGITS_MAX, _TOKEN_TABLES_MAX, _PROBES_MAX, _WALKS_MAX = 64, 4, 1 << 14, 64
_KERNEL_MIN = 0x3F000000  # MODULES_VADDR with VMSPLIT_1G: no kernel lies lower
_OFFSET_MAX = 16 << 20  # of the first symbol
_ADDRESS_MAX = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class _TokenTable:
    start: int
    end: int  # behind token_index
    tokens: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Names:
    num_syms: int  # where it lies
    start: int
    end: int
    places: array[int]  # of each name, from `start` on


def decode(code: bytes) -> Symbols | None:
    """The symbols in the raw image `code`, or None where it has none (CONFIG_KALLSYMS=n)."""
    for table in islice(_token_tables(code), _TOKEN_TABLES_MAX):
        for names in islice(_name_tables(code, table), _WALKS_MAX):
            addresses = None if names is None else _addresses(code, table, names)
            if names is not None and addresses is not None:
                return _expand(code, table, names, addresses)
    return None


# token_table and token_index.


def _token_tables(code: bytes) -> Iterator[_TokenTable]:
    """Each place where tokens lie, with the index that fits them."""
    for match in islice(re.finditer(re.escape(_DIGITS), code), _DIGITS_MAX):
        first = match.start()
        for _ in range(ord("0")):  # tokens before '0', backwards
            first = code.rfind(b"\0", max(first - _TOKEN_MAX, 0), max(first, 0))
        # The token for code 0 ends at `first`. What lies before it need not end with a zero.
        before = code.rfind(b"\0", max(first - _TOKEN_MAX, 0), max(first, 0))
        for start in range(round_up(before + 1, 4), first + 1, 4):
            table = _token_table(code, start)
            if table is not None:
                yield table


def _token_table(code: bytes, start: int) -> _TokenTable | None:
    *tokens, _ = [*code[start : start + _TOKENS * _TOKEN_MAX].split(b"\0", _TOKENS), b""]
    if len(tokens) <= _TOKENS:
        return None
    del tokens[_TOKENS:]
    offsets = list(accumulate((len(token) + 1 for token in tokens), initial=0))
    if offsets[-1] > 0xFFFF:
        return None
    index = array("H", offsets[:-1]).tobytes()
    place = _next_table(code, start + offsets[-1], index)
    return None if place is None else _TokenTable(start, place + len(index), tuple(tokens))


# num_syms, names and markers.


def _name_tables(code: bytes, table: _TokenTable) -> Iterator[_Names | None]:
    """Each place before the tokens that may hold names: None where their markers do not fit."""
    for num_syms, start, count in islice(_counts(code, table), _PROBES_MAX):
        probe = code[start : min(start + _PROBE * _TOKEN_MAX, table.start)]
        places = _places(probe, min(count, _PROBE))
        if places is None:
            continue
        tokens = [table.tokens[probe[place + 1 + (probe[place] >> 7)]] for place in places[:-1]]
        if all(token[:1] in _KINDS for token in tokens):
            yield _names(code, table, num_syms, start, count)


def _counts(code: bytes, table: _TokenTable) -> Iterator[tuple[int, int, int]]:
    """Where a number of names may lie, where the names would begin, and that number."""
    low = max(table.start - _TABLES_MAX, 0)
    for end in range(table.start, low, -_CHUNK):
        start = max(end - _CHUNK, low)
        fewest = max((table.start - end) // _BYTES_A_SYMBOL, _SYMBOLS_MIN)
        most = min((table.start - start) // 2, _SYMBOLS_MAX)
        words = array("I", code[start:end])
        found = [number for number, word in enumerate(words) if fewest <= word <= most]
        for number in reversed(found):
            num_syms = start + number * 4
            for place in sorted({num_syms + 4, round_up(num_syms + 4, _ALIGN_MAX)}):
                yield num_syms, place, words[number]


def _names(code: bytes, table: _TokenTable, num_syms: int, start: int, count: int) -> _Names | None:
    places = _places(code[start : table.start], count)
    if places is None:
        return None
    end = start + places.pop()
    markers = _next_table(code, end, places[::_MARKER_STEP].tobytes())
    return None if markers is None else _Names(num_syms, start, end, places)


def _places(names: bytes, count: int) -> array[int] | None:
    """Where each of `count` names begins, and where the last one ends."""
    places = array("I", [0])
    at = 0
    try:
        for _ in range(count):
            length = names[at]
            if length > 0x7F:
                at += 1
                length = length & 0x7F | names[at] << 7
            if not length:
                return None
            at += 1 + length
            places.append(at)
    except IndexError:
        return None
    return places if at <= len(names) else None


# offsets and relative_base, or addresses.


def _addresses(code: bytes, table: _TokenTable, names: _Names) -> array[int] | None:
    count = len(names.places)
    size = 4 * count
    for align in (4, _ALIGN_MAX):
        room = round_up(size, align)
        after = round_up(table.end, align)
        for offsets, base in (
            (names.num_syms - align - room, names.num_syms - align),
            (after, after + room),
        ):
            found = _words(code, offsets, count)
            bases = _words(code, base, 1)
            if found and bases and found[0] <= _OFFSET_MAX and _plausible(found, bases[0]):
                return array("I", (bases[0] + offset for offset in found))
        for addresses in (names.num_syms - room, after):
            found = _words(code, addresses, count)
            if found and _plausible(found, 0):
                return found
    return None


def _plausible(offsets: array[int], base: int) -> bool:
    """Whether these are addresses of a kernel, the lowest first."""
    return (
        base + offsets[0] > _KERNEL_MIN
        and base + offsets[-1] <= _ADDRESS_MAX
        and all(map(le, offsets, offsets[1:]))
    )


def _expand(
    code: bytes, table: _TokenTable, names: _Names, addresses: array[int]
) -> Symbols | None:
    """The names, their tokens written out."""
    data = code[names.start : names.end]
    if len(data) * max(map(len, table.tokens)) > _TEXT_MAX:
        return None
    pieces = list(map(table.tokens.__getitem__, data))
    kinds = bytearray()
    for place in names.places:
        first = place + 1
        if data[place] > 0x7F:
            pieces[first] = b""
            first += 1
        pieces[place] = b"\n"
        token = pieces[first]
        kinds += token[:1]
        pieces[first] = token[1:]
    listed = b"".join(pieces)[1:].split(b"\n")
    graphic = not b"".join(listed).translate(None, _GRAPHIC)
    if not graphic or not len(listed) == len(kinds) == len(addresses):
        return None
    return Symbols.pack(addresses, bytes(kinds), listed)


# Helpers.


def _next_table(code: bytes, end: int, content: bytes) -> int | None:
    """Where `content` begins, if it is the next table behind one that ends at `end`."""
    place = code.find(content, end, end + _ALIGN_MAX + len(content))
    return place if place >= 0 and place % 4 == 0 and not any(code[end:place]) else None


def _words(code: bytes, start: int, count: int) -> array[int] | None:
    if start < 0 or start + 4 * count > len(code):
        return None
    return array("I", code[start : start + 4 * count])
