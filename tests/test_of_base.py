"""Paths and aliases as drivers/of/base.c follows them, ring and all; CPUs as of_get_cpu_hwid()."""

from __future__ import annotations

import pytest

from bootsim.batch import Task, prepare, run_task
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.libfdt import Fdt
from bootsim.kernel.of_base import HWID_INVALID, cpu_nodes, of_find_node_by_path, of_get_cpu_hwid
from bootsim.kernel.profile_file import load_profile
from tests.trees import CELLS, blob

RAM = ((0x60000000, 256 << 20),)
PROFILE = "linux-6.1-armmp"
TREE = f"""{CELLS}
    memory {{ device_type = "memory"; reg = <0x60000000 0x10000000>; }};
    aliases {{ serial0 = "/soc/uart@10"; soc = "/soc"; chain = "serial0"; %s }};
    soc {{ {CELLS} uart@10 {{ reg = <0x10 0x10>; }}; uart@20 {{ reg = <0x20 0x10>; }}; }};"""


def kernel_with(aliases: str = "") -> Kernel:
    dtb = blob("", TREE % aliases)
    kernel = prepare(Task("t", dtb, profile=PROFILE, ram=RAM), load_profile(PROFILE))
    kernel.fdt.blob_phys = kernel.memory.read_u32(kernel.pa_symbol("__atags_pointer"))
    kernel.fdt.tree = Fdt(kernel.memory.read(kernel.fdt.blob_phys, len(dtb)))
    return kernel


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ""),
        ("/soc", "soc"),
        ("/soc/uart@20", "uart@20"),
        ("/soc/uart@10:115200n8", "uart@10"),
        ("/soc/uart", None),  # the unit address counts
        ("/soc/", None),
        ("//soc", None),
        ("/nowhere", None),
        ("serial0", "uart@10"),
        ("serial0:115200", "uart@10"),
        ("chain", "uart@10"),
        ("soc/uart@20", "uart@20"),
        ("nowhere", None),
        ("nowhere/soc", None),
        ("", None),  # as the value of an alias without one
    ],
)
def test_paths_lead_where_linux_goes(path: str, expected: str | None) -> None:
    node = of_find_node_by_path(kernel_with(), path)
    assert (None if node is None else node.name) == expected


def test_aliases_in_a_ring_are_the_end() -> None:
    dtb = blob("", TREE % 'a = "b"; b = "a";')
    outcome = run_task(Task("t", dtb, profile=PROFILE, ram=RAM))
    assert outcome.error is not None
    assert "/aliases" in outcome.error
    assert "circle" in outcome.error


def test_cpus_that_failed_or_are_none_do_not_count() -> None:
    tree = Fdt(
        blob(
            "",
            """cpus { #address-cells = <2>; #size-cells = <0>;
            cpu@0 { reg = <0 0x100>; };
            cpu@1 { reg = <0 1>; status = "fail-sss"; };
            cpu@2 { reg = <0 2>; status = "disabled"; };
            core { device_type = "cpu"; reg = <1 3>; };
            cpu@4 { reg = <4>; };
            cpu-map { };
            };""",
        )
    )
    cpus = tree.root.find("/cpus")
    found = [(node.name, of_get_cpu_hwid(node)) for node in cpu_nodes(cpus)]
    assert found == [
        ("cpu@0", 0x100),
        ("cpu@2", 2),
        ("core", 0x100000003),
        ("cpu@4", HWID_INVALID),
    ]
