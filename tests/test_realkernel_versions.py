"""Features by version, held against the profiles whose features were seen or read in the source."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from bootsim.kernel.profile import Features
from bootsim.kernel.profile_file import load_profile
from bootsim.realkernel.versions import features

MADE = Path(__file__).parent / "data" / "made_profiles"


@pytest.mark.parametrize(
    ("version", "profile"),
    [
        ((5, 0), "linux-5.0"),
        ((5, 10), str(MADE / "debian-5.10-armmp.toml")),
        ((6, 1), "linux-6.1-armmp"),
        ((6, 12), str(MADE / "debian-6.12-armmp.toml")),
    ],
)
def test_features_of_known_kernels(version: tuple[int, int], profile: str) -> None:
    known = load_profile(profile).features
    # Debian's 5.10 has some of later versions: measured, which goes before the version.
    backported = {"nomap", "refused_pool"} if version == (5, 10) else set()
    differing = {
        key for key, fact in features(version).items() if fact.value != getattr(known, key)
    }
    assert differing == backported


def test_keys_are_features() -> None:
    assert {*features((6, 1))} <= {field.name for field in fields(Features)}


def test_changes_are_in_order_and_once() -> None:
    """No feature comes back to what it was, on the way through all releases."""
    releases = [(5, minor) for minor in range(20)] + [(6, minor) for minor in range(20)]
    for key in features((6, 1)):
        values = [features(release)[key].value for release in releases]
        runs = [
            value for value, before in zip(values, [None, *values], strict=False) if value != before
        ]
        assert len(runs) == len({*map(str, runs)}) > 1, key
