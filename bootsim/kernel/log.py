"""The kernel's log, formatted from the events of a boot."""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.kernel import memblock_log
from bootsim.kernel.memblock import MemblockFeatures
from bootsim.kernel.printk import KERN_INFO
from bootsim.trace import Event, Printk, Trace


def log_record(event: Event, features: MemblockFeatures) -> tuple[int, str] | None:
    """(level, text) of what the kernel logged for `event`, None if nothing."""
    if isinstance(event, Printk):
        return event.level, event.text
    text = memblock_log.format_event(event, features)
    return None if text is None else (KERN_INFO, text)


def log_lines(trace: Trace, features: MemblockFeatures) -> Iterator[tuple[int, int, str]]:
    """(event number, level, line) of all that the kernel logged, a record's lines apart."""
    for number, event in enumerate(trace):
        record = log_record(event, features)
        if record is not None:
            level, text = record
            for line in text.split("\n"):
                yield number, level, line
