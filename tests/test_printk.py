"""The log buffer in RAM, read back as struct printk_log."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bootsim.kernel.printk import KERN_ERR, KERN_INFO, LogBuffer
from bootsim.machine.memory import PhysMemory

SIZE = 1024


def log_buffer() -> tuple[PhysMemory, LogBuffer]:
    memory = PhysMemory([(0, 0x3000)])
    return memory, LogBuffer(memory, at=0, size=SIZE, first_idx=0x1000, next_idx=0x1004)


def test_a_record_is_16_bytes_of_header_then_text_padded_to_a_word() -> None:
    memory, log = log_buffer()
    log.store(KERN_ERR, "hello")
    # u64 ts_nsec; u16 len, text_len, dict_len; u8 facility; u8 flags:5, level:3
    assert memory.read(0, 24) == (
        bytes(8) + b"\x18\0" + b"\x05\0" + b"\0\0" + b"\0" + b"\x66" + b"hello\0\0\0"
    )
    assert memory.read_u32(0x1004) == 24


def test_records_come_back_in_order() -> None:
    _, log = log_buffer()
    log.store(KERN_INFO, "one")
    log.store(KERN_ERR, "zwölf")
    assert list(log.records()) == [(KERN_INFO, "one"), (KERN_ERR, "zwölf")]


@given(st.lists(st.text(alphabet="abcdefghij", max_size=200), max_size=60))
def test_a_full_buffer_keeps_the_newest(texts: list[str]) -> None:
    _, log = log_buffer()
    for text in texts:
        log.store(KERN_INFO, text)
    kept = [text for _, text in log.records()]
    assert kept == texts[len(texts) - len(kept) :]
    lost = texts[: len(texts) - len(kept)]
    if lost:
        room = sum(16 + (len(text) + 3 & ~3) for text in [*kept, lost[-1]])
        assert room + 16 + 216 > SIZE, "dropped a record that had room"
    else:
        assert kept == texts


@given(
    st.lists(st.text(alphabet="abcdefghij", max_size=200), max_size=30),
    st.lists(st.text(alphabet="abcdefghij", max_size=200), max_size=60),
)
def test_a_buffer_that_moves_takes_its_records_along(before: list[str], after: list[str]) -> None:
    memory, log = log_buffer()
    for text in before:
        log.store(KERN_INFO, text)
    kept = list(log.records())
    next_idx = memory.read_u32(0x1004)
    assert log.move(0x1800, 2 * SIZE) == SIZE - next_idx
    assert list(log.records()) == kept
    memory.zero(0, SIZE)  # what they left is not needed any more
    for text in after:
        log.store(KERN_INFO, text)
    texts = [*(text for _, text in kept), *after]
    now = [text for _, text in log.records()]
    assert now == texts[len(texts) - len(now) :]
    assert not after or after[-1] in now
