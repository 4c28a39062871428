"""Command line parsing, against what lib/cmdline.c and kernel/params.c do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootsim.kernel.params import memparse, next_args, parameq, parse_early_options


@pytest.mark.parametrize(
    ("text", "value", "rest"),
    [
        ("64M", 64 << 20, ""),
        ("1G", 1 << 30, ""),
        ("0x1000", 0x1000, ""),
        ("0x10k", 0x10 << 10, ""),
        ("010", 8, ""),  # octal, as simple_strtoull() with base 0
        ("08", 0, "8"),
        ("512M@0x60000000", 512 << 20, "@0x60000000"),
        ("4096M", 1 << 32, ""),
        ("1T", 1 << 40, ""),
        ("", 0, ""),
        ("M", 0, "M"),
        ("-5", 0, "-5"),
        ("0x", 0, "x"),
        ("16MB", 16 << 20, "B"),
    ],
)
def test_memparse(text: str, value: int, rest: str) -> None:
    assert memparse(text) == (value, rest)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("  ", []),
        ("quiet", [("quiet", None)]),
        ("mem=64M  vmalloc=1G", [("mem", "64M"), ("vmalloc", "1G")]),
        ("a=", [("a", "")]),
        ("a=b=c", [("a", "b=c")]),
        ('a="b c" d', [("a", "b c"), ("d", None)]),
        ('"a=b c" d', [("a", "b c"), ("d", None)]),
        ('"a b" d', [("a b", None), ("d", None)]),
        ("=x", [("=x", None)]),
    ],
)
def test_next_args(line: str, expected: list[tuple[str, str | None]]) -> None:
    assert list(next_args(line)) == expected


def test_dash_and_underscore_are_the_same() -> None:
    assert parameq("no-map", "no_map")
    assert not parameq("nomap", "no_map")


def test_early_options_are_called_in_order_and_failures_reported() -> None:
    seen: list[tuple[str, str | None]] = []
    malformed: list[str] = []

    def handler(name: str, result: int = 0):  # type: ignore[no-untyped-def]
        def act(value: str | None) -> int:
            seen.append((name, value))
            return result

        return act

    others = parse_early_options(
        "mem=1G earlycon root=/dev/ram0 mem=2G console=ttyAMA0 -- mem=3G",
        [("mem", handler("mem")), ("earlycon", handler("earlycon", -2))],
        malformed.append,
    )
    assert seen == [("mem", "1G"), ("earlycon", None), ("mem", "2G"), ("earlycon", "ttyAMA0")]
    assert malformed == ["earlycon", "console"]
    assert others == ["root"]


@given(st.text(alphabet='ab= "0xkM@,', max_size=40))
def test_no_command_line_breaks_the_parser(line: str) -> None:
    for name, value in next_args(line):
        assert isinstance(name, str)
        if value is not None:
            number, rest = memparse(value)
            assert number >= 0
            assert value.endswith(rest)
