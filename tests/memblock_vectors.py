"""Running recorded memblock operations: one sequence of a vector file on a Memblock.

The format is described in tests/data/memblock/README.md.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bootsim.errors import KernelPanic
from bootsim.kernel.memblock import Memblock, MemblockFeatures, MemblockType
from bootsim.trace import Event, MemblockRange, Printk, Trace

# What the recording had mapped, so where a block can be written to.
MAPPED = (0x00010000, 0xF0000000 - 0x00010000)
LARGEST_FILLED = 65536
FILL = 0xAA


def sequences(path: Path) -> Iterator[dict[str, Any]]:
    """The sequences of a file of JSON lines, gzipped or not."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:  # type: ignore[operator]
        yield from map(json.loads, lines)


class FillingTrace(Trace):
    """Fills each block with 0xAA when an allocator has chosen it, before it is zeroed."""

    memblock: Memblock

    def emit(self, event: Event) -> None:
        if (
            isinstance(event, MemblockRange)
            and event.caller == "memblock_alloc_range_nid"
            and 0 < event.size <= LARGEST_FILLED
            and self.memblock.ram.contains(event.base, event.size)
        ):
            self.memblock.ram.fill(event.base, event.size, FILL)
        super().emit(event)


class Sink:
    """Records what the page allocator is given."""

    def __init__(self) -> None:
        self.freed: list[list[int]] = []
        self.reserved_pages: list[list[int]] = []

    def free_pages_core(self, pfn: int, order: int) -> None:
        self.freed.append([pfn, order])

    def reserve_bootmem_region(self, start: int, end: int) -> None:
        self.reserved_pages.append([start, end])


class Difference(AssertionError):
    """An operation that ended otherwise than recorded."""


def run(sequence: dict[str, Any]) -> int:
    """Run `sequence`; the number of operations equal. Raises Difference at the first other one."""
    memblock, trace = _boot_state(sequence)
    state, digest = _state(memblock), None
    has_digests = any("digest" in op for op in sequence["ops"])
    for number, op in enumerate(sequence["ops"]):
        where = f"{sequence['name']}[{number}] {op['op']}({op['args']})"
        before = len(trace)
        try:
            result = _call(memblock, op["op"], op["args"])
        except KernelPanic as panic:
            result = "BUG" if "BUG" in str(panic) else str(panic)
        _equal(where, "ret", result, op["ret"])
        if result == "BUG":
            break
        if op["state"] is not None:
            state = op["state"]
        if op["state"] is not None or not has_digests:
            _equal(where, "state", _state(memblock), state)
        if has_digests:
            digest = op.get("digest", digest)
            if digest is not None:
                _equal(where, "digest", _digest(_state(memblock)), digest)
        if "mem" in op:
            block = memblock.ram.read(op["ret"], op["args"]["size"])
            kinds = {bytes(len(block)): "zeroed", bytes([FILL]) * len(block): "untouched"}
            _equal(where, "mem", kinds.get(block, "neither"), op["mem"])
        printed = [event.text for event in list(trace)[before:] if isinstance(event, Printk)]
        _equal(where, "log", printed, op.get("log", []))
    return number + 1


def _boot_state(sequence: dict[str, Any]) -> tuple[Memblock, FillingTrace]:
    trace = FillingTrace()
    features = MemblockFeatures(
        numa=sequence["numa"],
        max_numnodes=16 if sequence["numa"] else 1,
        **sequence["init"],
    )
    memblock = Memblock.standalone(backing=[MAPPED], features=features, trace=trace)
    trace.memblock = memblock
    return memblock, trace


def _state(memblock: Memblock) -> dict[str, Any]:
    columns = 4 if memblock.features.numa else 3

    def table(type_: MemblockType) -> dict[str, Any]:
        return {
            "cnt": type_.cnt,
            "max": type_.max,
            "total_size": type_.total_size,
            "regions": [list(region[:columns]) for region in type_],
        }

    return {
        "bottom_up": memblock.bottom_up(),
        "current_limit": memblock.current_limit,
        "memory": table(memblock.memory),
        "reserved": table(memblock.reserved),
    }


def _digest(state: dict[str, Any]) -> str:
    text = json.dumps(state, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _call(memblock: Memblock, op: str, args: dict[str, Any]) -> Any:
    if op in _SPECIAL:
        return _SPECIAL[op](memblock, **args)
    names = {"type": "type_", "ptr": "addr"}
    result = getattr(memblock, op)(**{names.get(name, name): arg for name, arg in args.items()})
    if isinstance(result, Iterator):
        return [list(span) for span in result]
    return list(result) if isinstance(result, tuple) else result


def _free_all(memblock: Memblock, max_low_pfn: int) -> dict[str, Any]:
    sink = Sink()
    return vars(sink) | {"totalram_pages": memblock.free_all(max_low_pfn, sink)}


def _free_late(memblock: Memblock, base: int, size: int) -> dict[str, Any]:
    sink = Sink()
    return vars(sink) | {"totalram_pages": memblock.free_late(base, size, sink)}


def _region_pfns(memblock: Memblock, type: str) -> list[list[int]]:
    base_pfn = getattr(memblock, f"region_{type}_base_pfn")
    end_pfn = getattr(memblock, f"region_{type}_end_pfn")
    return [[base_pfn(region), end_pfn(region)] for region in memblock.table(type)]


def _dump_all(memblock: Memblock) -> list[str]:
    return memblock.dump_lines()


_SPECIAL: dict[str, Callable[..., Any]] = {
    "free_all": _free_all,
    "free_late": _free_late,
    "region_pfns": _region_pfns,
    "dump_all": _dump_all,
}


def _equal(where: str, what: str, found: Any, recorded: Any) -> None:
    if found != recorded:
        raise Difference(f"{where}: {what} is {found}, recorded {recorded}")
