"""The table of kernel functions, held against the headers that guest code includes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from bootsim.guest.compiler import INCLUDE, DriverOptions
from bootsim.guest.driver import kernel_symbols
from bootsim.guest.exports import APIS, Api
from bootsim.guest.exports.tables import EXPORTS, MISSING, exports_of
from bootsim.guest.prototype import Kind, parse_prototype
from bootsim.kernel.profile_file import load_profile
from tests.command import Run
from tests.guests import zig

each_api = pytest.mark.parametrize("api", APIS)
HEADERS = sorted(str(path.relative_to(INCLUDE)) for path in INCLUDE.rglob("*.h"))
# What compilers call by themselves, or old objects.
UNDECLARED = re.compile(r"__aeabi_\w+|bcmp|stpcpy|__memzero|__memset32|memset16|memset32")
ATTRIBUTE = re.compile(r" ?__attribute__\(\((?:[^()]|\([^()]*\))*\)\) ?")
DECLARED = re.compile(r"^(?!static|typedef|inline)\w[\w ]*?[ *]+(\w+)\([^\n]*\);$", re.M)
VARIABLE = re.compile(r"^extern \w[\w ]*?[ *]+(\w+)(?:\[\w*\])*;$", re.M)


def clang(api: Api, source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    options = DriverOptions(api).arguments("", "test")
    return subprocess.run(
        [zig(), "clang", "--target=arm-none-eabi", *options, *arguments, "-x", "c", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )


def all_headers() -> str:
    return "".join(f"#include <{header}>\n" for header in HEADERS)


def declared(api: Api, *arguments: str) -> tuple[set[str], set[str]]:
    """The functions and the variables that headers only declare."""
    done = clang(api, all_headers(), "-fsyntax-only", "-Xclang", "-ast-print", *arguments)
    assert done.returncode == 0, done.stderr
    text = ATTRIBUTE.sub("", done.stdout)
    return set(DECLARED.findall(text)), set(VARIABLE.findall(text))


@each_api
def test_prototypes_are_those_of_the_headers(api: Api) -> None:
    prototypes = "".join(f"{export.prototype};\n" for export in exports_of(api).values())
    done = clang(api, all_headers() + prototypes, "-fsyntax-only", "-Wno-everything")
    assert done.stderr == ""
    assert done.returncode == 0


@each_api
def test_a_wrong_prototype_would_be_noticed(api: Api) -> None:
    wrong = all_headers() + "int memblock_reserve(phys_addr_t base);\n"
    assert "conflicting types" in clang(api, wrong, "-fsyntax-only").stderr


@each_api
def test_all_that_headers_declare_is_served_or_explained(api: Api) -> None:
    functions, variables = declared(api)
    assert len(functions) > 150
    assert len(variables) > 30
    table = kernel_symbols(load_profile("linux-5.0"), api)
    assert sorted(functions - set(table.exports) - set(MISSING)) == []
    assert sorted(variables - set(table.data) - set(MISSING)) == []


@each_api
def test_all_that_is_served_is_declared(api: Api) -> None:
    functions = declared(api)[0] | declared(api, "-DCONFIG_NUMA=1")[0]
    served = {name for name in exports_of(api) if not UNDECLARED.fullmatch(name)}
    assert sorted(served - functions) == []


def test_nothing_is_served_and_explained_away() -> None:
    assert sorted({export.name for export in EXPORTS} & set(MISSING)) == []


def test_a_prototype_is_read() -> None:
    read = parse_prototype(
        "void *f(struct memblock_type *type, u64 a, int (*cmp)(const void *, const void *),"
        " const char *fmt, ...)"
    )
    assert (read.name, read.result, read.variadic) == ("f", Kind.POINTER, True)
    assert [parameter.kind for parameter in read.parameters] == [
        *(Kind.MEMBLOCK_TYPE, Kind.U64, Kind.POINTER, Kind.POINTER)
    ]
    assert [parameter.name for parameter in read.parameters] == ["type", "a", "cmp", "fmt"]
    assert parse_prototype("bool f(void)").parameters == ()


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: f"{export.name} {export.api or ''}")
def test_each_prototype_is_understood(export: object) -> None:
    read = parse_prototype(getattr(export, "prototype"))  # noqa: B009
    assert read.name == getattr(export, "name")  # noqa: B009


# bootsim symbols.


def test_symbols_lists_prototypes_and_variables(bootsim: Run) -> None:
    status, out, _ = bootsim("symbols", "memblock_res")
    assert status == 0
    assert [line.split(None, 1)[1] for line in out.splitlines()] == [
        "int memblock_reserve(phys_addr_t base, phys_addr_t size);",
        "phys_addr_t memblock_reserved_size(void);",
        "memblock_reserved_init_regions",
    ]


def test_symbols_as_json(bootsim: Run) -> None:
    data = json.loads(bootsim("symbols", "--json", "--api", "6.1")[1])
    assert data["api"] == "6.1"
    assert {entry["name"] for entry in data["functions"]} == set(exports_of("6.1"))
    assert {"memblock", "swapper_pg_dir"} <= {entry["name"] for entry in data["variables"]}


def test_a_program_linked_by_the_script_runs(bootsim: Run, tmp_path: Path) -> None:
    script, source = tmp_path / "kernel.lds", tmp_path / "driver.c"
    script.write_text(bootsim("symbols", "--lds")[1])
    source.write_text(
        "#include <linux/kernel.h>\n#include <linux/memblock.h>\n"
        'int debug_it(void) { pr_info("limit %pa\\n", &memblock.current_limit); return 0; }\n'
    )
    options = DriverOptions().arguments("", "driver")
    compiled = [zig(), "clang", "--target=arm-none-eabi", *options, "-c", str(source)]
    subprocess.run([*compiled, "-o", str(tmp_path / "driver.o")], check=True)
    linked = [zig(), "ld.lld", "-T", str(script), str(tmp_path / "driver.o")]
    subprocess.run([*linked, "-o", str(tmp_path / "driver.elf")], check=True)
    status, out, _ = bootsim("replay", str(tmp_path / "driver.elf"))
    assert status == 0
    assert "limit 0xffffffff\n" in out
