"""Running recorded memblock operations: one sequence of a vector file on a Memblock.

The format is described in tests/data/memblock/README.md.
"""

from __future__ import annotations

import ctypes
import gzip
import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from bootsim.errors import KernelPanic
from bootsim.kernel.memblock import Memblock, MemblockFeatures
from bootsim.kernel.memory import PAGE_SIZE
from bootsim.machine.memory import PhysMemory
from bootsim.trace import Event, MemblockRange, Printk, Trace

# What the recording had mapped, and so could fill and look at.
MAPPED = range(0x00010000, 0xF0000000)
_BANK = 1 << 28
_STRUCTURES = 2 * PAGE_SIZE  # what memblock's own structures take
LARGEST_FILLED = 65536
FILL = 0xAA


def sequences(path: Path) -> Iterator[dict[str, Any]]:
    """The sequences of a file of JSON lines, gzipped or not."""
    data = path.read_bytes()
    yield from map(
        json.loads, (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()
    )


class FillingTrace(Trace):
    """Fills each block with 0xAA when an allocator has chosen it, before it is zeroed."""

    memblock: Memblock

    def emit(self, event: Event) -> None:
        if (
            isinstance(event, MemblockRange)
            and event.caller == "memblock_alloc_range_nid"
            and 0 < event.size <= LARGEST_FILLED
            and event.base in MAPPED
            and event.base + event.size - 1 in MAPPED
        ):
            for base, size in _pieces(self.memblock.ram, event.base, event.size):
                self.memblock.ram.fill(base, size, FILL)
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


@dataclass
class Tally:
    """What came of the operations of some sequences."""

    sequences: int = 0
    operations: int = 0
    equal: int = 0
    differences: list[str] = field(default_factory=list)

    def run(self, sequence: dict[str, Any]) -> None:
        """Run `sequence` up to the first operation that differs, and count."""
        self.sequences += 1
        self.operations += len(sequence["ops"])
        for number, difference in enumerate(run(sequence)):
            if difference is None:
                self.equal += 1
            else:
                op = sequence["ops"][number]
                where = f"{sequence['name']}[{number}] {op['op']}({op['args']})"
                self.differences.append(f"{where}: {difference}")
                return

    def __str__(self) -> str:
        return f"{self.sequences} sequences, {self.operations} operations, {self.equal} equal"


def run(sequence: dict[str, Any]) -> Iterator[str | None]:
    """Run each operation of `sequence`: None if it is equal, else what differs."""
    memblock, trace = _boot_state(sequence)
    has_digests = any("digest" in op for op in sequence["ops"])
    state, digest = _state(memblock), _digest(_state(memblock))
    for op in sequence["ops"]:
        before = len(trace)
        try:
            result = _call(memblock, op["op"], op["args"])
        except KernelPanic as panic:
            result = "BUG" if "BUG" in str(panic) else str(panic)
        found = {"ret": result}
        recorded = {"ret": op["ret"]}
        if op["ret"] != "BUG":
            after = _state(memblock)
            state = op["state"] or state
            if op["state"] is not None or not has_digests:
                found["state"], recorded["state"] = after, state
            if has_digests:
                digest = op.get("digest", digest)
                found["digest"], recorded["digest"] = _digest(after), digest
            if "mem" in op:
                found["mem"] = _contents(memblock, op["ret"], op["args"]["size"])
                recorded["mem"] = op["mem"]
            printed = (event for event in trace.events[before:] if isinstance(event, Printk))
            found["log"] = [event.text for event in printed]
            recorded["log"] = op.get("log", [])
        yield _difference(found, recorded)


def _difference(found: dict[str, Any], recorded: dict[str, Any]) -> str | None:
    for what, value in found.items():
        if value != recorded[what]:
            return f"{what} is {value}, recorded {recorded[what]}"
    return None


def _contents(memblock: Memblock, virt: int, size: int) -> str:
    pieces = _pieces(memblock.ram, virt, size)
    block = b"".join(memblock.ram.read(base, length) for base, length in pieces)
    kinds = {bytes(size): "zeroed", bytes([FILL]) * size: "untouched"}
    return kinds.get(block, "neither")


def _pieces(ram: PhysMemory, addr: int, size: int) -> Iterator[tuple[int, int]]:
    """[addr, addr + size) bank by bank."""
    while size:
        length = min(size, ram.bank(addr).end - addr)
        yield addr, length
        addr, size = addr + length, size - length


def _boot_state(sequence: dict[str, Any]) -> tuple[Memblock, FillingTrace]:
    trace = FillingTrace()
    features = MemblockFeatures(
        numa=sequence["numa"],
        max_numnodes=16 if sequence["numa"] else 1,
        **sequence["init"],
    )
    memblock = Memblock.standalone(backing=_backing(sequence), features=features, trace=trace)
    trace.memblock = memblock
    return memblock, trace


def _backing(sequence: dict[str, Any]) -> list[tuple[int, int]]:
    """RAM everywhere but for one hole, where the sequence has no memory or reserves none."""
    adds = [op["args"] for op in sequence["ops"] if op["op"] in ("add", "add_node")]
    spans = [(args["base"], args["base"] + args["size"]) for args in adds]
    hole = _hole(spans) or _hole(_touched(sequence))
    assert hole, f"{sequence['name']}: no room for memblock's structures"
    edges = [0, *range(_BANK, 1 << 32, _BANK), hole, hole + _STRUCTURES, 1 << 32]
    banks = [(low, high - low) for low, high in pairwise(sorted(edges)) if low != hole]
    return [(base, size) for base, size in banks if size]


def _hole(spans: list[tuple[int, int]]) -> int | None:
    """The highest place for the structures that meets none of `spans`."""
    places = [(1 << 32) - _STRUCTURES]
    places += [(start - _STRUCTURES) // PAGE_SIZE * PAGE_SIZE for start, _end in spans]
    for place in sorted(places, reverse=True):
        if place > 0 and all(end <= place or place + _STRUCTURES <= start for start, end in spans):
            return place
    return None


def _touched(sequence: dict[str, Any]) -> list[tuple[int, int]]:
    """What allocators gave out, and what was reserved."""
    spans = []
    for op in sequence["ops"]:
        size = op["args"].get("size")
        if "alloc" in op["op"] and op["ret"] and size:
            spans.append((op["ret"], op["ret"] + size))
        if op["state"]:
            spans += [(base, base + size) for base, size, *_ in op["state"]["reserved"]["regions"]]
    return spans


def _state(memblock: Memblock) -> dict[str, Any]:
    """struct memblock, decoded from RAM."""
    ram, layout = memblock.ram, memblock.layout
    head = layout.memblock.from_buffer_copy(
        ram.read(memblock.at.memblock, ctypes.sizeof(layout.memblock))
    )
    row = struct.Struct("<IIIi" if memblock.features.numa else "<III")

    def table(type_: Any) -> dict[str, Any]:
        rows = row.iter_unpack(ram.read(type_.regions, type_.cnt * row.size))
        return {
            "cnt": type_.cnt,
            "max": type_.max,
            "total_size": type_.total_size,
            "regions": list(map(list, rows)),
        }

    return {
        "bottom_up": head.bottom_up,
        "current_limit": head.current_limit,
        "memory": table(head.memory),
        "reserved": table(head.reserved),
    }


def _digest(state: dict[str, Any]) -> str:
    text = json.dumps(state, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _call(memblock: Memblock, op: str, args: dict[str, Any]) -> Any:
    if op in _SPECIAL:
        return _SPECIAL[op](memblock, **args)
    names = {"type": "type_", "ptr": "addr"}
    result = getattr(memblock, op)(
        **{names.get(name, name): _as_c(name, arg) for name, arg in args.items()}
    )
    if isinstance(result, Iterator):
        return [list(span) for span in result]
    return list(result) if isinstance(result, tuple) else result


def _as_c(name: str, arg: Any) -> Any:
    """The argument as a C caller's conversion to phys_addr_t leaves it."""
    return arg if isinstance(arg, str | bool) or name == "nid" else arg and arg & 0xFFFFFFFF


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
