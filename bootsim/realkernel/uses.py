"""What a real kernel takes memory for: by who asks, what it says, and what the loader put there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from bootsim.dmesg.names import Names, is_pg_dir, name_of
from bootsim.dmesg.tree import TreeFacts, tree_facts
from bootsim.dmesg.words import function_of, reserves_for_an_allocator
from bootsim.loader import Placement
from bootsim.machine.memory import Range
from bootsim.trace import (
    DEVICE_TREE,
    KERNEL_IMAGE,
    PG_DIR,
    RAMDISK,
    Event,
    MemblockAlloc,
    MemblockRange,
    Printk,
    Use,
)


class Uses:
    """Names for what is reserved, as the events of a boot come."""

    def __init__(self, placement: Placement, blob: bytes, name: str) -> None:
        """The tree in `blob`, of that `name`, tells what it reserves at an address."""
        self._blob, self._name = blob, name
        self._loaded = [(placement.kernel, KERNEL_IMAGE), (placement.dtb, DEVICE_TREE)]
        if placement.initrd is not None:
            self._loaded.append((placement.initrd, RAMDISK))
        self._names = Names()
        self._asked: str | None = None  # who has asked an allocator, until that reserves
        self._taken: list[Range] = []

    def named(self, events: Iterable[Event]) -> Iterator[Event]:
        """`events`, each followed by the names that it gives."""
        for event in events:
            yield event
            if isinstance(event, MemblockAlloc):
                self._asked = event.caller
            elif isinstance(event, MemblockRange) and event.function == "memblock_reserve":
                span = Range(event.base, event.size)
                self._taken.append(span)
                yield Use(event.base, event.size, self._what(span, event.caller))
            elif isinstance(event, MemblockRange) and event.function == "memblock_mark_nomap":
                what = self._tree.what(Range(event.base, event.size))
                if what is not None:
                    yield Use(event.base, event.size, what)
            elif isinstance(event, Printk):
                yield from self._told(event.text)

    @cached_property
    def _tree(self) -> TreeFacts:
        return tree_facts(self._blob, self._name)

    def _what(self, span: Range, caller: str) -> str:
        for loaded, what in self._loaded:
            if loaded.base < span.end and span.base < loaded.end:
                return what
        if is_pg_dir(span):
            return PG_DIR
        if self._asked is not None and reserves_for_an_allocator(caller):
            caller, self._asked = self._asked, None
        return name_of(span, function_of(caller), self._tree)

    def _told(self, text: str) -> Iterator[Use]:
        """The memory that was taken last for what the kernel's words name."""
        for base, size, what in self._names.told(text):
            for span in reversed(self._taken):
                if base in (None, span.base) and size in (None, span.size):
                    yield Use(span.base, span.size, what)
                    break
