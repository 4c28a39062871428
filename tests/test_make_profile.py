"""Profiles made from kernels: their numbers, and that the model with one equals the kernel."""

from __future__ import annotations

import gzip
import json
import re
import struct
from dataclasses import fields, replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootsim.devicetree.source import compile_dts
from bootsim.errors import BootsimError
from bootsim.kernel.layout import memblock_layout
from bootsim.kernel.profile import MachineDesc, Profile
from bootsim.kernel.profile_file import load_profile, parse_profile
from bootsim.realkernel.boot import RealBoot
from bootsim.realkernel.image import KernelImage, load_kernel_image
from bootsim.realkernel.make_profile import (
    MadeProfile,
    comparable_log,
    differences,
    make_profile,
)
from bootsim.realkernel.profile_text import Fact, ProfileParts, profile_text
from bootsim.realkernel.symbols import Symbols
from bootsim.realkernel.tables import boot_params, has_earlycon, machines
from bootsim.realkernel.trials import Trial, run_trials
from bootsim.simulate import Boot
from bootsim.trace import Event, MemblockAlloc, MemblockRange, Printk, Trace
from tests.requirements import need_directory, need_kernel

DATA = Path(__file__).parent / "data" / "made_profiles"


class Case(NamedTuple):
    """A boot to predict. `dts` is a file in DATA, None the built-in board; `initrd` is in bytes."""

    name: str
    dts: str | None
    cmdline: str
    initrd: int = 0

    def arguments(self) -> dict[str, Any]:
        """For Boot and RealBoot."""
        return {
            "dtb": compile_dts(DATA / self.dts) if self.dts else None,
            "cmdline": self.cmdline,
            "initrd": bytes(self.initrd) if self.initrd else None,
        }


CASES = [
    Case("plain", None, "memblock=debug"),
    Case("mem, vmalloc", None, "memblock=debug mem=300M vmalloc=1600M root=/dev/ram0 unknown"),
    Case("two banks, initrd", "two-banks.dts", "memblock=debug log_buf_len=512K", 5_000_000),
    Case(
        "two banks, refused parameters",
        "two-banks.dts",
        "memblock=debug cma=32M crashkernel=16M nr_cpus=1 ecc=on cachepolicy=writeback",
    ),
    Case("small", "small.dts", "memblock=debug dhash_entries=512 memtest=1 slub_debug=U"),
    Case("small, vmalloc", "small.dts", "memblock=debug vmalloc=4M"),
    Case("large", "large.dts", "memblock=debug movablecore=200M cma=64M"),
    Case(
        "large, two mem=", "large.dts", "mem=512M mem=256M@0xa0000000 initrdmem=0x64000000,0x100000"
    ),
]
# Of kernels of other versions: where those differ.
OTHER_KERNELS = ("debian-5.10-armmp", "debian-6.12-armmp")
OTHER_CASES = [
    *(case for case in CASES if case.dts != "small.dts"),  # these kernels need more room
    Case("reserved", "reserved.dts", "memblock=debug crashkernel=8M"),
    Case("reserved, kernelcore", "reserved.dts", "memblock=debug kernelcore=64M"),
]
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def debian() -> MadeProfile:
    return make_profile(load_kernel_image(need_kernel()))


@pytest.fixture(scope="module")
def vexpress_kernel() -> Path:
    return need_directory("BOOTSIM_VEXPRESS_KERNEL", "what .ci/build-vexpress-kernel makes")


@pytest.fixture(scope="module")
def vexpress_image(vexpress_kernel: Path) -> KernelImage:
    return load_kernel_image(vexpress_kernel / "zImage")


@pytest.fixture(scope="module")
def vexpress(vexpress_image: KernelImage) -> MadeProfile:
    return make_profile(vexpress_image, name="vexpress-2g")


# Debian's kernel, whose profile was made by hand, from its configuration and hundreds of boots.


def test_debians_profile_is_that_made_by_hand(debian: MadeProfile) -> None:
    made, by_hand = debian.profile, load_profile("linux-6.1-armmp")
    if made.banner != by_hand.banner:
        pytest.skip(f"another kernel: {made.banner}")
    assert made.layout == by_hand.layout
    assert made.config == by_hand.config
    assert made.features == by_hand.features
    assert made.machines == by_hand.machines
    assert made.earlycon == by_hand.earlycon
    assert made.early_params_say == by_hand.early_params_say
    for ours, theirs in (
        (made.early_params, by_hand.early_params),
        (made.boot_params, by_hand.boot_params),
    ):
        assert {kind: set(names) for kind, names in ours.items()} == {
            kind: set(names) for kind, names in theirs.items()
        }
    for size in fields(type(by_hand.boot_sizes)):  # type: ignore[arg-type]
        if size.name != "percpu_dynamic_reserve":  # measured in whole pages with what is before it
            assert getattr(made.boot_sizes, size.name) == getattr(by_hand.boot_sizes, size.name)
    # From the sizes of the "Memory:" line, and from the first reservation, to the byte.
    for name in ("_text", "_stext", "_etext", "__start_rodata", "__end_rodata", "__init_begin"):
        assert made.symbols[name] == by_hand.symbols[name]
    for name in ("__init_end", "_sdata", "_end"):
        assert made.symbols[name] == by_hand.symbols[name]


def test_debians_boots_are_equal(debian: MadeProfile) -> None:
    assert debian.differences == ()
    assert debian.unmodelled == ()


def test_each_number_tells_its_origin(debian: MadeProfile) -> None:
    tables = debian.text.split("[earlycon]")[0].split("[layout]")[1].splitlines()
    numbers = [line for line in tables if " = " in line]
    assert len(numbers) > 100
    for line in numbers:
        assert re.search(r" # \[(image|run|linux|version|chosen|assumed)\]", line), line


def test_what_is_assumed_is_told(debian: MadeProfile) -> None:
    assert "layout.vmalloc_end" in debian.assumed
    assert not {"config.struct_page_size", "layout.text_offset"} & {*debian.assumed}
    assert len(debian.assumed) == debian.text.count("# [assumed]")


# A kernel that is configured otherwise.


def test_numbers_are_those_of_the_configuration(
    vexpress: MadeProfile, vexpress_kernel: Path
) -> None:
    options = dict(
        line.split("=", 1)
        for line in (vexpress_kernel / ".config").read_text().splitlines()
        if line.startswith("CONFIG_")
    )
    profile, config = vexpress.profile, vexpress.profile.config
    assert profile.layout.page_offset == int(options["CONFIG_PAGE_OFFSET"], 16)
    assert config.log_buf_size == 1 << int(options["CONFIG_LOG_BUF_SHIFT"])
    assert config.nr_cpus == int(options["CONFIG_NR_CPUS"])
    assert config.max_order == int(options["CONFIG_ARCH_FORCE_MAX_ORDER"])
    for key, option in (
        ("highmem", "HIGHMEM"),
        ("efi", "EFI"),
        ("xen", "XEN"),
        ("memtest", "MEMTEST"),
        ("pci", "PCI"),
        ("of_kobj", "OF_KOBJ"),
        ("init_on_alloc", "INIT_ON_ALLOC_DEFAULT_ON"),
        ("init_on_free", "INIT_ON_FREE_DEFAULT_ON"),
    ):
        assert getattr(config, key) == (f"CONFIG_{option}" in options), option
    assert ("DMA" in config.zones) == ("CONFIG_ZONE_DMA" in options)
    if "CONFIG_CMA" not in options:
        assert config.max_cma_areas == config.cma_size == 0
    if "CONFIG_MODULES" not in options:
        assert profile.boot_sizes is not None
        assert profile.boot_sizes.percpu_module_reserve == 0


def test_symbols_are_those_of_system_map(vexpress: MadeProfile, vexpress_kernel: Path) -> None:
    system_map = {
        name: int(address, 16)
        for address, _kind, name in map(
            str.split, (vexpress_kernel / "System.map").read_text().splitlines()
        )
    }
    for name in ("_text", "_stext", "_etext", "_sinittext", "_end", "memblock", "__log_buf"):
        assert vexpress.profile.symbols[name] == system_map[name]
    sizes = vexpress.profile.boot_sizes
    assert sizes is not None
    assert sizes.percpu_static == system_map["__per_cpu_end"] - system_map["__per_cpu_start"]


def test_boots_that_it_was_made_from_are_equal(vexpress: MadeProfile) -> None:
    assert vexpress.differences == ()


@by_name
def test_model_equals_kernel(
    case: Case, vexpress: MadeProfile, vexpress_image: KernelImage
) -> None:
    arguments = case.arguments()
    real = RealBoot(vexpress_image, **arguments).run()
    model = Boot(profile=vexpress.profile, **arguments).run()
    assert list(differences(real, model)) == []
    assert real.log[-1].startswith("Memory: ")


# The same, recorded: without any kernel.


def records(name: str) -> dict[str, dict[str, Any]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        return {record["name"]: record for record in map(json.loads, file)}


def assert_model_equals(case: Case, profile: Profile, record: dict[str, Any]) -> None:
    model = Boot(profile=profile, **case.arguments()).run()
    assert comparable_log(model.log) == record["log"]
    for table in ("memory", "reserved"):
        regions = [[r.base, r.size, r.flags] for r in getattr(model.memblock, table)]
        assert regions == record[table]


@pytest.fixture(scope="module")
def recorded() -> dict[str, dict[str, Any]]:
    return records("boots.jsonl.gz")


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile(str(DATA / "vexpress-2g.toml"))


@by_name
def test_model_equals_recorded_boot(
    case: Case, profile: Profile, recorded: dict[str, dict[str, Any]]
) -> None:
    assert_model_equals(case, profile, recorded[case.name])


@pytest.mark.parametrize("name", OTHER_KERNELS)
@pytest.mark.parametrize("case", OTHER_CASES, ids=lambda case: case.name)
def test_model_equals_another_version(case: Case, name: str) -> None:
    """Linux 5.10 and 6.12, by profiles that were made from them."""
    profile = load_profile(str(DATA / f"{name}.toml"))
    assert_model_equals(case, profile, records(f"{name}.jsonl.gz")[case.name])


@pytest.mark.parametrize("name", OTHER_KERNELS)
def test_versions_are_told_apart(name: str) -> None:
    """With the features of 6.1 in their place the same profile does not predict the kernel."""
    profile = load_profile(str(DATA / f"{name}.toml"))
    like_6_1 = replace(profile, features=load_profile("linux-6.1-armmp").features)
    case = OTHER_CASES[-2]
    model = Boot(profile=like_6_1, **case.arguments()).run()
    assert comparable_log(model.log) != records(f"{name}.jsonl.gz")[case.name]["log"]


def test_another_kernel_is_told_from_it(recorded: dict[str, dict[str, Any]]) -> None:
    """Debian's profile does not predict this kernel: the comparison can fail."""
    case = CASES[0]
    model = Boot(profile="linux-6.1-armmp", **case.arguments()).run()
    assert comparable_log(model.log) != recorded[case.name]["log"]


# What does not work out.


def test_kernel_that_does_not_boot(vexpress_image: KernelImage, tmp_path: Path) -> None:
    source = (DATA / "small.dts").read_text().replace("0x00c00000", "0x00200000")
    (tmp_path / "tiny.dts").write_text(source)
    with pytest.raises(BootsimError, match="no bank holds"):
        make_profile(vexpress_image, dtb=compile_dts(tmp_path / "tiny.dts"))


def test_kernel_with_lpae_is_refused() -> None:
    code = Crafted()
    names = [code.add(name) for name in (b"memory\0", b"reserved\0")]
    struct_memblock = memblock_layout(phys_addr_bits=64).memblock()
    struct_memblock.current_limit = (1 << 64) - 1
    for table, name in zip(("memory", "reserved"), names, strict=True):
        regions = getattr(struct_memblock, table)
        regions.max, regions.name, regions.regions = 128, name, TEXT
    code.add(bytes(struct_memblock), align=8)
    with pytest.raises(BootsimError, match="crafted has CONFIG_ARM_LPAE"):
        make_profile(code.image())


def test_image_without_memblock_is_refused() -> None:
    with pytest.raises(BootsimError, match="crafted: no struct memblock"):
        make_profile(Crafted().image())


class Garbled(RealBoot):
    """A boot of whose log and events some are lost, cut short, or have other numbers."""

    def __init__(self, real: RealBoot, random: Random) -> None:
        self.__dict__.update(real.__dict__)
        rate = random.choice((0.003, 0.02, 0.1, 0.5))
        self.trace = Trace()
        for event in real.trace:
            garbled = _garbled(event, random) if random.random() < rate else event
            if garbled is not None:
                self.trace.emit(garbled)

    @property
    def log(self) -> list[str]:
        said = (event.text for event in self.trace if isinstance(event, Printk))
        return [line for text in said for line in text.split("\n")]


def _garbled(event: Event, random: Random) -> Event | None:
    number = random.choice((0, 1, 4, random.randrange(1 << 20), random.randrange(1 << 32)))
    match event:
        case Printk(level, text):
            kind = random.randrange(3)
            if kind == 0:
                return Printk(level, text[: random.randrange(len(text) + 1)])
            if kind == 1:
                return Printk(level, re.sub(r"\b\d+", str(number), text))
        case MemblockAlloc():
            changed: dict[str, Any] = {random.choice(("size", "align", "nid")): number}
            return replace(event, **changed)
        case MemblockRange():
            return replace(event, base=number)
    return None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_whatever_a_kernel_says(
    seed: int, vexpress_image: KernelImage, trials: tuple[Trial, Trial], monkeypatch: Any
) -> None:
    """A profile comes of it, or one line that says why not."""
    random = Random(seed)
    garbled = tuple(replace(trial, boot=Garbled(trial.boot, random)) for trial in trials)
    monkeypatch.setattr("bootsim.realkernel.make_profile.run_trials", lambda *_: garbled)
    try:
        made = make_profile(vexpress_image)
    except BootsimError as error:
        assert "\n" not in str(error)
    else:
        assert made.profile.banner == vexpress_image.banner


@pytest.fixture(scope="module")
def trials(vexpress_image: KernelImage) -> tuple[Trial, Trial]:
    return run_trials(vexpress_image)


# Tables, in images that are made up.

TEXT = 0xC0008000
FUNCTIONS = ("setup_one", "exynos_dt_fixup", "pl011_early_console_setup", "_einittext")


class Crafted:
    """The bytes of an image, and how to point into it; it begins with functions of 16 bytes."""

    def __init__(self) -> None:
        self.code = bytearray(16 * len(FUNCTIONS))

    def add(self, data: bytes, *, align: int = 4) -> int:
        """Its virtual address."""
        self.code += bytes(-len(self.code) % align)
        at = len(self.code)
        self.code += data
        return TEXT + at

    def string(self, text: str) -> int:
        return self.add(text.encode() + b"\0")

    def strings(self, texts: tuple[str, ...]) -> int:
        return self.add(struct.pack(f"<{len(texts) + 1}I", *map(self.string, texts), 0))

    @staticmethod
    def function(name: str) -> int:
        return TEXT + 16 * FUNCTIONS.index(name) if name else 0

    def image(self) -> KernelImage:
        places = [TEXT + 16 * number for number in range(len(FUNCTIONS))]
        symbols = Symbols.pack(places, b"t" * len(places), [name.encode() for name in FUNCTIONS])
        return KernelImage(
            name="crafted",
            kind="Image",
            code=memoryview(bytes(self.code)),
            text=TEXT,
            page_offset=0xC0000000,
            text_offset=0x8000,
            end=TEXT + len(self.code) + 0x1000,
            banner="Linux version 6.1.0",
            version=(6, 1),
            symbols=symbols,
            digest="",
        )


PARAM_NAMES = st.from_regex(r"[a-z][a-z_.]{1,20}=?", fullmatch=True)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(PARAM_NAMES, st.booleans()), max_size=20),
    st.lists(st.tuples(PARAM_NAMES, st.booleans()), max_size=20),
    st.lists(PARAM_NAMES, max_size=20),
)
def test_parameters(
    before: list[tuple[str, bool]], after: list[tuple[str, bool]], params: list[str]
) -> None:
    code = Crafted()
    setup = [*before, ("memblock", True), *after]
    names = [code.string(name) for name, _early in setup]
    setup_one = code.function("setup_one")
    records = [
        struct.pack("<3I", name, setup_one, early)
        for name, (_, early) in zip(names, setup, strict=True)
    ]
    code.add(b"\xff" * 4 + b"".join(records) + b"\xff" * 12)
    names = [code.string(name) for name in (*params, "panic")]
    records = [struct.pack("<3IHbBI", name, 0, TEXT, 0o644, -1, 0, 0) for name in names]
    code.add(b"\xff" * 4 + b"".join(records) + b"\xff" * 20)
    found = boot_params(code.image())
    assert found.setup == tuple(name for name, early in setup if not early)
    assert found.early == tuple(name for name, early in setup if early)
    assert found.param == (*params, "panic")


@pytest.mark.parametrize("zone_dma", [False, True])
@pytest.mark.parametrize("multi_irq_handler", [False, True])
def test_machines(zone_dma: bool, multi_irq_handler: bool) -> None:
    code = Crafted()
    described = [
        ("Generic DT based system", (), ""),
        ("Samsung Exynos", ("samsung,exynos4", "samsung,exynos5"), "exynos_dt_fixup"),
        ("ARM-Versatile Express", ("arm,vexpress",), ""),
    ]
    records = []
    for name, compatible, fixup in described:
        words = [0xFFFFFFFF, code.string(name), 0, code.strings(compatible) if compatible else 0, 0]
        words += [0x30000000] * zone_dma
        words += [0] * 8  # video_start to smp
        words += [0, 0, code.function(fixup), 0, 0, 0, 0]  # smp_init to init_early
        words += [0] * (5 + multi_irq_handler)
        records.append(struct.pack(f"<{len(words)}I", *words))
    code.add(bytes(4) + b"".join(records) + bytes(200))
    found = machines(code.image(), zone_dma=zone_dma)
    assert [(m.name, m.compatible, m.dt_fixup) for m in found] == described
    assert [m.dma_zone_size for m in found] == [0x30000000 * zone_dma] * len(described)


def test_no_machines() -> None:
    with pytest.raises(BootsimError, match="crafted: no table of machines"):
        machines(Crafted().image(), zone_dma=False)


def test_no_parameters() -> None:
    with pytest.raises(BootsimError, match="crafted: no table of parameters with 'memblock'"):
        boot_params(Crafted().image())


def test_earlycon() -> None:
    code = Crafted()
    code.add(b"pl011".ljust(16, b"\0") + b"arm,pl011".ljust(128, b"\0"))
    image = code.image()
    assert has_earlycon(image, "pl011", "arm,pl011")
    assert not has_earlycon(image, "pl011", "arm,sbsa-uart")


# The text.


@pytest.fixture(scope="module")
def like() -> Profile:
    return load_profile("linux-6.1-armmp")


@settings(max_examples=40)
@given(text=st.text(max_size=60), names=st.lists(st.text(min_size=1, max_size=30), max_size=30))
def test_text_reads_back(like: Profile, text: str, names: list[str]) -> None:
    """Any characters, and lists longer than a line."""
    tables = {
        name: {
            field.name: Fact(getattr(getattr(like, name), field.name), "[run]")
            for field in fields(getattr(like, name))
        }
        for name in ("layout", "config", "features")
    }
    machine = MachineDesc(text or "x", tuple(names), reserve="omap_reserve", dma_zone_size=1 << 30)
    parts = ProfileParts(
        name=text,
        title=text,
        banner=text,
        source=text,
        tables={**tables, "symbols": {n: Fact(a, "[run]") for n, a in like.symbols.items()}},
        earlycon={"arm,pl011": "pl011", text: text},
        early_params={"bool": names},
        early_params_say={text: text},
        boot_params={"setup": names},
        machines=[machine],
    )
    read = parse_profile(profile_text(parts), "text")
    assert (read.name, read.title, read.banner) == (text, text, text)
    assert (read.layout, read.config, read.features) == (like.layout, like.config, like.features)
    assert read.symbols == like.symbols
    assert read.earlycon == {"arm,pl011": "pl011", text: text}
    assert read.early_params_say == {text: text}
    assert read.boot_params == {"setup": tuple(names)}
    assert read.machines == (machine,)
