"""What a page of documentation holds."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEAD = """/dts-v1/;
/ {
	#address-cells = <1>;
	#size-cells = <1>;
	model = "Example";
	compatible = "example,board";
"""


@dataclass(frozen=True, slots=True)
class Page:
    """What a code means.

    `cause`, `cost` and `remedy` hold for every finding of that code, which adds its numbers.
    `messages` are regular expressions of what Linux prints. `example` is DTS that has the fault,
    if `options` are given to `bootsim check` with it.
    """

    code: str
    title: str
    cause: str
    cost: str
    remedy: str
    example: str
    options: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()

    def says(self, line: str) -> bool:
        """Whether a line of Linux's log is about this."""
        return any(re.search(pattern, line) for pattern in self.messages)


def board(*parts: str, memory: str = "0x60000000 0x10000000") -> str:
    """DTS of a board with such `memory`, 256 MiB at 0x60000000, and `parts` below its root."""
    node = f'memory@60000000 {{ device_type = "memory"; reg = <{memory}>; }};'
    return (
        _HEAD
        + "".join(f"\t{line}\n" for part in (node, *parts) for line in part.split("\n"))
        + "};\n"
    )


def reserved(*nodes: str) -> str:
    """/reserved-memory with `nodes`."""
    head = "reserved-memory {\n\t#address-cells = <1>;\n\t#size-cells = <1>;\n\tranges;\n"
    return head + "".join(f"\t{node}\n" for node in nodes) + "};"
