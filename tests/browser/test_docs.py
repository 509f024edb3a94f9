"""The documentation's site, built as `make docs` builds it and opened from disk in Chromium."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open

pytestmark = pytest.mark.xdist_group("browser")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_opens_in_silence(site: Path, new_tab: Open) -> None:
    for source in sorted((ROOT / "docs").glob("*.md")):
        page = new_tab(site / f"{source.stem}.html").open()
        expect(page.locator("h1")).to_be_visible()


def test_search_finds_a_page_and_goes_there(site: Path, new_tab: Open) -> None:
    page = new_tab(site / "index.html").open()
    page.keyboard.press("/")
    page.get_by_role("textbox", name="Search").press_sequentially("geometric_mean")
    found = page.locator(".md-search-result__link")
    expect(found.first).to_be_visible()
    found.filter(has_text="The method").first.click()
    expect(page.locator("h1")).to_contain_text("The method")


def test_the_diagram_can_be_read_by_night(site: Path, new_tab: Open) -> None:
    """The page and the picture follow the same setting of the system."""
    colours = set()
    for scheme in ("light", "dark"):
        page = new_tab(site / "method.html", color_scheme=scheme).open()
        picture = page.locator("article img")
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
        colours.add(page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor"))
    assert len(colours) == 2
