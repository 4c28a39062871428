"""Events: numbered, stopped at, written and read back."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootsim.errors import BootsimError
from bootsim.simulate import Boot
from bootsim.trace import EVENT_TYPES, BootStopped, Event, Note, Printk, Stage, Trace


def test_every_event_type_has_a_kind_of_its_own() -> None:
    assert set(EVENT_TYPES.values()) == set(get_args(Event))
    assert len(EVENT_TYPES) == len(get_args(Event))


def test_a_boots_events_come_back_from_json_lines() -> None:
    trace = Boot(cmdline="memblock=debug foo").run().trace
    again = Trace.from_json_lines(trace.to_json_lines())
    assert list(again) == list(trace)
    assert [type(event) for event in again] == [type(event) for event in trace]


@given(st.text(), st.integers(0, 7))
def test_any_text_survives(text: str, level: int) -> None:
    trace = Trace()
    trace.emit(Printk(level, text))
    assert list(Trace.from_json_lines(trace.to_json_lines())) == [Printk(level, text)]


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"kind": "nothing"}', '{"kind": "stage"}', "{"])
def test_what_is_no_event_names_its_line(line: str) -> None:
    with pytest.raises(BootsimError, match="trace line 2: not an event"):
        Trace.from_json_lines(['{"kind": "note", "text": "x"}', line])


def test_the_boot_stops_where_the_next_event_would_come() -> None:
    trace = Trace(until=1)
    trace.emit(Stage("a"))
    trace.emit(Note("b"))
    with pytest.raises(BootStopped):
        trace.emit(Stage("c"))
    assert list(trace) == [Stage("a"), Note("b")]
    assert trace.stage == "a"


def test_sinks_hear_each_event() -> None:
    trace = Trace()
    heard: list[Event] = []
    trace.sinks.append(heard.append)
    trace.emit(Stage("a"))
    assert heard == [Stage("a")]
