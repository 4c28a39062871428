"""Guest code that goes wrong: each ends in one line, and a report that says where.

The programs are tests/data/guest/faults/*.c. The comment at the head of each says what is expected.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bootsim.driver import Driver
from bootsim.errors import BootsimError
from bootsim.guest.driver import GuestOptions, load_guest_drivers
from bootsim.guest.guest import Budget
from bootsim.kernel.profile_file import load_profile
from bootsim.simulate import Boot
from tests.guests import DATA, THUMB, compile_object, lld
from tests.requirements import need_module

FAULTS = DATA / "faults"
PROFILE = load_profile("linux-5.0")
_FRAME = re.compile(
    r"^  #\d+ [0-9a-f]{8}(?: (\w+)\+0x[0-9a-f]+/0x[0-9a-f]+( \(\w+\.[cS]:[1-9]\d*\))?)?$"
)
_MORE = re.compile(r"^     \.\.\. (at least )?\d+ more of .*\+0x")
_CALLED_BACK = "  called back by"
_CODE = re.compile(r"^  (=>|  ) [0-9a-f]{8}: ([0-9a-f]{8}|[0-9a-f]{4} ([0-9a-f]{4}|    ))  \S")


@dataclass
class Expected:
    """What the comment of a program says.

    cause: a pattern for the error's line, "none" if there is no error. trace: the functions of the
    backtrace; "-" has no name, "..." stands for folded frames,
    "|" comes before who called back. log: patterns for lines that are
    printed. options: of the budget. hook: the stage to run at. The line marked `here` is at fault.
    """

    cause: str
    trace: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    hook: str | None = None
    budget: Budget = field(default_factory=Budget)
    line: int | None = None

    @classmethod
    def of(cls, path: Path) -> Expected:
        text = path.read_text()
        said: dict[str, list[str]] = {}
        for key, value in re.findall(r"^ \* (\w+): (.*)$", text, re.MULTILINE):
            said.setdefault(key, []).append(value)
        options = dict(option.split("=") for option in " ".join(said.get("options", [])).split())
        marked = [n for n, line in enumerate(text.splitlines(), 1) if "/* here */" in line]
        return cls(
            cause=said["cause"][0],
            trace=" ".join(said.get("trace", [])).split(),
            log=said.get("log", []),
            hook=said.get("hook", [None])[0],
            budget=Budget(
                int(options.get("instructions", 20_000_000)), float(options.get("seconds", 10))
            ),
            line=marked[0] if marked else None,
        )


def drivers(path: Path, expected: Expected) -> list[Driver]:
    need_module("ziglang")
    return load_guest_drivers(
        [path], PROFILE, GuestOptions(hook=expected.hook, budget=expected.budget)
    )


def run(files: list[Driver]) -> tuple[Boot, BootsimError | None]:
    boot = Boot(drivers=files, profile=PROFILE)
    try:
        boot.run()
    except BootsimError as error:
        return boot, error
    return boot, None


def functions(details: tuple[str, ...]) -> list[str]:
    """The functions of a report's backtrace."""
    found = []
    for line in details:
        if frame := _FRAME.match(line):
            found.append(frame[1] or "-")
        elif _MORE.match(line):
            found.append("...")
        elif line == _CALLED_BACK:
            found.append("|")
    return found


@pytest.mark.parametrize("path", sorted(FAULTS.glob("*.c")), ids=lambda path: path.stem)
def test_fault(path: Path) -> None:
    expected = Expected.of(path)
    loaded = drivers(path, expected)
    start = time.monotonic()
    boot, error = run(loaded)
    assert time.monotonic() - start < 2
    for pattern in expected.log:
        assert any(re.fullmatch(pattern, line) for line in boot.log), boot.log
    if expected.cause == "none":
        assert error is None
        assert boot.handed_over
        return
    assert error is not None
    assert error.exit_code == 1
    assert "\n" not in str(error)
    assert re.search(expected.cause, str(error)), str(error)
    assert "not here" not in boot.log
    check_report(error.details)
    assert functions(error.details) == expected.trace
    if expected.line is not None:
        assert f"({path.name}:{expected.line})" in str(error)


def is_of_backtrace(line: str) -> bool:
    return bool(_FRAME.match(line) or _MORE.match(line)) or line == _CALLED_BACK


def check_report(details: tuple[str, ...]) -> None:
    """Three lines of registers, code with a mark, a backtrace: and nothing else."""
    assert re.fullmatch(
        r"(  ( r\d|r10|psr| fp| ip| sp| lr| pc) [0-9a-f]{8}){17}", "".join(details[:3])
    )
    code = [line for line in details[3:] if _CODE.match(line)]
    frames = [line for line in details[3:] if is_of_backtrace(line)]
    assert list(details[3:]) == code + frames
    assert sum(line.startswith("  =>") for line in code) == bool(code)
    assert len(code) <= 9
    assert frames


def test_the_same_process_boots_on(tmp_path: Path) -> None:
    """After a fault, the same drivers fault the same way again, and others do not."""
    faulty = FAULTS / "null_write.c"
    loaded = drivers(faulty, Expected.of(faulty))
    _, first = run(loaded)
    _, second = run(loaded)
    assert first is not None
    assert second is not None
    assert (str(first), first.details) == (str(second), second.details)
    sound = tmp_path / "sound.c"
    sound.write_text(
        "#include <linux/init.h>\n#include <linux/kernel.h>\n"
        'void __init debug_sound(void) { pr_info("sound\\n"); }\n'
    )
    boot, error = run(drivers(sound, Expected("none")))
    assert error is None
    assert boot.handed_over
    assert "sound" in boot.log


@pytest.mark.parametrize("name", ["recursion", "memset_null", "panics"])
def test_the_command_ends_with_status_1(name: str) -> None:
    path = FAULTS / f"{name}.c"
    need_module("ziglang")
    done = subprocess.run(
        [sys.executable, "-m", "bootsim", "replay", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert "Booting Linux" in done.stdout
    lines = done.stderr.splitlines()
    assert lines[0].startswith("bootsim: error: ")
    check_report(tuple(lines[1:]))


# Reports without debug information, and with bad one.


def object_of(folder: Path, *options: str) -> Path:
    source = folder / "fault.c"
    source.write_text(
        "static int *volatile nowhere;\n"
        "__attribute__((noinline)) static int store(int n)\n"
        "{\n\tint a = n * 7;\n\n\t*(volatile int *)nowhere = a;\n\treturn a;\n}\n"
        "int debug_fault(void)\n{\n\treturn store(3) + 1;\n}\n"
    )
    return compile_object(
        source, folder / "fault.o", *THUMB[:2], "-marm", "-O2", "-ffreestanding", *options
    )


def test_without_debug_information(tmp_path: Path) -> None:
    _, error = run(drivers(object_of(tmp_path, "-g0"), Expected("")))
    assert error is not None
    assert re.search(r"store\+0x\w+/0x\w+, `str ", str(error))
    assert functions(error.details)[0] == "store"
    assert "fault.c" not in str(error)


@pytest.mark.parametrize("version", ["-gdwarf-2", "-gdwarf-4", "-gdwarf-5", "-gz"])
def test_debug_information_of_any_version(tmp_path: Path, version: str) -> None:
    _, error = run(drivers(object_of(tmp_path, "-g", version), Expected("")))
    assert error is not None
    assert "(fault.c:6)" in str(error)
    assert functions(error.details) == ["store", "debug_fault"]


@pytest.mark.parametrize("kind", ["elf", "so", "r.o"])
def test_linked_files_keep_their_lines(tmp_path: Path, kind: str) -> None:
    source = object_of(tmp_path, "-g", *(["-fPIC"] if kind == "so" else []))
    options = {"elf": ("--image-base=0x80300000", "-e", "0"), "so": ("-shared",), "r.o": ("-r",)}
    path = lld(tmp_path / f"linked.{kind}", *options[kind], source)
    _, error = run(drivers(path, Expected("")))
    assert error is not None
    assert re.search(r"store\+0x\w+/0x\w+ \(fault\.c:6\), `str ", str(error))
    assert functions(error.details) == ["store", "debug_fault"]
