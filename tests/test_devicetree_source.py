"""DTS to blob: dtc is the truth for what is right, files, lines and columns for what is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bootsim.devicetree.blob import memreserve_entries, parse_blob
from bootsim.devicetree.source import compile_dts
from bootsim.devicetree.tree import Node
from bootsim.errors import DeviceTreeError
from bootsim.machine.memory import Range
from tests.requirements import need_program

OWN_DTS = Path(__file__).parents[1] / "dts" / "vexpress-v2p-ca9.dts"


def test_the_blob_of_the_built_in_board_is_what_its_source_makes() -> None:
    """If it fails: dts/README.md says how to make it anew."""
    assert OWN_DTS.with_suffix(".dtb").read_bytes() == compile_dts(OWN_DTS)


def dtc(path: Path) -> subprocess.CompletedProcess[bytes]:
    command = [need_program("dtc"), "-I", "dts", "-O", "dtb", str(path)]
    return subprocess.run(command, capture_output=True, check=False)


def compile_text(directory: Path, text: str) -> bytes:
    path = directory / "t.dts"
    path.write_text(text)
    return compile_dts(path)


def root_of(directory: Path, text: str) -> Node:
    return parse_blob(compile_text(directory, text), "t.dtb").root


def error_of(directory: Path, text: str) -> str:
    """The error's line, beginning with the file's bare name."""
    with pytest.raises(DeviceTreeError) as caught:
        compile_text(directory, text)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{directory}/")
    return message.replace(f"{directory}/", "")


def test_the_own_tree_as_dtc_compiles_it() -> None:
    result = dtc(OWN_DTS)
    assert result.stderr == b""
    assert compile_dts(OWN_DTS) == result.stdout
    assert compile_dts(str(OWN_DTS)) == result.stdout


# Each is compiled by dtc too, and the blobs are equal byte for byte.
SOURCES = {
    "values": r"""/ { a; b = ""; c = "x", "y"; d = <1 0x2 010>; e = [0a ff 00]; f = [0aff00];
        g = /bits/ 8 <1 2>; h = /bits/ 16 <1 0xffff>; i = /bits/ 64 <0x123456789abcdef0>;
        j = "mixed", <1>, [02]; k = <>; l = "tab\t nul\0 hex\x41 oct\101 quote\" \\"; m = <'a'>;
        n = <1>, <2>; o = <0xffffffff>; p = <(-1)>; q = "ünïcode"; };""",
    "references": """/ { a = <&x 1 &y>; b = &x; c = <&{/n/m} 2>; d = &{/n};
        e = <&z>; x: one { }; n { y: m { phandle = <1>; }; z: k { }; }; };""",
    "labels": """/ { l1: l2: n { l3: p = l4: <1 l5: 2> l6:; }; };
        l7: &l1 { q; }; &l7 { r; }; &{/n} { s; };""",
    "merging": """/ { n { a = <1>; b = <2>; m { }; }; o { }; };
        / { p = "late"; n { a = <3>; c = <4>; }; };""",
    "omitting": "/ { z = <&b>; /omit-if-no-ref/ a: x { }; /omit-if-no-ref/ b: y { }; };",
    "memreserve": """/memreserve/ 0x10000000 0x4000; l: /memreserve/ 0xfffffffffffff000 0x1000;
        / { };""",
    "boot cpu": """/ { cpus { #address-cells = <1>; #size-cells = <0>;
        cpu@f00 { reg = <0xf00>; }; cpu@1 { reg = <1>; }; }; };""",
    "names": "/ { #cells; a?b; 0123; _a.b-c+d { }; x,y@1,2 { }; };",
    "comments": "/* a\n * b */ / { // c /*\n a /* d */ = /* e */ <1 /* f */ 2>; };",
    "strings over lines": '/ { a = "one\ntwo"; b = <1>; };',
    "suffixes of names share bytes": "/ { my-reg; reg; g; };",
}


@pytest.mark.parametrize("text", SOURCES.values(), ids=SOURCES)
def test_as_dtc_compiles_it(tmp_path: Path, text: str) -> None:
    blob = compile_text(tmp_path, f"/dts-v1/;\n{text}")
    result = dtc(tmp_path / "t.dts")
    assert result.returncode == 0, result.stderr
    assert blob == result.stdout


def test_deleting(tmp_path: Path) -> None:
    text = """/dts-v1/; / { n { a; b; m { x; }; k { }; }; l: gone { }; };
        /delete-node/ &l; &{/n} { /delete-property/ a; /delete-node/ m; /delete-node/ none; };"""
    blob = compile_text(tmp_path, text)
    # Not byte for byte: dtc keeps the name of a deleted property in the strings block.
    assert parse_blob(blob, "t") == parse_blob(dtc(tmp_path / "t.dts").stdout, "t")


numbers = st.one_of(st.integers(0, 9), st.integers(0, 2**64 - 1)).map(hex)
small = st.integers(0, 70).map(str)
binary = st.sampled_from(
    ["+", "-", "*", "&", "|", "^", "&&", "||", "==", "!=", "<", ">", "<=", ">="]
)
expressions = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, binary, inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, st.sampled_from(["<<", ">>"]), small).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        st.tuples(inner, st.sampled_from(["/", "%"]), st.integers(1, 2**40).map(str)).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        st.tuples(st.sampled_from("-~!"), inner).map(lambda parts: f"({''.join(parts)})"),
        st.tuples(inner, inner, inner).map(lambda parts: "({} ? {} : {})".format(*parts)),
    ),
    max_leaves=8,
)


@given(st.lists(expressions, min_size=1, max_size=12))
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_expressions_as_dtc_evaluates_them(tmp_path: Path, values: list[str]) -> None:
    text = f"/dts-v1/; / {{ a = /bits/ 64 <{' '.join(values)}>; }};"
    blob = compile_text(tmp_path, text)
    assert blob == dtc(tmp_path / "t.dts").stdout


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize(
    "value", ["(-1)", "(-129)", "(-257)", "255", "256", "(~0x80)", "(1 << 31)"]
)
def test_what_fits_into_a_cell(tmp_path: Path, bits: int, value: str) -> None:
    text = f"/dts-v1/; / {{ a = /bits/ {bits} <{value}>; }};"
    (tmp_path / "t.dts").write_text(text)
    expected = dtc(tmp_path / "t.dts")
    if expected.returncode == 0:
        assert compile_text(tmp_path, text) == expected.stdout
    else:
        assert f"does not fit in {bits} bits" in error_of(tmp_path, text)


# Line and column of what is wrong. dtc is asked for the place too where `dtc` is True; for the
# others it names a token nearby, or nothing.
ERRORS = {
    "empty": ("", "t.dts:1:1: expected '/dts-v1/;' at start of file"),
    "no version": ("/ { };", "t.dts:1:1: expected '/dts-v1/;' at start of file"),
    "no root": ("/dts-v1/;\n", "t.dts:2:1: no root node defined"),
    "no value": ("/dts-v1/;\n/ {\n\ta = ;\n};", "t.dts:3:6: malformed value"),
    "no semicolon": ("/dts-v1/;\n/ {\n\ta = <1>\n\tb;\n};", "t.dts:4:2: expected ';' or ','"),
    "no brace": (
        "/dts-v1/;\n/ {\n  n {\n  };\n",
        "t.dts:5:1: expected node name, property name, or '}'",
    ),
    "bad cell": (
        "/dts-v1/;\n/ { a = <1 x>; };",
        "t.dts:2:12: expected number or parenthesized expression",
    ),
    "bad character": ("/dts-v1/;\n/ { a = <1>; $ };", "t.dts:2:14: expected node name, property"),
    "bad bytes": ("/dts-v1/;\n/ { a = [1]; };", "t.dts:2:10: expected two-digit byte or ']'"),
    "bad number": ("/dts-v1/;\n/ { a = <1 089>; };", "t.dts:2:12: malformed number"),
    "huge number": (
        "/dts-v1/;\n/ { a = <0x10000000000000000>; };",
        "t.dts:2:10: 0x10000000000000000 does not fit in 64 bits",
    ),
    "wide cell": ("/dts-v1/;\n/ { a = <0x100000000>; };", "t.dts:2:10: 4294967296 does not fit in"),
    "division by zero": ("/dts-v1/;\n/ { a = <(1 / 0)>; };", "t.dts:2:15: division by zero"),
    "open string": ('/dts-v1/;\n/ { a = "abc; };\n', "t.dts:2:9: malformed value"),
    "open comment": ("/dts-v1/;\n/ { /* };\n", "t.dts:2:5: expected node name, property name, or"),
    "after a string of two lines": (
        '/dts-v1/;\n/ { a = "one\ntwo"; b = ; };',
        "t.dts:3:11: malformed value",
    ),
    "undefined label": (
        "/dts-v1/;\n/ {\n a = <1>,\n  <2 &no>; };",
        "t.dts:4:6: undefined node label",
    ),
    "undefined path": (
        "/dts-v1/;\n/ { a = &{/x/y}; };",
        "t.dts:2:9: component 'x' in path '/x/y' does not exist",
    ),
    "extending what is not there": (
        "/dts-v1/;\n/ { };\n&no { };",
        "t.dts:3:1: undefined node label",
    ),
    "deleting what is not there": (
        "/dts-v1/;\n/ { };\n/delete-node/ &no;",
        "t.dts:3:15: undefined node label 'no'",
    ),
    "one label twice": (
        "/dts-v1/;\n/ { l: a { };\n  l: b { }; };",
        "t.dts:3:3: label l is on /a and on /b",
    ),
    "one label twice in values": (
        "/dts-v1/;\n/ { a = <1 l: 2>;\n  l: b { }; };",
        "t.dts:3:3: label l is on /a+4 and on /b",
    ),
    "one phandle twice": (
        "/dts-v1/;\n/ { a { phandle = <1>; };\n b { phandle = <1>; }; };",
        "t.dts:3:14: /b: duplicated phandle 0x1 (seen before at /a)",
    ),
    "plugin": ("/dts-v1/;\n/plugin/;\n/ { };", "t.dts:2:1: /plugin/ is not supported"),
    "missing /include/": (
        '/dts-v1/;\n  /include/ "no.dtsi"\n/ { };',
        "t.dts:2:3: 'no.dtsi' could not be found",
    ),
    "missing /incbin/": (
        '/dts-v1/;\n/ { a = /incbin/("no"); };',
        "t.dts:2:22: 'no' could not be found",
    ),
    "bad /incbin/": (
        '/dts-v1/;\n/ { a = /incbin/("t.dts", (-5), 1); };',
        "t.dts:2:34: malformed /incbin/: ",
    ),
    "itself by /include/": (
        '/dts-v1/;\n/include/ "t.dts"\n/ { };',
        "t.dts:2:1: /include/ is nested deeper than 64 files",
    ),
    "property after subnode": (
        "/dts-v1/;\n/ { n { }; };\n/ { n { };\n a; };",
        "t.dts:4:3: properties must precede subnodes",
    ),
    "deep": (
        "/dts-v1/;\n/ {" + "n {\n" * 64,
        "t.dts:65:3: nodes are nested deeper than 64",
    ),
    "line markers": (
        '/dts-v1/;\n# 7 "/usr/x.dtsi" 1\n/ {\n\ta = ;\n# 3 "t.dts" 2\n};',
        "/usr/x.dtsi:8:6: malformed value",
    ),
}


@pytest.mark.parametrize(("text", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_have_their_place(tmp_path: Path, text: str, message: str) -> None:
    if message.startswith("/usr"):
        with pytest.raises(DeviceTreeError) as caught:
            compile_text(tmp_path, text)
        assert str(caught.value).startswith(message)
    else:
        assert error_of(tmp_path, text).startswith(message)


def write(directory: Path, **files: str) -> Path:
    """Files by name, `__` for a dot; the path of t.dts."""
    for name, text in files.items():
        path = directory / name.replace("__", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return directory / "t.dts"


def test_macros_and_headers(tmp_path: Path) -> None:
    headers = tmp_path / "include"
    write(
        headers,
        irq__h="#ifndef IRQ_H\n#define IRQ_H\n#define SPI 0\n#define HIGH(x) (4 | x)\n#endif\n",
    )
    write(
        tmp_path,
        soc__dtsi="#include <irq.h>\n#define CELLS 1 // one\n/ { #size-cells = <CELLS>; };\n",
    )
    path = write(
        tmp_path,
        t__dts="""/dts-v1/;
#include "soc.dtsi"
#include <irq.h>
#define GIC(n, flags) <SPI n flags>
#define NAME "no CELLS " "here"
/ {
\t#address-cells = <CELLS>;
#if defined(__DTS__) && HIGH(1) == 5
\tinterrupts = GIC(5, HIGH(1)),
\t\tGIC(6, \\
\t\t    4);
#else
\tnever;
#endif
\ttext = "CELLS // /* ";
\t#pragma = <1>;
\t#if-cells;
\tn@CELLS { };
};
""",
    )
    root = parse_blob(compile_dts(path, include_dirs=[headers]), "t").root
    assert root.properties == {
        "#size-cells": b"\0\0\0\1",
        "#address-cells": b"\0\0\0\1",
        "interrupts": bytes.fromhex("00000000 00000005 00000005 00000000 00000006 00000004"),
        "text": b"CELLS // /* \0",
        "#pragma": b"\0\0\0\1",
        "#if-cells": b"",
    }
    assert [node.name for node in root.children] == ["n@1"]


def test_includes_are_looked_for_beside_the_file_that_includes(tmp_path: Path) -> None:
    write(tmp_path / "a", one__dtsi='#include "two.dtsi"\n/include/ "three.dtsi"\n')
    write(tmp_path / "a", two__dtsi="/ { two; };\n", three__dtsi="/ { three; };\n")
    write(tmp_path / "b", four__dtsi="/ { four = [0a]; };\n")
    path = write(
        tmp_path, t__dts='/dts-v1/;\n#include "a/one.dtsi"\n/include/ "four.dtsi"\n/ { };\n'
    )
    root = parse_blob(compile_dts(path, include_dirs=[tmp_path / "b"]), "t").root
    assert list(root.properties) == ["two", "three", "four"]


def test_incbin(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(bytes(range(10)))
    text = '/dts-v1/; / { a = /incbin/("data.bin"), /incbin/("data.bin", 2, 3); };'
    assert compile_text(tmp_path, text) == dtc(tmp_path / "t.dts").stdout


HEADER = "/dts-v1/;\n#define ONE 1\n#define BAD x y\n#define CALL(a, b) <a b>\n"
PREPROCESSED_ERRORS = {
    "after a macro": ("/ { a = <ONE ONE>;\n\tb = <ONE  %>; };", "t.dts:6:12: expected number"),
    "in a macro": ("/ {\n  a = <ONE BAD>; };", "t.dts:6:12: expected number"),
    "in a macro's argument": ("/ {\n  a = CALL(1, $); };", "t.dts:6:7: expected number"),
    "after a comment of two lines": ("/ { /* \n */ a = ; };", "t.dts:6:9: malformed value"),
    "after a line that goes on": ("/ { a = CALL(1, \\\n 2); b = ; };", "t.dts:6:10: malformed"),
    "in an included file": (
        '#include "sub.dtsi"\n/ { };',
        "sub.dtsi:3:5: expected node name, property name, or '}'",
    ),
    "undefined label there": (
        '/ { };\n#include "ref.dtsi"\n',
        "ref.dtsi:2:11: undefined node label",
    ),
    "after an included file": ('#include "good.dtsi"\n/ { a = ; };', "t.dts:6:9: malformed value"),
    "missing": ('\n #include "no.dtsi"\n/ { };', "t.dts:6:2: 'no.dtsi' could not be found"),
    "missing there": ('#include "more.dtsi"\n/ { };', "more.dtsi:2:1: 'no.h' could not be found"),
    "a directory": ('#include "dir"\n/ { };', "dir: is a directory, expected device tree source"),
    "not text": (
        '#include "latin.dtsi"\n/ { };',
        "latin.dtsi:2:4: byte 0xe9 is not UTF-8 text",
    ),
    "malformed": ("#include nothing\n/ { };", "t.dts:5:1: #include of nothing, expected a name"),
    "itself": ('#include "t.dts"\n/ { };', "t.dts:5:1: #include is nested deeper than 64 files"),
    "#error": ("#ifdef ONE\n#error not  on ONE\n#endif\n/ { };", "t.dts:6:1: #error not on ONE"),
    "open #if": ("#ifdef X\n/ { };", "t.dts:5:1: Unterminated #ifdef X"),
    "lone #endif": ("/ { };\n#endif", "t.dts:6:1: Misplaced #endif"),
    "bare #ifdef": ("#ifdef\n#endif\n/ { };", "t.dts:5:1: this directive is incomplete"),
    "bad #if": ("#if ONE +\n#endif\n/ { };", "t.dts:5:1: Could not evaluate expression"),
    "wide #if": ("#if 1 << 0xffffffff\n#endif\n/ { };", "t.dts:5:1: Could not evaluate"),
    "arguments": ("/ {\n a = CALL(1); };", "t.dts:6:2: Macro CALL requires 2 arguments"),
}


@pytest.mark.parametrize(("text", "message"), PREPROCESSED_ERRORS.values(), ids=PREPROCESSED_ERRORS)
def test_errors_behind_the_preprocessor(tmp_path: Path, text: str, message: str) -> None:
    write(
        tmp_path,
        sub__dtsi="/ {\n\ta = <ONE>;\n\tb; %\n};\n",
        ref__dtsi="/ {\n\ta = <ONE &no>;\n};\n",
        good__dtsi="/ {\n\ta = <ONE>;\n};\n",
        more__dtsi="\n#include <no.h>\n",
    )
    (tmp_path / "dir").mkdir()
    (tmp_path / "latin.dtsi").write_bytes(b"\n// \xe9")
    assert error_of(tmp_path, HEADER + text).startswith(message)


def test_bombs_have_an_end(tmp_path: Path) -> None:
    doubling = "".join(f"#define A{i + 1} A{i} A{i}\n" for i in range(60))
    text = f"/dts-v1/;\n#define A0 1\n{doubling}/ {{ a = <A60>; }};\n"
    assert "macros expand to more than 4 MiB" in error_of(tmp_path, text)

    chain = "".join(f"#define A{i + 1} A{i}\n" for i in range(3000))
    text = f"/dts-v1/;\n#define A0 1\n{chain}/ {{ a = <A3000>; }};\n"
    assert "macros are nested too deep" in error_of(tmp_path, text)

    joining = "#define J(x) J2(x, x)\n#define J2(x, y) x##y\n"
    text = f"/dts-v1/;\n{joining}/ {{ a = <{'J(' * 60}a{')' * 60}>; }};\n"
    assert "macros expand to more than 4 MiB" in error_of(tmp_path, text)

    text = f"/dts-v1/;\n/ {{ a = <{'(' * 5000}1{')' * 5000}>; }};\n"
    assert "expressions are nested too deep" in error_of(tmp_path, text)

    text = "/dts-v1/;\n/ { a = <(1 << 0xffffffffff)>; b = /bits/ 64 <(1 << 63 << 63)>; };\n"
    assert root_of(tmp_path, text).properties == {"a": bytes(4), "b": bytes(8)}


def test_files_that_include_each_other_twice(tmp_path: Path) -> None:
    for i in range(40):
        for directive in ("#include", "/include/"):
            name = directive.strip("#/")
            (tmp_path / f"{name}{i}.dtsi").write_text(f'{directive} "{name}{i + 1}.dtsi"\n' * 2)
    for directive in ("#include", "/include/"):
        text = f'/dts-v1/;\n{directive} "{directive.strip("#/")}0.dtsi"\n/ {{ }};\n'
        (tmp_path / f"{directive.strip('#/')}40.dtsi").write_text("\n")
        assert "more than 2000 files are included" in error_of(tmp_path, text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "is a directory, expected device tree source"),
        (lambda path: path.write_bytes(b"/dts-v1/;\n  \xff"), "byte 0xff is not UTF-8 text"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file, expected"),
        (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
        (lambda path: path.write_bytes(bytes(64)), "expected '/dts-v1/;' at start of file"),
    ],
    ids=["missing", "directory", "not text", "device", "loop", "zeros"],
)
def test_files_that_are_no_source(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "t.dts"
    make(path)
    with pytest.raises(DeviceTreeError) as caught:
        compile_dts(path)
    assert str(caught.value).startswith(f"{path}:")
    assert message in str(caught.value)


@given(st.integers(0, 10**6), st.integers(0, 255), st.booleans())
@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged_source(tmp_path: Path, at: int, byte: int, directives: bool) -> None:
    """A tree or one clear line, never anything else."""
    own = OWN_DTS.read_bytes()
    start = own.index(b"/dts-v1/")
    text = bytearray(own[start : start + 2500])
    text[:0] = b"#define X 1\n" if directives else b""
    text[at % len(text)] = byte
    path = tmp_path / "t.dts"
    path.write_bytes(bytes(text) + b"};\n")
    try:
        compile_dts(path)
        message = f"{path}:"
    except DeviceTreeError as error:
        message = str(error)
    assert message.startswith(f"{path}:")
    assert "\n" not in message


def test_memreserve(tmp_path: Path) -> None:
    blob = compile_text(tmp_path, "/dts-v1/; /memreserve/ 0x1000 (~0 - 1); / { };")
    assert memreserve_entries(blob, "t") == (Range(0x1000, 2**64 - 2),)


def test_what_is_imported_when() -> None:
    """A blob needs neither parser nor preprocessor; source without directives no preprocessor."""
    script = f"""
import sys
from bootsim.devicetree.blob import parse_blob
from bootsim.devicetree.board import Board
from bootsim.devicetree.chosen import set_chosen
from bootsim.devicetree.source import compile_dts
assert not {{"pyfdt", "devicetree", "pcpp"}} & set(sys.modules)
blob = compile_dts({str(OWN_DTS)!r})
assert "devicetree.dtlib" in sys.modules and "pcpp" not in sys.modules
for name in list(sys.modules):
    if name.startswith("devicetree"):
        del sys.modules[name]
Board.from_blob(set_chosen(blob, bootargs="a"), "own")
assert "devicetree.dtlib" not in sys.modules and "pcpp" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("/dts-v1/;\n&l { };\n", "2:1", "no root node before it"),
        ("/dts-v1/;\n/delete-node/ &x;\n", "2:", "no root node before it"),
        ("/dts-v1/;\n/ { };\n/delete-node/ &{/};\n", "3:", "root node cannot be deleted"),
    ],
)
def test_references_without_a_root(tmp_path: Path, text: str, place: str, words: str) -> None:
    path = tmp_path / "overlay.dts"
    path.write_text(text)
    with pytest.raises(DeviceTreeError, match=words) as caught:
        compile_dts(path)
    assert str(caught.value).startswith(f"{path}:{place}")
