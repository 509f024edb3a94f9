"""A real browser for pages that open from disk: no network, and no error in its console."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import world

NAMES = ("chromium", "chromium-browser", "google-chrome")
LOCAL = ("file:", "data:")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Of the module and not of the session: while Playwright runs, no other event loop can.
    programs = [path for name in NAMES if (path := shutil.which(name))]
    if not programs:
        pytest.fail("these tests need Chromium (on Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=programs[0])
        yield running
        running.close()


@dataclass
class Tab:
    """A page of the browser and what it complained about; `base` is the file that it shows."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)

    def open(self, address: str = "") -> Page:
        """Open the page at an address, the part after #, as a link from elsewhere does."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.base}{address}")
        return self.page


Open = Callable[..., Tab]


@pytest.fixture
def new_tab(browser: Browser) -> Iterator[Open]:
    """Return a function that opens a file in a browser of its own, offline."""
    contexts = []
    tabs = []

    def start(file: Path, **options: Any) -> Tab:
        context = browser.new_context(offline=True, **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        tab = Tab(page, file.as_uri())
        page.on("console", lambda said: tab.complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        page.on("request", lambda asked: note_request(tab, asked.url))
        tabs.append(tab)
        return tab

    yield start
    for context in contexts:
        context.close()
    assert [complaint for tab in tabs for complaint in tab.complaints] == []


def note_request(tab: Tab, url: str) -> None:
    if not url.startswith(LOCAL) and url != "about:blank":
        tab.complaints.append(f"asked for {url}")


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the case browser of `world`."""
    return world.build(tmp_path_factory.mktemp("world"))


@pytest.fixture
def tab(new_tab: Open, cases: Path) -> Tab:
    return new_tab(cases)
