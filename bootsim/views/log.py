"""The kernel's log, formatted from the events of a boot."""

from __future__ import annotations

from collections.abc import Iterator

from bootsim.kernel import memblock_log
from bootsim.kernel.memblock import MemblockFeatures
from bootsim.kernel.printk import KERN_INFO
from bootsim.trace import Note, Printk, Trace


def records(trace: Trace, features: MemblockFeatures) -> Iterator[tuple[int, int, str]]:
    """(event number, level, line) of all that the kernel logged, one entry a line."""
    for number, event in enumerate(trace):
        if isinstance(event, Printk):
            for line in event.text.split("\n"):
                yield number, event.level, line
        else:
            text = memblock_log.format_event(event, features)
            if text is not None:
                yield number, KERN_INFO, text


def notes(trace: Trace) -> list[str]:
    """What the model left out, in its own words."""
    return [event.text for event in trace if isinstance(event, Note)]
