"""C drivers against their Python twins, and one as it was published."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from bootsim.cli import main
from bootsim.trace import as_data
from tests.examples import EXAMPLES, ROOT, Run, holds, need_compiler, run_example

TWINS = [path for path in EXAMPLES if path.suffix == ".c" and path.with_suffix(".py") in EXAMPLES]
DOCUMENT = "biscuitos-memblock_phys_alloc_try_nid.md"


@pytest.mark.parametrize("example", TWINS, ids=lambda path: path.stem)
def test_python_and_c_leave_the_same_trace_but_for_callers(example: Path) -> None:
    c, python = run_example(example), run_example(example.with_suffix(".py"))
    assert without_callers(c) == without_callers(python)


def test_every_published_driver_has_a_twin() -> None:
    folder = ROOT / "examples" / "biscuitos"
    assert {path.stem for path in folder.glob("*.py")} == {
        path.stem for path in TWINS if path.parent == folder
    }


@pytest.mark.parametrize("example", TWINS, ids=lambda path: path.stem)
def test_the_calls_of_a_c_driver_name_its_function(example: Path) -> None:
    functions = set(re.findall(r"^(?:static )?\w+ __init (\w+)\(", example.read_text(), re.M))
    data = map(as_data, run_example(example).events)
    callers = [event["caller"] for event in data if "caller" in event]
    for caller in callers:
        place = re.fullmatch(r"(\w+)\+(0x[0-9a-f]+)/(0x[0-9a-f]+)", caller)
        if place is None:  # called by memblock's own code, as memblock_alloc_range() is
            assert caller.startswith("memblock_")
            continue
        assert place[1] in functions
        assert 0 < int(place[2], 0) <= int(place[3], 0)
    assert callers


def test_the_driver_in_the_document_runs_unmodified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = highlighted(seed_document())
    (source,) = [block for block in blocks if "#include <linux/init.h>\n" in block]
    (printed,) = [block for block in blocks if "Malformed early option 'earlycon'\n" in block]
    assert source.startswith("/*\n")
    assert "Region: " in printed
    file = tmp_path / "memblock.c"
    file.write_text(source)
    need_compiler()

    monkeypatch.setattr(sys, "argv", ["bootsim", "replay", str(file), "--append", "earlycon"])
    main()

    out, err = capsys.readouterr()
    assert holds(out.splitlines(), printed.splitlines())
    assert "warning" not in err


def without_callers(run: Run) -> list[dict[str, Any]]:
    return [as_data(event) | {"caller": None} for event in run.boot.trace]


def seed_document() -> str:
    """The published document, which is not part of bootsim: skips the test without it."""
    beside = ROOT.parent / "shared" / "seeds" / DOCUMENT
    path = Path(os.environ.get("BOOTSIM_SEED_DOCUMENT") or beside)
    if not path.is_file():
        pytest.skip(f"needs {DOCUMENT}: set BOOTSIM_SEED_DOCUMENT to where it is")
    return path.read_text()


def highlighted(document: str) -> list[str]:
    """The blocks of code and of output in a document."""
    return re.findall(r"^{% highlight \w+ %}\n(.*?)^{% endhighlight %}$", document, re.M | re.S)
