"""The outcomes of checks in TAP, the Test Anything Protocol, version 13; and as data."""

from __future__ import annotations

from collections.abc import Sequence

from bootsim.selftest.check import Outcome


def tap_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """TAP 13; a failure is followed by a YAML block that says what was expected and found."""
    lines = ["TAP version 13", f"1..{len(outcomes)}"]
    for number, outcome in enumerate(outcomes, 1):
        lines.append(f"{'ok' if outcome.ok else 'not ok'} {number} - {outcome.name}")
        if not outcome.ok:
            lines.append("  ---")
            lines.append(f"  message: {_quoted(outcome.message)}")
            if outcome.expected or outcome.found:
                lines.append(f"  expected: {_quoted(outcome.expected)}")
                lines.append(f"  found: {_quoted(outcome.found)}")
            lines.append("  ...")
    failed = sum(not outcome.ok for outcome in outcomes)
    lines.append(f"# {len(outcomes)} checks, {failed} failed")
    return lines


def as_data(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """The same for JSON."""
    return {
        "checks": [
            {
                "functions": list(outcome.check.functions),
                "title": outcome.check.title,
                "linux": outcome.linux,
                "ok": outcome.ok,
                "message": outcome.message,
                "expected": outcome.expected,
                "found": outcome.found,
            }
            for outcome in outcomes
        ],
        "failed": sum(not outcome.ok for outcome in outcomes),
    }


def _quoted(text: str) -> str:
    """A YAML single-quoted scalar on one line."""
    text = " ".join(text.split()).replace("'", "''")
    return f"'{text}'"
