"""The trees in tests/data/problems: what each has, and how `bootsim check` is to look at it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from bootsim.check.payload import Payload
from bootsim.check.tree import Report, check_tree
from bootsim.kernel.profile import Profile
from bootsim.kernel.profile_file import load_profile
from bootsim.numbers import parse_number

DIRECTORY = Path(__file__).parent / "data" / "problems"
PROFILE = "linux-6.1-armmp"
_NUMBERS = {"--dtb-addr": "dtb_addr", "--kernel-size": "kernel_size"}


@dataclass(frozen=True, slots=True)
class Problem:
    """A tree: the codes that it must give, and the options to check it with."""

    path: Path
    codes: tuple[str, ...]
    options: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def highmem(self) -> bool:
        return "--no-highmem" not in self.options

    def check(self) -> Report:
        return check_tree(str(self.path), payload_of(self.options), profile_of(self.options))


def problems() -> list[Problem]:
    """All trees, in the order of their names."""
    return [problem(path) for path in sorted(DIRECTORY.glob("*.dts"))]


def problem(path: Path) -> Problem:
    codes, options = path.read_text().splitlines()[:2]
    return Problem(
        path,
        tuple(codes.removeprefix("// codes:").split()),
        tuple(shlex.split(options.removeprefix("// options:"))),
    )


def profile_of(options: tuple[str, ...]) -> Profile:
    profile = load_profile(PROFILE)
    if "--no-highmem" in options:
        profile = replace(profile, config=replace(profile.config, highmem=False))
    return profile


def payload_of(options: tuple[str, ...]) -> Payload:
    """What `bootsim check` makes of these options."""
    payload = Payload()
    words = iter(option for option in options if option != "--no-highmem")
    for option in words:
        value = next(words)
        if option == "--append":
            payload = replace(payload, cmdline=value)
        elif option == "--initrd":
            size, _, address = value.partition("@")
            payload = replace(payload, initrd=parse_number(size), initrd_addr=parse_number(address))
        else:
            number = parse_number(value)
            assert number is not None
            payload = replace(payload, **{_NUMBERS[option]: number})
    return payload
