"""C drivers: how they are built, where they begin, what of the kernel they reach."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bootsim.errors import BootsimError, KernelPanic, MachineFault
from bootsim.guest.compiler import CompileError, DriverOptions, compile_driver, guards
from bootsim.guest.driver import GuestOptions, load_guest_drivers
from bootsim.kernel.profile_file import load_profile
from bootsim.simulate import Boot
from bootsim.trace import MemblockRange, PageAlloc
from tests.command import Run
from tests.guests import zig

PROFILE = load_profile("linux-5.0")
HEADERS = """\
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <asm/sections.h>
"""
Replay = Callable[..., Boot]
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def compiler(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A compiler there is, and a cache that is not the user's; one for all tests."""
    zig()
    cache = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(body: str, name: str = "driver.c", *, headers: str = HEADERS) -> Path:
        path = tmp_path / name
        path.write_text(headers + body)
        return path

    return write


@pytest.fixture
def replay(write: Write) -> Replay:
    """Boot with the driver that `body` is, or that `files` are."""

    def run(body: str | list[Path], *, cmdline: str | None = None, **options: object) -> Boot:
        files = [write(body)] if isinstance(body, str) else body
        chosen = GuestOptions(**options)  # type: ignore[arg-type]
        drivers = load_guest_drivers(files, PROFILE, chosen)
        return Boot(profile=PROFILE, drivers=drivers, cmdline=cmdline).run()

    return run


def said(boot: Boot, *lines: str) -> None:
    """The log has these lines, in this order, one right after the other."""
    log = boot.log
    assert lines[0] in log
    start = log.index(lines[0])
    assert log[start : start + len(lines)] == list(lines)


# Which function is called, and when.


def test_the_only_function_is_the_entry(replay: Replay) -> None:
    boot = replay('int __init anything(void) { pr_info("here\\n"); return 0; }')
    said(boot, "OF: fdt: Machine model: V2P-CA9", "here", "Memory policy: Data cache writeback")


def test_debug_functions_are_entries_in_their_order(replay: Replay) -> None:
    boot = replay(
        """
        int helper(int n) { return n + 1; }
        int debug_b(void) { pr_info("b %d\\n", helper(1)); return 0; }
        int debug_a(void) { pr_info("a %ps\\n", debug_a); return 0; }
        int unrelated(void) { return 0; }
        """
    )
    said(boot, "b 2", "a debug_a")


def test_a_debug_function_that_is_called_is_no_entry(replay: Replay) -> None:
    boot = replay(
        """
        noinline void debug_show(int n) { pr_info("shown %d\\n", n); }
        int debug_it(void) { debug_show(7); return 0; }
        """
    )
    assert [line for line in boot.log if line.startswith("shown")] == ["shown 7"]


def test_what_takes_parameters_or_was_inlined_is_no_entry(replay: Replay) -> None:
    boot = replay(
        """
        void debug_show(int n) { pr_info("shown %d\\n", n); }
        void debug_hello(void) { pr_info("hello\\n"); }
        int debug_it(void) { debug_show(7); debug_hello(); return 0; }
        int debug_that(unsigned long x) { return x; }
        """
    )
    mine = [line for line in boot.log if line.startswith(("shown", "hello"))]
    assert mine == ["shown 7", "hello"]


def test_an_entry_can_be_named(replay: Replay) -> None:
    two = 'int one(void) { pr_info("one\\n"); return 0; } int two(void) { return one(); }'
    said(replay(two, entry="one"), "one")
    with pytest.raises(BootsimError, match="there is no such function: there are one, two"):
        replay(two, entry="three")


def test_an_entry_that_is_not_plain_must_be_named(replay: Replay) -> None:
    with pytest.raises(BootsimError, match="Name one with --entry: there are one, two"):
        replay("int one(void) { return 1; } int two(void) { return 2; }")


def test_a_hook_moves_the_driver(replay: Replay) -> None:
    boot = replay('int debug_it(void) { pr_info("late\\n"); return 0; }', hook="mem_init")
    assert boot.log[-1] == "late"
    with pytest.raises(BootsimError, match="no stage 'nowhere'"):
        replay("int debug_it(void) { return 0; }", hook="nowhere")


def test_initcalls_run_by_level(replay: Replay) -> None:
    boot = replay(
        """
        static int __init one(void) { pr_info("device\\n"); return 0; }
        static int __init two(void) { pr_info("core\\n"); return 0; }
        static int __init three(void) { pr_info("late\\n"); return 0; }
        late_initcall(three);
        device_initcall(one);
        core_initcall(two);
        """
    )
    assert boot.log[-3:] == ["core", "device", "late"]


def test_early_parameters_reach_the_driver(replay: Replay) -> None:
    boot = replay(
        """
        static char kept[16];
        static int __init take(char *value)
        {
            strscpy(kept, value, sizeof(kept));
            return value ? 0 : -22;
        }
        early_param("my_size", take);
        static int __init flag(char *value) { return value ? 1 : 0; }
        early_param("my_flag", flag);
        int __init debug_late(void) { pr_info("kept %s\\n", kept); return 0; }
        """,
        cmdline="my-size=64M my_flag=oops mem=512M",
        hook="setup_arch",
    )
    assert "Malformed early option 'my_flag'" in boot.log
    said(boot, "kept 64M")
    assert not any("my" in note for note in boot.notes)


def test_what_nobody_calls_is_said(replay: Replay) -> None:
    boot = replay(
        """
        static int __init take(char *value) { return 0; }
        __setup("old=", take);
        int __init debug_it(void) { return 0; }
        """
    )
    assert boot.notes == ["__setup('old='): nobody calls it here"]


def test_one_program_boots_twice(write: Write) -> None:
    body = 'static int n; int debug_it(void) { pr_info("run %d\\n", ++n); return 0; }'
    drivers = load_guest_drivers([write(body)], PROFILE)
    for _ in range(2):
        said(Boot(profile=PROFILE, drivers=drivers).run(), "run 1")


def test_two_programs_do_not_share_memory(write: Write) -> None:
    body = "int debug_it(void) { return 0; }"
    first = load_guest_drivers([write(body, "a.c")], PROFILE)
    second = load_guest_drivers([write(body, "b.c")], PROFILE)
    with pytest.raises(BootsimError, match="two programs of guest code"):
        Boot(profile=PROFILE, drivers=[*first, *second]).run()


# Building.


def test_files_are_linked_together(write: Write, replay: Replay) -> None:
    files = [
        write(
            'extern int twice(int); int debug_it(void) { pr_info("%d\\n", twice(21)); return 0; }'
        ),
        write("int shared = 2; int twice(int n) { return shared * n; }", "helper.c"),
    ]
    said(replay(files), "42")


def test_one_symbol_defined_twice(write: Write, replay: Replay) -> None:
    files = [write("int debug_it(void) { return 0; }", name) for name in ("a.c", "b.c")]
    with pytest.raises(BootsimError, match=r"'debug_it' is defined in .*a\.c and in .*b\.c"):
        replay(files)


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ("int debug_it(void) { return memblock_reserv(0, 1); }", "memblock_reserve"),
        ("int debug_it(void) { return memblok.cnt; }", "memblock"),
    ],
)
def test_unknown_symbols_are_named_with_what_is_near(
    write: Write, bootsim: Run, asked: str, word: str
) -> None:
    declared = "extern int memblock_reserv(int, int); extern struct memblock_type memblok;\n"
    status, out, err = bootsim("replay", write(declared + asked))
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert f"undefined symbol 'memblo" in line  # noqa: F541
    assert "used in debug_it()" in line
    assert f"did you mean {word}" in line


def test_compiler_errors_are_the_compilers_words(write: Write, bootsim: Run) -> None:
    status, out, err = bootsim("replay", write("int debug_it(void) { return nope; }"))
    assert (status, out) == (2, "")
    assert "driver.c: the compiler refuses it" in err
    assert "use of undeclared identifier 'nope'" in err
    assert "driver.c:6:" in err


def test_an_undeclared_function_is_an_error(write: Write) -> None:
    with pytest.raises(CompileError) as caught:
        compile_driver(write("int debug_it(void) { return nope(); }"), DriverOptions())
    assert any("nope" in line for line in caught.value.details)


def test_warnings_are_shown_also_from_the_cache(write: Write, bootsim: Run) -> None:
    file = write("int debug_it(void) { int x; return x; }")
    for _ in range(2):
        status, _, err = bootsim("replay", file)
        assert status == 0
        assert "uninitialized" in err


def test_macros_and_folders(write: Write, bootsim: Run, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "own.h").write_text("#define OWN 5\n")
    file = write('#include "own.h"\nint debug_it(void) { pr_info("%d %d\\n", OWN, N); return 0; }')
    status, out, _ = bootsim("replay", "-I", tmp_path / "own", "-D", "N=8", file)
    assert status == 0
    assert "\n5 8\n" in out


def test_a_changed_header_is_noticed(write: Write, replay: Replay, tmp_path: Path) -> None:
    file = write('#include "own.h"\nint debug_it(void) { pr_info("own %d\\n", OWN); return 0; }')
    for value in (1, 2):
        (tmp_path / "own.h").write_text(f"#define OWN {value}\n")
        said(replay([file]), f"own {value}")


def test_a_header_that_comes_to_lie_before_another_is_noticed(
    write: Write, replay: Replay, tmp_path: Path
) -> None:
    file = write("#include <own.h>\nint debug_it(void) { pr_info(OWN); return 0; }")
    folders = (str(tmp_path / "a"), str(tmp_path / "b"))
    for folder, text in (("b", "second"), ("a", "first")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.h").write_text(f'#define OWN "{text}\\n"\n')
        said(replay([file], includes=folders), text)


@pytest.mark.parametrize("name", ["back\\slash.c", "with space.c", "-dash.c", "$dollar#.c", "7.c"])
def test_odd_file_names(
    write: Write, bootsim: Run, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('int debug_it(void) { pr_info("fine\\n"); return 0; }', name)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        status, out, _ = bootsim("replay", "--", name)
        assert status == 0
        assert "\nfine\n" in out


def test_a_compiler_that_makes_nothing(write: Write, bootsim: Run) -> None:
    status, _, err = bootsim("replay", "--cc", "true", write("int f(void) { return 0; }"))
    assert status == 2
    assert "made no object of" in err


def test_a_file_without_code(write: Write, replay: Replay) -> None:
    driver = write('int debug_it(void) { pr_info("fine\\n"); return 0; }')
    empty = write("", "empty.c", headers="")
    said(replay([driver, empty]), "fine")
    with pytest.raises(BootsimError, match=r"empty\.c: no function in it"):
        replay([empty])


def test_a_damaged_cache_is_made_anew(
    write: Write, replay: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = write('int debug_it(void) { pr_info("fine\\n"); return 0; }')
    said(replay([file]), "fine")
    for kept in (tmp_path / "cache" / "bootsim" / "cc").iterdir():
        kept.write_bytes(kept.read_bytes()[:20])
    said(replay([file]), "fine")


def test_a_cache_that_cannot_be_written(
    write: Write, replay: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    said(replay('int debug_it(void) { pr_info("fine\\n"); return 0; }'), "fine")


def test_a_compiler_that_is_not_there(write: Write, bootsim: Run) -> None:
    status, _, err = bootsim("replay", "--cc", "no-such-cc", write("int f(void) { return 0; }"))
    assert status == 2
    assert "--cc no-such-cc: there is no such program" in err


def test_no_compiler_at_all_says_how_to_get_one(
    write: Write, bootsim: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bootsim.guest.compiler.find_spec", lambda _name: None)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    status, _, err = bootsim("replay", write("int f(void) { return 0; }"))
    assert status == 2
    assert "bootsim[cc]" in err


def test_objects_are_run_as_they_are(write: Write, replay: Replay, tmp_path: Path) -> None:
    file = write('int debug_it(void) { pr_info("object\\n"); return 0; }')
    compiled, _ = compile_driver(file, DriverOptions())
    (tmp_path / "driver.o").write_bytes(compiled.content)
    said(replay([tmp_path / "driver.o"]), "object")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("#ifdef CONFIG_MINE\n#endif", ["CONFIG_MINE"]),
        ("#if defined(CONFIG_A) && defined CONFIG_B\n#endif", ["CONFIG_A", "CONFIG_B"]),
        ("#  if IS_ENABLED(CONFIG_A)\n#endif", ["CONFIG_A"]),
        ("if (IS_ENABLED(CONFIG_A)) f();", ["CONFIG_A"]),
        ("#ifndef CONFIG_A\n#endif", []),
        ("#if !defined(CONFIG_A) && defined(CONFIG_B)\n#endif", ["CONFIG_B"]),
        ("#ifdef CONFIG_NUMA\n#endif", []),
        ("#ifdef CONFIG_HIGHMEM\n#endif", []),
        ("int CONFIG_A = 1;", []),
    ],
)
def test_guards(source: str, expected: list[str]) -> None:
    assert guards(source) == expected


# Which kernel's functions.


def test_the_api_is_the_profiles_or_as_asked(replay: Replay) -> None:
    old = (
        "int debug_it(void) { struct memblock_region *r; for_each_memblock(memory, r) ; return 0; }"
    )
    new = "int debug_it(void) { struct memblock_region *r; for_each_mem_region(r) ; return 0; }"
    replay(old)
    replay(new, api="6.1")
    with pytest.raises(CompileError):
        replay(new)
    with pytest.raises(CompileError):
        replay(old, api="6.1")


def test_memblock_free_takes_what_its_kernel_gives_it(replay: Replay) -> None:
    old = (
        "int debug_it(void) { memblock_reserve(0x70000000, 4096);"
        " memblock_free(0x70000000, 4096); return 0; }"
    )
    new = (
        "int debug_it(void) { memblock_reserve(0x70000000, 4096);"
        " memblock_free(__va(0x70000000), 4096); return 0; }"
    )
    for boot in (replay(old), replay(new, api="6.1")):
        freed = [e for e in boot.trace if isinstance(e, MemblockRange) and "free" in e.function]
        assert (freed[0].base, freed[0].size) == (0x70000000, 4096)


# What of the kernel a driver reaches.


def test_callers_are_the_guests_places(replay: Replay) -> None:
    boot = replay("int debug_it(void) { memblock_reserve(0x70000000, 4096); return 0; }")
    events = [event for event in boot.trace if isinstance(event, MemblockRange)]
    mine = next(event for event in events if event.base == 0x70000000)
    name, _, place = mine.caller.partition("+")
    offset, size = (int(number, 16) for number in place.split("/"))
    assert name == "debug_it"
    assert 0 < offset < size


def test_what_a_driver_writes_into_memblock_counts(replay: Replay) -> None:
    boot = replay(
        """
        int debug_it(void)
        {
            memblock_reserve(0x70000000, 0x1000);
            memblock.reserved.cnt = 1;
            memblock.reserved.total_size = 0;
            memblock.reserved.regions[0].base = 0x71000000;
            memblock.reserved.regions[0].size = 0x2000;
            memblock.current_limit = 0x90000000;
            pr_info("%d %pa\\n", memblock_is_reserved(0x71001000), &memblock.current_limit);
            return memblock_is_reserved(0x70000000);
        }
        """
    )
    said(boot, "1 0x90000000")
    assert boot.memblock.is_reserved(0x71000000)
    assert not boot.memblock.is_reserved(0x70000000)


def test_variables_are_the_kernels(replay: Replay) -> None:
    boot = replay(
        """
        int debug_it(void)
        {
            pr_info("%lx %lx %lx %px\\n", min_low_pfn, max_low_pfn, max_pfn, high_memory);
            pr_info("%px %px\\n", _end, page_address(pfn_to_page(max_pfn - 1)));
            pr_info("%pa\\n", &(phys_addr_t){ __pa_symbol(_end) });
            max_pfn = 5;
            return 0;
        }
        """,
        hook="setup_arch",
    )
    said(boot, "60000 a0000 a0000 c0000000", "80b90998 bffff000", "0x60b90998")
    assert boot.started_kernel.vars.max_pfn == 5


def test_memblock_debug_can_be_turned_on(replay: Replay) -> None:
    boot = replay("extern int memblock_debug; int debug_it(void) { memblock_debug = 1; return 0; }")
    assert any(line.startswith("memblock_reserve: [") for line in boot.log)


def test_pages_after_the_handover(replay: Replay) -> None:
    boot = replay(
        """
        int debug_it(void)
        {
            unsigned long one = get_zeroed_page(GFP_KERNEL);
            struct page *four = alloc_pages(GFP_KERNEL, 2);
            *(u32 *)page_address(four) = 0x1234;
            pr_info("%x %lx\\n", *(u32 *)one, page_to_pfn(four) & 3);
            __free_pages(four, 2);
            free_page(one);
            return alloc_pages(GFP_KERNEL, 20) != NULL;
        }
        """,
        hook="mem_init",
    )
    said(boot, "0 0")
    taken = [event for event in boot.trace if isinstance(event, PageAlloc)]
    assert [event.order for event in taken[-2:]] == [0, 2]
    assert taken[-1].caller.startswith("debug_it+0x")


@pytest.mark.parametrize(("api", "hole"), [("5.0", 0), ("6.1", 1)])
def test_pfn_valid(replay: Replay, api: str, hole: int) -> None:
    """A hole of one page has no struct page by 5.0's rule, and has one by 6.1's."""
    boot = replay(
        """
        int debug_it(void)
        {
            memblock_remove(0x70000000, 0x1000);
            pr_info("%d %d %d %d\\n", pfn_valid(0x60000), pfn_valid(0x70000), pfn_valid(0xa0000),
                    pfn_valid(0x160000));
            return 0;
        }
        """,
        api=api,
    )
    said(boot, f"1 {hole} 0 0")


def test_no_pages_before_there_are_zones(replay: Replay) -> None:
    with pytest.raises(KernelPanic, match="no zones before bootmem_init"):
        replay("int debug_it(void) { return __get_free_page(GFP_KERNEL); }")


def test_early_memremap_maps_what_is_not_mapped_yet(replay: Replay) -> None:
    body = """
        #include <linux/io.h>
        #include <asm/early_ioremap.h>
        int debug_it(void)
        {
            u32 *at = early_memremap(0x90000ffc, 8);
            at[0] = 0x11111111;
            at[1] = 0x22222222;
            pr_info("%px %x\\n", at, at[1]);
            early_memunmap(at, 8);
            at = early_memremap(0x90001000, 4);
            pr_info("%px %x\\n", at, *at);
            return 0;
        }
        """
    boot = replay(body, hook="early_fixmap_init")
    said(boot, "ffe1fffc 22222222", "ffe1f000 22222222")
    assert boot.memory.read(0x90000FFC, 8) == bytes.fromhex("1111111122222222")
    with pytest.raises(KernelPanic, match="before early_fixmap_init"):
        replay(body)


def test_lines_in_pieces(replay: Replay) -> None:
    boot = replay(
        """
        int debug_it(void)
        {
            pr_info("one");
            pr_cont(" two");
            pr_cont(" three\\n");
            pr_info("no newline");
            pr_err("next\\n");
            printk("default level\\n");
            pr_cont("alone\\n");
            return 0;
        }
        """
    )
    said(boot, "one two three", "no newline", "next", "default level", "alone")
    levels = {event.text: event.level for event in boot.trace if hasattr(event, "level")}
    assert [levels[text] for text in ("one two three", "next", "default level")] == [6, 3, 4]


def test_an_empty_piece_of_a_line_is_dropped(replay: Replay) -> None:
    boot = replay('int debug_it(void) { pr_info(""); pr_info("A\\n"); return 0; }')
    said(boot, "OF: fdt: Machine model: V2P-CA9", "A", "Memory policy: Data cache writeback")


def test_control_characters_are_shown_not_sent(write: Write, bootsim: Run) -> None:
    body = 'int debug_it(void) { pr_info("red\\x1b[31m\\a\\ttab\\n"); return 0; }'
    assert "\nred\\x1b[31m\\x07\ttab\n" in bootsim("replay", write(body))[1]


def test_calls_inside_calls_have_an_end(replay: Replay) -> None:
    with pytest.raises(MachineFault, match="call each other 32 deep"):
        replay(
            """
            #include <linux/sort.h>
            int debug_it(void)
            {
                int a[] = { 3, 2, 1 };
                sort(a, 3, sizeof(int), (void *)debug_it, NULL);
                return 0;
            }
            """
        )


def test_a_warning_goes_on(replay: Replay) -> None:
    boot = replay(
        """
        int debug_it(void)
        {
            WARN(1, "look %d\\n", 5);
            if (WARN_ON(0))
                return 1;
            WARN_ON_ONCE(1);
            pr_info("went on\\n");
            return 0;
        }
        """
    )
    log = boot.log
    assert log.count("------------[ cut here ]------------") == 2
    assert "look 5" in log
    assert any(
        line.startswith("WARNING: CPU: 0 PID: 0 at ") and "driver.c:9" in line for line in log
    )
    assert "went on" in log


def test_64_bit_and_stack_arguments(replay: Replay) -> None:
    boot = replay(
        """
        int debug_it(void)
        {
            u64 big = 0x123456789abcdef0ULL;
            char text[32];
            int n = snprintf(text, sizeof(text), "%d %llx %c", 1, big, 'x');
            pr_info("%s %d %d %d %llu %u\\n", text, n, 2, 3, big / 10, (u32)(big % 1000));
            pr_info("%lld %lld\\n", -7LL / 2, (s64)big >> 60);
            return 0;
        }
        """
    )
    big = 0x123456789ABCDEF0
    said(boot, f"1 {big:x} x 20 2 3 {big // 10} {big % 1000}", "-3 1")


# The command line.


def test_json_has_the_report(write: Write, bootsim: Run) -> None:
    status, out, _ = bootsim("replay", "--json", write("int f(void) { *(int *)8 = 1; return 0; }"))
    assert status == 1
    data = json.loads(out)
    assert "write of 0x00000008" in data["error"]


def test_python_and_c_drivers_go_together(write: Write, bootsim: Run, tmp_path: Path) -> None:
    python = tmp_path / "other.py"
    python.write_text("def driver(kernel):\n    kernel.pr_info('from Python')\n")
    status, out, _ = bootsim(
        "replay", write('int f(void) { pr_info("from C\\n"); return 0; }'), python
    )
    assert status == 0
    assert {"from C", "from Python"} <= set(out.splitlines())


BAD_OPTIONS = (
    *("--max-instructions x", "--max-instructions 0", "--timeout 0", "--timeout nan", "--api 4.9"),
    *("-D 1X", "-D =1", "--hook nowhere", "--entry nothing"),
)


@pytest.mark.parametrize("option", BAD_OPTIONS)
def test_bad_options(write: Write, bootsim: Run, option: str) -> None:
    status, _, err = bootsim("replay", *option.split(), write("int f(void) { return 0; }"))
    assert status == 2
    assert "Traceback" not in err


def test_a_file_that_is_not_there(bootsim: Run, tmp_path: Path) -> None:
    for name in ("none.c", "none.o"):
        status, _, err = bootsim("replay", tmp_path / name)
        assert status == 2
        assert err.splitlines() == [f"bootsim: error: {tmp_path / name}: {os.strerror(2)}"]
