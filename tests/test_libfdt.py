"""The model kernel's own walk of a flat tree."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootsim.errors import DeviceTreeError
from bootsim.kernel.libfdt import Fdt, fdt_check_header, fdt_totalsize
from tests.trees import blob


def test_nodes_properties_and_lookups() -> None:
    fdt = Fdt(
        blob(
            "/memreserve/ 0x1000 0x200;",
            'model = "M"; cpus { cpu@0 { reg = <0>; }; };'
            ' memory@80000000 { status = "disabled"; };',
        )
    )
    assert list(fdt.memory_reserve_entries()) == [(0x1000, 0x200)]
    assert fdt.root.string("model") == "M"
    cpu = fdt.root.find("/cpus/cpu")
    assert cpu is not None
    assert cpu.name == "cpu@0"
    assert cpu.depth == 2
    assert cpu.props["reg"] == b"\0\0\0\0"
    memory = fdt.root.find("/memory@80000000")
    assert memory is not None
    assert not memory.is_available()
    assert [node.name for node in fdt.root.walk()] == ["", "cpus", "cpu@0", "memory@80000000"]
    assert fdt.root.find("/nowhere") is None


def test_compatible_ignores_case() -> None:
    root = Fdt(blob("", 'compatible = "arm,vexpress", "x";')).root
    assert root.is_compatible("ARM,Vexpress")
    assert not root.is_compatible("arm")


def test_header_problems_are_named() -> None:
    good = blob("", "")
    assert fdt_check_header(good) is None
    assert fdt_totalsize(good) == len(good)
    assert "magic" in (fdt_check_header(b"\xff" * 40) or "")
    assert "no header" in (fdt_check_header(good[:20]) or "")
    version_99 = good[:20] + struct.pack(">II", 99, 99) + good[28:]
    assert "version" in (fdt_check_header(version_99) or "")


@given(st.data())
def test_damage_is_a_clear_error_or_a_tree(data: st.DataObject) -> None:
    good = bytearray(blob("", 'a = "b"; n { c = <1 2>; m { }; };'))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        fdt = Fdt(bytes(good))
    except DeviceTreeError as error:
        assert "\n" not in str(error)
    else:
        assert fdt.root.depth == 0


def test_truncation_names_where_it_ends() -> None:
    good = blob("", 'a = "b";')
    with pytest.raises(DeviceTreeError, match="device tree in RAM"):
        Fdt(good[: len(good) - 20])
