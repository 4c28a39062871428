"""What C drivers may refer to: the functions that Python serves, and the kernel's variables."""

from __future__ import annotations

from bootsim.guest.driver import kernel_symbols
from bootsim.guest.exports import Api
from bootsim.kernel.profile import Profile
from bootsim.views import View


def symbols(profile: Profile, api: Api, wanted: str = "") -> View:
    """Functions with address and prototype, then variables, of those whose names hold `wanted`."""
    table = kernel_symbols(profile, api)
    addresses = table.addresses()
    functions = [
        {"name": name, "address": addresses[name], "prototype": export.prototype}
        for name, export in sorted(table.exports.items())
        if wanted in name
    ]
    variables = [
        {"name": name, "address": address}
        for name, address in sorted(table.data.items())
        if wanted in name
    ]
    lines = [f"{entry['address']:08x}  {entry['prototype']};" for entry in functions]
    lines += [f"{entry['address']:08x}  {entry['name']}" for entry in variables]
    return View({"api": api, "functions": functions, "variables": variables}, lines)


def linker_script(profile: Profile, api: Api) -> str:
    """A script for ld or lld that links a program to run in this kernel."""
    table = kernel_symbols(profile, api)
    provided = "\n".join(
        f"PROVIDE({name} = {address:#010x});" for name, address in table.addresses().items()
    )
    return f"""\
/* Guest code for the kernel of bootsim's profile {profile.name}, with the functions of {api}. */
PHDRS {{ guest PT_LOAD; }}
SECTIONS
{{
\t. = {table.end:#010x};
\t.text : {{ *(.text .text.* .init.text) }} :guest
\t.rodata : {{ *(.rodata .rodata.* .init.rodata) }}
\t.data : {{ *(.data .data.* .init.data) }}
\t.bss : {{ *(.bss .bss.* COMMON) }}
\t/DISCARD/ : {{ *(.ARM.exidx* .ARM.extab*) }}
}}
{provided}"""
