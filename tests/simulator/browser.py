"""A headless Chromium, driven by Selenium, for tests that look at a page as a person would.

Everything comes from the machine: nothing is downloaded. Chromium is told to report its console and its requests.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webelement import WebElement

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1000")
SECONDS_MAX = 20
"""Deadline of every wait; it only fails a test."""


class BrowserUnavailable(Exception):
    """There is no Chromium with its driver on this machine."""


class Browser:
    """One Chromium with one page.

    Raises:
        BrowserUnavailable: See there.
    """

    def __init__(self) -> None:
        program = next(filter(None, map(shutil.which, BROWSERS)), None)
        driver = shutil.which(DRIVER)
        if program is None or driver is None:
            raise BrowserUnavailable(f"install {' or '.join(BROWSERS)}, and {DRIVER} (Debian: chromium-driver)")
        options = ChromeOptions()
        options.binary_location = program
        for argument in ARGUMENTS:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        try:
            self.driver = Chrome(options=options, service=Service(driver))
        except WebDriverException as error:
            raise BrowserUnavailable(f"{program} does not start: {error.msg}") from error
        self.driver.set_page_load_timeout(SECONDS_MAX)
        self.driver.set_script_timeout(SECONDS_MAX)

    def close(self) -> None:
        self.driver.quit()

    def prefer(self, scheme: Literal["light", "dark"]) -> None:
        """As if the user had set the system to this."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, page: Path) -> None:
        """Load a file afresh."""
        self.console()
        self.requests()
        self.driver.get(page.as_uri())
        self.settle()

    def settle(self) -> None:
        """Until everything that was asked for is drawn: two frames later."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
        )

    def console(self) -> list[str]:
        """What the page has said there since the last call: errors and warnings."""
        return [entry["message"] for entry in self._log("browser")]

    def requests(self) -> list[str]:
        """Addresses that were asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def _log(self, kind: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return found

    def find(self, selector: str) -> list[WebElement]:
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> WebElement:
        """The only element that matches."""
        (found,) = self.find(selector)
        return found

    def visible(self, selector: str) -> list[WebElement]:
        """Those that have an area."""
        return [element for element in self.find(selector) if element.size["width"] > 0 and element.size["height"] > 0]

    def ask(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)
