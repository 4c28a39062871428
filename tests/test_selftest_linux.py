"""The kernel's own tests of memblock as guest code, and the C library that they need."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from bootsim.errors import BootsimError
from bootsim.guest.compiler import CompileError, compile_c
from bootsim.guest.guest import Budget
from bootsim.kernel.memblock import Memblock
from bootsim.selftest import linux, source_tree
from bootsim.selftest.program import Ended, Program
from tests.requirements import missing, need_module, need_program

SUITE = "tools/testing/memblock"
C_PROGRAMS = Path(__file__).parent / "data" / "libc"


@pytest.fixture(scope="module", autouse=True)
def _compiler() -> None:
    need_module("ziglang")


# The suite itself.


@pytest.fixture(scope="module")
def sources() -> Path:
    """Linux 6.1: what BOOTSIM_LINUX names, or Debian's package linux-source-6.1."""
    named = os.environ.get("BOOTSIM_LINUX")
    if named:
        return Path(named)
    found = sorted(Path("/usr/src").glob("linux-source-6.1*"), key=lambda path: path.is_file())
    if not found:
        missing("needs the sources of Linux 6.1: the package linux-source-6.1, or BOOTSIM_LINUX")
    return found[0]


@pytest.fixture(scope="module")
def tree(sources: Path) -> Path:
    return source_tree.source_tree(sources)


@pytest.fixture(scope="module")
def runs(tree: Path) -> list[linux.SuiteRun]:
    return linux.run(tree)


def test_all_tests_of_linux_6_1_pass(runs: list[linux.SuiteRun]) -> None:
    flat, numa = runs
    assert (len(flat.tests), flat.failed) == (150, 0)
    assert (len(numa.tests), numa.failed) == (202, 0)


def test_tap_is_numbered_through(runs: list[linux.SuiteRun]) -> None:
    lines = linux.tap_lines(runs)
    assert lines[:2] == ["TAP version 13", "1..352"]
    tests = [line for line in lines[2:] if not line.startswith("#")]
    assert [re.sub(r" : .*", "", line) for line in tests] == [f"ok {n}" for n in range(1, 353)]
    assert tests[0] == "ok 1 : memblock_initialization_check: passed"
    assert "# without NUMA: 150 of 150 tests passed" in lines
    assert "# with NUMA: 202 of 202 tests passed" in lines


def test_json_has_the_tests_by_name(runs: list[linux.SuiteRun]) -> None:
    data = json.loads(json.dumps(linux.as_data(runs)))
    assert data["failed"] == 0
    assert [len(run["tests"]) for run in data["runs"]] == [150, 202]
    assert data["runs"][0]["tests"][0]["name"] == "memblock_initialization_check"


@pytest.mark.parametrize("build", linux.BUILDS, ids=lambda build: build.name)
def test_memblock_c_prints_the_same(build: linux.Build, tree: Path, tmp_path: Path) -> None:
    """The suite with mm/memblock.c itself as guest code, instead of Python."""
    kernel = tree / "mm/memblock.c"
    if not kernel.is_file():
        missing(f"needs {kernel}")
    ours = Program(linux.compile_suite(tree, build), features=build.features, exports=linux.EXPORTS)
    # As in the suite's Makefile: a memblock.c that sees its internal.h, and what that wants.
    (tmp_path / "memblock.c").write_bytes(kernel.read_bytes())
    (tmp_path / "slab.c").write_text(
        "#include <stdlib.h>\n"
        "void *kmalloc(size_t size, int gfp) { return calloc(1, size); }\n"
        "void kfree(void *memory) { free(memory); }\n"
    )
    options = linux.suite_options(tree, build)
    objects = linux.compile_suite(tree, build)
    for source in (
        *(tmp_path / "memblock.c", tmp_path / "slab.c"),
        *(tree / SUITE / "mmzone.c", tree / SUITE / "lib/slab.c"),
    ):
        objects.append(compile_c(source, options)[0])
    library = {name: e for name, e in linux.EXPORTS.items() if "memblock" not in name}
    theirs = Program(objects, features=build.features, exports=library)
    assert ours.run("main", "-v") == theirs.run("main", "-v")
    assert theirs.memblock.memory.total_size == 0  # nothing came to Python


def test_a_wrong_memblock_is_found(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Memblock, "_remove_range", lambda *_arguments: 0)
    (run,) = linux.run(tree, [linux.FLAT])
    assert run.failed == 1
    failed = run.tests[-1]
    assert failed.name == "memblock_remove: memblock_remove_simple_check"
    assert re.match(
        r"tools/testing/memblock/tests/basic_api\.c:\d+: memblock_remove", failed.message
    )
    tap = linux.tap_lines([run])
    assert f"1..{len(run.tests)}" in tap
    assert f"not ok {len(run.tests)} : {failed.name}: failed" in tap


def test_the_tree_is_left_as_it_was(tree: Path) -> None:
    before = {path: path.lstat().st_mtime_ns for path in (tree / "tools/testing").rglob("*")}
    linux.run(tree, [linux.FLAT])
    after = {path: path.lstat().st_mtime_ns for path in (tree / "tools/testing").rglob("*")}
    assert before == after


# Suites that go wrong.


C_HEADERS = ("assert", "stdio", "stdlib", "string")


class Tree:
    """A Linux tree with a suite of one C file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(f"{SUITE}/tests/common.c", "int common = 1;\n")
        self.write("tools/testing/selftests/kselftest.h", "\n")
        self.write("tools/include/linux/types.h", "\n")
        self.write("include/linux/memblock.h", "int memblock_add(unsigned base, unsigned size);\n")

    def write(self, name: str, text: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, main: str, *, budget: Budget | None = None) -> linux.SuiteRun:
        includes = "".join(f"#include <{name}.h>\n" for name in C_HEADERS)
        includes += "#include <linux/memblock.h>\n"
        self.write(f"{SUITE}/main.c", f"{includes}int main(int argc, char **argv)\n{main}\n")
        (run,) = linux.run(self.path, [linux.FLAT], budget=budget)
        return run


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Tree(tmp_path / "linux")


def only_failure(run: linux.SuiteRun) -> linux.Test:
    assert run.failed == 1
    assert not run.tests[-1].ok
    return run.tests[-1]


def test_a_suite_that_passes(fake: Tree) -> None:
    run = fake.run('{ puts("Running ..."); printf("ok %d : %s: passed\\n", 1, "it"); return 0; }')
    assert run.printed == ("Running ...", linux.Test(": it: passed", True))


def test_an_assertion_after_not_ok_is_one_failure(fake: Tree) -> None:
    failed = only_failure(fake.run('{ puts("not ok 1 : it: failed");\nassert(argc == 3);\n}'))
    assert failed.name == "it"
    assert failed.message == f"{SUITE}/main.c:8: main(): assertion `argc == 3` failed"
    assert any("main.c:8" in line for line in failed.details)


def test_an_assertion_without_a_word_fails_too(fake: Tree) -> None:
    run = fake.run('{ puts("ok 1 : it: passed"); assert(argc == 3); return 0; }')
    assert only_failure(run).name == "did not come to its end"
    assert len(run.tests) == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("*(volatile int *)0 = 1;", "write of 0x00000000"),
        ("((void (*)(void))0x50000000)();", "0x50000000"),
        ('__asm__(".inst 0xe7f000f0");', "undefined instruction"),
        ("for (;;) ;", "endless loop"),
        ("for (volatile int i = 0;; i++) ;", "instructions used up"),
        ("char big[0x200000]; memset(big, 1, 0x200000); puts(big);", "write of 0x63"),
        ("abort();", "abort()"),
        ("exit(3);", "status 3"),
        ("return 4;", "status 4"),
        ("free(argv);", "no block of malloc()'s"),
        ("memblock_add(0x1000, 0x1000); return 0;", "printed no test"),
    ],
)
def test_a_suite_that_dies_is_a_failed_test(fake: Tree, body: str, words: str) -> None:
    failed = only_failure(fake.run(f"{{ {body} }}", budget=Budget(instructions=2_000_000)))
    assert words in failed.message
    assert "did not come to its end" in "\n".join(
        linux.tap_lines([linux.SuiteRun(linux.FLAT, "", (failed,))])
    )


def test_what_does_not_compile_is_the_compilers_word(fake: Tree) -> None:
    with pytest.raises(CompileError) as caught:
        fake.run("{ return no_such_name; }")
    assert caught.value.exit_code == 2
    assert any("no_such_name" in line for line in caught.value.details)


def test_what_does_not_link_is_named(fake: Tree) -> None:
    with pytest.raises(BootsimError, match=r"undefined symbol 'memblock_ad'.*memblock_add"):
        fake.run("{ extern int memblock_ad(void); return memblock_ad(); }")


def test_a_suite_without_main(fake: Tree) -> None:
    with pytest.raises(BootsimError, match=r"there is no main\(\)"):
        fake.run("; int other(void) { return 0; }")


# Finding the sources.


def test_a_directory_without_the_suite(tmp_path: Path) -> None:
    with pytest.raises(BootsimError, match=r"no tools/testing/memblock/main\.c"):
        linux.run(tmp_path)


def test_no_such_path(tmp_path: Path) -> None:
    with pytest.raises(BootsimError, match="No such file"):
        linux.run(tmp_path / "absent")


@pytest.mark.parametrize("compression", ["xz", "gz", ""])
def test_an_archive_is_unpacked_once(fake: Tree, tmp_path: Path, compression: str) -> None:
    fake.run('{ puts("ok 1 : it: passed"); return 0; }')
    fake.write("Makefile", "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 192\nEXTRAVERSION =\n")
    fake.write("drivers/large.c", "not needed\n")
    archive = tmp_path / "linux.tar"
    with tarfile.open(archive, f"w:{compression}") as made:  # type: ignore[call-overload]
        made.add(fake.path, "linux-source-6.1")
    said: list[str] = []
    for _ in range(2):
        (run,) = linux.run(archive, [linux.FLAT], tell=said.append)
        assert run.linux == "6.1.192"
        assert run.failed == 0
    assert said == [f"{archive}: unpacking what the tests need"]
    unpacked = {path.name for path in (tmp_path / "cache/bootsim/linux").rglob("*.[ch]")}
    assert unpacked == {"main.c", "common.c", "kselftest.h", "types.h", "memblock.h"}


@pytest.mark.parametrize("keep", [0, 0.1, 0.5])
def test_what_is_no_archive(fake: Tree, tmp_path: Path, keep: float) -> None:
    fake.write(f"{SUITE}/main.c", "\n")
    whole, archive = tmp_path / "whole.tar.xz", tmp_path / "linux.tar.xz"
    with tarfile.open(whole, "w:xz") as made:
        made.add(fake.path, "linux")
    content = whole.read_bytes()
    archive.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(BootsimError, match="expected a directory or a tar archive"):
        linux.run(archive)
    assert not list((tmp_path / "cache/bootsim/linux").iterdir())


def test_an_archive_of_something_else(fake: Tree, tmp_path: Path) -> None:
    archive = tmp_path / "other.tar"
    with tarfile.open(archive, "w") as made:
        made.add(fake.path / "include", "other/include")
    with pytest.raises(BootsimError, match=r"no tools/testing/memblock/main\.c"):
        linux.run(archive)


# The C library.


@pytest.fixture(scope="module")
def on_host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("libc") / "library"
    cc = need_program("cc")
    command = [cc, "-D_GNU_SOURCE", "-w", "-o", str(program), str(C_PROGRAMS / "library.c")]
    subprocess.run(command, check=True)
    return program


def run_on_guest(path: Path, *arguments: str) -> Ended:
    object_, _ = compile_c(path, linux.suite_options(path.parent, linux.FLAT))
    program = Program([object_], features=linux.FLAT.features, exports=linux.EXPORTS)
    return program.run(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("-v",),
        ("-m", "-v", "-h"),
        ("--verbose", "--movable-node", "operand"),
        ("-verb", "--mov"),
        ("--more", "-v"),
        ("-v", "--", "-m"),
        ("-v", "-"),
    ],
    ids=" ".join,
)
def test_the_c_library_does_as_the_hosts(on_host: Path, arguments: tuple[str, ...]) -> None:
    guest = run_on_guest(C_PROGRAMS / "library.c", str(on_host), *arguments)
    host = subprocess.run([on_host, *arguments], capture_output=True, text=True, check=False)
    assert guest.failure == ""
    assert guest.output.splitlines() == host.stdout.splitlines()
    assert guest.status == host.returncode == 5


@pytest.mark.parametrize("option", ["--nonsense", "--mo", "-x"])
def test_an_unknown_or_ambiguous_option(option: str) -> None:
    ended = run_on_guest(C_PROGRAMS / "library.c", "main", option)
    assert ended.output.splitlines()[:2] == [
        f"unknown or ambiguous option '{option}'",
        f"option {ord('?')} 0 2",
    ]


def test_blocks_of_malloc_do_not_overlap() -> None:
    assert run_on_guest(C_PROGRAMS / "heap.c", "main") == Ended("0 lost, huge 0, empty 1\n", 0)


HEADERS = sorted(path.relative_to(linux.LIBC) for path in linux.LIBC.rglob("*.h"))


def test_each_header_stands_alone(tmp_path: Path) -> None:
    assert HEADERS
    for number, header in enumerate(HEADERS):
        path = tmp_path / f"header{number}.c"
        # Twice: headers are included by each other.
        path.write_text(f"#include <{header}>\n" * 2 + "int nothing = 0;\n")
        compile_c(path, linux.suite_options(tmp_path, linux.FLAT))
