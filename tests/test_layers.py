"""Imports go downward only, and heavy libraries have one door each (as the architecture has it)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bootsim

PACKAGE = Path(bootsim.__file__).parent

# Each room, and what it stands on.
ROOMS = {
    "errors": set(),
    "numbers": set(),
    "fleet": {"errors"},
    "resources": {"errors"},
    "cache": set(),
    "weak": set(),
    "trace": {"errors"},
    "machine": {"errors", "resources"},
    "devicetree": {"errors", "machine"},
    "kernel": {"errors", "trace", "weak", "machine"},
    "loader": {"errors", "machine", "devicetree", "kernel"},
    "booted": {"trace", "machine"},
    "model_image": {"machine", "kernel", "loader"},
    "inputs": {"errors", "numbers", "resources", "devicetree", "kernel"},
    "batch": {"errors", "trace", "machine", "devicetree", "kernel", "loader", "fleet"},
    "check": {
        *("errors", "numbers", "trace", "inputs", "machine", "devicetree", "kernel"),
        *("loader", "batch", "fleet"),
    },
    "driver": {"errors", "trace", "kernel"},
    "guest": {"errors", "cache", "trace", "machine", "kernel", "driver"},
    "dmesg": {"errors", "numbers", "trace", "machine", "devicetree", "kernel", "inputs"},
    "realkernel": {
        *("errors", "trace", "weak", "resources", "machine", "devicetree", "kernel"),
        *("booted", "cache", "inputs", "loader", "dmesg", "simulate"),
    },
    "simulate": {
        *("errors", "trace", "resources", "machine", "devicetree", "kernel"),
        *("booted", "inputs", "loader", "model_image", "driver"),
    },
    "sources": {
        *("errors", "trace", "inputs", "kernel", "driver", "dmesg", "simulate", "realkernel"),
    },
    "views": {
        *("errors", "trace", "numbers", "machine", "devicetree", "kernel"),
        *("driver", "guest", "dmesg", "simulate", "realkernel", "sources", "whatif"),
    },
    "whatif": {
        *("errors", "numbers", "trace", "inputs", "machine", "devicetree", "kernel"),
        *("dmesg", "loader", "batch", "fleet"),
    },
    "selftest": {"errors", "cache", "trace", "machine", "kernel", "driver", "guest", "simulate"},
    "cli": {
        *("errors", "trace", "numbers", "inputs", "machine", "devicetree", "kernel"),
        *("driver", "guest", "dmesg", "simulate", "realkernel", "sources", "views", "selftest"),
        *("check", "whatif", "fleet"),
    },
}
# A library, and the only places that may import it.
DOORS = {
    "unicorn": {"machine/cpu.py"},
    "capstone": {"machine/disasm.py"},
    "pyfdt": {"devicetree"},
    "devicetree": {"devicetree"},
    "pcpp": {"devicetree"},
    "elftools": {"guest/elf.py", "guest/dwarf.py"},
    "click": {"cli"},
    "PIL": {"views/drawing.py"},
    "distributed": {"fleet/cluster.py"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module)
            if node.module == "bootsim":
                names.update(f"bootsim.{alias.name}" for alias in node.names)
    return names


def room(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_room_stands_on(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    own = relative.parts[0].removesuffix(".py")
    if own in ("__init__", "__main__"):
        return  # the public face may show every room
    assert own in ROOMS, f"{relative} is in no room"
    used = {room(name) for name in imported(path) if name.startswith("bootsim.")}
    allowed = ROOMS[own] | {own, "__version__"}
    assert used <= allowed, f"{relative} reaches up to {sorted(used - allowed)}"


@pytest.mark.parametrize("library", DOORS)
def test_a_library_has_one_door(library: str) -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if any(name.split(".")[0] == library for name in imported(path))
    }
    assert users, f"nothing uses {library}: drop the dependency"
    strangers = {u for u in users if not any(u.startswith(door) for door in DOORS[library])}
    assert not strangers
