"""A record of the kernel's log, whatever form the kernel keeps it in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record: what a printk() left, several lines perhaps, without the newline at its end.

    `seq` counts records from 0 on. `ts_nsec` is in nanoseconds, 0 before there is a clock.
    `flags` are enum printk_info_flags (kernel/printk/internal.h): 2, the line is complete; 8, it
    may be continued. `caller_id` is 0 unless the kernel keeps it (CONFIG_PRINTK_CALLER).
    `complete` is false for a record that was being written when the kernel stopped: its text is
    what had arrived.
    """

    seq: int
    ts_nsec: int
    level: int
    facility: int
    flags: int
    text: str
    caller_id: int = 0
    complete: bool = True


def log_text(raw: bytes | memoryview) -> str:
    """The text of a record; bytes that are not UTF-8 are shown as \\xNN."""
    return str(raw, "utf-8", "backslashreplace")
