"""Chromium, without a window, as the tests of pages use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.requirements import need_module, need_program

SCHEMES = ("file:", "data:", "about:", "chrome:")


class Browser:
    """One page at a time."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, file: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Show `file` in a window of the given size, to someone who likes it dark or light."""
        theme = "dark" if dark else "light"
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.media(prefers_color_scheme=theme)
        self.driver.get(file.as_uri())

    def media(self, kind: str = "", **features: str) -> None:
        """Show the page as on `kind` of paper: "print", or "" for the screen."""
        told = [{"name": n.replace("_", "-"), "value": v} for n, v in features.items()]
        self.command("Emulation.setEmulatedMedia", media=kind, features=told)

    def command(self, name: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, parameters)

    def run(self, script: str, *arguments: Any) -> Any:
        """What the function body `script` returns in the page."""
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        found: str = self.run("return document.querySelector(arguments[0]).textContent", selector)
        return found

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)",
            selector,
        )
        return found

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def press(self, keys: str, selector: str | None = None) -> None:
        """Press `keys` in the element, or in the one that has the focus."""
        at = self.driver.find_element("css selector", selector) if selector else None
        (at or self.driver.switch_to.active_element).send_keys(keys)

    def wait(self, script: str, seconds: float = 5) -> None:
        """Wait until `script` returns something true; an AssertionError where it does not."""
        end = monotonic() + seconds
        while not self.run(script):
            assert monotonic() < end, script
            sleep(0.05)

    def complaints(self) -> list[str]:
        """What the console has been told, and forgets."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """What was asked of the network since the last time."""
        messages = (json.loads(e["message"])["message"] for e in self.driver.get_log("performance"))
        asked = [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith(SCHEMES)]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; skips the test, with a reason, where there is none."""
    webdriver = need_module("selenium.webdriver")
    program, driver_program = need_program("chromium"), need_program("chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    # Containers have no user namespaces, and little shared memory.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_program))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
