"""What Linux's messages about memory mean, from reset to the buddy allocator and a little beyond.

For 32-bit ARM, 4.14 to 6.12. Of two entries that match a line the first holds.
"""

from __future__ import annotations

from bootsim.check.messages import allocator, contiguous, later, loaded, memblock, ram, reserved
from bootsim.check.messages.message import Known, Message

MESSAGES: tuple[Message, ...] = (
    *ram.MESSAGES,
    *reserved.MESSAGES,
    *loaded.MESSAGES,
    *contiguous.MESSAGES,
    *allocator.MESSAGES,
    *memblock.MESSAGES,
    *later.MESSAGES,
)

__all__ = ["MESSAGES", "Known", "Message"]
