"""crashkernel= against Documentation/admin-guide/kdump/kdump.rst and what real kernels reserved."""

from __future__ import annotations

import pytest

from bootsim.batch import prepare
from bootsim.kernel.crash_core import parse_crashkernel
from bootsim.kernel.kernel import Kernel
from bootsim.kernel.log import log_lines
from bootsim.kernel.profile_file import load_profile
from tests.conftest import REAL_BOOTS
from tests.real_boots import PROFILE, real_boots

M, G = 1 << 20, 1 << 30


@pytest.fixture
def kernel() -> Kernel:
    return prepare(real_boots(REAL_BOOTS / "vexpress-grid")[0].task(), load_profile(PROFILE))


@pytest.mark.parametrize(
    ("cmdline", "ram", "expected"),
    [
        ("crashkernel=64M@16M", G, (64 * M, 16 * M)),
        ("a crashkernel=64M b", G, (64 * M, 0)),
        ("crashkernel=64M crashkernel=32M", G, (32 * M, 0)),
        ("crashkernel=64M crashkernel=32M,high", G, (64 * M, 0)),
        # "if the RAM is smaller than 512M, then don't reserve anything"; 64M up to 2G; else 128M
        ("crashkernel=512M-2G:64M,2G-:128M", 256 * M, (0, 0)),
        ("crashkernel=512M-2G:64M,2G-:128M", G, (64 * M, 0)),
        ("crashkernel=512M-2G:64M,2G-:128M", 2 * G, (128 * M, 0)),
        ("crashkernel=512M-2G:64M,2G-:128M@32M", 2 * G, (128 * M, 32 * M)),
        ("crashkernel=512M-2G:64M", 500 * M, (64 * M, 0)),  # RAM is rounded up to 128 MiB
        ("quiet", G, (0, 0)),
    ],
)
def test_the_size_and_base_are_read(
    kernel: Kernel, cmdline: str, ram: int, expected: tuple[int, int]
) -> None:
    assert parse_crashkernel(kernel, cmdline, ram) == expected


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("x", "crashkernel: memory value expected"),
        ("64Mx", "crashkernel: unrecognized char: x"),
        ("x:64M", "crashkernel: Memory value expected"),
        ("1G:64M", "crashkernel: '-' expected"),
        ("1G-x:64M", "crashkernel: Memory value expected"),
        ("1G-1G:64M", "crashkernel: end <= start"),
        ("1G-2G,x:64M", "crashkernel: ':' expected"),
        ("1G-2G:x", "Memory value expected"),
        ("1G-2G:4G", "crashkernel: invalid size"),
        ("1G-:64M@x", "Memory value expected after '@'"),
        ("2G-:64M", "crashkernel size resulted in zero bytes"),
    ],
)
def test_what_is_malformed_is_said(kernel: Kernel, value: str, complaint: str) -> None:
    assert parse_crashkernel(kernel, f"crashkernel={value}", G) == (0, 0)
    assert [text for _, _, text in log_lines(kernel.trace, kernel.memblock.features)] == [complaint]
