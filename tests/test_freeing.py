"""A boot that is dropped frees its emulator and its RAM at once, not when the collector comes."""

from __future__ import annotations

import gc
from pathlib import Path
from weakref import ref

import pytest

from bootsim.errors import BootsimError
from bootsim.guest.driver import load_guest_drivers
from bootsim.kernel.profile_file import load_profile
from bootsim.simulate import Boot
from tests.guests import zig

PROFILE = load_profile("linux-5.0")
EXAMPLE = Path(__file__).parents[1] / "examples" / "biscuitos" / "memblock_reserve.c"


@pytest.mark.parametrize("with_driver", [False, True], ids=["plain", "with a C driver"])
def test_a_dropped_boot_is_freed(with_driver: bool) -> None:
    if with_driver:
        zig()
    drivers = load_guest_drivers([EXAMPLE], PROFILE) if with_driver else []
    gc.collect()
    gc.disable()
    try:
        boot = Boot(profile=PROFILE, drivers=drivers).run()
        parts = [ref(boot.machine.cpu), ref(boot.machine.memory), ref(boot.started_kernel)]
        assert all(part() is not None for part in parts)
        del boot
        assert [part() for part in parts] == [None, None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("body", ["*(int *)16 = 1;", "BUG();", 'panic("it is over");'])
def test_a_boot_that_died_is_freed(body: str, tmp_path: Path) -> None:
    zig()
    source = tmp_path / "driver.c"
    source.write_text(
        f"#include <linux/kernel.h>\n#include <linux/bug.h>\nint f(void) {{ {body} return 0; }}\n"
    )
    drivers = load_guest_drivers([source], PROFILE)
    gc.collect()
    gc.disable()
    try:
        boot = Boot(profile=PROFILE, drivers=drivers)
        parts = [ref(boot.machine.cpu), ref(boot.machine.memory)]
        with pytest.raises(BootsimError) as caught:
            boot.run()
        assert caught.value.details
        del boot, caught
        assert [part() for part in parts] == [None, None]
    finally:
        gc.enable()


def test_a_memblock_outlives_its_boot() -> None:
    memblock = Boot(until="cmd_line").run().memblock
    assert memblock.reserve(0x70000000, 0x1000) == 0
    assert memblock.is_reserved(0x70000000)
