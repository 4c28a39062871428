"""The kernel's own tests of memblock, run as guest code against `bootsim.Memblock`.

tools/testing/memblock of Linux 6.1, unmodified: its main.c and tests/*.c are compiled for ARM, with
32-bit physical addresses, and linked with memblock as Python serves it, in the place of
mm/memblock.c. Nothing is written into the user's tree. How the suite builds itself is in its
Makefile and scripts/Makefile.include, how it prints in tools/testing/selftests/kselftest.h.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from bootsim.guest import exports
from bootsim.guest.compiler import CODE_OPTIONS, compile_c
from bootsim.guest.elf import ObjectFile
from bootsim.guest.exports import aeabi, memblock, of_api, string
from bootsim.guest.guest import Budget
from bootsim.kernel.memblock import MemblockFeatures
from bootsim.selftest.program import Ended, Program
from bootsim.selftest.source_tree import SUITE, source_tree, version

LIBC = Path(exports.__file__).parents[1] / "libc"
# What the suite may call of the kernel.
EXPORTS = of_api((*memblock.EXPORTS, *string.EXPORTS, *aeabi.EXPORTS), "6.1")
_TEST = re.compile(r"(not )?ok (\d+) ?(.*)")
# Linux for the Cortex-A9 has cache lines of 64 bytes, the suite has tools/include/linux/cache.h.
_FEATURES = replace(MemblockFeatures.linux_6_1(), smp_cache_bytes=32)


@dataclass(frozen=True, slots=True)
class Build:
    """A way to build the suite: what it is called, its macros, and the kernel that it expects."""

    name: str
    defines: tuple[str, ...]
    features: MemblockFeatures


FLAT = Build("without NUMA", (), _FEATURES)
NUMA = Build(
    "with NUMA",
    ("CONFIG_NUMA", "CONFIG_NODES_SHIFT=4"),
    replace(_FEATURES, numa=True, max_numnodes=1 << 4),
)
BUILDS = (FLAT, NUMA)


@dataclass(frozen=True, slots=True)
class Test:
    """A test as the suite tells of it: `words` stand behind its number.

    `message` says why one failed, as far as that is known, and `details` more of it.
    """

    words: str
    ok: bool
    message: str = ""
    details: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As "memblock_add: memblock_add_simple_check"."""
        return self.words.removeprefix(": ").removesuffix(": passed").removesuffix(": failed")


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """One build's run: its tests and, as strings, what it printed else, in order."""

    build: Build
    linux: str
    printed: tuple[Test | str, ...]

    @property
    def tests(self) -> tuple[Test, ...]:
        return tuple(item for item in self.printed if isinstance(item, Test))

    @property
    def failed(self) -> int:
        """Number of tests that failed; an early end counts as one."""
        return sum(not test.ok for test in self.tests)


def run(
    path: Path,
    builds: Iterable[Build] = BUILDS,
    *,
    cc: str | None = None,
    budget: Budget | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[SuiteRun]:
    """Run the suite of the Linux sources at `path`, a directory or an archive, once a build.

    `cc` names the compiler, `budget` is what one run may take, `tell` gets a line before
    something that takes long. Raises BootsimError where there is no
    suite, or it cannot be compiled or linked. A test that fails is no exception.
    """
    tree = source_tree(path, tell)
    return [_run(tree, build, cc, budget) for build in builds]


def _run(tree: Path, build: Build, cc: str | None, budget: Budget | None) -> SuiteRun:
    program = Program(
        compile_suite(tree, build, cc),
        features=build.features,
        exports=EXPORTS,
    )
    ended = program.run("main", "-v", budget=budget)
    return SuiteRun(build, version(tree), tuple(_printed(ended, program.memblock.warnings)))


# Compiling.


def suite_options(tree: Path, build: Build) -> list[str]:
    """The compiler's options for `build` of the suite in `tree`."""
    suite = tree / SUITE
    return [
        *(*CODE_OPTIONS, "-w", f"-ffile-prefix-map={tree}{os.sep}="),
        *("-I", str(suite), "-I", str(tree / "tools/include"), "-isystem", str(LIBC)),
        # For linux/memblock.h: the suite's Makefile links it into the tree instead.
        *("-idirafter", str(tree / "include")),
        *(f"-D{macro}" for macro in build.defines),
    ]


def compile_suite(tree: Path, build: Build, cc: str | None = None) -> list[ObjectFile]:
    """main.c and tests/*.c as object files; raises CompileError."""
    suite = tree / SUITE
    options = suite_options(tree, build)
    sources = [suite / "main.c", *sorted((suite / "tests").glob("*.c"))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(lambda source: compile_c(source, options, cc), sources)
        return [object_ for object_, _warnings in made]


# What came of it.


def _printed(ended: Ended, warnings: Sequence[str]) -> Iterator[Test | str]:
    """The suite's tests and words; the last test is a failed one if the suite did not end well."""
    failure = ended.failure
    if not failure and ended.status:
        failure = f"the suite ended with status {ended.status}"
    items: list[Test | str] = []
    for line in ended.output.splitlines():
        match = _TEST.fullmatch(line)
        items.append(Test(match[3], not match[1]) if match else line)
    if not failure and not any(isinstance(item, Test) for item in items):
        failure = "the suite printed no test"
    if failure:
        last = items[-1] if items else ""
        if isinstance(last, Test) and not last.ok:  # it said that it fails, then it gave up
            items[-1] = replace(last, message=failure, details=ended.details)
        else:
            items.append(Test(": did not come to its end", False, failure, ended.details))
    yield from items
    yield from warnings


def tap_lines(runs: Sequence[SuiteRun]) -> list[str]:
    """All runs as one TAP 13 stream; what the suite prints beside its tests comes as comments.

    Tests are numbered on from one run to the next, and else in the suite's own words.
    """
    lines = ["TAP version 13", f"1..{sum(len(run.tests) for run in runs)}"]
    number = 0
    for run in runs:
        lines.append(f"# {_title(run)}")
        for item in run.printed:
            if isinstance(item, str):
                lines.append(f"# {item}".rstrip())
                continue
            number += 1
            lines.append(f"{'ok' if item.ok else 'not ok'} {number} {item.words}")
            if item.message:
                # JSON's strings are YAML's, too.
                lines += ["  ---", f"  message: {json.dumps(item.message)}"]
                if item.details:
                    lines += ["  details: |", *(f"    {line}" for line in item.details)]
                lines.append("  ...")
        passed = len(run.tests) - run.failed
        lines.append(f"# {run.build.name}: {passed} of {len(run.tests)} tests passed")
    return lines


def _title(run: SuiteRun) -> str:
    return f"Linux{' ' * bool(run.linux)}{run.linux} {SUITE}, {run.build.name}"


def as_data(runs: Sequence[SuiteRun]) -> dict[str, object]:
    """The same for JSON."""
    return {
        "runs": [
            {
                "linux": run.linux,
                "build": run.build.name,
                "tests": [
                    {
                        "name": test.name,
                        "ok": test.ok,
                        "message": test.message,
                        "details": list(test.details),
                    }
                    for test in run.tests
                ],
                "failed": run.failed,
            }
            for run in runs
        ],
        "failed": sum(run.failed for run in runs),
    }
